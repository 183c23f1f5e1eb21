"""What a bound returns: a value with its kind, or a measure without one."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, get_origin

import numpy as np

from ncbounds.errors import InvalidArgument, shown

Kind = Literal["certificate", "conditional", "plug-in", "measure"]
#: Word of a claim, as ``ncbounds.claims`` registers them.
Target = str

MARK: dict[Kind, str] = {"certificate": "✓", "conditional": "?", "plug-in": "~", "measure": "#"}


@dataclass(frozen=True)
class Measured:
    """An error rate counted on the test sample, with an interval.

    ``low`` and ``high`` are the ends of an exact two-sided 95 % interval.
    """

    error: float
    low: float
    high: float
    reasons: tuple[str, ...] = ()


#: What an error is called where points may have several labels: any label wrong, or the top one.
SUBSET_ERROR, ONE_ERROR = "subset error", "one-error"


@dataclass(frozen=True, kw_only=True)
class Result:
    """Common part of all results.

    Attributes
    ----------
    bound, family, kind, target, role : str
        Which statement, and what it is worth, about whose error, from which sample.
    qualifier : str
        Which error of the target it is, if not the average (``"worst class"``).
    sampling : str
        How the sample was drawn, as declared; empty where nothing was computed.
    layer : str
        Place of the network whose features it read, where one was named.
    series : str
        Run that the checkpoint is one of, if several of one run were evaluated.
    step : float
        Epoch or step of the run at which it was saved (nan if it is not known).
    params : dict
        Free parameters of the row, e.g. ``{"m": 5}``.
    n : int
        Number of points or blocks that the confidence term divides by.
    delta : float
        Probability with which the statement may fail (nan for plug-ins without one).
    reasons : tuple of str
        What lowers the kind, and other samples that were read.
    terms : dict of float
        Named terms of the value, where the theorem has them.
    details : dict
        Choices that the bound made (a grid point, fallbacks), diagnostics.
    test : Measured or None
        Measured error of the row's own target.
    claim : Claim or None
        Whose error it is, as an object that measures itself; a row that was read back has the
        words only.
    seconds : float
    checkpoint : str
    provenance : dict
    """

    bound: str
    family: str
    kind: Kind
    target: Target
    role: str
    n: int
    delta: float
    qualifier: str = ""
    sampling: str = ""
    layer: str = ""
    series: str = ""
    step: float = np.nan
    params: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    terms: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    test: Measured | None = None
    seconds: float = 0.0
    checkpoint: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    claim: Any = field(default=None, repr=False, compare=False)

    @property
    def of_error(self) -> bool:
        """Whether it is about the error itself: no average that was asked for, no other loss."""
        return self.qualifier in ("", SUBSET_ERROR, ONE_ERROR) and not self.params.get("loss")

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able fields; :func:`result_from_dict` inverts this."""
        out = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "claim"}
        test = out.pop("test")
        absent = {"layer": not self.layer, "series": not self.series, "step": np.isnan(self.step)}
        out = {name: value for name, value in out.items() if not absent.get(name)}
        out["test"] = None if test is None else {**vars(test), "reasons": list(test.reasons)}
        return {"type": type(self).__name__, **plain(out)}


@dataclass(frozen=True, kw_only=True)
class BoundResult(Result):
    """A number on the error scale: ``value`` (above 1 is vacuous, ``nan`` is undefined)."""

    value: float

    @property
    def vacuous(self) -> bool:
        """Whether the value says nothing (1 or more, or undefined)."""
        return not self.value < 1.0


@dataclass(frozen=True, kw_only=True)
class MeasureResult(Result):
    """A complexity measure; it has no ``value``, so it cannot be ranked with bounds."""

    measure: float


#: One row of a table.
Row = BoundResult | MeasureResult


def result_from_dict(data: Mapping[str, Any]) -> BoundResult | MeasureResult:
    """Rebuild a result from :meth:`Result.to_dict`.

    Raises
    ------
    InvalidArgument
        If a field is missing, unknown or of another type.
    """
    if not isinstance(data, dict):
        raise InvalidArgument(f"a stored row is an object, found {type(data).__name__}")
    rest = dict(data)
    kind = {c.__name__: c for c in (BoundResult, MeasureResult)}.get(str(rest.pop("type", None)))
    if kind is None:
        raise InvalidArgument("a stored row is a BoundResult or a MeasureResult")
    test = rest.pop("test", None)
    rest = {k: v if k in _NAMES else _floats(v) for k, v in rest.items()}
    _check(rest, kind)
    rest["reasons"] = tuple(rest.get("reasons", ()))
    if test is not None:
        _check(test := _floats(test), Measured)
        test = Measured(**{**test, "reasons": tuple(test.get("reasons", ()))})
    return kind(test=test, **rest)


def _check(found: Any, kind: type) -> None:
    """Raise InvalidArgument unless the fields are those of ``kind``, with values of their types."""
    known = {f.name: f for f in fields(kind) if f.name not in ("claim", "test")}
    needed = {n for n, f in known.items() if f.default is f.default_factory is MISSING}
    if not isinstance(found, dict) or not needed <= found.keys() <= known.keys():
        raise InvalidArgument(
            f"a stored {kind.__name__} needs {', '.join(sorted(needed))} and may have "
            f"{', '.join(sorted(known.keys() - needed))}"
        )
    for name, value in found.items():
        stored = _STORED.get(get_origin(known[name].type) or known[name].type, object)
        odd = isinstance(value, bool) and stored not in (bool, object)
        if odd or not isinstance(value, stored):
            raise InvalidArgument(f"{name} of a stored row is of type {type(value).__name__}")
    if not all(isinstance(reason, str) for reason in found.get("reasons", ())):
        raise InvalidArgument("the reasons of a stored row are words")
    for name, term in found.get("terms", {}).items():
        if isinstance(term, bool) or not isinstance(term, (int, float)):
            raise InvalidArgument(
                f"the term '{shown(name)}' of a stored row is of type {type(term).__name__}; "
                "needed: a number"
            )
    if found.get("kind", "measure") not in MARK:
        raise InvalidArgument(f"the kind of a stored row is {shown(found['kind'])}")


#: What JSON has in place of the types of fields.
_STORED: dict[Any, Any] = {
    str: str,
    bool: bool,
    Literal: str,
    int: int,
    float: (int, float),
    tuple: list,
    Mapping: dict,
}


#: Fields that hold names: a checkpoint called "nan" stays one.
_NAMES = (
    *("bound", "family", "kind", "target", "qualifier", "sampling", "layer", "series"),
    *("role", "checkpoint", "reasons", "provenance"),
)
_WORDS = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}


def plain(x: Any) -> Any:
    """Make ``x`` JSON-able: numpy scalars to Python, non-finite floats to words."""
    if isinstance(x, Mapping):
        return {str(k): plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    if isinstance(x, np.ndarray):
        return plain(x.tolist())
    if isinstance(x, (bool, np.bool_)):
        return bool(x)
    if isinstance(x, np.integer):
        return int(x)
    if isinstance(x, (float, np.floating)):
        value = float(x)
        return value if np.isfinite(value) else str(value)
    return x


def _floats(x: Any) -> Any:
    if isinstance(x, dict):
        return {k: _floats(v) for k, v in x.items()}
    if isinstance(x, list):
        return [_floats(v) for v in x]
    return _WORDS.get(x, x) if isinstance(x, str) else x
