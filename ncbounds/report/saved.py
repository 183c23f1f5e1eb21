"""Rows about the error of the saved classifier, and what was measured of it."""

from collections.abc import Iterable

import numpy as np

from ncbounds.bounds import catalogue
from ncbounds.results import BoundResult, Measured, Row


def about_saved(rows: Iterable[Row], *kinds: str) -> list[BoundResult]:
    """Rows of these kinds on the error of the saved classifier, those that have a value."""
    return [
        r
        for r in rows
        if isinstance(r, BoundResult)
        and r.kind in kinds
        and r.target == "saved"
        and r.of_error
        and np.isfinite(r.value)
    ]


def measured_of(rows: Iterable[Row]) -> Measured | None:
    """Measured error of the saved classifier, where there is one."""
    return next((r.test for r in rows if r.target == "saved" and r.of_error and r.test), None)


def error_of(rows: Iterable[Row]) -> str:
    """What the error of these rows is called, if it is one error that has a name of its own."""
    found = {r.qualifier for r in rows if r.target == "saved" and r.of_error}
    return found.pop() if len(found) == 1 else ""


def counted_on_holdout(rows: Iterable[Row]) -> float | None:
    """Share of errors of the saved classifier among the held-out points, where they were counted.

    It is what the certificate was computed from, and no estimate on other points.
    """
    return next(
        (
            r.terms["empirical"]
            for r in rows
            if r.bound == "binomial" and r.role == "holdout" and not r.params
            if r.target == "saved" and "empirical" in r.terms
        ),
        None,
    )


def judged_by(rows: Iterable[Row], *, simultaneous: bool) -> BoundResult | None:
    """The row that a checkpoint is judged by.

    The smallest certificate where all hold together; else the first in the order of the catalogue
    that says something, as it was named before anything was looked at. A conditional row stands
    in where there is no certificate.
    """
    order = {b.id: i for i, b in enumerate(catalogue())}
    rows = list(rows)
    for kind in ("certificate", "conditional"):
        found = about_saved(rows, kind)
        if simultaneous:
            found.sort(key=lambda r: r.value)
        else:
            found.sort(key=lambda r: (r.vacuous, order.get(r.bound, len(order))))
        if found:
            return found[0]
    return None


def quotable(rows: Iterable[Row], *, simultaneous: bool) -> BoundResult | None:
    """The certificate that a checkpoint is judged by, if it has one that says something."""
    found = judged_by(rows, simultaneous=simultaneous)
    return None if found is None or found.kind != "certificate" or found.vacuous else found
