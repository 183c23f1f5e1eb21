"""Steps in the integer weights of a head on fixed features: what each brings, and the best taken.

A step in one weight moves one logit by a known multiple of one feature, so thousands are judged in
a second.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ncbounds.code_words.code.weights import LARGEST
from ncbounds.code_words.search.student import decided_class

#: Changes of one weight that are tried by themselves, and in pairs or at random.
SINGLE, PAIRED = (-2, -1, 1, 2), (-1, 1)

#: (feature, change of its weight), one or two of them.
Steps = tuple[tuple[int, int], ...]
#: What one disagreement costs, and the classes (rows,) that predictions are compared with.
Targets = list[tuple[float, Tensor]]
#: Of the rows whose fate one class decides, for each target: what a row is worth, signed margins
#: (rows,) and signed features (features, rows). A row is right if its margin is positive; a step of
#: 1 in weight j of the class adds feature j to it.
Margins = list[tuple[float, Tensor, Tensor]]


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
        return disagreement(self.logits, self.targets)

    def take(self, k: int, steps: Steps) -> None:
        """Change weights of class ``k``."""
        for j, change in steps:
            self.weights[k, j] += change
            self.logits[k] += change * self.features[j]

    def descend(self, rounds: int) -> None:
        """Take the best single step of one class after the other, while some gain."""
        for _ in range(rounds):
            gains = 0.0
            for k in range(len(self.weights)):
                gain, steps = self.single(k)
                if gain > 0:
                    self.take(k, steps)
                    gains += gain
            if not gains:
                break

    def single(self, k: int) -> tuple[float, Steps]:
        """Best change of one weight of class ``k``, and what it gains."""
        gains = _gained(self._margins(k), SINGLE) + self._saved(k, SINGLE)
        j, i = np.unravel_index(gains.argmax(), gains.shape)
        return float(gains[j, i]), ((int(j), SINGLE[i]),)

    def pair(self, k: int) -> tuple[float, Steps]:
        """Best change of two weights of class ``k``, and what it gains; nothing if none does."""
        best: tuple[float, Steps] = (0.0, ())
        margins, saved = self._margins(k), self._saved(k, PAIRED)
        now = _right(margins)
        for j in range(len(self.features) - 1):
            for i, change in enumerate(PAIRED):
                moved = [(worth, m + change * f[j], f[j + 1 :]) for worth, m, f in margins]
                gains = _gained(moved, PAIRED) + saved[j + 1 :]
                q, r = np.unravel_index(gains.argmax(), gains.shape)
                gain = float(gains[q, r] + _right(moved) - now + saved[j, i])
                if gain > best[0]:
                    best = gain, ((j, change), (j + 1 + int(q), PAIRED[r]))
        return best

    def jump(self, k: int, temperature: float, random: np.random.Generator) -> None:
        """Change one weight of class ``k`` by 1 or none, as likely as exp(gain / temperature)."""
        gains = np.append(_gained(self._margins(k), PAIRED) + self._saved(k, PAIRED), 0.0)
        likely = np.exp((gains - gains.max()) / temperature)
        chosen = int(random.choice(len(gains), p=likely / likely.sum()))
        if chosen < len(gains) - 1:
            j, i = divmod(chosen, len(PAIRED))
            self.take(k, ((j, PAIRED[i]),))

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


def disagreement(logits: Tensor, targets: Targets) -> float:
    """Cost of all rows of logits (classes, rows) whose class is not the target's, ties included."""
    found = decided_class(logits, 0)
    return sum(worth * int((found != target).sum()) for worth, target in targets)


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
