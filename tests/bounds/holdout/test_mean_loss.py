"""Means of losses in [0, 1]: formulas by hand, coverage, and what cannot be bounded."""

import math

import mpmath as mp
import numpy as np
import pytest
from scipy.stats import binom

import ncbounds as nb
from ncbounds.bounds import get
from ncbounds.claims import Answered, Cost
from ncbounds.errors import InvalidSample, RoleError
from ncbounds.numerics import bernstein_upper, kl_interval, kl_upper, mean_interval, mean_upper

mean_loss = get("mean_loss")


def evidence(losses, **declared):
    return nb.Evidence.from_losses(losses, **{"role": "holdout", "sampling": "iid", **declared})


def value(e, form="betting", delta=0.05):
    return mean_loss(e, delta, loss="loss", **({} if form == "betting" else {"form": form}))


def test_rows_of_given_losses():
    x = np.random.default_rng(0).beta(1, 6, 300)
    report = nb.evaluate(evidence({"holdout": x[:200], "test": x[200:]}, role=None, name="brier"))
    assert [r.params for r in report] == [
        {"loss": "brier"},
        {"loss": "brier", "form": "kl"},
        {"loss": "brier", "form": "bernstein"},
    ]
    for row in report:
        assert (row.kind, row.target, row.qualifier, row.n) == (
            *("certificate", "saved", "brier"),
            200,
        )
        assert row.test.error == pytest.approx(x[200:].mean())
        assert (row.test.low, row.test.high) == mean_interval(x[200:])
        assert row.test.low < row.test.error < row.test.high


def test_textbook_forms_by_hand():
    x = np.array([0.0, 0.5, 1.0, 0.5] * 25)
    mean, variance, log = 0.5, 100 / 99 * 0.125, math.log(40)
    hand = mean + math.sqrt(2 * variance * log / 100) + 7 * log / 297
    assert value(evidence(x), "bernstein").value == pytest.approx(hand, rel=1e-12)
    assert value(evidence(x), "kl").value == pytest.approx(
        kl_upper(0.5, math.log(20) / 100), rel=1e-9
    )
    assert bernstein_upper(x, 0.05) >= hand
    assert bernstein_upper([0.3], 0.05) == 1.0
    assert math.isnan(bernstein_upper([], 0.05))


def test_the_order_is_drawn_so_that_sorted_rows_are_no_trap():
    x = np.sort(np.random.default_rng(1).beta(0.3, 1, 400))
    assert mean_upper(x, 0.05) < x.mean()  # as they stand, zeros first
    assert value(evidence(x)).value > x.mean()


LAWS = {
    "atoms": ([0.0, 0.5, 1.0], [0.7, 0.1, 0.2]),
    "rare": ([0.0, 1.0], [0.97, 0.03]),
    "two": ([0.2, 0.4], [0.5, 0.5]),
}


@pytest.mark.parametrize("law", LAWS)
def test_coverage_in_laws_with_atoms(law):
    """Each form, and each end of the measured interval, misses no more often than delta."""
    atoms, p = LAWS[law]
    mean, delta, draws, n = float(np.dot(atoms, p)), 0.25, 60, 40
    rng = np.random.default_rng(len(law))
    missed = dict.fromkeys(("betting", "kl", "bernstein", "low", "high"), 0)
    for _ in range(draws):
        x = rng.choice(atoms, n, p=p)
        for form in ("betting", "kl", "bernstein"):
            missed[form] += mean_loss_value(x, form, delta) < mean
        low, high = mean_interval(x, 1 - 2 * delta)
        missed["low"] += low > mean
        missed["high"] += high < mean
    for count in missed.values():
        assert binom.sf(count - 1, draws, delta) > 1e-5
    assert sum(missed.values()) > 0 or law == "two"  # whose variance is far below any bet's


def test_at_no_loss_the_kl_form_is_tight():
    """A law whose mean is just above it gives only zeros with probability delta, nearly."""
    n, delta = 20, 0.25
    top = mean_loss_value(np.zeros(n), "kl", delta)
    assert delta * (1 - 1e-9) <= (1 - top) ** n <= delta
    assert mean_loss_value(np.zeros(n), "betting", delta) >= top


def mean_loss_value(x, form, delta):
    from ncbounds.bounds.holdout.mean_loss import FORMS

    return FORMS[form](x, delta)


def test_truth_values_have_the_exact_limit_of_a_count():
    wrong = np.arange(200) % 10 == 0
    (row,) = nb.evaluate(evidence(wrong))
    assert (row.bound, row.params) == ("binomial", {"loss": "loss"})
    assert row.value == nb.formulas.binomial(20, 200, 0.05)
    assert value(evidence(wrong.astype(float))).value > row.value


