"""One forward pass, features and labels in order, found again only for the same everything."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.errors import DataError, HeadNotFound, InvalidSample, RoleError, StoreError
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


def entries(store: Path) -> list[Path]:
    return sorted(store.glob("*/*.json"))


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
        assert len(entries(tmp_path)) == 1


def test_one_forward_pass(tmp_path: Path) -> None:
    model = Counting()
    classifier = Classifier(model)
    extract(classifier, data(), "fit", tmp_path, batch_size=35)
    examined = 3 * 32 + 8 + (4 + 4) + 3  # found, again, under another head; parts of 8 rows
    looked_up = 32 + 2  # the first rows, and where the tensors of the head are used
    assert model.rows == 70 + examined + looked_up + 1  # and one row in 64 again
    model.rows = 0
    extract(classifier, data(), "fit", tmp_path)
    assert model.rows <= 32 + 1  # found in the store: only the first rows are compared
    model.rows = 0
    extract(classifier, loader(), "fit", tmp_path)  # same rows, other batches
    assert model.rows <= 32 + 2 + 1


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
        assert len(entries(tmp_path)) == count
    for classifier, source in cases:
        extract(classifier, source, "fit", tmp_path)
    assert len(entries(tmp_path)) == len(cases)


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
        ([(torch.ones(3, 4), torch.ones(3, 1, dtype=torch.int64))], r"found shape \(3, 1\)"),
        ([(torch.ones(3, 4), 2 * torch.ones(3, 2))], "are 0 or 1, found 2"),
        (
            [(torch.ones(2, 4), torch.ones(2, 2)), (torch.ones(2, 4), torch.ones(2).long())],
            "needed is one form for all",
        ),
        ((np.ones((3, 4)), np.ones(2, dtype=int)), "3 rows of inputs need 3 labels"),
        ((np.ones((3, 5)), np.ones(3, dtype=int)), "cannot process a batch of"),
    ],
)
def test_wrong_data(source: Any, message: str) -> None:
    with pytest.raises((DataError, InvalidSample), match=message):
        extract(Classifier(Counting()), source, "fit")


def test_a_network_is_not_told_the_labels() -> None:
    x, y = torch.randn(20, 4), torch.arange(20) % 3
    for inputs in ({"x": x, "labels": y}, {"x": x, "target": y.int()}, (x, y)):
        with pytest.raises(DataError, match="is the labels themselves"):
            data_parts([(inputs, y)])
    data_parts([({"x": x, "kind": (y > 0).long()}, y), ((y, y), torch.zeros(20).long())])
    data_parts({"x": x, "labels": y})


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


def test_a_data_set_of_rows_is_read_in_its_order() -> None:
    x, y = data()
    wanted = extract(Classifier(Counting()), (x, y), "holdout")
    tensors = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    for rows in (tensors, [(x[i], int(y[i])) for i in range(70)]):
        found = extract(Classifier(Counting()), rows, "holdout", batch_size=16)
        np.testing.assert_array_equal(found.labels, y)
        np.testing.assert_array_equal(found.input_hashes, wanted.input_hashes)
        assert not found.other_rows
    part = extract(Classifier(Counting()), torch.utils.data.Subset(tensors, range(9)), "holdout")
    np.testing.assert_array_equal(part.features, wanted.features[:9])


def test_rows_that_cannot_be_stacked_need_a_loader() -> None:
    ragged = [(np.ones(k, np.float32), 0) for k in (3, 4)]
    with pytest.raises(DataError, match=r"cannot be stacked.*DataLoader\(dataset, batch_size=256"):
        extract(Classifier(Counting()), ragged, "holdout")


@pytest.mark.parametrize("stored", [False, True])
def test_a_loader_that_gives_other_rows_is_noticed(tmp_path: Path, stored: bool) -> None:
    x, y = data()
    rows = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    loader = torch.utils.data.DataLoader(rows, batch_size=32, shuffle=True)
    torch.manual_seed(0)
    store = tmp_path if stored else None
    assert extract(Classifier(Counting()), loader, "holdout", store).other_rows
    # a fixed order is no draw, however it came about; what is read once cannot differ
    fixed = torch.utils.data.DataLoader(rows, batch_size=32)
    assert not extract(Classifier(Counting()), fixed, "holdout", store).other_rows
    assert not extract(Classifier(Counting()), iter(loader), "holdout", store).other_rows

    class Relabelled:
        def __iter__(self) -> Any:
            yield x, np.random.default_rng().integers(0, 3, 70)

    assert extract(Classifier(Counting()), Relabelled(), "holdout", store).other_rows


def test_the_number_of_classes_is_known_where_data_can_be_read_twice() -> None:
    x, y = data()
    assert class_count((x, y)) == 3
    assert class_count(loader()) == 3
    assert class_count(iter(loader())) is None
    assert class_count((x, None)) is None
    assert class_count((x, [0, 4, 1])) == 5


def test_a_label_that_is_ignored_is_no_class() -> None:
    x, y = data()
    y[::7] = 255
    assert class_count((x, y)) == 256
    assert class_count((x, y), ignore_label=255) == 3
    assert class_count([(x, y)], ignore_label=255) == 3
    asked = []

    class Told(Classifier):
        def reading(self, batch: Any, classes: Any = None, taps: Any = None, **how: Any) -> Any:
            asked.append(classes())
            return super().reading(batch, classes, taps, **how)

    extract(Told(Counting()), (x, y), "holdout", ignore_label=255)
    assert asked == [3]


def refitted(model: nn.Module, name: str = "head") -> nn.Module:
    """The same backbone under another head."""
    other = copy.deepcopy(model)
    layer = other.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    generator = torch.Generator().manual_seed(7)
    layer.weight.data = torch.randn(layer.weight.shape, generator=generator)
    layer.bias.data += 1.0
    return other


def test_refitted_heads_share_the_features_of_their_backbone(tmp_path: Path) -> None:
    first = extract(Classifier(Counting()), data(), "holdout", tmp_path)
    model = refitted(Counting())
    classifier = Classifier(model)
    alone = extract(Classifier(refitted(Counting())), data(), "holdout")
    model.rows = 0  # type: ignore[assignment]
    found = extract(classifier, data(), "holdout", tmp_path)
    assert len(entries(tmp_path)) == 1
    assert model.rows == 115 + 32 + 2  # examined and looked up, as above, and no rows beside
    np.testing.assert_array_equal(found.features, first.features)
    np.testing.assert_array_equal(found.logits(classifier.head), alone.logits(classifier.head))
    assert found.module_disagreements == 0
    assert classifier.head_report.rows >= 70  # and its logits are compared on all of them


def test_disagreements_are_those_of_the_head_at_hand(tmp_path: Path) -> None:
    """In half precision one head ties where the float64 head does not, and the other does not."""
    torch.manual_seed(0)
    fine = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 3)).to(torch.bfloat16)
    coarse = copy.deepcopy(fine)
    coarse[2].weight.data *= 0.01
    coarse[2].bias.data.fill_(8.0)
    source = data(500)
    wanted = [extract(Classifier(m), source, "test").module_disagreements for m in (fine, coarse)]
    stored = [
        extract(Classifier(m), source, "test", tmp_path).module_disagreements
        for m in (fine, coarse, fine)
    ]
    assert len(entries(tmp_path)) == 1
    assert stored == [wanted[0], wanted[1], wanted[0]]
    assert wanted[1] != wanted[0]


class Scaled(Counting):
    """A network whose features change with its head, by way of a number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.body(x).relu() / self.head.weight.detach().norm())
        return out


