"""What is known of each place of a network, from input to logits, and its table."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ncbounds.depth.separation import SeparationLaw
from ncbounds.errors import InvalidArgument
from ncbounds.evidence.roles import Role
from ncbounds.lines import aligned
from ncbounds.results import MARK, Kind
from ncbounds.tables import Table, joined_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Geometry:
    """Measures of one place on one sample; nan where undefined, ``reasons`` say why.

    ``nc1`` and ``cdnv`` (mean over pairs, half-symmetric) are those of :mod:`ncbounds.geometry`,
    ``ratio`` is tr Sigma_W / tr Sigma_B and ``separation`` tr(Sigma_W Sigma_B^+) over points.
    """

    nc1: float
    cdnv: float
    ratio: float
    separation: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layer:
    """One place.

    Attributes
    ----------
    name : str
    dim : int
        Coordinates of the output for one row.
    view : int
        Coordinates of its view: all of them, or so many hashes.
    geometry : mapping from role to Geometry
    errors : mapping from role to mapping from probe to int
        Rows on which a probe errs.
    limits : mapping from probe to float
        ``layer_error``, for all layers and probes at once; empty without held-out rows.
    better : mapping from probe to bool
        Whether it is shown, for all at once, to err less often than the network.
    """

    name: str
    dim: int
    view: int
    geometry: Mapping[Role, Geometry]
    errors: Mapping[Role, Mapping[str, int]]
    limits: Mapping[str, float]
    better: Mapping[str, bool]


@dataclass(frozen=True)
class LayerReport:
    """Places of one network from input to logits; ``print`` shows the table.

    Attributes
    ----------
    layers : tuple of Layer
    rows : mapping from role to int
        Rows of each sample.
    network_errors : mapping from role to int
        Rows on which the saved network errs.
    kind : str
        What ``layer_error`` and the exit are worth: a certificate, or a plug-in for ``reasons``.
    reasons : tuple of str
    delta : float
        Of each of the three statements: limits, exit, better probes.
    family : int
        Number of limits that could be shown, over which delta is divided for limits.
    eps : float
        Fixed beforehand; see :func:`ncbounds.depth.exits.early_exit`.
    exit_probe : str
        Probe of the exit, fixed beforehand.
    exit : int or None
        Index of the early exit among ``layers``.
    law : mapping from role to SeparationLaw
    effective_depth : int or None
        First layer whose nearest class mean errs on at most eps of the fit rows.
    checkpoint : str
    token : str
        What places with tokens were read at.
    """

    layers: tuple[Layer, ...]
    rows: Mapping[Role, int]
    network_errors: Mapping[Role, int]
    kind: Kind
    reasons: tuple[str, ...]
    delta: float
    family: int
    eps: float
    exit_probe: str
    exit: int | None
    law: Mapping[Role, SeparationLaw]
    effective_depth: int | None
    checkpoint: str = ""
    token: str = "mean"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values for JSON; what is nan is null."""
        found: dict[str, Any] = _plain(asdict(self))
        return found

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "LayerReport":
        """Rebuild a report from :meth:`to_dict`.

        Raises
        ------
        InvalidArgument
            If that is not what is there.
        """
        try:
            layers = tuple(_layer(x) for x in stored["layers"])
            law = {role: SeparationLaw(**_nans(x)) for role, x in stored["law"].items()}
            return cls(**{**stored, "layers": layers, "law": law})
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidArgument(f"these are no stored layers: {error!r}") from None

    def __str__(self) -> str:
        """Return the table from input to logits, and what is claimed."""
        return "\n".join([*aligned(cells(self)), "", *statements(self)])


def _layer(stored: Mapping[str, Any]) -> Layer:
    geometry = {role: Geometry(**_nans(x)) for role, x in stored["geometry"].items()}
    return Layer(**{**stored, "geometry": geometry})


def _nans(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.nan if x is None else x for name, x in stored.items()}


def statements(report: LayerReport) -> list[str]:
    """Sentences under the table: what is claimed, at which delta, and what is only measured."""
    mark = MARK[report.kind]
    lines = []
    if "holdout" in report.rows:
        n = report.rows["holdout"]
        lines += [
            f"{mark} layer_error (<=): no probe errs more often, all at once, from {n} held-out "
            f"rows; delta {report.delta:g} over {report.family} limits",
            f"{mark} early_exit: {_exit(report)}",
        ]
        better = [f"{x.name} ({p})" for x in report.layers for p, yes in x.better.items() if yes]
        if better:
            lines.append(
                f"{mark} * errs less often than the network, all at once at delta "
                f"{report.delta:g}: {', '.join(better)}"
            )
    for role, law in report.law.items():
        if math.isfinite(law.slope):
            lines.append(
                f"# separation on {role}: times {math.exp(law.slope):.3g} a layer (slope "
                f"{law.slope:.3g} of its logarithm, correlation {law.correlation:.2f})"
            )
    lines.append(f"# effective depth: {_depth(report)}")
    if report.token != "mean":
        lines.append(f"(places with tokens are read at one of them: {report.token})")
    return [*lines, *(f"({reason})" for reason in report.reasons)]