def test_strata_have_the_kl_form():
    x, y = np.r_[np.full(50, 0.1), np.full(50, 0.5)], np.repeat([0, 1], 50)
    row = value(evidence(x, sampling="stratified", labels=y))
    assert row.kind == "certificate"
    assert row.value == value(evidence(x), "kl").value
    assert row.claim.weights.tolist() == [0.5, 0.5]
    assert any("fixed by design" in reason for reason in row.reasons)
    silent = value(evidence(x, sampling="stratified"))
    assert silent.value == row.value


def test_losses_of_strata_are_measured_by_kl():
    x, y = np.r_[np.full(50, 0.1), np.full(50, 0.5)], np.repeat([0, 1], 50)
    parts = {"role": None, "sampling": "stratified"}
    e = evidence({"holdout": x, "test": x}, **parts)
    test = nb.evaluate(e, ["mean_loss"]).rows[0].test
    assert (test.low, test.high) == kl_interval(x.mean(), 100)
    # with labels: two strata, each at half of 5 %
    e = evidence({"holdout": x, "test": x}, labels={"holdout": y, "test": y}, **parts)
    test = nb.evaluate(e, ["mean_loss"]).rows[0].test
    ends = np.array([kl_interval(mean, 50, 0.975) for mean in (0.1, 0.5)]).mean(axis=0)
    assert (test.low, test.high) == pytest.approx(tuple(ends), rel=1e-9)


def test_part_of_the_rows_has_no_limit_by_design_and_none_at_all_is_one():
    y = np.tile([0, 1], 40)
    logits = np.column_stack([np.zeros(80), np.linspace(-3, 3, 80)])
    declared = {"logits": logits, "labels": y, "role": "holdout", "claims": "answered:0.9"}
    name = Answered(0.9).name
    rows = {
        s: get("binomial")(nb.Evidence.from_predictions(**declared, sampling=s), loss=name)
        for s in ("iid", "stratified")
    }
    assert np.isnan(rows["stratified"].value)
    assert any("draw at random" in reason for reason in rows["stratified"].reasons)
    share = 1 / (1 + np.exp(-np.abs(logits[:, 1])))
    wrong = (logits[:, 1] > 0) != y
    m, k = int((share >= 0.9).sum()), int((wrong & (share >= 0.9)).sum())
    assert (rows["iid"].n, rows["iid"].details["errors"]) == (m, k)
    assert rows["iid"].value == nb.formulas.binomial(k, m, 0.05)
    timid = nb.Evidence.from_predictions(**{**declared, "claims": "answered:0.999"}, sampling="iid")
    assert get("binomial")(timid, loss=Answered(0.999).name).value == 1.0


@pytest.mark.parametrize("claim", ["balanced", "worst", {"rare": [1]}])
@pytest.mark.parametrize("labels", [None, [0, 1]])
def test_losses_have_no_averages_of_class_errors(claim, labels):
    with pytest.raises(InvalidSample, match="only losses were given"):
        nb.evaluate(evidence([0.1, 0.2], labels=labels), claims=claim)


def test_copies_of_losses_that_are_known_by_hashes_count_once():
    x = np.array([0.1, 0.9, 0.9, 0.4])
    row = value(evidence(x, repeats="copies", input_hashes=[1, 2, 2, 3]))
    assert row.n == 3
    assert row.terms["empirical"] == pytest.approx(1.4 / 3)


def test_an_error_among_the_answered_is_not_measured_with_the_weights_of_all_rows():
    y, logits = np.tile([0, 1], 20), np.tile([[9.0, 0.0], [0.0, 9.0]], (20, 1))
    doubtful = np.vstack([logits[:38], [[0.1, 0.0]] * 2])
    e = nb.Evidence.from_predictions(
        logits={"holdout": logits, "test": doubtful},
        labels={"holdout": y, "test": y},
        sampling="stratified",
        claims="answered:0.9",
    )
    (row,) = (r for r in nb.evaluate(e, ["binomial"]) if "among" in r.qualifier)
    assert row.claim.weights.tolist() == [0.5, 0.5]
    assert np.isnan(row.test.error)
    assert (row.test.low, row.test.high) == (0.0, 1.0)


def test_costs_of_predictions_are_bounded_and_measured():
    rng = np.random.default_rng(2)
    y, answers = rng.integers(0, 3, 400), rng.integers(0, 3, 400)
    e = nb.Evidence.from_predictions(
        predicted={"holdout": answers[:200], "test": answers[200:]},
        labels={"holdout": y[:200], "test": y[200:]},
        sampling="iid",
    )
    cost = Cost(1 - np.eye(3) + np.diag([0, 0, 0.5]))
    row = nb.evaluate(e, claims=[cost])["mean_loss"].rows[0]
    x = np.where(answers != y, 1.0, np.where(y == 2, 0.5, 0.0))
    assert row.terms["empirical"] == pytest.approx(x[:200].mean())
    assert row.test.error == pytest.approx(x[200:].mean())


