"""What was asked for stands in the compact table, each beside the measured error of its own."""

import numpy as np

import ncbounds as nb
from ncbounds.report.compact import header, lines, used

RNG = np.random.default_rng(0)


def cells(report):
    shown = used(report)
    ((_, (line,)),) = lines(report, shown)
    return dict(zip(header(report, shown), line, strict=True))


def test_averages_and_counted_losses_have_columns():
    y = RNG.integers(0, 3, 400)
    logits = RNG.normal(size=(400, 3)) + 2.0 * np.eye(3)[y]
    half = {"holdout": slice(200), "test": slice(200, 400)}
    e = nb.Evidence.from_predictions(
        logits={role: logits[rows] for role, rows in half.items()},
        labels={role: y[rows] for role, rows in half.items()},
        sampling="iid",
        claims="rare=1+2,top-2",
    )
    found = cells(nb.evaluate(e))
    assert [*found][-2:] == ["rare", "top-2 error"]
    assert all("(" in found[name] and found[name][0] == "✓" for name in ("rare", "top-2 error"))
    assert "worst class" not in cells(nb.evaluate(e))  # nobody asked for it


def test_a_loss_is_not_shown_as_the_measured_error():
    x = RNG.beta(1, 5, 200)
    e = nb.Evidence.from_losses({"holdout": x[:100], "test": x[100:]}, sampling="iid", name="brier")
    found = cells(nb.evaluate(e))
    assert "test error [95 %]" not in found
    assert found["brier"].startswith("✓")
