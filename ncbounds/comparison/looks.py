"""Limits that hold at every look, for people who label rows one after another."""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ncbounds.arrays import Bools, Floats, Ints
from ncbounds.bounds.kind import again_and_picked
from ncbounds.errors import InvalidSample
from ncbounds.evidence.by_role import row_ids
from ncbounds.evidence.draw import Draw
from ncbounds.numerics import anytime_upper, down, log_beats
from ncbounds.numerics.arguments import probability
from ncbounds.results import MARK, Kind

if TYPE_CHECKING:
    import pandas as pd

#: Looks at most: all of them up to here, then as many spread evenly. Skipping looks costs nothing.
MOST_LOOKS = 1000
#: What no certificate can do without, in words.
UNDECLARED = (
    "no certificate without a declared draw: if the order was drawn at random before labelling, "
    "and nobody picked the next row, declare sampling='iid' (--sampling iid)"
)
#: Why class counts that were fixed give no certificate here.
NOT_BY_CLASS = "limits at every look need rows in an order drawn at random, not by class"
#: What is said where rows have no names.
UNNAMED = "whether a row stands more than once is not checked: name rows by ids= (a column id)"


@dataclass(frozen=True, eq=False)
class Looks:
    """What is known after each look; ``print`` shows the last one in words.

    Attributes
    ----------
    n, errors : integer arrays of shape (looks,)
        Rows labelled so far, and errors among them.
    limits : array of shape (looks,)
        Upper limits of the error rate that all hold at once.
    delta : float
        Probability with which any of them, at any number of rows, may be wrong.
    selected_among : int or None
        Number of classifiers of which it was picked, each of which has a share of delta.
    kind : str
    reasons : tuple of str
    evidence : array of shape (looks,) or None
        Logarithm of the evidence that the classifier errs less often than the other; at
        ``-ln(share)`` that is shown, at whatever look this is.
    unlabelled : int
        Rows that were passed over without a label, which count as errors.
    """

    n: Ints
    errors: Ints
    limits: Floats
    delta: float
    kind: Kind
    reasons: tuple[str, ...] = ()
    evidence: Floats | None = None
    unlabelled: int = 0
    selected_among: int | None = 1

    @property
    def share(self) -> float:
        """Part of delta that limits and evidence are at: of one classifier that was picked."""
        return _share(self.delta, self.selected_among)

    @property
    def value(self) -> float:
        """Smallest limit so far, which holds as they all do together; 1 before the first look."""
        return float(self.limits.min(initial=1.0))

    @property
    def beats(self) -> int | None:
        """Rows after which the classifier was shown to err less often than the other, if it was."""
        if self.evidence is None:
            return None
        shown = np.flatnonzero(self.evidence >= -np.log(self.share) * (1 + 1e-12))
        return int(self.n[shown[0]]) if len(shown) else None

    def reached(self, goal: float) -> int | None:
        """Rows after which the limit was first at most ``goal``, if it was."""
        below = np.flatnonzero(self.limits <= goal)
        return int(self.n[below[0]]) if len(below) else None

    def to_frame(self) -> "pd.DataFrame":
        """One look a row.

        Columns ``n, errors, limit, least, delta, selected_among, kind``, and ``evidence`` of a
        pair.
        """
        import pandas as pd

        columns: dict[str, Any] = {
            "n": self.n,
            "errors": self.errors,
            "limit": self.limits,
            "least": np.minimum.accumulate(self.limits),
            "delta": self.delta,
            "selected_among": self.selected_among,
            "kind": self.kind,
        }
        if self.evidence is not None:
            columns["evidence"] = self.evidence
        return pd.DataFrame(columns)

    def __str__(self) -> str:
        """Say what holds after the last look."""
        from ncbounds.comparison.words import at_most

        if not len(self.n):
            return "no row is labelled yet"
        lines = [
            f"{MARK[self.kind]} error at most {at_most(self.value)} after {self.n[-1]:,} rows with "
            f"{self.errors[-1]:,} errors; delta {self.delta:g} for all looks, past and to come, "
            "together"
        ]
        if (among := self.selected_among or 1) > 1:
            lines.append(
                f"(delta is divided by {among:,}: picked among so many, a list fixed before)"
            )
        if self.evidence is not None:
            lines.append(
                f"{MARK[self.kind]} errs less often than the other: shown after {self.beats:,} "
                f"rows; delta {self.delta:g} of its own"
                if self.beats is not None
                else "errs less often than the other: not shown yet (evidence "
                f"{np.exp(min(self.evidence[-1], 700.0)):.3g} of {1 / self.share:g})"
            )
        if self.unlabelled:
            whose = "" if self.evidence is None else " of this one, and as right of the other"
            lines.append(f"({self.unlabelled:,} rows that were passed over count as errors{whose})")
        return "\n".join([*lines, *(f"({reason})" for reason in self.reasons)])