def _exit(report: LayerReport) -> str:
    if report.exit is None:
        return (
            f"no claim: the {report.exit_probe} probe of {report.layers[-1].name} is not shown to "
            f"be within {report.eps:g} of the network"
        )
    return (
        f"from {report.layers[report.exit].name} on, every {report.exit_probe} probe errs at most "
        f"{report.eps:g} more often than the network, at delta {report.delta:g}"
    )


def _depth(report: LayerReport) -> str:
    depth = report.effective_depth
    if depth is None:
        return f"none: no nearest class mean errs on at most {report.eps:g} of the fit rows"
    return (
        f"{depth} of {len(report.layers) - 1}, {report.layers[depth].name}: the first place whose "
        f"nearest class mean errs on at most {report.eps:g} of the fit rows"
    )


def layer_table(reports: Mapping[str, LayerReport]) -> Table:
    """Return the layers of one network or several, to be written in any format."""
    notes = [
        f"{name}: {said}" if len(reports) > 1 else said
        for name, report in reports.items()
        for said in statements(report)
    ]
    parts = {name: cells(report) for name, report in reports.items()}
    return joined_table(parts, partial(frame, reports), notes=notes, caption="Layers")


def frame(reports: Mapping[str, LayerReport]) -> "pd.DataFrame":
    """One row a place: measures and error rates of each role, and limits of the probes' errors."""
    import pandas as pd

    return pd.DataFrame.from_records(
        [_numbers(name, x, report) for name, report in reports.items() for x in report.layers]
    )


def _numbers(name: str, layer: Layer, report: LayerReport) -> dict[str, Any]:
    measures = {
        f"{what}_{role}": getattr(g, what)
        for what in ("nc1", "cdnv", "ratio", "separation")
        for role, g in layer.geometry.items()
    }
    rates = {
        f"{probe}_error_{role}": errors / report.rows[role] if report.rows[role] else math.nan
        for role, counted in layer.errors.items()
        for probe, errors in counted.items()
    }
    limits = {f"{probe}_limit": limit for probe, limit in layer.limits.items()}
    better = {f"{probe}_better": yes for probe, yes in layer.better.items()}
    kind = {"kind": report.kind, "delta": report.delta} if limits else {}
    about = {"checkpoint": name, "place": layer.name, "dims": layer.dim, "view": layer.view}
    return {**about, **measures, **rates, **limits, **better, **kind}


def cells(report: LayerReport) -> list[list[str]]:
    """Titles and rows: place, coordinates, measures of fit and holdout, errors and limits."""
    order: tuple[Role, ...] = ("fit", "holdout", "test")
    roles = [r for r in order if r in report.rows]
    shown: list[Role] = [r for r in roles if r != "test"]
    probes = list(report.layers[0].errors[roles[0]])
    head = ["place", "dims"]
    head += [f"{what} {role}" for what in ("NC1", "CDNV", "Sw/Sb") for role in shown]
    for probe in probes:
        head += [f"{probe} {role}" for role in roles]
        head += [f"{probe} <="] if report.layers[0].limits else []
    cells = [head, *(_cells(x, report, roles, shown, probes) for x in report.layers)]
    network = [""] * len(head)
    network[0] = "network"
    column = 2 + 3 * len(shown)
    for role in roles:
        network[column] = _rate(report.network_errors[role], report.rows[role])
        column += 1
    cells.append(network)
    return cells


def _cells(
    layer: Layer, report: LayerReport, roles: list[Role], shown: list[Role], probes: list[str]
) -> list[str]:
    dims = str(layer.dim) if layer.view == layer.dim else f"{layer.dim}->{layer.view}"
    cells = [layer.name, dims]
    for what in ("nc1", "cdnv", "ratio"):
        cells += [f"{getattr(layer.geometry[role], what):.3g}" for role in shown]
    for probe in probes:
        cells += [_rate(layer.errors[role][probe], report.rows[role]) for role in roles]
        if layer.limits:
            star = "*" if layer.better.get(probe) else ""
            cells.append(f"{star}{MARK[report.kind]} {_outward(layer.limits[probe])}")
    return cells


def _rate(errors: int, n: int) -> str:
    return f"{errors / n:.4f}" if n else "nan"


def _outward(limit: float) -> str:
    """Four decimals, rounded up."""
    return f"{math.ceil(limit * 1e4 - 1e-9 * limit) / 1e4:.4f}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(x) for x in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
