"""The frame of all metrics: complete, labelled, with reasons."""

import subprocess
import sys

import numpy as np
import pytest

from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.geometry import (
    cdnv,
    collapse,
    collapse_efficiency,
    frame_distances,
    margin_efficiency,
    nc1,
    simplex_etf,
)


def make(role="fit", classes=4, seed=0, n=200):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    x = simplex_etf(4, 6)[y] + 0.1 * rng.standard_normal((n, 6))
    return Sample.from_arrays(x, y, role=role, classes=classes)


HEAD = LinearHead(simplex_etf(4, 6))


def test_every_metric_has_its_rows():
    frame = collapse(make(), HEAD)
    assert list(frame.columns) == ["metric", "variant", "value", "normalisation", "reasons"]
    variants = {name: set(part.variant) for name, part in frame.groupby("metric")}
    plain = {"plug-in"}
    for name in ("NC1", "VCI", "NC3", "NC4"):
        assert variants.pop(name) == plain
    for part in ("equinorm", "equiangular", "maximal angle"):
        for what in ("means", "head"):
            assert variants.pop(f"NC2 {part} ({what})") == plain
    for name in ("CDNV half-symmetric", "CDNV ordered", "CDNV unhalved", "directional CDNV"):
        assert variants.pop(name) == {"plug-in", "bias-corrected", "cross-fitted"}
    for part in ("within", "alignment", "outputs"):
        assert variants.pop(f"collapse efficiency ({part})") == plain
    assert variants.pop("collapse efficiency") == {"at least", "at most"}
    assert variants.pop("loss") == {"cross-entropy"}
    assert variants.pop("margin efficiency") == {"minimum", "5% quantile"}
    for what in ("head", "means"):
        assert variants.pop(f"distance from ({what})") == {
            *("simplex", "seli", "seli with free bias", "optimum at own loss"),
        }
    assert variants == {}
    assert np.isfinite(frame.value).all()
    assert (frame.reasons == "").all()
    assert (frame.normalisation != "").all()
    assert not frame.duplicated(["metric", "variant", "normalisation"]).any()


def test_values_are_those_of_the_functions():
    sample = make()
    frame = collapse(sample, HEAD).set_index(["metric", "variant"])
    assert frame.loc[("NC1", "plug-in"), "value"].iloc[0] == nc1(sample.moments).value
    assert (
        frame.loc[("NC1", "plug-in"), "value"].iloc[1] == nc1(sample.moments, weighted=True).value
    )
    expected = cdnv(sample.moments, "unhalved", corrected=True).mean.value
    assert frame.loc[("CDNV unhalved", "bias-corrected"), "value"].item() == expected
    unhalved = frame.loc[("CDNV unhalved", "plug-in"), "value"].item()
    half = frame.loc[("CDNV half-symmetric", "plug-in"), "value"].item()
    assert unhalved == pytest.approx(2 * half)


def test_efficiencies_are_those_of_the_functions_at_the_declared_loss():
    sample = make()
    for loss, smoothing in ((None, 0.0), ("label_smoothing:0.2", 0.2)):
        frame = collapse(sample, HEAD, loss=loss).set_index(["metric", "variant"]).value
        found = collapse_efficiency(sample, HEAD, smoothing=smoothing)
        assert frame["collapse efficiency", "at least"] == found.lower
        assert frame["collapse efficiency", "at most"] == found.upper
        assert frame["collapse efficiency (within)", "plug-in"] == found.within
        assert frame["loss"].item() == found.loss
        assert frame["margin efficiency", "minimum"] == margin_efficiency(sample, HEAD).minimum
        last = frame_distances(sample, HEAD, found)[-1]
        assert frame["distance from (means)", last.reference] == last.means.value


def test_where_there_is_no_efficiency_the_rows_say_why():
    for sample, why in ((make(role="test"), "test sample"), (make(), "a label is 3")):
        head = HEAD if sample.role == "test" else LinearHead(HEAD.weight[:3])
        frame = collapse(sample, head, means=make().moments.mean)
        rows = frame[frame.metric.str.contains("efficiency")]
        assert rows.value.isna().all()
        assert rows.reasons.str.contains(why).all()
        assert np.isfinite(frame[frame.metric == "NC1"].value).all()


def test_nc4_says_whose_means_it_used():
    fit, test = make(), make(role="test", seed=1)

    def nc4_row(frame):
        return frame[frame.metric == "NC4"].iloc[0]

    assert "not of the training sample" in nc4_row(collapse(test, HEAD)).reasons
    assert nc4_row(collapse(fit, HEAD)).reasons == ""
    given = nc4_row(collapse(test, HEAD, means=fit.moments.mean))
    assert given.reasons == ""
    assert "as given" in given.normalisation
    swapped = nc4_row(collapse(test, HEAD, means=fit.moments.mean[[1, 0, 2, 3]]))
    assert swapped.value > 0.3 > given.value


def test_without_head_and_corrections():
    frame = collapse(make(), corrections=False)
    assert not frame.metric.str.contains("head|NC3|NC4|efficiency|distance").any()
    assert set(frame.variant) == {"plug-in"}


def test_empty_classes_are_named_in_every_row_of_class_means():
    frame = collapse(make(classes=6), HEAD)
    for metric in ("NC1", "VCI", "CDNV ordered", "directional CDNV", "NC3", "NC4"):
        rows = frame[frame.metric == metric]
        assert np.isfinite(rows.value).all(), metric
        assert (rows.reasons != "").all(), metric


def test_two_classes_and_more_classes_than_dimensions():
    rng = np.random.default_rng(2)
    for classes, d in ((2, 3), (9, 4)):
        y = np.repeat(np.arange(classes), 20)
        x = 5 * rng.standard_normal((classes, d))[y] + rng.standard_normal((len(y), d))
        head = LinearHead(rng.standard_normal((classes, d)))
        frame = collapse(Sample.from_arrays(x, y, role="holdout"), head)
        factor = frame.metric.str.contains(r"efficiency \(")  # nan where the efficiency is 0
        assert np.isfinite(frame.value[~factor]).all()


def test_geometry_does_not_import_torch():
    code = (
        "import sys, ncbounds.geometry; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
