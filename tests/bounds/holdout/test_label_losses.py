"""Rows about several labels a point: what they claim, what they are worth, whether they hold."""

from itertools import product

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.bounds import catalogue
from ncbounds.bounds.bound import ONE_CLASS
from ncbounds.bounds.holdout.mean_loss import mean_loss_formula
from ncbounds.errors import MissingEvidence
from ncbounds.evidence.asked import NOTHING
from ncbounds.evidence.label_claims import asked_under
from ncbounds.numerics import binomial_interval, binomial_upper, kl_upper, mean_interval
from ncbounds.numerics.rounding import part_of
from ncbounds.report import Report

ALL = "hamming,one-error,ranking,precision@2,subset,misses:cat,false-alarms:owl"
NAMES = ("cat", "dog", "owl", "bee")
USES_LABELS = {"binomial", "hoeffding", "kl_holdout", "mean_loss"}


def world(n, seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(4, 5))
    features = rng.normal(size=(n, 5))
    return weight, features, features @ weight.T + rng.normal(size=(n, 4)) > 0.5


def evidence(decision=None, role="holdout", n=400, bias=None, **declared):
    weight, features, held = world(n)
    cut = n // 2

    def sample(part, role, **more):
        more = {"sampling": "iid", **more}
        return nb.Sample.from_arrays(features[part], held[part], role=role, **more)

    field = {"head": "head_sample"}.get(role, role)
    samples = {field: sample(slice(cut), role, **declared), "test": sample(slice(cut, n), "test")}
    decision = decision or nb.MultiLabel(NAMES, threshold=0.25)
    return nb.Evidence(head=nb.LinearHead(weight, bias), decision=decision, **samples)


def by_claim(report):
    return {(r.bound, r.qualifier): r for r in report if r.params.get("form") is None}


def test_each_claim_is_the_limit_of_what_a_slow_count_finds():
    e = evidence()
    weight, features, held = world(400)
    logits = features @ weight.T
    rows = by_claim(nb.evaluate(e, claims=ALL))
    own, test = slice(0, 200), slice(200, 400)
    given = logits > 0.25

    def right_pairs(s, y):
        pairs = [(s[a], s[b]) for a in np.flatnonzero(y) for b in np.flatnonzero(~y)]
        return np.mean([a <= b for a, b in pairs]) if pairs else 0.0

    counted = {
        "subset error": (given != held).any(axis=1),
        "one-error": ~held[np.arange(400), logits.argmax(axis=1)],
        "misses of cat": np.where(held[:, 0], ~given[:, 0], np.nan),
        "false alarms of owl": np.where(~held[:, 2], given[:, 2], np.nan),
    }
    for name, x in counted.items():
        row, z, t = rows["binomial", name], x[own], x[test]
        z, t = (v[~np.isnan(v.astype(float))] for v in (z, t))
        assert row.value == binomial_upper(int(z.sum()), len(z), 0.05)
        assert (row.n, row.kind, row.details["errors"]) == (len(z), "certificate", z.sum())
        assert (row.test.low, row.test.high) == binomial_interval(int(t.sum()), len(t), 0.95)
    top = np.argsort(-logits, axis=1)[:, :2]
    means = {
        "hamming": (given != held).mean(axis=1),
        "ranking loss": np.array([right_pairs(s, y) for s, y in zip(logits, held, strict=True)]),
        "1 - precision@2": 1 - np.take_along_axis(held, top, axis=1).mean(axis=1),
    }
    for name, x in means.items():
        row = rows["mean_loss", name]
        assert row.value == pytest.approx(mean_loss_formula(x[own], 0.05), rel=1e-12)
        assert row.test.error == pytest.approx(x[test].mean(), rel=1e-12)
        assert (row.test.low, row.test.high) == pytest.approx(mean_interval(x[test]), rel=1e-9)


def test_the_scale_of_head_and_features_changes_no_row():
    values = [r.value for r in nb.evaluate(evidence(), claims=ALL)]
    weight, features, held = world(400)
    for up, along in ((600, 0), (600, -600), (-300, 700)):  # of the weights, of the features
        total = up + along
        sample = nb.Sample.from_arrays(
            np.ldexp(features, along)[:200], held[:200], role="holdout", sampling="iid"
        )
        e = nb.Evidence(
            head=nb.LinearHead(np.ldexp(weight, up)),
            decision=nb.MultiLabel(NAMES, threshold=np.ldexp(0.25, total)),
            holdout=sample,
        )
        assert [r.value for r in nb.evaluate(e, claims=ALL)] == values


def test_what_stands_unasked_is_named():
    report = nb.evaluate(evidence())
    assert {(r.bound, r.qualifier) for r in report} == {
        *((b, "subset error") for b in ("binomial", "hoeffding", "kl_holdout")),
        ("binomial", "one-error"),
        ("mean_loss", "hamming"),
    }
    ranked = nb.evaluate(evidence(nb.MultiLabel(NAMES, ranked=True)))
    assert {(r.bound, r.qualifier) for r in ranked} == {
        *((b, "one-error") for b in ("binomial", "hoeffding", "kl_holdout")),
        ("mean_loss", "ranking loss"),
    }
    screen = report.to_screen()
    assert "test subset error [95 %]" in screen
    assert "an error is the subset error, that any label of a point is wrong" in screen
    assert "saved: subset error" in repr(report)
    assert set(report.to_frame()["claim"]) == {"subset error", "one-error", "hamming"}
    again = Report.from_dict(report.to_dict())
    assert [r.qualifier for r in again] == [r.qualifier for r in report]
    assert (
        report["binomial"].rows[0].test.error
        == evidence().decision.wrong(evidence().test, evidence().head).mean()
    )


