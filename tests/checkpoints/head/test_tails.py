"""Fixed affine maps behind the head are folded into it, and the result proves itself."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.errors import HeadNotFound, NoLinearHead


class Net(nn.Module):
    """Two bodies, several heads, and what stands behind them."""

    def __init__(self, how: Callable[["Net", Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.how = how
        self.body, self.other = nn.Linear(6, 10), nn.Linear(6, 7)
        self.head, self.head2, self.pair = nn.Linear(10, 4), nn.Linear(7, 4), nn.Linear(10, 2)
        self.one, self.wide = nn.Linear(10, 1), nn.Linear(10, 9)
        self.scales, self.offsets = nn.Parameter(torch.rand(4) + 0.5), nn.Parameter(torch.randn(4))
        self.norm = nn.BatchNorm1d(4)
        for tensor in (self.norm.weight.data, self.norm.bias.data, self.norm.running_mean):
            assert tensor is not None
            tensor.normal_()

    def forward(self, x: Tensor) -> Any:
        return self.how(self, x, self.body(x).relu())


def second(m: Net, x: Tensor) -> Tensor:
    out: Tensor = m.head2(m.other(x).relu())
    return out


FOLDED: dict[str, tuple[Callable[[Net, Tensor, Tensor], Any], tuple[int, int]]] = {
    "class scales": (lambda m, x, f: m.head(f) * m.scales, (4, 10)),
    "logit adjustment": (lambda m, x, f: m.head(f) - 1.5 * m.offsets, (4, 10)),
    "temperature and offsets": (lambda m, x, f: m.head(f) / 1.7 + m.offsets, (4, 10)),
    "batch norm": (lambda m, x, f: m.norm(m.head(f)), (4, 10)),
    "batch norm and log-softmax": (lambda m, x, f: m.norm(m.head(f)).log_softmax(1), (4, 10)),
    "some of more classes": (lambda m, x, f: m.wide(f)[:, [7, 1, 4]], (3, 10)),
    "heads in a row": (lambda m, x, f: torch.cat([m.head(f), m.pair(f)], 1), (6, 10)),
    "mean over two bodies": (lambda m, x, f: (m.head(f) + second(m, x)) / 2, (4, 17)),
    "unequal weights": (lambda m, x, f: 0.3 * m.head(f) + 0.7 * second(m, x), (4, 17)),
    "softmax": (lambda m, x, f: F.softmax(m.head(f), dim=1), (4, 10)),
    "softmax with temperature": (lambda m, x, f: nn.Softmax(dim=-1)(m.head(f) / 3), (4, 10)),
    "sigmoid for each class": (lambda m, x, f: m.head(f).sigmoid(), (4, 10)),
    "one logit": (lambda m, x, f: m.one(f), (2, 10)),
    "one logit squeezed": (lambda m, x, f: m.one(f).squeeze(1), (2, 10)),
    "one probability": (lambda m, x, f: torch.sigmoid(m.one(f)), (2, 10)),
    "one calibrated logit": (lambda m, x, f: m.one(f) / 2 + 0.25, (2, 10)),
    "two from one": (lambda m, x, f: torch.cat([-m.one(f), m.one(f)], 1), (2, 10)),
}


@pytest.mark.parametrize("case", list(FOLDED))
def test_the_folded_head_decides_as_the_network_does(case: str) -> None:
    how, shape = FOLDED[case]
    torch.manual_seed(2)
    module = Net(how)
    classifier = Classifier(module)
    classifier.verify(torch.randn(40, 6))
    x = torch.randn(500, 6) * 3
    features, logits = classifier.features_and_logits(x)
    assert classifier.head.weight.shape == shape
    assert features.shape == (500, shape[1])
    own = classifier.head.logits(features.numpy())
    assert np.abs(own - logits.numpy()).max() < 2e-5
    with torch.no_grad():
        returned = module(x)
    if shape[0] == 2 and case.startswith("one"):
        above = returned.flatten() > (0.5 if case == "one probability" else 0.0)
        assert np.array_equal(own.argmax(1), above.long())
        assert np.all(classifier.head.weight[0] == 0.0)
        assert any("one logit" in note for note in classifier.choices)
    else:
        assert np.array_equal(own.argmax(1), returned.argmax(1))


@pytest.mark.parametrize("case", ["softmax", "one probability", "batch norm"])
def test_a_row_that_is_not_finite_leaves_the_others_alone(case: str) -> None:
    torch.manual_seed(2)
    classifier = Classifier(Net(FOLDED[case][0]))
    classifier.verify(torch.randn(40, 6))
    x = torch.randn(20, 6)
    x[3, 2] = float("nan")
    features, logits = classifier.features_and_logits(x)
    own = classifier.head.logits(features.numpy())
    assert torch.isnan(logits[3]).any()
    others = np.arange(20) != 3
    assert np.abs(own[others] - logits.numpy()[others]).max() < 2e-5


def test_hand_calculation() -> None:
    module = Net(lambda m, x, f: m.one(f) * 2.0 - 3.0)
    module.one.weight.data = torch.arange(10.0)[None]
    module.one.bias.data = torch.tensor([0.5])
    classifier = Classifier(module)
    classifier.verify(torch.randn(40, 6))
    assert classifier.head.weight.tolist() == [[0.0] * 10, [2.0 * i for i in range(10)]]
    assert classifier.head.bias.tolist() == [0.0, -2.0]


NOT_AFFINE: dict[str, Callable[[Net, Tensor, Tensor], Any]] = {
    "kink": lambda m, x, f: m.head(f).clamp_min(-50.0) + m.head(f).clamp_min(0.01),
    "more of the input": lambda m, x, f: m.head(f) * m.scales + 1e-3 * x[:, :4].sin(),
    "scaled by the input": lambda m, x, f: m.head(f) * m.scales * (1 + x[:, :1] ** 2),
    "mean of probabilities": lambda m, x, f: m.head(f).softmax(1) + second(m, x).softmax(1),
    "softmax written into": lambda m, x, f: m.head(f).softmax(1).mul_(m.scales),
    "distances": lambda m, x, f: -torch.cdist(f, m.head.weight),
    "nearly flat": lambda m, x, f: 10 * torch.tanh(m.head(f) * m.scales / 10),
}


@pytest.mark.parametrize("case", list(NOT_AFFINE))
def test_nothing_else_passes_for_an_affine_map(case: str) -> None:
    torch.manual_seed(2)
    with pytest.raises(NoLinearHead):
        Classifier(Net(NOT_AFFINE[case])).verify(torch.randn(40, 6))


def test_a_tail_that_changes_later_is_noticed() -> None:
    module = Net(lambda m, x, f: m.head(f) * (m.scales if x.mean() < 5 else m.scales.flip(0)))
    classifier = Classifier(module)
    classifier.verify(torch.randn(40, 6))
    with pytest.raises(NoLinearHead, match="reproduced the first logits"):
        classifier.features_and_logits(torch.randn(40, 6) + 20)


def test_features_given_by_the_user_before_a_folded_map() -> None:
    torch.manual_seed(2)
    module = Net(FOLDED["class scales"][0])

    def given(batch: Tensor) -> tuple[Tensor, Tensor]:
        return module.body(batch).relu(), module(batch)

    assert Classifier(module, head=given).verify(torch.randn(40, 6)).kind == "given"

    def other(batch: Tensor) -> tuple[Tensor, Tensor]:
        return 2 * module.body(batch).relu(), module(batch)

    with pytest.raises(HeadNotFound, match="no weight of the model"):
        Classifier(module, head=other).verify(torch.randn(40, 6))


def test_one_number_between_0_and_1_is_asked_about_and_both_answers_work() -> None:
    def by_hand(m: Net, f: Tensor) -> Tensor:
        return 1 / (1 + (-m.one(f)).exp())

    probability = Classifier(Net(lambda m, x, f: by_hand(m, f)))
    with pytest.raises(NoLinearHead):
        probability.verify(torch.randn(40, 6))
    with pytest.raises(HeadNotFound, match="decides at 1/2, a logit z at 0") as error:
        probability.predicting().verify(torch.randn(40, 6))
    assert "torch.stack([1 - p, p], 1)" in str(error.value)
    assert "torch.stack([0 * z, z], 1)" in str(error.value)

    def advised(m: Net, x: Tensor, f: Tensor) -> Tensor:
        z = m.one(f)[:, 0]
        return torch.stack([0 * z, z], 1)

    assert Classifier(Net(advised)).verify(torch.randn(40, 6)).name == "one"

    def halves(m: Net, x: Tensor, f: Tensor) -> Tensor:
        p = by_hand(m, f)[:, 0]
        return torch.stack([1 - p, p], 1)

    module = Net(halves)
    alone = Classifier(module).predicting()
    x = torch.randn(40, 6)
    logits = alone.features_and_logits(x)[1]
    assert torch.equal(logits.argmax(1), module(x).argmax(1))
