"""All collapse metrics of one sample, as a small frame."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ncbounds.arrays import Bools, Floats
from ncbounds.errors import InvalidSample, RoleError
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.loss import ASSUMED, ASSUMED_OF_LABELS, declared_loss
from ncbounds.evidence.sample import Sample
from ncbounds.geometry.alignment import nc2, nc3, nc4
from ncbounds.geometry.efficiency import (
    SECONDS,
    Efficiency,
    collapse_efficiency,
    no_efficiency,
)
from ncbounds.geometry.label_sets import single_label_points
from ncbounds.geometry.margin_efficiency import QUANTILE, MarginEfficiency, margin_efficiency
from ncbounds.geometry.measured import Metric
from ncbounds.geometry.pairs import NORMALISATIONS, cdnv, directional_cdnv
from ncbounds.geometry.second_pass import second_pass
from ncbounds.geometry.seli import FrameDistance, frame_distances
from ncbounds.geometry.set_means import set_mean_cosines
from ncbounds.geometry.variability import nc1, vci
from ncbounds.statistics.crossfit import crossfit

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("metric", "variant", "value", "normalisation", "reasons")
SPLIT_SEED = 0
_GRAMS = "||G/||G||_F - R/||R||_F||_F of Gram matrices, rows of W and means centred"
_DIRECTIONAL = "u_ij'Sigma_i u_ij/d_ij^2"


class Row(NamedTuple):
    """One line of the frame."""

    metric: str
    variant: str
    value: float
    normalisation: str
    reasons: str


def collapse(
    sample: Sample,
    head: LinearHead | None = None,
    *,
    means: Floats | None = None,
    corrections: bool = True,
    loss: str | None = None,
    seconds: float = SECONDS,
) -> "pd.DataFrame":
    """Neural-collapse metrics of ``sample`` and ``head``.

    Parameters
    ----------
    sample : Sample
        Of any role; the metrics describe this sample and guarantee nothing.
    head : LinearHead, optional
        Without one, NC2 of the head, NC3, NC4, the efficiencies and the distances to ideal
        arrangements are left out.
    means : array of shape (C, d), optional
        Class means of the training sample, by which NC4 is defined: pass
        ``fit_sample.moments.mean``. Without them NC4 takes the means of ``sample`` and says so.
    corrections : bool
        Also the bias-corrected and the cross-fitted CDNVs, which read the features again. The
        halves of the cross-fit are a fixed split (seed 0).
    loss : str, optional
        What the network was trained with; see :func:`collapse_efficiency`. By default the
        cross-entropy, or the binary loss where points may have several labels.
    seconds : float
        Time for the solver of the efficiency. Its bracket, "at least" and "at most", is valid
        whenever it stops.

    Where points may have several labels, metrics of class means are those of the points with
    exactly one, and are called ``single-label``; NC4, the CDNVs and the margin efficiency, which
    are about one class a point, are left out.

    Returns
    -------
    pandas.DataFrame
        Columns ``metric, variant, value, normalisation, reasons``; undefined values are nan and
        have their reason, and so have classes that were left out.
    """
    import pandas as pd

    if (sets := sample.indicators) is not None:
        rows = list(_rows_of_sets(sample, sets, head, loss or ASSUMED_OF_LABELS, seconds))
        return pd.DataFrame(rows, columns=list(COLUMNS))
    rows = [
        *_means_rows(sample),
        *(() if head is None else _head_rows(sample, head, means)),
        *(() if head is None else _best_rows(sample, head, loss, seconds)),
        *_pair_rows(sample, corrections),
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(metric: str, variant: str, found: Metric, normalisation: str) -> Row:
    return Row(metric, variant, found.value, normalisation, "; ".join(found.reasons))


def _means_rows(sample: Sample) -> Iterator[Row]:
    moments = sample.moments
    for weighted, how in ((False, "classes alike"), (True, "classes by count")):
        yield _row("NC1", "plug-in", nc1(moments, weighted=weighted), f"tr(S_W S_B^+)/C, {how}")
    centre = moments.centre() if moments.n else np.full(moments.dim, np.nan)
    yield from _nc2_rows("means", moments.mean, centre)
    yield _row("VCI", "plug-in", vci(moments), "1 - tr(S_T^+ S_B)/min(C-1, d), classes alike")


def _nc2_rows(what: str, points: Floats, centre: Floats | None) -> Iterator[Row]:
    found = nc2(points, centre)
    about = "centred means" if centre is not None else "rows of W as stored"
    yield _row(f"NC2 equinorm ({what})", "plug-in", found.equinorm, f"Std/Avg of norms, {about}")
    yield _row(f"NC2 equiangular ({what})", "plug-in", found.equiangular, f"Std of cos, {about}")
    yield _row(
        f"NC2 maximal angle ({what})",
        "plug-in",
        found.maximal_angle,
        f"Avg |cos + 1/(C-1)|, {about}",
    )


def _head_rows(sample: Sample, head: LinearHead, means: Floats | None) -> Iterator[Row]:
    yield from _nc2_rows("head", head.weight, None)
    yield _nc3_row(sample, head)
    own = means is None
    means = sample.moments.mean if means is None else means
    found = nc4(sample.features, head, means, logits=sample.logit_rows(head))
    if own and sample.role != "fit":
        why = f"class means of this {sample.role} sample, not of the training sample"
        found = Metric(found.value, (*found.reasons, why))
    whose = "of this sample" if own else "as given"
    yield _row("NC4", "plug-in", found, f"share where head and nearest mean differ, means {whose}")


def _nc3_row(sample: Sample, head: LinearHead) -> Row:
    how = "||W/||W||_F - M/||M||_F||_F^2, W as stored, M centred"
    return _row("NC3", "plug-in", nc3(sample.moments, head), how)


def _rows_of_sets(
    sample: Sample, sets: Bools, head: LinearHead | None, loss: str, seconds: float
) -> Iterator[Row]:
    """Several labels a point: those with exactly one as classes, pairs by them, and all sets."""
    single = single_label_points(sample)
    rows = [*_means_rows(single), *(() if head is None else [_nc3_row(single, head)])]
    whose = f", of the {single.n} points with exactly one label"
    for row in rows:
        name, how = f"single-label {row.metric}", row.normalisation + whose
        yield row._replace(metric=name, normalisation=how)
    centred = head is None or head.has_bias
    cosines = set_mean_cosines(sample.features, sets, centred=centred)
    about = "mean of all points taken off" if centred else "means as they are"
    how = f"cos of a pair's mean with the sum of its single-label means, {about}"
    yield _row("set-mean cosine", "mean of pairs", cosines.mean, how)
    yield _row("set-mean cosine", "least of pairs", cosines.least, how)
    if head is None:
        return
    yield from _nc2_rows("head", head.weight, None)
    try:
        found = collapse_efficiency(sample, head, loss, seconds=seconds)
    except (RoleError, InvalidSample) as error:  # a test sample, points without a label
        found = no_efficiency(str(error))
    yield from _efficiency_rows(found, loss)


def _best_rows(sample: Sample, head: LinearHead, loss: str | None, seconds: float) -> Iterator[Row]:
    """What is measured against the best that the norms allow."""
    chosen = loss or ASSUMED
    nan = float("nan")
    distances: tuple[FrameDistance, ...] = ()
    try:
        found = collapse_efficiency(sample, head, chosen, seconds=seconds)
        margin = margin_efficiency(sample, head)
        distances = frame_distances(sample, head, found)
    except (RoleError, InvalidSample) as error:  # a test sample, labels without an output
        found = no_efficiency(str(error))
        margin = MarginEfficiency(nan, nan, nan, nan, (str(error),))
    yield from _efficiency_rows(found, chosen)
    share = "kappa times the margin, over ||W||_F ||H||_F"
    low = f"{QUANTILE:.0%} quantile"
    for which, value in (("minimum", margin.minimum), (low, margin.quantile)):
        yield _row("margin efficiency", which, Metric(value, margin.reasons), share)
    for distance in distances:
        row = partial(_row, variant=distance.reference, normalisation=_GRAMS)
        yield row("distance from (head)", found=distance.head)
        yield row("distance from (means)", found=distance.means)


def _efficiency_rows(found: Efficiency, chosen: str) -> Iterator[Row]:
    yield _row("loss", str(chosen), Metric(found.loss, found.reasons), "mean over points")
    for name in ("within", "alignment", "outputs"):
        part = Metric(getattr(found, name), found.reasons)
        yield _row(f"collapse efficiency ({name})", "plug-in", part, "factor of the lower end")
    share = f"norms that the {declared_loss(chosen)} needs, over ||W||_F ||H||_F"
    for end, value in (("at least", found.lower), ("at most", found.upper)):
        yield _row("collapse efficiency", end, Metric(value, found.reasons), share)


def _pair_rows(sample: Sample, corrections: bool) -> Iterator[Row]:
    moments = sample.moments
    pairwise = second_pass(sample)
    halves = (
        crossfit(sample.features, sample.labels, sample.classes, seed=SPLIT_SEED)
        if corrections
        else None
    )
    for name, formula in NORMALISATIONS.items():
        metric = f"CDNV {name}"
        yield _row(metric, "plug-in", cdnv(moments, name).mean, f"{formula}, divisor n_c")
        if halves is not None:
            yield _row(
                metric,
                "bias-corrected",
                cdnv(moments, name, corrected=True).mean,
                f"{formula}, v and d^2 unbiased",
            )
            yield _row(
                metric,
                "cross-fitted",
                cdnv(moments, name, crossfit=halves).mean,
                f"{formula}, v unbiased, d^2 = <D_A, D_B>",
            )
    plain = directional_cdnv(pairwise).mean
    yield _row("directional CDNV", "plug-in", plain, f"{_DIRECTIONAL}, divisor n_c")
    if halves is not None:
        yield _row(
            "directional CDNV",
            "bias-corrected",
            directional_cdnv(pairwise, corrected=True).mean,
            f"{_DIRECTIONAL}, D'Sigma_i D and d^2 unbiased",
        )
        yield _row(
            "directional CDNV",
            "cross-fitted",
            directional_cdnv(halves).mean,
            "D_A'S_i^B D_A/<D_A, D_B>^2, both halves averaged",
        )
