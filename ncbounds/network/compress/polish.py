"""Discrete polish: single codes are changed for as long as the bound falls.

Training follows a smooth loss, but errors and bits are what counts. A step in a weight of the head
moves one logit by a known multiple of one feature, so thousands of steps are judged in a second;
a step in a convolution is judged after the head has answered it with a few of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ncbounds.numerics import occam_upper

from .codeword import Network
from .integers import BIAS, UNIT
from .rate import code_length, size_costs, value_costs
from .student import Student
from .weights import LARGEST

#: Share of the rows, those nearest to another class, that steps are judged on before all are.
NEAR = 0.3
#: Share of those rows that a step in a convolution may lose before the head answers it.
HOPELESS = 0.01
#: Rounds over the classes in which the head answers.
ANSWERS = 2
_BATCH = 1000

#: (feature, change of its weight), one or two of them.
Steps = tuple[tuple[int, int], ...]
#: What one disagreement costs, and the classes (rows,) that predictions are compared with.
Targets = list[tuple[float, Tensor]]
#: For each target: what a row is worth, and signed margins (rows,) and features (features, rows) of
#: the rows whose fate one class decides. They are right where the margin is positive, and a step of
#: 1 in weight j of that class adds feature j to it.
Margins = list[tuple[float, Tensor, Tensor]]


@dataclass(frozen=True)
class Worth:
    """What one error, one difference from the saved network and one bit add to a bound."""

    error: float
    difference: float
    bit: float


def predicted(logits: Tensor) -> Tensor:
    """Predicted class of logits (classes, rows), -1 where the two largest are equal."""
    top = logits.topk(2, dim=0).values
    return torch.where(top[0] > top[1], logits.argmax(0), -1)


class Head:
    """Integer weights on the fixed features of some rows, and what steps in them bring.

    Parameters
    ----------
    features : Tensor (features, rows)
    weights : Tensor (classes, features)
        Whole numbers as floats; changed in place.
    targets : list of (float, Tensor (rows,))
    costs : Tensor (classes, features, 2 LARGEST + 1)
        What the bits of every value of every weight cost.
    """

    def __init__(self, features: Tensor, weights: Tensor, targets: Targets, costs: Tensor) -> None:
        self.features, self.weights, self.targets, self.costs = features, weights, targets, costs
        self.logits = weights @ features

    def disagreement(self) -> float:
        """Cost of all disagreements."""
        found = predicted(self.logits)
        return sum(worth * int((found != target).sum()) for worth, target in self.targets)

    def descend(self, best: "Callable[[Head, int], tuple[float, Steps]]", rounds: int = 99) -> None:
        """Take the best steps of one class after the other, while there are some that gain."""
        for _ in range(rounds):
            taken = [self._take(k, *best(self, k)) for k in range(len(self.weights))]
            if not any(taken):
                break

    def _take(self, k: int, gain: float, steps: Steps) -> bool:
        if gain <= 0:
            return False
        for j, change in steps:
            self.weights[k, j] += change
            self.logits[k] += change * self.features[j]
        return True

    def single(self, k: int) -> tuple[float, Steps]:
        """Best change of one weight of class ``k``, and what it gains."""
        changes = (-2, -1, 1, 2)
        gains = _gained(self._margins(k), changes) + self._saved(k, changes)
        j, i = np.unravel_index(gains.argmax(), gains.shape)
        return float(gains[j, i]), ((int(j), changes[i]),)

    def pair(self, k: int) -> tuple[float, Steps]:
        """Best change of two weights of class ``k`` by one each, and what it gains."""
        changes = (-1, 1)
        best: tuple[float, Steps] = (0.0, ())
        margins, saved = self._margins(k), self._saved(k, (-1, 1))
        now = _right(margins)
        for j in range(len(self.features) - 1):
            for i, change in enumerate(changes):
                moved = [(worth, m + change * f[j], f[j + 1 :]) for worth, m, f in margins]
                gains = _gained(moved, changes) + saved[j + 1 :]
                q, r = np.unravel_index(gains.argmax(), gains.shape)
                gain = float(gains[q, r] + _right(moved) - now + saved[j, i])
                if gain > best[0]:
                    best = gain, ((j, change), (j + 1 + int(q), changes[r]))
        return best

    def _margins(self, k: int) -> Margins:
        parts = []
        rows = torch.arange(self.logits.shape[1])
        for worth, target in self.targets:
            rest = self.logits.clone()
            rest[target, rows] = -torch.inf
            rest[k] = -torch.inf
            rival, own, mine = rest.amax(0), self.logits[target, rows], target == k
            open_ = torch.nonzero(mine | (own > rival))[:, 0]
            sign = torch.where(mine[open_], 1.0, -1.0)
            limit = torch.where(mine, rival, own)[open_]
            margin = (self.logits[k, open_] - limit) * sign
            parts.append((worth, margin, self.features[:, open_] * sign))
        return parts

    def _saved(self, k: int, changes: tuple[int, ...]) -> NDArray[np.float64]:
        """What changes (features, changes) save in bits; minus infinity where out of range."""
        at = self.weights[k].long()[:, None] + LARGEST
        there = at + torch.tensor(changes)
        inside = (there >= 0) & (there <= 2 * LARGEST)
        costs = self.costs[k]
        saved = costs.gather(1, at) - costs.gather(1, there.clamp(0, 2 * LARGEST))
        found: NDArray[np.float64] = torch.where(inside, saved, -torch.inf).double().numpy()
        return found


def _right(margins: Margins) -> float:
    return sum(worth * int((margin > 0).sum()) for worth, margin, _ in margins)


def _gained(margins: Margins, changes: tuple[int, ...]) -> NDArray[np.float64]:
    """Worth of the rows that changes (features, changes) put right, less those put wrong."""
    total = np.zeros((len(margins[0][2]), len(changes)))
    for worth, margin, features in margins:
        for i, change in enumerate(changes):
            # margin + change * feature > 0 in one comparison
            limit = margin / -change
            right = features > limit if change > 0 else features < limit
            total[:, i] += worth * right.sum(1).numpy()
    return total - _right(margins)


class Polish:
    """A student whose codes are changed one after the other, as long as that lowers their cost.

    Parameters
    ----------
    network : Network
        Where to begin; it has a head (no frame).
    inputs : Tensor (rows, channels, height, width)
        As :func:`.student.prepare` makes them.
    labels, decided : Tensor (rows,)
        True classes, and those that the saved network predicts.
    delta : float
        Of the bound that is to fall.
    likeness : bool
        Whether it is the bound for the saved network, to which differences add.
    seed : int
        Decides the order in which codes are visited.

    Attributes
    ----------
    errors, differences : int
    bits : float
        Code length before it is rounded up to bytes.
    changes : int
        Improvements found so far.
    """

    def __init__(
        self,
        network: Network,
        inputs: Tensor,
        labels: Tensor,
        decided: Tensor,
        *,
        delta: float,
        likeness: bool = False,
        seed: int = 0,
    ) -> None:
        self.student = Student(network.architecture, network.shape, network.classes)
        self.student.load(network)
        self.inputs, self.labels, self.decided = inputs, labels, decided
        self.delta, self.likeness, self.changes = delta, likeness, 0
        self.worth = Worth(1.0, 0.0, 0.0)
        self._random = np.random.default_rng(seed)
        self._use(self._read(inputs, 0))
        self._appraise()

    @property
    def network(self) -> Network:
        """The network as it stands."""
        return self.student.network()

    def run(self, going: Callable[[], bool], told: Callable[["Polish"], None]) -> None:
        """Change codes until none gains or ``going()`` is false; tell now and then."""
        while going():
            before = self.changes
            self._appraise()
            self.improve_head(going)
            told(self)
            for layer in reversed(range(len(self.student.architecture.layers))):
                self.improve_layer(layer, going)
                self.improve_head(going)
                told(self)
            if self.changes == before:
                break

    def improve_head(self, going: Callable[[], bool]) -> None:
        """Change single weights of the head, and pairs of them, as long as that gains."""
        for best in (Head.single, Head.pair):
            for share in (NEAR, 1.0):
                rows = self._near(share)
                while going():
                    head = self._head(self._features[:, rows], rows)
                    head.descend(best, rounds=1)
                    if not self._accept(self._features, head.weights):
                        break

    def improve_layer(self, layer: int, going: Callable[[], bool]) -> None:
        """Visit the codes of a layer once, and let the head answer each change."""
        before = self._maps(self.inputs, 0, layer)
        kernels, biases = self.student.latents[layer].data, self.student.biases[layer].data
        places = [(kernels.view(-1), j) for j in range(kernels.numel())]
        places += [(biases, j) for j in range(len(biases))]
        rows, now = self._start()
        part = before[rows]
        for place in self._random.permutation(len(places)):
            codes, j = places[place]
            old = float(codes[j])
            for value in sorted({old - 1, old + 1, 0.0} - {old}):
                if abs(value) > LARGEST or not going():
                    continue
                codes[j] = value
                head = self._head(self._read(part, layer), rows)
                if head.disagreement() > now[0] + HOPELESS * len(rows) * self.worth.error:
                    continue
                head.descend(Head.single, ANSWERS)
                if self._cost(head) < now[1] and self._accept(
                    self._read(before, layer), head.weights
                ):
                    rows, now = self._start()
                    part = before[rows]
                    break
            else:
                codes[j] = old

    def _appraise(self) -> None:
        """Take the slopes of the bound where it stands."""
        n = len(self.labels)

        def bound(errors: float, bits: float) -> float:
            return occam_upper(min(n, round(errors)), n, round(bits), self.delta)

        here, more = bound(self.errors, self.bits), max(1, n // 100)
        self.worth = Worth(
            # a bound of 1 has no slope, but errors still come first
            error=(bound(self.errors + more, self.bits) - here) / more or 1.0 / n,
            difference=self.likeness / n,
            bit=(bound(self.errors, self.bits + 100) - here) / 100,
        )
        self._total = self._sum()

    def _start(self) -> tuple[Tensor, tuple[float, float]]:
        """Rows to judge by, and what their disagreements, and these with all bits, cost now."""
        rows = self._near(NEAR)
        head = self._head(self._features[:, rows], rows)
        return rows, (head.disagreement(), self._cost(head))

    def _cost(self, head: Head) -> float:
        return head.disagreement() + self.worth.bit * self._length(head.weights)

    def _accept(self, features: Tensor, weights: Tensor) -> bool:
        """Take these features and weights if that costs less on all rows."""
        head = Head(features, weights, self._targets(slice(None)), torch.zeros(()))
        if self._cost(head) >= self._total:
            return False
        self._set_head(weights)
        self._use(features)
        self.changes += 1
        return True

    def _use(self, features: Tensor) -> None:
        """Take the student as it stands, with these features of all rows."""
        self._features = features
        logits = self._weights() @ features
        found, top = predicted(logits), logits.topk(2, dim=0).values
        self._gaps = top[0] - top[1]
        self.errors = int((found != self.labels).sum())
        self.differences = int((found != self.decided).sum())
        self.bits = self._length(self._weights())
        self._total = self._sum()

    def _sum(self) -> float:
        return (
            self.worth.error * self.errors
            + self.worth.difference * self.differences
            + self.worth.bit * self.bits
        )

    def _near(self, share: float) -> Tensor:
        """The rows whose class could most easily change."""
        return self._gaps.argsort()[: max(1, round(share * len(self._gaps)))]

    def _targets(self, rows: Tensor | slice) -> Targets:
        parts = ((self.worth.error, self.labels), (self.worth.difference, self.decided))
        return [(worth, target[rows]) for worth, target in parts if worth > 0]

    def _head(self, features: Tensor, rows: Tensor) -> Head:
        codes = self.student.codes()
        sizes = size_costs(codes)
        half = len(self.student.latents)
        kernel, bias = (value_costs(codes[i], sizes) for i in (half - 1, -1))
        costs = torch.cat([kernel.flatten(1, 2), bias[:, None]], dim=1) * self.worth.bit
        return Head(features, self._weights(), self._targets(rows), costs)

    def _weights(self) -> Tensor:
        """Head's weights (classes, features), the biases' last."""
        kernel, bias = self.student.latents[-1].data, self.student.biases[-1].data
        return torch.cat([kernel.flatten(1), bias[:, None]], dim=1)

    def _set_head(self, weights: Tensor) -> None:
        self.student.latents[-1].data.copy_(weights[:, :-1].reshape(self.student.latents[-1].shape))
        self.student.biases[-1].data.copy_(weights[:, -1])

    def _length(self, weights: Tensor) -> float:
        """Bits of the present network with these weights of the head."""
        before = self._weights()
        self._set_head(weights)
        bits = code_length(self.network)
        self._set_head(before)
        return bits

    @torch.no_grad()
    def _maps(self, x: Tensor, start: int, stop: int) -> Tensor:
        return torch.cat([self.student.maps(part, start, stop) for part in torch.split(x, _BATCH)])

    @torch.no_grad()
    def _read(self, x: Tensor, layer: int) -> Tensor:
        """Features (features, rows) of the inputs of a layer; the last of them stands for 1."""
        maps = self._maps(x, layer, len(self.student.architecture.layers))
        moments = self.student.moments(maps)
        return torch.cat([moments, torch.full((len(x), 1), BIAS / UNIT)], dim=1).T.contiguous()
