"""Figures show what the tables hold: bounds as intervals, vacuous ones marked, exits and depth."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from ncbounds.depth.layers import Geometry, Layer, LayerReport
from ncbounds.depth.separation import SeparationLaw
from ncbounds.errors import MissingExtra, NcboundsError
from ncbounds.report import Report
from ncbounds.report.plot.series import draw_series
from ncbounds.report.plot.style import pyplot
from ncbounds.report.steps import Step
from ncbounds.report.trend import Indistinguishable
from ncbounds.results import BoundResult, Measured

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def steps(*numbers, **more):
    return [
        Step(
            *("r", f"e{i}.pt", x, True),
            **{
                "train_error": 0.1 / (i + 1), "test_error": 0.2, "test_low": 0.18,
                "test_high": 0.22, "certificate": "binomial", "value": 1.2 if i == 0 else 0.3,
                "loss": 10.0**-i,
                "nc1": 0.5**i, "efficiency": 0.1 * i, "efficiency_upper": 0.1 * i + 0.02,
                "within": 0.9, "log": {"loss": 9.0 - i, "lr": 0.1}, **more,
            },
        )
        for i, x in enumerate(numbers)
    ]  # fmt: skip


def line(ax, label):
    (found,) = (x for x in ax.get_lines() if x.get_label() == label)
    return found.get_xdata(), found.get_ydata()


def test_a_series_is_drawn_by_step_with_brackets_and_the_log_beside():
    axes = draw_series(steps(1.0, 10.0, 100.0))
    assert [ax.get_ylabel() for ax in axes] == [
        *("error", "share of the best", "fit rows", "lr, as logged"),
    ]
    assert axes[0].get_xscale() == "log"
    assert axes[2].get_yscale() == "log"
    x, y = line(axes[0], "training error")
    assert x.tolist() == [1, 10, 100]
    assert y.tolist() == [0.1, 0.05, 0.1 / 3]
    assert line(axes[2], "loss, as logged")[1].tolist() == [9, 8, 7]
    (container,) = axes[1].containers
    assert container.lines[0].get_ydata() == pytest.approx([0.01, 0.11, 0.21])


def test_a_bound_is_an_interval_from_zero_and_a_vacuous_one_a_cross_above():
    axes = draw_series(steps(1.0, 2.0, 3.0))
    (bound,) = axes[0].containers
    (bars,) = bound.lines[2]
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert ends == [[0.0, 0.3]] * 2
    x, y = line(axes[0], "error <= (binomial): vacuous")
    assert (x.tolist(), y.tolist()) == ([1], [1])
    assert axes[0].get_ylim()[1] < 1


@pytest.mark.parametrize(
    ("numbers", "scale", "beyond"),
    [((1, 2, 3), "linear", 3), ((1, 10, 100), "log", 100), ((0, 1, 100), "symlog", 100)],
)
def test_a_last_step_without_number_stands_behind_the_others(numbers, scale, beyond):
    last = Step("r", "final.pt", placed=True, train_error=0.01)
    unplaced = Step("r", "best.pt", train_error=0.5)
    axes = draw_series([*steps(*map(float, numbers)), unplaced, last])
    x, y = line(axes[0], "training error")
    assert axes[-1].get_xscale() == scale
    assert len(x) == 4
    assert x[-1] > beyond
    assert y[-1] == 0.01
    assert "final" in [text.get_text() for text in axes[-1].texts]


def test_where_nothing_changes_any_more_is_marked():
    said = Indistinguishable("r", "2", "3", 1, 0.01, 100, "holdout", 0.05, 2, "certificate")
    axes = draw_series(steps(1.0, 2.0, 3.0), [said])
    assert [x.get_xdata()[0] for x in axes[0].get_lines() if x.get_linestyle() == "--"][-1] == 2


def layers(**more):
    geometry = {role: Geometry(0.5, 0.2, 0.3, 0.1) for role in ("fit", "holdout")}
    made = tuple(
        Layer(
            *(f"block{i}", 4, 4, geometry),
            errors={"fit": {"ncm": 5 - i, "ridge": 3}, "holdout": {"ncm": 20 - i, "ridge": 9}},
            limits={"ncm": 1.0 if i == 0 else 0.4, "ridge": 0.3},
            better={"ncm": False, "ridge": False},
        )
        for i in range(4)
    )
    given = {
        **{"layers": made, "rows": {"fit": 100, "holdout": 50}, "reasons": (), "delta": 0.05},
        **{"network_errors": {"fit": 1, "holdout": 8}, "kind": "certificate", "family": 8},
        **{"eps": 0.01, "exit_probe": "ridge", "exit": 2, "effective_depth": 3},
        **{"law": {"fit": SeparationLaw(float("nan"), -1.0)}, "checkpoint": "one", **more},
    }
    return LayerReport(**given)


def test_layers_are_drawn_with_exit_depth_and_limits():
    report = Report((), facts={"one": {"layers": layers().to_dict()}})
    above, below = report.plot.layers()
    assert line(above, "ncm, holdout")[1].tolist() == [0.4, 0.38, 0.36, 0.34]
    assert line(above, "exit: within 0.01 from here on")[0] == [2, 2]
    assert line(above, "effective depth")[0] == [3, 3]
    assert line(above, "network, holdout")[1] == [0.16, 0.16]
    assert line(above, "ncm <= (certificate): vacuous")[0].tolist() == [0]
    assert [t.get_text() for t in below.get_xticklabels()] == [f"block{i}" for i in range(4)]
    assert line(below, "fit")[1].tolist() == [0.5] * 4


def test_stored_layers_come_back_as_they_were():
    report = layers()
    again = LayerReport.from_dict(report.to_dict())
    assert np.isnan(again.law["fit"].slope)
    law = {"fit": replace(again.law["fit"], slope=0.0)}
    assert str(replace(again, law=law)) == str(replace(report, law=law))
    with pytest.raises(NcboundsError, match="no stored layers"):
        LayerReport.from_dict({"layers": [1]})


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(NcboundsError, match="nothing to draw; `ncbounds evaluate` on checkpoints"):
        Report(()).plot.series()
    two = Report((), facts={n: {"layers": layers().to_dict()} for n in ("one", "two")})
    with pytest.raises(NcboundsError, match=r"2 are there to draw \(one, two\).*--checkpoint one"):
        two.plot.layers()
    with pytest.raises(NcboundsError, match="did you mean 'two'"):
        two.plot.layers("tow")


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(
        MissingExtra, match=r"^figures need matplotlib: pip install 'ncbounds\[plots\]'$"
    ):
        draw_series(steps(1.0, 2.0))


def bound(value, error, family="holdout", **more):
    measured = Measured(error, error - 0.01, error + 0.01)
    fixed = {"bound": "binomial", "target": "saved", "role": "holdout", "n": 9, "delta": 0.05}
    return BoundResult(
        value=value, family=family, test=measured, **{"kind": "certificate", **fixed, **more}
    )


def test_bounds_stand_over_measured_errors_and_vacuous_ones_are_hollow_on_the_edge():
    rows = [bound(0.3, 0.2), bound(40.0, 0.5, "network"), bound(0.01, 0.2, kind="plug-in")]
    ax = Report(rows).plot.bounds_vs_error()
    drawn = [
        (x, y, line.get_fillstyle())
        for line in ax.lines[:-1]  # the last one is that of equality
        for x, y in zip(*line.get_data())
    ]
    assert drawn == [(0.2, 0.3, "full"), (0.5, 1.0, "none")]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["holdout", "network"]
    with pytest.raises(NcboundsError, match="no conditional"):
        Report(rows).plot.bounds_vs_error(("conditional",))


def test_terms_add_up_to_the_value():
    made = {"empirical": 0.25, "complexity": 0.5}
    ax = Report([bound(0.75, 0.2, terms=made), bound(0.3, 0.2)]).plot.terms()
    assert [(p.get_x(), p.get_width()) for p in ax.patches] == [(0, 0.25), (0.25, 0.5)]
    with pytest.raises(NcboundsError, match="none of these rows has additive terms"):
        Report([bound(0.3, 0.2)]).plot.terms()


def test_bars_of_terms_start_at_nothing_and_say_what_they_are():
    """A logarithmic axis would start at the smallest bar, which then could not be seen."""
    rows = [bound(v, 0.2, terms={"empirical": v}, checkpoint="a") for v in (0.06, 40.0)]
    rows += [bound(0.3, 0.2, terms={"empirical": 0.3}, params={"per": "worst class"})] * 30
    ax = Report(rows).plot.terms()
    assert ax.get_xlim()[0] == 0.0
    said = [t.get_text() for t in ax.get_yticklabels()]
    assert said[0] == "a binomial holdout \u2713 .060"
    assert said[2] == "binomial (per=worst class) holdout \u2713 .300"
    assert ax.get_title(loc="left") == "the first 30 of 32 rows with terms"


def test_a_backend_that_becomes_interactive_while_it_draws_stays_so():
    """A notebook loads its backend at the first figure; later figures would not be shown."""
    import matplotlib.pyplot as plt

    plt.ioff()
    try:
        with pyplot() as inside:
            inside.ion()
        assert plt.isinteractive()
        with pyplot():
            pass
        assert plt.isinteractive()
    finally:
        plt.ioff()
