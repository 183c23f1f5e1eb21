"""A network is what its file says: in eval mode, left alone by its passes, built twice alike."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.checkpoints.head.state import reseeded, tensors_outside
from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.errors import HeadNotFound
from ncbounds.extraction.extract import extract


class Framed(nn.Module):
    """A layer, and a frame that is made when the network is built."""

    frame: Tensor

    def __init__(self, make: Callable[[], Tensor], keep: str) -> None:
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.turn = 1.0
        if keep == "attribute":
            self.frame = make()
        elif keep == "number":
            self.frame, self.turn = torch.eye(8, 4), float(make()[0, 0])
        else:
            self.register_buffer("frame", make(), persistent=keep == "saved")

    def forward(self, x: Tensor) -> Tensor:
        return self.turn * F.normalize(self.body(x)) @ self.frame


def drawn() -> Tensor:
    return torch.randn(8, 4)


def by_numpy() -> Tensor:
    return torch.from_numpy(np.random.random((8, 4))).float()  # noqa: NPY002


def by_python() -> Tensor:
    return torch.tensor([[random.random() for _ in range(4)] for _ in range(8)])


def constant() -> Tensor:
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(5))


X, Y = torch.randn(60, 6, generator=torch.Generator().manual_seed(0)), torch.arange(60) % 4


@pytest.mark.parametrize("keep", ["attribute", "buffer", "number"])
@pytest.mark.parametrize("make", [drawn, by_numpy, by_python])
def test_numbers_that_are_drawn_anew_are_refused(
    tmp_path: Path, make: Callable[[], Tensor], keep: str
) -> None:
    torch.save(Framed(make, keep).state_dict(), tmp_path / "c.pt")
    classifier = load_checkpoint(tmp_path / "c.pt").build(lambda: Framed(make, keep))
    with pytest.raises(HeadNotFound, match="built twice from the same file") as error:
        extract(classifier, (X, Y), "holdout")
    assert ("frame (8x4)" in str(error.value)) or keep == "number"
    assert "register_buffer" in str(error.value)


@pytest.mark.parametrize(
    ("make", "keep"), [(constant, "attribute"), (constant, "buffer"), (drawn, "saved")]
)
def test_constants_and_saved_frames_are_the_network(
    tmp_path: Path, make: Callable[[], Tensor], keep: str
) -> None:
    saved = Framed(make, keep)
    torch.save(saved.state_dict(), tmp_path / "c.pt")
    classifier = load_checkpoint(tmp_path / "c.pt").build(lambda: Framed(make, keep))
    sample = extract(classifier, (X, Y), "holdout")
    with torch.no_grad():
        np.testing.assert_allclose(sample.features, F.normalize(saved.body(X)), atol=1e-6)
        np.testing.assert_allclose(sample.logits(classifier.head), saved(X), atol=1e-6)


def test_a_module_that_holds_the_frame_is_the_way_out_and_says_so(tmp_path: Path) -> None:
    saved = Framed(drawn, "attribute")
    torch.save(saved.state_dict(), tmp_path / "c.pt")
    classifier = load_checkpoint(tmp_path / "c.pt").build(saved)
    sample = extract(classifier, (X, Y), "holdout")
    with torch.no_grad():
        np.testing.assert_allclose(sample.logits(classifier.head), saved(X), atol=1e-6)
    assert any("not from the file: frame (8x4)" in note for note in classifier.choices)


def test_building_twice_leaves_the_random_states_alone() -> None:
    def states() -> tuple[float, float, float]:
        return float(torch.rand(())), float(np.random.random()), random.random()  # noqa: NPY002

    def seed() -> None:
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        random.seed(1)

    seed()
    wanted = states()
    seed()
    with reseeded():
        other = states()
    assert states() == wanted
    assert all(a != b for a, b in zip(other, wanted, strict=True))


def test_what_a_file_does_not_hold() -> None:
    assert tensors_outside(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))) == []
    assert tensors_outside(nn.Sequential(Framed(drawn, "attribute"))) == ["0.frame (8x4)"]
    assert tensors_outside(Framed(drawn, "buffer")) == ["frame (8x4)"]
    assert tensors_outside(Framed(drawn, "saved")) == []


class Normed(nn.Module):
    def __init__(self, also: Callable[["Normed"], object] = lambda m: None) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Linear(8, 4)
        self.register_buffer("count", torch.zeros(()))
        self.also = also

    def forward(self, x: Tensor) -> Tensor:
        self.also(self)
        out: Tensor = self.head(self.body(x))
        return out


def test_train_mode_between_two_samples_changes_nothing() -> None:
    torch.manual_seed(0)
    module = Normed()
    for _ in range(5):
        module.train()(torch.randn(64, 6))
    before = {k: v.clone() for k, v in module.state_dict().items()}
    classifier = Classifier(module)
    first = extract(classifier, (X, Y), "holdout")
    module.train()
    second = extract(classifier, (X, Y), "test")
    np.testing.assert_array_equal(first.features, second.features)
    assert not module.training
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())


@pytest.mark.parametrize("start", [0, 3])
def test_a_layer_that_leaves_eval_mode_in_a_pass_is_refused(start: int) -> None:
    calls = []

    def also(m: Normed) -> None:
        calls.append(1)
        if len(calls) > start:
            m.body[3].train()

    with pytest.raises(HeadNotFound, match=r"left eval mode|random numbers"):
        extract(Classifier(Normed(also)), (X, Y), "holdout")


def replace_count(m: Normed) -> None:
    m.count = m.count + 1


@pytest.mark.parametrize("also", [lambda m: m.count.add_(1), replace_count])
def test_a_pass_that_changes_what_is_stored_is_refused(also: Callable[[Normed], object]) -> None:
    with pytest.raises(HeadNotFound, match="in eval mode changed count"):
        extract(Classifier(Normed(also)), (X, Y), "holdout")


def test_training_on_after_the_head_was_verified_is_noticed() -> None:
    torch.manual_seed(0)
    module = Normed()
    classifier = Classifier(module)
    extract(classifier, (X, Y), "holdout")
    with torch.no_grad():
        module.body[0].weight.add_(1.0)
    with pytest.raises(HeadNotFound, match=r"body\.0\.weight.*Make a new Classifier"):
        extract(classifier, (X, Y), "test")
    assert Classifier(module).verify(X).name == "head"
