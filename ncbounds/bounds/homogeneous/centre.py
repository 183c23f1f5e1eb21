"""What the fit sample fixes for a head in homogeneous form: a centre and a scale.

Both must be independent of the rows that a certificate is about, so they never come from those.
"""

import math

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.homogeneous.rays import Rays, squares_about
from ncbounds.bounds.kept import Kept
from ncbounds.bounds.view import Outcome, View
from ncbounds.evidence.sample import Sample
from ncbounds.statistics.rows import as_rows, finite_mean

_KEPT: Kept[Rays] = Kept()


def rays(view: View) -> Rays:
    """Rays of the saved head on ``view.sample``, centred at the mean of the fit sample if any."""
    return _KEPT.get(view.sample, view.head, view.fit, make=lambda: _rays(view))


def _rays(view: View) -> Rays:
    q = None if view.fit is None else fit_centre(view.fit)
    head, sample = view.head, view.sample
    return Rays.of(
        sample.features,
        sample.labels,
        sample.logit_rows(head),
        head.weight,
        head.bias,
        centre=q,
        constant=head.has_bias or q is not None,
    )


def refused(view: View, reason: str) -> Outcome:
    """Return the value 1 for a head that gets no certificate, and why."""
    return Outcome(
        value=1.0,
        n=view.sample.n,
        reasons=(reason, *centre_note(view)),
        details={"degenerate": reason},
        claim=view.pooled(),
    )


def fit_centre(fit: Sample) -> Floats:
    """Mean of the finite rows of the fit sample, shape (d,); 0 if there are none."""
    return finite_mean(as_rows(fit.features))


def centre_note(view: View) -> tuple[str, ...]:
    """Reason that names the other sample which was read."""
    return () if view.fit is None else ("centred at the mean of the fit sample",)


def scale_of_fit(fit: Sample, found: Rays) -> float:
    """:func:`spread_about` q of the fit sample."""
    return spread_about(fit, found.centre)


def spread_about(sample: Sample, centre: Floats) -> float:
    """Root mean square of ``||f - centre||`` over the finite rows of a sample; 0 becomes 1."""
    squares = squares_about(as_rows(sample.features), centre)
    squares = squares[np.isfinite(squares)]
    scale = math.sqrt(float(squares.mean())) if len(squares) else 0.0
    return scale if scale > 0 and math.isfinite(scale) else 1.0
