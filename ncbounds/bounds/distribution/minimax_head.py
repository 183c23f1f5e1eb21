"""The linear head with the best worst case under the class moments, and what it would earn."""

from dataclasses import replace

import numpy as np

from ncbounds.bounds.bound import bound
from ncbounds.bounds.distribution._margin_moments import (
    FEWEST,
    MarginMoments,
    averaged,
    margin_moments,
)
from ncbounds.bounds.distribution._minimax import minimax, reduce
from ncbounds.bounds.distribution._tight import tight
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.heads import OtherHead
from ncbounds.statistics.rows import all_finite, as_rows

#: Most classes that the row is computed for.
LARGEST = 50


@bound(
    family="distribution",
    kind="plug-in",
    role="any",
    target="refitted-head",
    assumptions=("moments estimated", "the head was fitted to the same moments"),
    confused_with=(
        "The error of the saved head: it is about a head refitted to these moments, and judged by "
        "them."
    ),
    references=("lanckriet2002", "vandenberghe2007"),
)
def minimax_head(view: View, delta: float) -> Outcome:
    r"""Refit the head so that its nearest class-rival pair is as far as possible; bound its error.

    With means :math:`\mu_c` and covariances
    :math:`\Sigma_c + 10^{-3} (\mathrm{tr}\, \Sigma_c / q)\, I` of the classes in q coordinates, the
    head solves

    .. math::
        \max_{W, b} \min_{c \ne j}
        \frac{(w_c - w_j)' \mu_c + b_c - b_j}{\|\Sigma_c^{1/2} (w_c - w_j)\|}

    and the value is that of ``two_moment_tight`` for this head, from the moments of its margins
    without the ridge.

    Shapes: features (n, d), labels (n,). The coordinates span the class means and the rows of the
    saved head, q <= 2 (C - 1); beyond C q = 300 the weakest directions are dropped.

    Role: any but ``test``. The moments are estimated and the head is fitted to them, so the value
    is a plug-in on every sample.

    Assumptions: as ``two_moment_tight``. The measured error beside it is that of the refitted head.

    Source: Lanckriet et al. 2002 [1]_ for two classes; recheck by the two-moment bound [2]_ .

    When vacuous: with few points per class the fitted moments are too good; with many classes as
    ``two_moment_tight``. It looks at the worst pair of classes and not at the average, so where
    classes overlap its value can exceed that of the saved head. It is undefined if a class has
    fewer than two points or a non-finite feature, or if no linear head separates the class means.
    It takes a tenth of a second with ten classes and seconds with 50, and is left out beyond.

    Notes
    -----
    For a fixed ratio :math:`\kappa` the slack of the constraints is maximised over second-order
    cones in (W, b); the head found has a larger ratio, at which it is maximised next (Dinkelbach).
    The start is the saved head or the linear discriminant, whichever has the larger ratio. A
    program may overstate its slack: every head's ratio is computed anew.
    """
    sample = view.sample
    if len(sample.counts) > LARGEST:
        reason = (
            f"not computed for {len(sample.counts)} classes: beyond {LARGEST} too few directions "
            "are kept for its value to say anything"
        )
        return _undefined(view, reason)
    saved = margin_moments(sample, view.head)
    if (saved.counts < FEWEST).any():
        return _undefined(view, "a class has fewer than two points")
    rows = as_rows(sample.features)
    if not all_finite(rows):
        return _undefined(view, "a feature is not finite")
    reduced = reduce(rows, saved.rows, view.head.weight)
    same = view.head.classes == saved.classes and np.isfinite(view.head.weight).all()
    solution = minimax(reduced, reduced.lower(view.head) if same else None)
    if solution is None:
        return _undefined(view, "no linear head separates the class means")
    head = reduced.lift(*solution)
    moments = MarginMoments(head.logits(sample.features), saved.rows, saved.counts)
    value, lower, _ = tight(moments, head.dim)
    outcome = averaged(
        view,
        value,
        kappa=reduced.distance(*solution),
        dimension=reduced.basis.shape[1],
        lower=float(moments.counts @ lower / sample.n),
        **{"smallest distance": float(moments.distances.min())},
    )
    return replace(outcome, claim=view.pooled(OtherHead("refitted-head", head)))


def _undefined(view: View, reason: str) -> Outcome:
    return Outcome(value=np.nan, n=view.sample.n, reasons=(reason,))