def anytime(
    wrong: ArrayLike,
    *,
    against: ArrayLike | None = None,
    delta: float = 0.05,
    sampling: str = "unknown",
    selected_among: int | None = 1,
    ids: Any = None,
    unlabelled: int = 0,
) -> Looks:
    """Limits of an error rate that hold however often, and whenever, one looks.

    Parameters
    ----------
    wrong : bool array of shape (n,)
        Whether the classifier errs on each row, in the order in which rows were labelled. **The
        order was drawn at random before; nobody picked the next row; a row that cannot be labelled
        is an error.**
    against : bool array of shape (n,), optional
        The same of another classifier, fixed before too and not picked by comparing.
    delta : float in (0, 1/2]
        Of the limits, and once more of the pair.
    sampling : {"iid", "stratified", "unknown"}
        As declared; another one than iid makes a plug-in.
    selected_among : int, optional
        Number of classifiers, fixed before, of which this one could have been picked by comparing
        them on these rows, at whatever look; each has its share of delta. None, if it is not known,
        makes a plug-in.
    ids : array-like of n integers or texts, optional
        What each row is called. A row that stands more than once makes a plug-in.
    unlabelled : int
        How many of the errors are rows without a label.

    Returns
    -------
    Looks

    Raises
    ------
    InvalidSample
        Other shapes, or no such sampling, delta or number of classifiers.
    """
    errs = _bools("wrong", wrong)
    delta = probability("delta", delta)
    if delta > 0.5:
        raise InvalidSample(f"delta is {delta}; limits at every look need at most 1/2")
    n = len(errs)
    draw = Draw.of(
        "holdout",
        sampling=sampling,
        selected_among=selected_among,
        rows=None if ids is None else row_ids(ids),
    )
    draw.check_length(n)
    share = _share(delta, draw.selected_among)
    if not share > 0:
        raise InvalidSample(f"delta {delta:g} cannot be divided by {selected_among}: too small")
    looks = np.unique(np.linspace(1, n, min(n, MOST_LOOKS)).astype(np.int64)) if n else _NONE
    errors = np.cumsum(errs, dtype=np.int64)[looks - 1] if n else _NONE
    evidence = None
    if against is not None:
        other = _bools("against", against)
        if len(other) != n:
            raise InvalidSample(f"against has {len(other)} rows, wrong {n}; needed: the same rows")
        b, c = np.cumsum(other & ~errs), np.cumsum(errs & ~other)
        evidence = np.asarray(log_beats(b[looks - 1], c[looks - 1])) if n else np.empty(0)
    against_it = _against(draw)
    return Looks(
        n=looks,
        errors=errors,
        limits=np.asarray(anytime_upper(errors, looks, share)),
        delta=delta,
        selected_among=draw.selected_among,
        kind="plug-in" if against_it else "certificate",
        reasons=(*against_it, *((UNNAMED,) if ids is None else ())),
        evidence=evidence,
        unlabelled=unlabelled,
    )


def _share(delta: float, among: int | None) -> float:
    """Delta of each of so many classifiers, rounded down; all of it where none was picked."""
    if among is None or among == 1:
        return delta
    return float(down(float(Fraction(delta) / among)))


def _against(draw: Draw) -> tuple[str, ...]:
    """What makes limits on such rows plug-ins."""
    by_sampling = {"unknown": [UNDECLARED], "stratified": [NOT_BY_CLASS], "iid": []}
    return (*by_sampling[draw.sampling], *again_and_picked(draw))


_NONE: Ints = np.empty(0, dtype=np.int64)


def _bools(name: str, values: ArrayLike) -> Bools:
    found = np.asarray(values)
    if found.ndim != 1 or (found.size and found.dtype != bool):
        raise InvalidSample(
            f"{name} says of each row whether it is an error: bool of shape (n,), found "
            f"{found.dtype} of shape {found.shape}"
        )
    return found.astype(bool)
