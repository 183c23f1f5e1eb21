"""What is asked beside the error on average: class averages and other losses, by name.

Questions are fixed before the samples are seen; each is a row of its own with its own delta.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidSample, shown, suggest
from ncbounds.evidence.decision import Decision
from ncbounds.evidence.label_risks import LABEL_WORDS, label_risk
from ncbounds.evidence.risks import Answered, Risk, TopK

#: What a row on the largest class error is called.
WORST = "worst class"
#: Groups of classes by their number of training points: the least, and the most (None: any).
#: Those of Liu et al., CVPR 2019, for long tails.
BY_TRAINING: dict[str, tuple[int, int | None]] = {
    "many-shot": (101, None),
    "medium-shot": (20, 100),
    "few-shot": (0, 19),
}
#: Words that can be typed.
WORDS = (
    *("balanced", "worst", "groups", "top-5", "answered:0.9", "NAME=class+class"),
    *LABEL_WORDS,
)
#: Weights may miss a sum of 1 by this.
SUM_OFF = 1e-9


class Average(Protocol):
    """An average of class errors, by weights that are fixed before the sample."""

    @property
    def name(self) -> str:
        """What a row calls it."""

    def weights(self, classes: int, decision: Decision, trained: Ints | None) -> Floats:
        """Weights of the classes, shape (C,), of sum 1; all 0 if no class is meant.

        Parameters
        ----------
        classes : int
        decision : Decision
            By which classes are called.
        trained : integer array of shape (C,) or None
            Training points of each class, if there is a training sample.
        """


@dataclass(frozen=True)
class Balanced:
    """All classes alike."""

    name: str = "balanced"

    def weights(self, classes: int, decision: Decision, trained: Ints | None) -> Floats:
        """Return 1/C for each."""
        return np.full(classes, 1.0 / classes)


@dataclass(frozen=True)
class ByTraining:
    """Classes with so many training points, alike; ``name`` is one of :data:`BY_TRAINING`."""

    name: str

    def weights(self, classes: int, decision: Decision, trained: Ints | None) -> Floats:
        """Return weights by training counts; see :class:`Average`.

        Raises
        ------
        InvalidSample
            If there is no training sample to count.
        """
        if trained is None:
            raise InvalidSample(
                "groups by training points need a fit sample; name the classes of a group instead: "
                "--claim rare=7+8+9 (in Python claims={'rare': [7, 8, 9]})"
            )
        least, most = BY_TRAINING[self.name]
        return _alike((trained >= least) & (trained <= (np.inf if most is None else most)))


@dataclass(frozen=True)
class Named:
    """Classes that are listed by name or number, each with a weight.

    Parameters
    ----------
    name : str
    parts : tuple of (class, weight)
    """

    name: str
    parts: tuple[tuple[str | int, float], ...]

    def weights(self, classes: int, decision: Decision, trained: Ints | None) -> Floats:
        """Return the weights over their sum, which is 1 already or that of a group alike.

        Raises
        ------
        InvalidSample
            If a class does not exist or stands twice.
        """
        w = np.zeros(classes)
        for called, weight in self.parts:
            c = class_number(called, classes, decision.names, self.name)
            if w[c] > 0:
                raise InvalidSample(f"{self.name}: class {shown(called)} stands there twice")
            w[c] = weight
        return np.asarray(w / w.sum())


@dataclass(frozen=True)
class Asked:
    """All that is asked beside the error on average.

    Attributes
    ----------
    averages : tuple of Average
    risks : tuple of Risk
        Other losses than the error.
    worst : bool
        Whether each row that can is also asked for the largest class error.
    usual : bool
        Whether this is what is asked where nobody asked; whatever is asked stands in its place.
    """

    averages: tuple[Average, ...] = ()
    risks: tuple[Risk, ...] = ()
    worst: bool = False
    usual: bool = False

    @property
    def per(self) -> tuple[str, ...]:
        """Names of averages over classes, and of their largest error."""
        return (*((WORST,) if self.worst else ()), *(a.name for a in self.averages))

    @property
    def counted(self) -> tuple[str, ...]:
        """Names of losses that can only be 0 or 1."""
        return tuple(r.name for r in self.risks if r.binary)

    @property
    def means(self) -> tuple[str, ...]:
        """Names of all other losses."""
        return tuple(r.name for r in self.risks if not r.binary)

    @property
    def of_labels(self) -> bool:
        """Whether it is asked of points with several labels."""
        return any(getattr(r, "several", False) for r in self.risks)

    def risk(self, name: str) -> Risk:
        """Return the loss of a name.

        Raises
        ------
        InvalidSample
            With the nearest name that was asked for.
        """
        for found in self.risks:
            if found.name == name:
                return found
        known = suggest(name, [r.name for r in self.risks]) if self.risks else "none was asked for"
        raise InvalidSample(f"no loss {name!r}; {known}")

    def __add__(self, other: "Asked") -> "Asked":
        if self.usual and other != NOTHING:
            return other
        for name in {*self.names} & {*other.names}:
            raise InvalidSample(f"two claims are called {shown(name)}: give one another name")
        return Asked(
            (*self.averages, *other.averages),
            (*self.risks, *other.risks),
            self.worst or other.worst,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """All names but that of the largest class error."""
        return (*(a.name for a in self.averages), *(r.name for r in self.risks))


NOTHING = Asked()


def asked_for(claims: Any) -> Asked:
    """Read claims: words, mappings from a name to classes or weights, and losses.

    Parameters
    ----------
    claims : str, mapping, Risk, Asked, or iterable of these
        Words, several in one text between commas: ``"balanced"``, ``"worst"``, ``"groups"`` (many-,
        medium- and few-shot classes by training points), ``"top-5"``, ``"answered"`` and
        ``"answered:0.9"`` (abstention below a confidence), ``"NAME=a+b"`` (a group of classes) and
        ``"NAME=a:0.7+b:0.3"`` (weights). A mapping says the last two as ``{"NAME": ["a", "b"]}``
        and ``{"NAME": {"a": 0.7, "b": 0.3}}``, or all weights as ``{"NAME": [0.2, 0.3, 0.5]}``.

    Raises
    ------
    InvalidSample
        If a claim is none of these, is called as another is, or its weights do not sum to 1.
    """
    found = NOTHING
    for claim in _listed(claims):
        found = found + _one(claim)
    return found


def _listed(claims: Any) -> list[Any]:
    if claims is None:
        return []
    if isinstance(claims, str):
        return [word.strip() for word in claims.split(",") if word.strip()]
    if isinstance(claims, Mapping):
        return [{name: value} for name, value in claims.items()]
    if isinstance(claims, Iterable):
        return [one for claim in claims for one in _listed(claim)]
    return [claims]


def _one(claim: Any) -> Asked:
    if isinstance(claim, Asked):
        return claim
    if isinstance(claim, Mapping):
        [(name, value)] = claim.items()
        return Asked(averages=(_named(str(name), _parts_of(str(name), value)),))
    if not isinstance(claim, str):
        if all(hasattr(claim, part) for part in ("name", "binary", "scored", "losses")):
            return Asked(risks=(claim,))
        raise InvalidSample(f"no claim {shown(repr(claim))}; a claim is one of {', '.join(WORDS)}")
    return _word(claim)


def _word(word: str) -> Asked:
    name, equals, members = word.partition("=")
    if equals:
        return Asked(averages=(_named(name.strip(), _typed(name.strip(), members)),))
    kind, colon, number = word.partition(":")
    if kind == "answered":
        threshold = _number(word, number) if colon else None
        return Asked(risks=(Answered(threshold), Answered(threshold, wrong=False)))
    if (risk := label_risk(word)) is not None:
        return Asked(risks=(risk,))
    if word.startswith("top-") and word[4:].isdecimal():
        return Asked(risks=(TopK(int(word[4:])),))
    simple = {
        "balanced": Asked(averages=(Balanced(),)),
        "worst": Asked(worst=True),
        "groups": Asked(averages=tuple(map(ByTraining, BY_TRAINING))),
    }
    if word not in simple:
        raise InvalidSample(f"no claim {shown(word)!r}; {suggest(word, list(WORDS))}")
    return simple[word]


def _typed(name: str, members: str) -> list[tuple[str | int, float]]:
    """Classes, or classes with weights, as they are typed behind ``NAME=``."""
    parts = [part.strip() for part in members.split("+") if part.strip()]
    weighted = [":" in part for part in parts]
    if any(weighted) and not all(weighted):
        raise InvalidSample(f"{shown(name)}: give each class a weight, as in a:0.7+b:0.3, or none")
    if not any(weighted):
        return _alike_parts(parts)
    pairs = (part.rpartition(":") for part in parts)
    return _checked(name, [(called, _number(name, weight)) for called, _, weight in pairs])


def _parts_of(name: str, value: Any) -> list[tuple[str | int, float]]:
    if isinstance(value, Mapping):
        return _checked(name, [(c, float(w)) for c, w in value.items()])
    listed = [value] if isinstance(value, str) else list(np.atleast_1d(value).tolist())
    if listed and all(isinstance(w, float) for w in listed):
        return _checked(name, [(c, float(w)) for c, w in enumerate(listed)])
    return _alike_parts(listed)


def _alike_parts(listed: Iterable[Any]) -> list[tuple[str | int, float]]:
    return [(c if isinstance(c, int) else str(c), 1.0) for c in listed]


def _checked(name: str, parts: list[tuple[str | int, float]]) -> list[tuple[str | int, float]]:
    total = sum(w for _, w in parts)
    if not all(w >= 0 for _, w in parts) or not abs(total - 1.0) <= SUM_OFF:
        raise InvalidSample(
            f"{shown(name)}: class weights are 0 or more and sum to 1, found {total:g}"
        )
    return [(c, w) for c, w in parts if w > 0]


def _named(name: str, parts: list[tuple[str | int, float]]) -> Named:
    if not parts or not name:
        raise InvalidSample(f"a group has a name and a class at least: NAME=class+class; {name!r}")
    if name in (WORST, "balanced", "sample", *BY_TRAINING):
        raise InvalidSample(f"{name!r} has a meaning already: call your group something else")
    return Named(name, tuple(parts))


def _number(where: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidSample(f"{shown(where)}: {shown(text)!r} is no number") from None


def class_number(called: str | int, classes: int, names: tuple[str, ...], group: str) -> int:
    """Number of a class that is called by its name, or by its number."""
    if isinstance(called, str) and called in names:
        return names.index(called)
    number = int(called) if isinstance(called, int) or called.isdecimal() else -1
    if 0 <= number < classes:
        return number
    known = suggest(str(called), list(names)) if names else f"classes are 0 to {classes - 1}"
    raise InvalidSample(f"{shown(group)}: no class {shown(called)}; {known}")


def _alike(chosen: Any) -> Floats:
    w = np.asarray(chosen, dtype=np.float64)
    return np.asarray(w / max(1.0, float(w.sum())))
