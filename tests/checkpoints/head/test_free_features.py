"""A head whose features would be others under other weights is no head for uniform bounds."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.errors import HeadNotFound


class Bag(nn.Module):
    """Rows of 6 instances with 5 numbers each."""

    def __init__(self, answer: Callable[["Bag", Tensor], Tensor]) -> None:
        super().__init__()
        self.body = nn.Linear(5, 8)
        self.head = nn.Linear(8, 3)
        self.gate = nn.Linear(8, 1)
        self.conv = nn.Conv2d(8, 3, 1)
        self.matrix = nn.Parameter(torch.randn(8, 3))
        self.answer = answer

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(self, self.body(x).relu())


def pick(values: Tensor, place: Tensor) -> Tensor:
    return values[torch.arange(len(values)), place]


def largest(m: Bag, f: Tensor) -> Tensor:
    scores = m.head(f)
    return pick(scores, scores.amax(2).argmax(1))


def surest(m: Bag, f: Tensor) -> Tensor:
    """Of six experts the one with the least entropy answers."""
    scores = f @ m.matrix
    p = scores.softmax(2)
    return pick(scores, (p * p.log()).sum(2).argmax(1))


def worst_first(m: Bag, f: Tensor) -> Tensor:
    scores = m.conv(f.transpose(1, 2)[..., None])[..., 0].transpose(1, 2)
    return pick(scores, scores[:, :, 0].argmin(1))


def tied(m: Bag, f: Tensor) -> Tensor:
    """The weights of the head are prototypes that the features attend to."""
    mean = f.mean(1)
    return m.head(mean + F.linear(mean, m.head.weight).softmax(1) @ m.head.weight)


def pooled_by_scores(m: Bag, f: Tensor) -> Tensor:
    weight = m.head(f).amax(2).softmax(1)
    out: Tensor = m.head((weight[..., None] * f).sum(1))
    return out


CHOOSING = [largest, surest, worst_first, tied, pooled_by_scores]


@pytest.mark.parametrize("answer", CHOOSING)
def test_heads_that_choose_their_own_feature_are_refused(
    answer: Callable[[Bag, Tensor], Tensor],
) -> None:
    torch.manual_seed(0)
    with pytest.raises(HeadNotFound, match="multiplies are others when its weights are"):
        Classifier(Bag(answer)).verify(torch.randn(40, 6, 5))


def gated(m: Bag, f: Tensor) -> Tensor:
    return m.head(pick(f, m.gate(f)[..., 0].argmax(1)))


def gated_after(m: Bag, f: Tensor) -> Tensor:
    return pick(m.head(f), m.gate(f)[..., 0].argmax(1))


def last(m: Bag, f: Tensor) -> Tensor:
    out: Tensor = m.head(f)[:, -1]
    return out


def mean(m: Bag, f: Tensor) -> Tensor:
    return m.conv(f.transpose(1, 2)[..., None]).mean((2, 3))


def product(m: Bag, f: Tensor) -> Tensor:
    return torch.addmm(m.head.bias, f.mean(1), m.matrix)


FREE = [gated, gated_after, last, mean, product]


@pytest.mark.parametrize("answer", FREE)
def test_features_that_something_else_chooses_are_accepted(
    answer: Callable[[Bag, Tensor], Tensor],
) -> None:
    torch.manual_seed(0)
    classifier = Classifier(Bag(answer))
    classifier.verify(torch.randn(40, 6, 5))
    assert classifier.head.classes == 3


def test_a_function_cannot_hide_the_choice() -> None:
    torch.manual_seed(0)
    module = Bag(largest)

    def given(x: Tensor) -> tuple[Tensor, Tensor]:
        f = module.body(x).relu()
        scores = module.head(f)
        place = scores.amax(2).argmax(1)
        return pick(f, place), pick(scores, place)

    with pytest.raises(HeadNotFound, match="multiplies are others when its weights are"):
        Classifier(module, head=given).verify(torch.randn(40, 6, 5))
    module.answer = last
    function = Classifier(module, head=lambda x: (module.body(x).relu()[:, -1], module(x)))
    assert function.verify(torch.randn(40, 6, 5)).name == "head"
