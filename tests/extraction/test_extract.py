"""One forward pass, features and labels in order, found again only for the same everything."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.errors import DataError, HeadNotFound, RoleError, StoreError
from ncbounds.extraction.batches import class_count, data_parts
from ncbounds.extraction.extract import extract
from ncbounds.extraction.stream import count_disagreements


class Counting(nn.Module):
    """Two layers; counts the rows that pass through."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Linear(4, 6)
        self.head = nn.Linear(6, 3)
        self.rows = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.rows += len(x)
        out: torch.Tensor = self.head(self.body(x).relu())
        return out


def data(n: int = 70, seed: int = 1) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(seed)
    return generator.standard_normal((n, 4)).astype(np.float32), generator.integers(0, 3, n)


def loader(n: int = 70, size: int = 16) -> list[tuple[torch.Tensor, torch.Tensor]]:
    x, y = data(n)
    return [
        (torch.from_numpy(x[i : i + size]), torch.from_numpy(y[i : i + size]))
        for i in range(0, n, size)
    ]


def wanted(model: Counting, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        return model.body(torch.from_numpy(x)).relu().numpy()


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("form", ["arrays", "list", "generator", "dataloader"])
def test_features_labels_and_hashes(tmp_path: Path, form: str, stored: bool) -> None:
    x, y = data()
    tensors = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    source: Any = {
        "arrays": (x, y),
        "list": loader(),
        "generator": iter(loader()),
        "dataloader": torch.utils.data.DataLoader(tensors, batch_size=16),
    }[form]
    model = Counting()
    classifier = Classifier(model)
    sample = extract(
        classifier, source, "holdout", tmp_path if stored else None, sampling="iid", batch_size=16
    )
    np.testing.assert_allclose(sample.features, wanted(model, x), atol=1e-6)
    np.testing.assert_array_equal(sample.labels, y)
    assert sample.features.dtype == np.float32
    assert (sample.role, sample.sampling, sample.module_disagreements) == ("holdout", "iid", 0)
    assert sample.input_hashes is not None
    assert len(np.unique(sample.input_hashes)) == 70
    if stored:
        assert isinstance(sample.features, np.memmap)
        again = extract(Classifier(Counting()), (x, y), "fit", tmp_path)
        np.testing.assert_array_equal(again.features, sample.features)
        np.testing.assert_array_equal(again.input_hashes, sample.input_hashes)
        assert len(list(tmp_path.iterdir())) == 1


def test_one_forward_pass(tmp_path: Path) -> None:
    model = Counting()
    classifier = Classifier(model)
    extract(classifier, data(), "fit", tmp_path, batch_size=35)
    examined = 3 * 32 + 8 + (4 + 4) + 3  # found, again, under another head; parts of 8 rows
    assert model.rows == 70 + examined + 1  # and one row in 64 again
    model.rows = 0
    extract(classifier, data(), "fit", tmp_path)
    assert model.rows == 32  # found in the store: only the first rows are compared
    model.rows = 0
    extract(classifier, loader(), "fit", tmp_path)  # same rows, other batches
    assert model.rows <= 32 + 1


def test_the_key_sees_everything(tmp_path: Path) -> None:
    x, y = data()
    cases: list[tuple[Classifier, Any]] = [
        (Classifier(Counting()), (x, y)),
        (Classifier(Counting(1)), (x, y)),
        (Classifier(nn.Sequential(nn.Flatten(), Counting())), (x, y)),
        (Classifier(Counting(), head="head"), (x, y)),
        (Classifier(Counting()), (x[::-1].copy(), y)),
        (Classifier(Counting()), (x, y[::-1].copy())),
        (Classifier(Counting()), (x.astype(np.float64), y)),
        (Classifier(Counting()), (x[:-1], y[:-1])),
        (Classifier(Counting().double()), (x, y)),
    ]
    for count, (classifier, source) in enumerate(cases, 1):
        extract(classifier, source, "fit", tmp_path)
        assert len(list(tmp_path.iterdir())) == count
    for classifier, source in cases:
        extract(classifier, source, "fit", tmp_path)
    assert len(list(tmp_path.iterdir())) == len(cases)


def test_key_parts_need_no_pass_over_the_data(tmp_path: Path) -> None:
    x, y = data()
    parts = {"file": "abc", "rows": "0:70"}
    first = extract(Classifier(Counting()), (x, y), "fit", tmp_path, key_parts=parts)
    read = []

    def once() -> Iterator[Any]:
        for batch in loader():
            read.append(len(batch[1]))
            yield batch

    second = extract(Classifier(Counting()), once(), "fit", tmp_path, key_parts=parts)
    assert read == [16]
    np.testing.assert_array_equal(first.features, second.features)
    with pytest.raises(StoreError, match="same key_parts"):
        extract(Classifier(Counting()), data(seed=9), "fit", tmp_path, key_parts=parts)


def test_head_is_known_after_a_lookup(tmp_path: Path) -> None:
    extract(Classifier(Counting()), data(), "fit", tmp_path)
    classifier = Classifier(Counting())
    sample = extract(classifier, data(), "fit", tmp_path)
    assert classifier.head.weight.shape == (3, 6)
    assert sample.logits(classifier.head).shape == (70, 3)


def test_values_that_are_not_finite_are_kept(tmp_path: Path) -> None:
    x, y = data()
    x[40, 0] = np.inf
    x[69] = np.nan
    classifier = Classifier(Counting())
    for store in (None, tmp_path, tmp_path):
        sample = extract(classifier, (x, y), "holdout", store)
        bad = np.flatnonzero(~np.isfinite(sample.features).all(1))
        assert list(bad) == [40, 69]
        assert (sample.margins(classifier.head)[bad] == -np.inf).all()
        assert sample.module_disagreements == 0


def test_disagreements_by_hand() -> None:
    module = np.array([[1.0, 2.0], [2.0, 1.0], [np.nan, 1.0], [np.nan, 1.0], [1.0, np.nan]])
    head = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, np.nan], [1.0, 0.0], [np.nan, 1.0]])
    assert count_disagreements(torch.from_numpy(module), torch.from_numpy(head)) == 2


