"""Rows about the error of the saved classifier, and what was measured of it."""

from collections.abc import Iterable

import numpy as np

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