def test_rows_about_one_class_a_point_say_so():
    e = evidence()
    found = {r.bound: r for r in nb.evaluate(e, "all")}
    for b in catalogue():
        if b.several_labels or b.role in ("fit", "unlabelled"):
            continue
        row = found[b.id]
        assert np.isnan(getattr(row, "value", np.nan))
        assert row.reasons == (ONE_CLASS,)
        with pytest.raises(MissingEvidence):
            b(e)
    assert {b.id for b in catalogue() if b.several_labels} >= USES_LABELS


def test_no_more_rows_spend_delta_than_are_planned_without_knowing_the_labels():
    for ranked, scored in product((False, True), repeat=2):
        usual = asked_under(NOTHING, nb.MultiLabel(ranked=ranked), 4, scored=scored)
        for b in catalogue():
            several = b.rows_for(usual, several_labels=True)
            assert len(several) <= len(b.rows_for(NOTHING)), b.id
    report = nb.evaluate(evidence(), simultaneous=True)
    assert report.planned == len(report.rows) == 7
    assert {r.delta for r in report} == {part_of(0.05, 7)}


@pytest.mark.parametrize(
    ("role", "declared", "kind", "says"),
    [
        ("head", {}, "plug-in", "needs role holdout"),
        ("holdout", {"sampling": "unknown"}, "plug-in", "not declared"),
        ("holdout", {"selected_among": 10}, "certificate", "divided by 10 candidates"),
        ("holdout", {"selected_among": None}, "plug-in", "unknown"),
    ],
)
def test_thresholds_that_were_tuned_on_the_sample_cost_what_was_tried(role, declared, kind, says):
    e = evidence(role=role, **declared)
    weight, features, held = world(400)
    lost = ((features @ weight.T > 0.25) != held)[:200].mean(axis=1)
    delta = 0.005 if declared.get("selected_among") == 10 else 0.05
    if role == "head":  # no certificate reads it, so that thresholds tuned on it are no holdout
        with pytest.raises(MissingEvidence):
            nb.evaluate(e)
        e = evidence(role="fit")
        rows, says = nb.evaluate(e).rows, "needs role holdout"
    else:
        rows = nb.evaluate(e).rows
    assert {r.kind for r in rows} == {kind}
    assert all(says in " ".join(r.reasons) for r in rows)
    [hamming] = (r for r in rows if r.params == {"loss": "hamming"})
    assert hamming.value == pytest.approx(mean_loss_formula(lost, delta), rel=1e-12)


def test_a_label_that_is_never_there_is_bounded_by_1():
    weight, features, held = world(60)
    held[:, 0] = False
    held[:, 2] = True
    sample = nb.Sample.from_arrays(features, held, role="holdout", sampling="iid")
    e = nb.Evidence(
        head=nb.LinearHead(weight), decision=nb.MultiLabel(NAMES), holdout=sample, test=None
    )
    rows = nb.evaluate(e, "binomial", claims="misses:cat,false-alarms:owl").rows[1:]
    assert [(r.value, r.n) for r in rows] == [(1.0, 0)] * 2
    assert all("counts no point" in r.reasons[-1] for r in rows)


ATOMS = np.array([0.0, 0.5, 1.0])  # of two labels none, one, or both are wrong


def exact_miss_rate(p, n, delta, limit):
    """Probability, over all samples of n atoms, that a limit is below the mean."""
    mean, missed = float(p @ ATOMS), 0.0
    for drawn in product(range(3), repeat=n):
        if limit(ATOMS[list(drawn)], delta) < mean:
            missed += float(np.prod(p[list(drawn)]))
    return missed


@pytest.mark.parametrize("p", [(0.9, 0.0, 0.1), (0.5, 0.0, 0.5), (0.6, 0.3, 0.1)])
def test_hamming_of_labels_that_occur_together_holds_exactly(p):
    # both right or both wrong but for the middle atom; every sample of four is enumerated
    def limit(x, delta):
        logits = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])[(2 * x).astype(int)]
        e = nb.Evidence.from_predictions(
            logits=logits,
            labels=np.ones_like(logits),
            role="holdout",
            sampling="iid",
            decision=nb.MultiLabel(),
            input_hashes=np.arange(len(x)),
        )
        row = nb.bounds.get("mean_loss")(e, delta, loss="hamming")
        assert row.kind == "certificate"
        return row.value

    missed = exact_miss_rate(np.array(p), 4, 0.4, limit)
    assert missed <= 0.4


def test_hamming_of_a_tagger_holds_as_often_as_it_says():
    rng = np.random.default_rng(0)
    n, delta, runs = 60, 0.25, 250
    p = np.array([0.72, 0.18, 0.1])
    draws = rng.choice(ATOMS, p=p, size=(runs, n))
    missed = np.mean([mean_loss_formula(x, delta) < p @ ATOMS for x in draws])
    assert missed <= delta + 3 * np.sqrt(delta * (1 - delta) / runs)


def test_limits_of_means_are_below_the_textbook_form():
    report = nb.evaluate(evidence(n=2000), "mean_loss")
    values = {r.params.get("form"): r.value for r in report}
    assert values[None] < values["kl"] < 1.0
    hamming = report.rows[0].terms["empirical"]
    assert values["kl"] == pytest.approx(kl_upper(hamming, np.log(20) / 1000), rel=1e-6)