def test_disagreements_are_counted(tmp_path: Path) -> None:
    """In half precision the module ties where the float64 head does not."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 3)).to(torch.bfloat16)
    model[2].weight.data *= 0.01
    model[2].bias.data.fill_(8.0)
    classifier = Classifier(model)
    x, y = data(2_000)
    sample = extract(classifier, (x, y), "test", tmp_path)
    with torch.no_grad():
        logits = model(torch.from_numpy(x).to(torch.bfloat16)).float().numpy()
    own = sample.logits(classifier.head).argmax(1)
    assert sample.features.dtype == np.float32
    assert sample.module_disagreements == int((logits.argmax(1) != own).sum())
    assert sample.module_disagreements is not None
    assert sample.module_disagreements > 0


def test_head_is_checked_on_every_batch() -> None:
    class Kink(Counting):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = super().forward(x)
            return torch.where(x[:, :1] > 50, out.relu(), out)

    x, y = data()
    x[60, 0] = 60.0
    with pytest.raises(HeadNotFound, match="here it is off by"):
        extract(Classifier(Kink()), (x, y), "fit", batch_size=20)


def test_unlabelled(tmp_path: Path) -> None:
    x, _ = data()
    for store in (None, tmp_path, tmp_path):
        sample = extract(Classifier(Counting()), (x, None), "unlabelled", store)
        assert (sample.labels == -1).all()


def test_mapping_of_inputs(tmp_path: Path) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Counting()

        def forward(self, a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"logits": self.inner(a + b)}

    x, y = data()
    sample = extract(Classifier(Named()), ({"a": x, "b": 0 * x}, y), "fit", tmp_path)
    np.testing.assert_allclose(sample.features, wanted(Counting(), x), atol=1e-6)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "no rows"),
        ([torch.ones(3, 4)], r"needed are \(inputs, labels\) pairs"),
        ([(torch.ones(3, 4), torch.ones(2, dtype=torch.int64))], "needs 3 integer labels"),
        ([(torch.ones(3, 4), torch.ones(3))], "labels are integers"),
        ([(torch.ones(3, 4), torch.ones(3, 2, dtype=torch.int64))], r"found shape \(3, 2\)"),
        ((np.ones((3, 4)), np.ones(2, dtype=int)), "3 rows of inputs need 3 labels"),
        ((np.ones((3, 5)), np.ones(3, dtype=int)), "cannot process a batch of"),
    ],
)
def test_wrong_data(source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        extract(Classifier(Counting()), source, "fit")


def test_wrong_role_before_any_work() -> None:
    model = Counting()
    with pytest.raises(RoleError):
        extract(Classifier(model), data(), "train")
    assert model.rows == 0


def test_row_hashes_ignore_batches_and_see_duplicates() -> None:
    x, y = data()
    x[5] = x[50]
    classifier = Classifier(Counting())
    hashes = extract(classifier, (x, y), "fit", batch_size=7).input_hashes
    other = extract(classifier, (x, y), "fit", batch_size=64).input_hashes
    assert hashes is not None
    np.testing.assert_array_equal(hashes, other)
    assert hashes[5] == hashes[50]
    assert len(np.unique(hashes)) == 69
    assert data_parts((x, y)) == data_parts(iter([(x[:9], y[:9]), (x[9:], y[9:])]))


def test_frames_are_their_numbers() -> None:
    pandas = pytest.importorskip("pandas")
    x, y = data()
    index = np.random.default_rng(0).permutation(70) + 1000
    frame, series = pandas.DataFrame(x, index=index), pandas.Series(y, index=index)
    wanted = extract(Classifier(Counting()), (x, y), "holdout")
    found = extract(Classifier(Counting()), (frame, series), "holdout", batch_size=16)
    np.testing.assert_allclose(found.features, wanted.features, atol=1e-6)
    np.testing.assert_array_equal(found.labels, y)
    mixed = extract(Classifier(Counting()), (torch.from_numpy(x), series), "holdout")
    np.testing.assert_array_equal(mixed.labels, y)


def test_a_dataset_yields_rows_and_needs_a_loader() -> None:
    x, y = data()
    tensors = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    for rows in (tensors, torch.utils.data.Subset(tensors, range(9))):
        with pytest.raises(DataError, match=r"yields single rows.*DataLoader\(dataset, batch_size"):
            extract(Classifier(Counting()), rows, "holdout")


def test_the_number_of_classes_is_known_where_data_can_be_read_twice() -> None:
    x, y = data()
    assert class_count((x, y)) == 3
    assert class_count(loader()) == 3
    assert class_count(iter(loader())) is None
    assert class_count((x, None)) is None
