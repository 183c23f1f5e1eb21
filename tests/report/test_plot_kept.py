"""Figures of what is kept beside rows: margins, pairs of classes; bounds a line, and a ranking."""

import numpy as np
import pytest
from fixtures.evidence import drawn, evidence_of

import ncbounds as nb
from ncbounds.bounds.cells import limits_of
from ncbounds.comparison.rank import Ranking
from ncbounds.comparison.ranked import Ranked
from ncbounds.errors import NcboundsError, UnknownName
from ncbounds.evidence.class_pairs import Confusions
from ncbounds.report.plot.pairs import draw_confusions
from ncbounds.report.plot.ranking import draw_ranking
from ncbounds.results import BoundResult, Measured

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def report():
    """Ten shirts, two of them taken for coats; ten coats; margins of 1 but for the two."""
    y = np.repeat([0, 1], 10)
    x = np.eye(2)[y]
    x[:2] = 2 * np.eye(2)[1]
    samples = [drawn(x, y, role, repeats="by chance") for role in ("fit", "holdout")]
    names = nb.MultiClass(("shirt", "coat_$1$"))
    evidence = evidence_of(nb.LinearHead(np.eye(2)), *samples, checkpoint="net", decision=names)
    return nb.evaluate(evidence, "binomial,hoeffding")


def test_margins_cross_zero_where_the_error_is(report):
    ax = report.plot.margins()
    lines = {line.get_label(): line.get_xydata() for line in ax.get_lines()}
    assert [*lines] == ["fit, error .100", "holdout, error .100"]
    for points in lines.values():
        assert points[points[:, 0] <= 0, 1].max() == 0.10
        assert points[-1].tolist() == [1.0, 1.0]
    assert ax.get_xlabel() == "margin"  # the unit is 1
    assert ax.get_title(loc="left") == "net"


def test_a_map_of_answers_has_names_and_colours_wrong_ones_only(report):
    ax = report.plot.pairs("net")
    (cells,) = ax.collections
    assert cells.get_array().filled(-1).tolist() == [[-1, 20], [0, -1]]
    assert [t.get_text() for t in ax.texts] == ["80", "20", "", "100"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["shirt", "coat_$1$"]
    with pytest.raises(NcboundsError, match=r"no answers on test rows of net are kept.*holdout"):
        report.plot.pairs(role="test")


def test_a_map_of_cosines_has_collapse_in_the_middle_of_its_colours(report):
    ax = report.plot.pairs(of="head")
    (cells,) = ax.collections
    assert np.mean(cells.get_clim()) == pytest.approx(-1.0)
    assert [t.get_text() for t in ax.texts] == ["", "-1.0", "-1.0", ""]
    with pytest.raises(UnknownName, match="did you mean 'means'"):
        report.plot.pairs(of="mean")


def test_of_many_classes_the_worst_pairs_are_drawn_with_their_limits():
    y = np.repeat(np.arange(150), 20)
    answers = np.where(np.arange(3000) % 20 < 8, (y + 1) % 150, y)
    found = Confusions.of(y, answers, (150, 151), delta=0.05, kind="certificate")
    ax = draw_confusions(found, [])
    assert ax.get_title(loc="left") == "the worst 30 of 150 pairs"
    assert ax.get_yticklabels()[0].get_text() == "0 → 1"
    (bars,) = ax.containers[0].lines[2]
    low, high = bars.get_segments()[0][:, 0]
    limits = limits_of(found)
    assert (low, high) == pytest.approx((limits[0][0], limits[1][0]))
    assert low < 0.4 < high


def test_what_an_earlier_version_did_not_keep_is_said_with_what_to_type(report):
    old = report.with_facts({"net": {"margins": None, "class_pairs": None}})
    for draw in (old.plot.margins, old.plot.pairs, lambda: old.plot.margins("net")):
        with pytest.raises(NcboundsError, match="`ncbounds evaluate` on the same files again"):
            draw()
    with pytest.raises(UnknownName, match="did you mean 'net'"):
        report.plot.margins("nat")


def bound(value, kind="certificate", name="binomial", checkpoint="a", **more):
    return BoundResult(
        bound=name, family="holdout", kind=kind, target="saved", role="holdout", n=9, delta=0.05,
        value=value, checkpoint=checkpoint, test=Measured(0.2, 0.1, 0.3), **more,
    )  # fmt: skip


def test_a_display_draws_bounds_a_line_each_and_vacuous_ones_hollow_on_the_edge():
    rows = [bound(0.1, "plug-in"), bound(7.0), bound(0.4), bound(0.3, checkpoint="b")]
    shown = nb.BoundDisplay.from_report(nb.Report(rows), "a")
    assert [line.value for line in shown.lines] == [0.4, 7.0, 0.1]  # certificates first
    drawn = [
        (x, y, line.get_fillstyle())
        for line in shown.ax_.get_lines()[:-1]
        for x, y in line.get_xydata()
    ]
    assert drawn == [(0.4, 0, "full"), (1.0, 1, "none"), (0.1, 2, "full")]
    assert shown.ax_.get_lines()[-1].get_xdata().tolist() == [0.2] * 3
    assert shown.figure_ is shown.ax_.figure
    _, ax = plt.subplots()
    assert shown.plot(ax) is shown
    assert shown.ax_ is ax
    assert nb.Report(rows).plot.bounds("b").get_title(loc="left") == "b"


def test_a_display_says_what_it_needs():
    rows = [bound(0.1), bound(0.2, checkpoint="b"), bound(np.nan, name="hoeffding")]
    with pytest.raises(NcboundsError, match=r"2 checkpoints.*--checkpoint a"):
        nb.BoundDisplay.from_report(nb.Report(rows))
    with pytest.raises(UnknownName, match="no rows of bound 'hoeffding'"):
        nb.BoundDisplay.from_report(nb.Report(rows), bounds=["hoeffding"])
    with pytest.raises(UnknownName, match="no checkpoint 'c'"):
        nb.BoundDisplay.from_report(nb.Report(rows), "c")
    with pytest.raises(NcboundsError, match="there is no conditional"):
        nb.BoundDisplay.from_report(nb.Report(rows), kinds=["conditional"])


def test_a_ranking_is_drawn_least_sign_error_first():
    made = {"role": "holdout", "target": "saved", "checkpoints": 6, "resolved": 15}
    rows = [
        Ranked("NC1", "", kind="measure", sign_error=0.4, low=0.2, high=0.6, **made),
        Ranked("m", '{"percent": 5}', kind="bound", sign_error=0.1, low=0.0, high=0.3, **made),
        Ranked("none", "", kind="bound", **made),
    ]
    ax = draw_ranking(Ranking(tuple(rows), 0.05, 6))
    assert [t.get_text() for t in ax.get_yticklabels()] == ["m (percent=5) holdout", "NC1 holdout"]
    ends = [c.lines[2][0].get_segments()[0][:, 0].tolist() for c in ax.containers]
    assert ends == [pytest.approx([0.0, 0.3]), pytest.approx([0.2, 0.6])]
    with pytest.raises(NcboundsError, match="no ranking to draw"):
        draw_ranking(Ranking(tuple(rows[2:]), 0.05, 6))
