"""Discrete polish: single codes are changed for as long as the bound falls.

Training follows a smooth loss, but errors and bits are what counts. A step in a weight of the head
moves one logit by a known multiple of one feature, so thousands of steps are judged in a second;
a step in a convolution is judged after the head has answered it with a few of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ncbounds.code_words.code.codeword import Network
from ncbounds.code_words.code.integers import BIAS, UNIT
from ncbounds.code_words.code.weights import LARGEST
from ncbounds.code_words.search.head_steps import Head, Steps, Targets, disagreement
from ncbounds.code_words.search.rate import code_length, size_costs, value_costs
from ncbounds.code_words.search.student import Student, decided_class, in_parts
from ncbounds.numerics import occam_upper

#: Share of the rows, those nearest to another class, that steps are judged on before all are.
NEAR = 0.3
#: Share of those rows that a step in a convolution may lose before the head answers it.
HOPELESS = 0.01
#: Rounds over the classes in which the head answers.
ANSWERS = 2
#: Annealing: rounds, random steps in each, and how many errors the first may cost as a rule.
ROUNDS, JUMPS, HOT = 200, 100, 4.0

#: Asked now and then whether to go on.
Going = Callable[[], bool]


@dataclass(frozen=True)
class Worth:
    """What one error, one difference from the saved network and one bit add to a bound."""

    error: float
    difference: float
    bit: float


class Polish:
    """A network whose codes are changed one after the other to lower its bound.

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
        As the torch form counts them.
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
        self._random = np.random.default_rng(seed)
        self._features = self._read(inputs, 0)
        self._set(self._weights())
        self.worth = self._slopes()

    @property
    def network(self) -> Network:
        """The network as it stands."""
        return self.student.network()

    @property
    def cost(self) -> float:
        """What lies above the bound of a network without errors, differences and bits, linearly."""
        worth = self.worth
        return (
            worth.error * self.errors + worth.difference * self.differences + worth.bit * self.bits
        )

    def run(self, going: Going, told: Callable[["Polish"], None]) -> None:
        """Change codes until none gains or ``going()`` is false; tell after gains."""

        def step(improve: Callable[..., None], *given: int) -> bool:
            before = self.changes
            if going():
                improve(*given, going)
            if self.changes > before:
                told(self)
            return self.changes > before

        while True:
            before = self.changes
            self.worth = self._slopes()
            step(self.improve_head)
            if step(self.anneal_head):
                step(self.improve_head)
            for layer in reversed(range(len(self.student.architecture.layers))):
                if step(self.improve_layer, layer):
                    step(self.improve_head)
            if self.changes == before or not going():
                break

    def improve_head(self, going: Going) -> None:
        """Change single weights of the head, and pairs of them, as long as that gains."""
        for best in (Head.single, Head.pair):
            for share in (NEAR, 1.0):
                while self._round(best, self._near(share), going):
                    pass

    def anneal_head(self, going: Going, rounds: int = ROUNDS) -> None:
        """Change weights of the head at random, ever more rarely for the worse; keep the best."""
        start = least = self.cost
        best = self._weights()
        for i in range(rounds):
            if not going():
                break
            temperature = HOT * self.worth.error * (1 - i / rounds) ** 2
            rows = self._near(NEAR)
            head = self._head(self._features[:, rows], rows)
            for _ in range(JUMPS):
                k = int(self._random.integers(len(head.weights)))
                head.jump(k, temperature, self._random)
            self._set(head.weights)
            if self.cost < least:
                least, best = self.cost, head.weights
        self._set(best)
        self.changes += least < start

    def _round(
        self, best: Callable[[Head, int], tuple[float, Steps]], rows: Tensor, going: Going
    ) -> bool:
        """Take the best steps of each class that gain on ``rows`` and then on all."""
        head = self._head(self._features[:, rows], rows)
        before = self.changes
        for k in range(len(head.weights)):
            if not going():
                break
            gain, steps = best(head, k)
            if gain > 0:
                head.take(k, steps)
                if not self._accept(self._features, head.weights):
                    head.take(k, tuple((j, -change) for j, change in steps))
        return self.changes > before

    def improve_layer(self, layer: int, going: Going) -> None:
        """Visit the codes of a layer once, and let the head answer each change."""
        before = self._maps(self.inputs, 0, layer)
        kernels, biases = self.student.latents[layer].data, self.student.biases[layer].data
        places = [(kernels.view(-1), j) for j in range(kernels.numel())]
        places += [(biases, j) for j in range(len(biases))]
        rows, hopeless, least = self._start()
        part = before[rows]
        for place in self._random.permutation(len(places)):
            codes, j = places[place]
            old = float(codes[j])
            for value in self._random.permutation(list({old - 1, old + 1, 0.0} - {old})):
                if abs(value) > LARGEST or not going():
                    continue
                codes[j] = value
                head = self._head(self._read(part, layer), rows)
                if head.disagreement() > hopeless:
                    continue
                head.descend(ANSWERS)
                if self._cost(head) < least and self._accept(
                    self._read(before, layer), head.weights
                ):
                    rows, hopeless, least = self._start()
                    part = before[rows]
                    break
            else:
                codes[j] = old

    def _slopes(self) -> Worth:
        """Slopes of the bound where it stands."""
        n = len(self.labels)

        def bound(errors: int, bits: float) -> float:
            return occam_upper(min(n, errors), n, round(bits), self.delta)

        here, more = bound(self.errors, self.bits), max(1, n // 100)
        # a bound of 1 has no slopes, but fewer errors and bits lead away from it
        error = (bound(self.errors + more, self.bits) - here) / more or 1 / n
        bit = (bound(self.errors, self.bits + 100) - here) / 100 or 0.1 / n
        return Worth(error=error, difference=self.likeness / n, bit=bit)

    def _start(self) -> tuple[Tensor, float, float]:
        """Rows to judge by, from where their disagreements are too many, and their cost now."""
        rows = self._near(NEAR)
        head = self._head(self._features[:, rows], rows)
        lost = HOPELESS * sum(worth * len(target) for worth, target in head.targets)
        return rows, head.disagreement() + lost, self._cost(head)

    def _cost(self, head: Head) -> float:
        return head.disagreement() + self.worth.bit * self._length(head.weights)

    def _accept(self, features: Tensor, weights: Tensor) -> bool:
        """Take these features and weights if that costs less on all rows."""
        wrong = disagreement(weights @ features, self._targets(slice(None)))
        if wrong + self.worth.bit * self._length(weights) >= self.cost:
            return False
        self._features = features
        self._set(weights)
        self.changes += 1
        return True

    def _set(self, weights: Tensor) -> None:
        """Take these weights of the head, and count."""
        self.student.latents[-1].data.copy_(self._kernel(weights))
        self.student.biases[-1].data.copy_(weights[:, -1])
        logits = weights @ self._features
        found, top = decided_class(logits, 0), logits.topk(2, dim=0).values
        self._gaps = top[0] - top[1]
        self.errors = int((found != self.labels).sum())
        self.differences = int((found != self.decided).sum())
        self.bits = code_length(self.network)

    def _near(self, share: float) -> Tensor:
        """The rows whose class could most easily change."""
        return self._gaps.argsort()[: max(1, round(share * len(self._gaps)))]

    def _targets(self, rows: Tensor | slice) -> Targets:
        parts = ((self.worth.error, self.labels), (self.worth.difference, self.decided))
        return [(worth, target[rows]) for worth, target in parts if worth > 0]

    def _head(self, features: Tensor, rows: Tensor) -> Head:
        codes, half = self.student.codes(), len(self.student.latents)
        kernel = value_costs(codes[half - 1], size_costs(codes[:half]))
        # the biases share one model
        biases = value_costs(torch.cat(codes[half:]), size_costs(codes[half:]))
        bias = biases[-self.student.classes :]
        costs = torch.cat([kernel.flatten(1, 2), bias[:, None]], dim=1) * self.worth.bit
        return Head(features, self._weights(), self._targets(rows), costs)

    def _weights(self) -> Tensor:
        """Head's weights (classes, features), the biases' last."""
        kernel, bias = self.student.latents[-1].data, self.student.biases[-1].data
        return torch.cat([kernel.flatten(1), bias[:, None]], dim=1)

    def _kernel(self, weights: Tensor) -> Tensor:
        return weights[:, :-1].reshape(self.student.latents[-1].shape)

    def _length(self, weights: Tensor) -> float:
        """Bits of the present network with these weights of the head."""
        network, kernel = self.network, self._kernel(weights).numpy().astype(np.int64)
        bias = weights[:, -1].numpy().astype(np.int64)
        return code_length(
            replace(
                network,
                codes=(*network.codes[:-1], kernel),
                biases=(*network.biases[:-1], bias),
            )
        )

    def _maps(self, x: Tensor, start: int, stop: int) -> Tensor:
        return in_parts(lambda part: self.student.maps(part, start, stop), x)

    def _read(self, x: Tensor, layer: int) -> Tensor:
        """Features (features, rows) of the inputs of a layer; the last of them stands for 1."""
        maps = self._maps(x, layer, len(self.student.architecture.layers))
        moments = self.student.moments(maps)
        return torch.cat([moments, torch.full((len(x), 1), BIAS / UNIT)], dim=1).T.contiguous()
