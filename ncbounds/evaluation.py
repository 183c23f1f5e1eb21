"""Evidence in, report out: every selected bound on every sample that it can read."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ncbounds.bounds import catalogue, get
from ncbounds.bounds._bound import Bound, Outcome
from ncbounds.errors import InvalidSample, MissingEvidence, UnknownName
from ncbounds.evidence import Evidence
from ncbounds.numerics import mean_binomial_upper
from ncbounds.results import BoundResult, Measured, MeasureResult
from ncbounds.targets import measured_error

if TYPE_CHECKING:
    from ncbounds.report import Report

Row = BoundResult | MeasureResult

#: Named selections for ``bounds=`` beside "all"; the first is the default.
SELECTIONS: dict[str, tuple[str, ...]] = {
    "default": (
        "binomial",
        "kl_holdout",
        "hoeffding",
        "gaussian_head",
        "margin_rademacher",
        "collapsed_head",
        "ncm_few_shot",
        "ncm_leave_one_out",
        "cantelli_union",
        "min_margin_cantelli",
        "gaussian_tolerance",
        "two_moment_tight",
        "parameter_cover",
        "excess_capacity_conv",
        "spectral_margin",
        "frobenius_peeling",
        "compressed_network",
        "unlabelled_network",
    ),
}


def select(bounds: "str | Iterable[str | Bound] | None" = None) -> tuple[Bound, ...]:
    """Return the bounds of a selection.

    Parameters
    ----------
    bounds : str, iterable of str or Bound, or None
        ``None`` or ``"default"``: a readable selection; ``"all"``: the catalogue; a family's name:
        that family; otherwise ids (a string may hold several, separated by commas).

    Raises
    ------
    UnknownName
        With the nearest known id.
    """
    if bounds is None:
        bounds = "default"
    listed = bounds.split(",") if isinstance(bounds, str) else list(bounds)
    names = [name.strip() if isinstance(name, str) else name for name in listed]
    families = {b.family for b in catalogue()}
    chosen: dict[str, Bound] = {}
    for name in names:
        if isinstance(name, Bound):
            found: Iterable[Bound] = [name]
        elif name == "all":
            found = catalogue()
        elif name in SELECTIONS:
            found = [get(i) for i in SELECTIONS[name]]
        elif name in families:
            found = [b for b in catalogue() if b.family == name]
        else:
            found = [get(name)]
        chosen.update({b.id: b for b in found})
    if not chosen:
        raise UnknownName("no bound was selected; see `ncbounds list`")
    return tuple(chosen.values())


def planned_rows(bounds: Iterable[Bound]) -> int:
    """Rows of one checkpoint that spend delta: a bound's variants, if it can be a certificate."""
    return sum(len(b.variants) for b in bounds if b.spends_delta)


def evaluate(
    evidence: Evidence,
    bounds: "str | Iterable[str | Bound] | None" = None,
    delta: float = 0.05,
    simultaneous: bool = False,
) -> "Report":
    """Evaluate bounds on one classifier and set them beside its measured error.

    Parameters
    ----------
    evidence : Evidence
        The head and the samples by role. The test sample measures the error; no bound reads it.
    bounds : str, iterable of str or Bound, or None
        See :func:`select`.
    delta : float in (0, 1)
        Probability with which each row may fail; with ``simultaneous`` the probability with which
        any of them may.
    simultaneous : bool
        Give each row delta divided by the number of rows that spend it.

    Returns
    -------
    Report
        One row per bound, sample and parameters. A row that could not be computed is ``nan`` with
        its reason.

    Raises
    ------
    InvalidSample
        If delta is no probability in (0, 1).
    MissingEvidence
        If none of the bounds finds the samples that it needs.
    """
    from ncbounds.report import Report

    check_delta(delta)
    chosen = select(bounds)
    each = delta / max(planned_rows(chosen), 1) if simultaneous else delta
    rows = listed((row for b in chosen for row in bound_rows(b, evidence, each)), bounds)
    if not rows:
        raise nothing_found(chosen, evidence)
    return Report(rows, simultaneous=simultaneous)


def listed(rows: Iterable[Row], bounds: "str | Iterable[str | Bound] | None") -> list[Row]:
    """Rows that a report lists of those that a selection gives.

    Where a bound was asked for, a row says that its code word was not given, and how to make one;
    in a default report, where nobody asked, there is no such row.
    """
    default = bounds is None or bounds == "default"
    return [r for r in rows if not (default and "not given" in r.details)]


def check_delta(delta: float) -> None:
    """Raise InvalidSample unless delta is in (0, 1)."""
    if not 0.0 < delta < 1.0:
        raise InvalidSample(f"delta is a probability in (0, 1), found {delta}; 0.05 is usual")


def nothing_found(chosen: Iterable[Bound], evidence: Evidence) -> MissingEvidence:
    """Error for bounds of which none gives a row on this evidence."""
    bounds = list(chosen)
    wanted = sorted({"holdout or head" if b.role == "any" else b.role for b in bounds})
    return MissingEvidence(
        f"none of {len(bounds)} bounds finds what it needs: they read samples of role "
        f"{', '.join(wanted)} (`ncbounds explain ID` says what else), the evidence has "
        f"{', '.join(evidence.samples()) or 'no sample'}"
    )


def bound_rows(b: Bound, evidence: Evidence, delta: float) -> list[Row]:
    """All rows of one bound, each with the measured error of its own target.

    A row whose computation fails is ``nan`` with the failure as its reason, so that one bound
    cannot take the others with it.
    """
    hidden = evidence.without_test()
    rows = []
    for role, params in b.planned(hidden):
        try:
            row = b(hidden, delta, role=role, **params)
        except Exception as error:  # one bound must not take the others with it
            rows.append(_undefined(b, evidence, role, dict(params), delta, error))
            continue
        outcome: Outcome = row._outcome  # type: ignore[union-attr]
        rows.append(_beside_oracle(replace(row, test=_measure(evidence, row, outcome))))
    return rows


def _beside_oracle(row: Row) -> Row:
    """Add what counting errors on n fresh points would certify on average, at the measured error.

    That is the mean exact binomial bound; a certificate's ratio to it says what the certificate is
    worth as a count.
    """
    if row.kind != "certificate" or row.test is None or not np.isfinite(row.test.error):
        return row
    oracle = mean_binomial_upper(row.test.error, row.n, row.delta)
    return replace(row, details={**row.details, "oracle": oracle})


def _measure(evidence: Evidence, row: Row, outcome: Outcome) -> Measured | None:
    if isinstance(row, MeasureResult):
        return None
    sample = evidence.sample(row.role)  # type: ignore[arg-type]
    return measured_error(
        evidence,
        row.target,
        head=outcome.head,
        weights=outcome.weights,
        params=dict(row.params),
        label_noise=0.0 if sample is None else sample.label_noise,
    )


def _undefined(
    b: Bound, evidence: Evidence, role: str, params: dict[str, Any], delta: float, error: Exception
) -> Row:
    common: dict[str, Any] = {
        "bound": b.id,
        "family": b.family,
        "target": b.target,
        "role": role,
        "n": 0,
        "delta": delta if b.spends_delta else np.nan,
        "params": params,
        "reasons": (f"not computed: {type(error).__name__}: {error}",),
        "checkpoint": evidence.checkpoint,
        "provenance": evidence.provenance,
    }
    if b.kind == "measure":
        return MeasureResult(kind="measure", measure=np.nan, **common)
    return BoundResult(kind="plug-in", value=np.nan, **common)
