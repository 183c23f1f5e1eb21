"""Averages over classes: prescribed class probabilities, and averages that are asked for."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ncbounds.arrays import Bools, Floats, Ints
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.averages import Weighted, WorstClass
from ncbounds.claims.claim import Claim
from ncbounds.evidence.asked import WORST
from ncbounds.numerics import down, up

#: A limit of one class error from its errors, its points, and its part of delta.
ClassLimit = Callable[[int, int, float], float]


def class_weights(view: View, per: str) -> Floats | None:
    """Class weights of a row, shape (C,); None if the classes' own frequencies are meant.

    Those of an average that is asked for by name (``per``), or probabilities that are prescribed
    where class counts were fixed by design.
    """
    return prescribed_priors(view) if per == "sample" else view.class_weights(per)


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


def summed(view: View, weights: Floats, per: str, limit: ClassLimit, delta: float) -> Outcome:
    """Outcome about an average by limits of its classes that hold together, weighted."""
    errors, counts = errors_per_class(view)
    upper = joint_limits(errors, counts, weights > 0, limit, delta)
    value = float(up(math.fsum(weights * upper), 2))
    return weighted(view, weights, per, value, errors, counts, per_class=upper.tolist())


def largest(view: View, limit: ClassLimit, delta: float) -> Outcome:
    """Outcome about the largest class error by limits of all classes that hold together."""
    errors, counts = errors_per_class(view)
    every = np.ones(len(counts), dtype=np.bool_)
    return worst_class(view, joint_limits(errors, counts, every, limit, delta), errors, counts)


def joint_limits(
    errors: Ints, counts: Ints, used: Bools, limit: ClassLimit, delta: float
) -> Floats:
    """Limits of the class errors that hold together over the ``used`` classes, shape (C,).

    1 for a class without points, and for one that is not used.
    """
    out = np.ones(len(counts))
    each = float(down(delta / max(1, int(np.sum(used)))))
    for c in np.flatnonzero(used & (counts > 0)):
        out[c] = limit(int(errors[c]), int(counts[c]), each)
    return out


def weighted(
    view: View,
    weights: Floats,
    per: str,
    value: float,
    errors: Ints,
    counts: Ints,
    *,
    of: Claim | None = None,
    **details: Any,
) -> Outcome:
    """Outcome about the error with class weights that sum to 1."""
    rate = float(weights @ class_rates(errors, counts))
    known = len(view.averages.get(per, weights))
    beyond = int(counts[known:].sum())
    return Outcome(
        value=value,
        n=int(counts[weights > 0].min()),
        terms={"empirical": rate, "confidence": value - rate},
        reasons=(f"{beyond} rows of classes that the head does not know have no weight",)
        if beyond
        else (),
        details={name.replace("_", " "): found for name, found in details.items()},
        claim=Weighted(weights, of or view.claim, "" if per == "sample" else per),
    )


def worst_class(
    view: View, upper: Floats, errors: Ints, counts: Ints, *, of: Claim | None = None
) -> Outcome:
    """Outcome about the largest class error; it is compared with that of the class it is of."""
    worst = int(np.argmax(upper))
    value = float(upper[worst])
    rate = float(errors[worst] / counts[worst]) if counts[worst] else 1.0
    return Outcome(
        value=value,
        n=int(counts[worst]),
        terms={"empirical": rate, "confidence": value - rate},
        reasons=(
            f"bounds the largest class error (here of class {view.decision.name(worst)}), "
            "not the average",
        ),
        details={WORST: worst, "per class": upper.tolist()},
        claim=WorstClass(worst, len(counts), of or view.claim),
    )
