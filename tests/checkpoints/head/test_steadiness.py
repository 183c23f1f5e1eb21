"""A row gives the same alone, in any company and in every pass, or the network is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.checkpoints.head.steadiness import SHARE, first_groups, joined
from ncbounds.errors import HeadNotFound
from ncbounds.extraction.extract import extract


class Net(nn.Module):
    """Two layers with something done to the features between them."""

    def __init__(self, between: Callable[["Net", Tensor], Tensor]) -> None:
        super().__init__()
        self.body = nn.Linear(6, 16)
        self.norm = nn.BatchNorm1d(16)
        self.bare = nn.BatchNorm1d(16, track_running_stats=False)
        self.mix = nn.TransformerEncoderLayer(16, 2, 16, dropout=0.0)  # attends over the first axis
        self.head = nn.Linear(16, 4)
        self.between = between
        self.passes = 0
        self.rows = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        self.rows += len(x)
        out: Tensor = self.head(self.between(self, self.body(x).relu()))
        return out


def quantised(f: Tensor) -> Tensor:
    scale = f.abs().max() / 127
    return (f / scale).round() * scale


def with_training(m: Net, f: Tensor) -> Tensor:
    return F.batch_norm(f, m.norm.running_mean, m.norm.running_var, training=True)


def crowded(f: Tensor) -> Tensor:
    """Only the first rows of a batch fit into the expert."""
    place = torch.arange(len(f))[:, None]
    return f * (place < max(1, len(f) // 2))


DEPENDENT: dict[str, Callable[[Net, Tensor], Tensor]] = {
    "batch norm without statistics": lambda m, f: m.bare(f),
    "batch norm with training=True": with_training,
    "contrast over the batch": lambda m, f: f - f.mean(0),
    "softmax over the rows": lambda m, f: f * f.softmax(0),
    "one scale for the batch": lambda m, f: quantised(f),
    "attention over the rows": lambda m, f: m.mix(f[:, None])[:, 0],
    "places in an expert": lambda m, f: crowded(f),
}


def loader(size: int, n: int = 96) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 6, generator=generator)
    y = torch.randint(0, 4, (n,), generator=generator)
    return list(zip(x.split(size), y.split(size), strict=True))


@pytest.mark.parametrize("size", [96, 33, 32, 8, 3, 2, 1])
@pytest.mark.parametrize("kind", list(DEPENDENT))
def test_rows_that_depend_on_others_are_refused_at_every_batch_size(kind: str, size: int) -> None:
    torch.manual_seed(0)
    module = Net(DEPENDENT[kind])
    before = {k: v.clone() for k, v in module.state_dict().items()}
    with pytest.raises(HeadNotFound, match=r"rows beside it|no affine map"):
        extract(Classifier(module), loader(size), "holdout")
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())


def test_dependence_that_begins_later_is_found_there() -> None:
    torch.manual_seed(0)
    module = Net(lambda m, f: f - f.mean(0) if m.rows > 400 else f)
    with pytest.raises(HeadNotFound, match="rows beside it"):
        extract(Classifier(module), loader(64, 64 * 20), "holdout")


@pytest.mark.parametrize("size", [96, 33, 8, 1])
def test_a_function_of_each_row_passes_at_every_batch_size(size: int) -> None:
    torch.manual_seed(0)
    module = Net(lambda m, f: m.norm(f)).eval()
    module.norm.running_mean += 0.3
    sample = extract(Classifier(module), loader(size), "holdout")
    x = torch.cat([x for x, _ in loader(96)])
    with torch.no_grad():
        wanted = module.norm(module.body(x).relu()).numpy()
    np.testing.assert_allclose(sample.features, wanted, atol=1e-6)


def test_at_most_one_row_in_64_is_run_again() -> None:
    torch.manual_seed(0)
    for size in (256, 32, 8, 1):
        module = Net(lambda m, f: f)
        classifier = Classifier(module)
        classifier.verify(loader(size)[0][0])
        module.rows = 0
        for x, _ in loader(size, 512):
            classifier.features_and_logits(x)
        assert 512 < module.rows <= 512 + 512 // SHARE + size // SHARE + 2


RANDOM: dict[str, Callable[[Net, Tensor], Tensor]] = {
    "dropout": lambda m, f: F.dropout(f, 0.1, training=True),
    "rare dropout": lambda m, f: F.dropout(f, 0.01, training=True),
    "noise": lambda m, f: f + 0.01 * torch.randn_like(f),
    "noise of NumPy": lambda m, f: f * float(np.random.uniform(0.9, 1.1)),  # noqa: NPY002
    "a sampled feature": lambda m, f: f.roll(int(torch.randint(0, 16, ())), 1),
    "a count of passes": lambda m, f: f * (1 + 0.01 * m.passes),
}


@pytest.mark.parametrize("kind", list(RANDOM))
def test_what_changes_from_pass_to_pass_is_refused(kind: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(HeadNotFound, match="random numbers"):
        Classifier(Net(RANDOM[kind])).verify(loader(96)[0][0])


def test_a_row_that_spoils_its_neighbours() -> None:
    torch.manual_seed(0)
    classifier = Classifier(Net(lambda m, f: f + 0 * f.sum()))
    x = loader(96)[0][0].clone()
    classifier.verify(x)
    x[70] = float("nan")
    with pytest.raises(HeadNotFound, match="rows beside it"):
        classifier.features_and_logits(x)


def test_a_network_that_failed_is_examined_again() -> None:
    torch.manual_seed(0)
    classifier = Classifier(Net(lambda m, f: f - f.mean(0)))
    for _ in range(2):
        with pytest.raises(HeadNotFound):
            classifier.features_and_logits(loader(96)[0][0])


def test_groups_of_the_first_rows() -> None:
    assert first_groups(1) == []
    assert first_groups(2) == [[0], [1]]
    assert first_groups(3) == [[1, 2], [0], [1], [2]]
    assert first_groups(8) == [[0, 1, 2, 3], [4, 5, 6, 7], [0], [3], [7]]


def test_rows_of_two_shapes_are_not_joined() -> None:
    a, b = torch.ones(1, 3), torch.ones(1, 4)
    assert joined({"ids": a}, {"ids": b}) is None
    both: Any = joined((a, {"x": b}), (2 * a, {"x": b}))
    assert torch.equal(both[0], torch.cat([a, 2 * a]))
    assert both[1]["x"].shape == (2, 4)


#: What a network does once in a million passes, by draws of every kind.
RARE: dict[str, Callable[[Net, Tensor], Tensor]] = {
    "rand": lambda net, f: f * (torch.rand(()) > 1e-6),
    "rand, the other end": lambda net, f: f * (torch.rand(len(f), 1) < 1 - 1e-6),
    "rand_like": lambda net, f: torch.where(torch.rand_like(f) < 1e-6, 0.0, f),
    "uniform_": lambda net, f: f * (f.new_empty(1).uniform_(2.0, 3.0) < 3 - 1e-5),
    "bernoulli": lambda net, f: f * torch.bernoulli(torch.full((len(f), 1), 1 - 1e-6)),
    "bernoulli_": lambda net, f: f * f.new_empty(len(f), 1).bernoulli_(1 - 1e-6),
    "dropout": lambda net, f: F.dropout(f, 1e-6, training=True) * (1 - 1e-6),
}


@pytest.mark.parametrize("kind", RARE)
def test_what_happens_rarely_by_chance_is_found(kind: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(HeadNotFound, match="draws random numbers"):
        Classifier(Net(RARE[kind])).verify(torch.randn(40, 6))


@pytest.mark.parametrize(
    "between",
    [
        lambda net, f: f if torch.rand(()) >= 0 else -f,  # what stochastic depth draws for nothing
        lambda net, f: f + 0 * torch.empty(3).uniform_(-1, 1).sum(),
        lambda net, f: f * (f.new_empty(1).bernoulli_(1.0)),
    ],
)
def test_draws_that_change_nothing_pass(between: Callable[[Net, Tensor], Tensor]) -> None:
    Classifier(Net(between)).verify(torch.randn(40, 6))