@pytest.mark.parametrize(
    ("losses", "declared", "error", "message"),
    [
        ([0.1, 1.2], {}, InvalidSample, "such as 1.2: divide by the largest"),
        ([0.1, 0.2], {"repeats": "copies"}, InvalidSample, "pass input_hashes="),
        ([0.1, np.nan], {}, InvalidSample, "no numbers in"),
        (np.zeros((3, 2)), {}, InvalidSample, "one number a row"),
        ([0.1], {"role": None}, InvalidSample, "role= says"),
        ([0.1], {"role": "held"}, RoleError, "unknown role"),
        ([0.1], {"labels": [0, 1]}, InvalidSample, "labels of shape"),
        (["a"], {}, InvalidSample, "need real numbers"),
        ({"holdout": [True], "test": [0.1]}, {"role": None}, InvalidSample, "truth values"),
    ],
)
def test_what_are_no_losses_is_said(losses, declared, error, message):
    with pytest.raises(error, match=message):
        evidence(losses, **declared)


def test_fit_rows_candidates_and_undeclared_draws():
    x = np.random.default_rng(3).random(50)
    assert mean_loss(evidence(x, role="fit"), role="fit", loss="loss").kind == "plug-in"
    assert value(evidence(x, sampling="unknown")).kind == "plug-in"
    best = value(evidence(x, selected_among=5))
    assert best.value == value(evidence(x), delta=0.01).value
    assert value(evidence(x), "kl").value == value(evidence(x[::-1]), "kl").value


def test_top_5_of_a_thousand_classes_by_an_exact_count():
    rng = np.random.default_rng(4)
    y = rng.integers(0, 1000, 600)
    logits = rng.normal(size=(600, 1000)).astype(np.float32)
    logits[np.arange(600), y] += 3.0
    e = nb.Evidence.from_predictions(
        logits=logits, labels=y, role="holdout", sampling="iid", claims="top-5,balanced,worst"
    )
    rows = {tuple(r.params.values()): r for r in nb.evaluate(e, ["binomial"])}
    own = logits[np.arange(600), y]
    k = int(((logits >= own[:, None]).sum(1) > 5).sum())
    assert rows["top-5 error",].value == nb.formulas.binomial(k, 600, 0.05)
    assert rows["top-5 error",].value < rows[()].value < rows["balanced",].value < 1


def test_a_mean_over_part_of_the_rows_has_no_limit_by_design():
    y = np.tile([0, 1], 20)
    logits = np.column_stack([np.zeros(40), np.linspace(-3, 3, 40)])
    name = Answered(0.9).name
    rows = {
        s: mean_loss(
            nb.Evidence.from_predictions(
                logits=logits, labels=y, role="holdout", sampling=s, claims="answered:0.9"
            ),
            loss=name,
        )
        for s in ("iid", "stratified")
    }
    assert 0 < rows["iid"].value <= 1
    assert np.isnan(rows["stratified"].value)


def test_counted_losses_of_strata_have_the_edge_rule():
    """At n - 1 of n: 1 - delta/n, above the exact limit of draws of one law."""
    wrong = np.arange(20) > 0
    drawn, by_class = (
        get("binomial")(evidence(wrong, sampling=s), loss="loss") for s in ("iid", "stratified")
    )
    assert by_class.value == pytest.approx(1 - 0.05 / 20, rel=1e-12)
    assert drawn.value == nb.formulas.binomial(19, 20, 0.05) < by_class.value


def test_a_classifier_that_was_fitted_on_the_rows_has_no_certificate():
    found = mean_loss(evidence([0.1, 0.4], role="head"), role="head", loss="loss")
    assert found.kind == "plug-in"


def test_textbook_forms_are_rounded_up():
    rng, delta = np.random.default_rng(6), 0.05
    for n in (7, 33, 401, 1999):
        x = rng.beta(2, 1, n)
        with mp.workdps(40):
            exact = [mp.mpf(v) for v in x]
            mean = mp.fsum(exact) / n
            variance = mp.fsum((v - mean) ** 2 for v in exact) / (n - 1)
            log = mp.log(2 / mp.mpf(delta))
            top = mean + mp.sqrt(2 * variance * log / n) + 7 * log / (3 * (n - 1))
            assert bernstein_upper(x, delta) >= top
            p = mp.mpf(mean_loss_value(x, "kl", delta))
            kl = mean * mp.log(mean / p) + (1 - mean) * mp.log((1 - mean) / (1 - p))
            assert kl >= -mp.log(mp.mpf(delta)) / n


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_each_end_of_the_measured_interval_has_half_of_what_is_left(level):
    x = np.random.default_rng(7).beta(1, 3, 50)
    low, high = mean_interval(x, level)
    half = (1 - level) / 2
    assert high == pytest.approx(mean_loss_value(x, "betting", half), rel=1e-9)
    assert low == pytest.approx(1 - mean_loss_value(1 - x, "betting", half), rel=1e-9)
