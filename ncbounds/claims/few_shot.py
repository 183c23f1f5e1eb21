"""Error of nearest class mean from a few points per class, averaged over draws."""

from dataclasses import dataclass
from typing import ClassVar
from weakref import WeakKeyDictionary

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.claims.claim import KnownErrors, Truth
from ncbounds.claims.counted import LEVEL
from ncbounds.errors import InvalidSample
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import kl_interval
from ncbounds.numerics.scaling import divided
from ncbounds.results import Measured, Target
from ncbounds.statistics.few_shot_draws import errors_of_draws
from ncbounds.statistics.rows import as_rows, members_of

#: Draws, queries per draw (over all classes) and seed of the measured few-shot error.
FEW_SHOT_DRAWS = 100

FEW_SHOT_QUERIES = 2000

#: Queries per class and draw where there are many classes.
FEWEST_QUERIES = 1

FEW_SHOT_SEED = 20_220_518

_DRAWS: WeakKeyDictionary[Sample, dict[int, Floats]] = WeakKeyDictionary()


@dataclass(frozen=True)
class FewShot:
    """Nearest class mean from ``shots`` points per class, averaged over their draws.

    ``shots`` is None where a bound has not said.
    """

    shots: float | None = None
    target: ClassVar[Target] = "few-shot"
    qualifier: ClassVar[str] = ""

    @property
    def complete(self) -> bool:
        """Whether the number of shots is known."""
        return self.shots is not None

    def classifier(self, evidence: Evidence) -> LinearHead | None:
        """Return None: every draw of the shots gives another head."""
        return None

    def measured(
        self, test: Sample, evidence: Evidence, weights: Floats | None = None
    ) -> Measured | None:
        """Mean error over seeded draws from ``test``; see :func:`few_shot_error`.

        Raises
        ------
        InvalidSample
            If the number of shots is no integer.
        """
        if self.shots is None:
            return None
        if not isinstance(self.shots, int):
            raise InvalidSample(
                f"a few-shot row needs a finite number of shots m, found {self.shots}"
            )
        return few_shot_error(test, self.shots, weights)

    def truth(
        self, world: KnownErrors, evidence: Evidence, weights: Floats | None = None
    ) -> Truth | None:
        """Return the world's error, uniform over classes unless weights are given."""
        return world.few_shot(self.shots, weights) if isinstance(self.shots, int) else None


def few_shot_error(test: Sample, shots: int, weights: Floats | None = None) -> Measured:
    """Mean error of nearest class mean from ``shots`` points per class, over seeded draws.

    Every draw takes its shots, and then its queries, from a fresh permutation of each class of
    ``test``. The interval is the two-sided kl interval for the number of disjoint blocks that the
    sample holds; the spread over draws understates the uncertainty, since draws share points.
    """
    w = test.counts / test.n if weights is None else np.asarray(weights, dtype=np.float64)
    if len(w) != test.classes:
        return Measured(
            np.nan, 0.0, 1.0, (f"the row has {len(w)} classes, the test sample {test.classes}",)
        )
    smallest = int(test.counts.min())
    if smallest < shots + 1:
        return Measured(np.nan, 0.0, 1.0, (f"a class has {smallest} test points",))
    errors = _few_shot_draws(test, shots) @ w
    mean, blocks = float(errors.mean()), smallest // (shots + 1)
    low, high = kl_interval(mean, blocks, LEVEL)
    spread = errors.std(ddof=1) / np.sqrt(FEW_SHOT_DRAWS)
    reason = f"{FEW_SHOT_DRAWS} draws (s.e. {spread:.1g}), interval for {blocks} blocks"
    return Measured(mean, float(low), float(high), (reason,))


def _few_shot_draws(test: Sample, shots: int) -> Floats:
    """Per-class errors of each draw, shape (draws, classes); computed once per sample and kept."""
    kept = _DRAWS.setdefault(test, {})
    if shots not in kept:
        rows = as_rows(divided(test.features, test.power))
        members = members_of(test.labels, test.classes)
        queries = max(FEW_SHOT_QUERIES // test.classes, FEWEST_QUERIES)
        rng = np.random.default_rng(FEW_SHOT_SEED)
        drawn = [  # copies, so that no draw keeps the whole permutation
            [rng.permutation(m)[: shots + queries].copy() for m in members]
            for _ in range(FEW_SHOT_DRAWS)
        ]
        kept[shots] = errors_of_draws(rows, drawn, shots)
    return kept[shots]
