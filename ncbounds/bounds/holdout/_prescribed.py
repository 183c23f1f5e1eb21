"""Class probabilities that are prescribed where class counts were fixed by design."""

import math
from typing import Any

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.averages import Weighted
from ncbounds.numerics import up


def prescribed_priors(view: View) -> Floats | None:
    """Probabilities of all counted classes, shape (C,), if the sample's frequencies differ."""
    if view.priors is None or not view.stratified:
        return None
    counts = view.sample.counts
    priors = np.zeros(len(counts))
    priors[: len(view.priors)] = view.priors
    return None if np.allclose(priors, counts / view.sample.n) else priors


def errors_per_class(view: View) -> tuple[Ints, Ints]:
    """Errors and points of each class, both of shape (C,)."""
    counts = view.sample.counts
    return np.bincount(view.sample.labels[view.wrong], minlength=len(counts)), counts


def class_rates(errors: Ints, counts: Ints) -> Floats:
    """Error rates per class, shape (C,); 1 for a class without a point."""
    rates: Floats = np.where(counts > 0, errors / np.maximum(counts, 1), 1.0)
    return rates


def by_class(priors: Floats, upper: Floats, errors: Ints, counts: Ints) -> Outcome:
    """Class bounds that hold together, weighted by the prescribed probabilities."""
    return weighted(
        priors, float(up(math.fsum(priors * upper), 2)), errors, counts, per_class=upper.tolist()
    )


def weighted(priors: Floats, value: float, errors: Ints, counts: Ints, **details: Any) -> Outcome:
    """Outcome about the error with the prescribed probabilities as class weights."""
    rate = float(priors @ class_rates(errors, counts))
    return Outcome(
        value=value,
        n=int(counts[priors > 0].min()),
        terms={"empirical": rate, "confidence": value - rate},
        details={name.replace("_", " "): found for name, found in details.items()},
        claim=Weighted(priors),
    )