class Shifted(Counting):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.body(x).relu() + self.head.bias.data.sum())
        return out


class Cut(Counting):
    """What comes after the head changes nothing on ordinary inputs under ordinary heads."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).clamp(-50.0, 50.0)


class Tied(Counting):
    def __init__(self) -> None:
        super().__init__()
        self.same = self.head


@pytest.mark.parametrize("kind", [Scaled, Shifted, Cut, Tied])
def test_a_head_that_is_not_a_plain_one_shares_nothing(
    tmp_path: Path, kind: type[Counting]
) -> None:
    for model in (kind(), refitted(kind())):
        extract(Classifier(model), data(), "holdout", tmp_path)
    assert len(entries(tmp_path)) == 2


def test_data_are_read_once_unless_the_store_has_what_begins_alike(tmp_path: Path) -> None:
    class Counted:
        def __init__(self, batches: list[Any]) -> None:
            self.batches, self.read = batches, 0

        def __iter__(self) -> Iterator[Any]:
            for batch in self.batches:
                self.read += 1
                yield batch

    source = Counted(loader())
    extract(Classifier(Counting()), source, "fit", tmp_path)
    assert source.read == 1 + 5 + 1  # the first batch, all of them, and whether it is the same
    source.read = 0
    extract(Classifier(Counting()), source, "fit", tmp_path)
    assert source.read == 1 + 5  # for their hash, which finds them
    other = Counted(loader()[::-1])
    extract(Classifier(Counting()), other, "fit", tmp_path)
    assert other.read == 1 + 5 + 1
    longer = Counted(loader() + loader()[:1])
    assert extract(Classifier(Counting()), longer, "fit", tmp_path).n == 86
    assert longer.read == 1 + 6 + 6 + 1


def test_float16_takes_half_the_room_and_is_paid_for(tmp_path: Path) -> None:
    x, _ = data(3_000)
    x[7] = 1e6  # beyond float16: it counts as an error
    model = Counting()
    with torch.no_grad():
        y = model(torch.from_numpy(x)).argmax(1).numpy()
    plain = extract(Classifier(model), (x, y), "holdout", tmp_path / "plain")
    for _ in range(2):
        classifier = Classifier(model)
        model.rows = 0
        half = extract(classifier, (x, y), "holdout", tmp_path / "half", store_dtype="float16")
    assert model.rows < 3_000
    assert half.rounded
    assert not plain.rounded
    assert half.features.dtype == np.float16
    head = classifier.head
    assert (half.margins(head) <= 0)[7]
    assert (plain.margins(head) > 0).all()
    assert 1 < int((half.margins(head) <= 0).sum()) < 60
    both = extract(Classifier(model), (x, y), "holdout", tmp_path / "half")
    assert not both.rounded
    with pytest.raises(DataError, match="rounded to float16; found 'float8'"):
        extract(Classifier(model), (x, y), "holdout", tmp_path / "half", store_dtype="float8")
