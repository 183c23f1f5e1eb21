"""Choosing among taps: what reads which rows, the certificate, regret, baselines, coverage."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fixtures.shares import Kept, unlucky, within
from fixtures.taps import rows, world
from scipy import stats

from ncbounds.bounds.collapse.ncm_leave_one_out import ncm_leave_one_out_formula
from ncbounds.choosing import baselines, fitting
from ncbounds.choosing import choose as module
from ncbounds.choosing.candidates import Tap
from ncbounds.choosing.choose import SEED, choose_among, labelled_rows
from ncbounds.choosing.estimates import HEADS
from ncbounds.errors import InvalidArgument, InvalidSample, UnknownName
from ncbounds.evidence.split import two_parts
from ncbounds.geometry.measured import Metric
from ncbounds.numerics import (
    binomial_upper,
    down,
    held_out_worth,
    paired_lower,
    paired_lower_stratified,
    regret_upper,
    stratified_upper,
)
from ncbounds.procedures.linear import ncm


def parts(sample, share=0.5):
    return two_parts(sample, lambda n: int(share * n), seed=SEED)


def test_the_value_is_that_of_the_formula():
    taps, y = world()
    samples = rows(y)
    found = choose_among(taps, samples, heads=["ncm"], delta=0.1)
    fit, rest = parts(samples["holdout"])
    heads = [ncm(t.features[fit], y[fit], 3) for t in taps]
    wrong = np.array(
        [h.logits(t.features[rest]).argmax(1) != y[rest] for h, t in zip(heads, taps, strict=True)]
    )
    order = np.argsort([c.leave_one_out for c in found.candidates], kind="stable")
    assert [f.errors for f in found.finalists] == wrong.sum(1)[order].tolist()
    best = int(np.argmin(wrong.sum(1)[order]))
    k = int(wrong.sum(1)[order][best])
    assert found.chosen == best
    assert found.value == binomial_upper(k, 60, float(down(0.1 / 4)))
    assert found.result.kind == "certificate"
    assert found.regret == regret_upper(wrong[order], best, 0.1)
    assert found.worth == held_out_worth(found.value, k / 60, 0.1)
    np.testing.assert_array_equal(found.head.weight, heads[order[best]].weight)
    raw = next(b for b in found.baselines if b.what == "raw inputs")
    assert raw.errors == wrong[0].sum()
    assert raw.limit == binomial_upper(raw.errors, 60, 0.1)
    chosen = wrong[order[best]]
    pair = [int((wrong[0] & ~chosen).sum()), int((chosen & ~wrong[0]).sum())]
    assert raw.gain == paired_lower(*pair, 60, float(down(0.1 / 4)))


def test_a_shortlist_of_five_divides_delta_by_five():
    taps, y = world()
    found = choose_among(taps, rows(y))
    assert len(found.candidates) == 12
    assert len(found.finalists) == 5
    k = found.finalists[found.chosen].errors
    assert k == min(f.errors for f in found.finalists)
    assert found.value == binomial_upper(k, 60, float(down(0.01)))
    errors = [f.candidate.leave_one_out for f in found.finalists]
    assert errors == sorted(c.leave_one_out for c in found.candidates)[:5]


def test_the_limit_of_the_last_layer_pays_for_a_choice_of_networks():
    taps, y = world(levels=(0.4, 1.6, 0.2))
    found = {b.what: b for b in choose_among(taps, rows(y)).baselines}
    for what, share in (("raw inputs", 0.05), ("its last layer", float(down(0.05 / 5)))):
        assert found[what].limit == binomial_upper(found[what].errors, 60, share)


def test_ties_go_to_what_was_declared_first():
    taps, y = world()
    same = [replace(taps[3], layer=f"l{i}", last=False) for i in range(7)]
    found = choose_among(same, rows(y), heads=["ncm"])
    assert [f.candidate.place.layer for f in found.finalists] == [f"l{i}" for i in range(5)]
    assert found.chosen == 0


@pytest.mark.parametrize("what", ["features", "labels"])
def test_rows_to_choose_on_change_no_head_and_no_shortlist(what):
    """All that is fitted, tuned, scaled or estimated reads the first part alone."""
    taps, y = world()
    samples = rows(y)
    _, rest = parts(samples["holdout"])
    before = choose_among(taps, samples)
    if what == "labels":
        y = y.copy()
        y[rest] = (y[rest] + 1) % 3
    else:
        for tap in taps:
            tap.features[rest] = 100 * tap.features[rest] + 7
    after = choose_among(taps, rows(y))
    for a, b in zip(before.candidates, after.candidates, strict=True):
        assert (str(a), a.leave_one_out) == (str(b), b.leave_one_out)
        assert (a.place.nc1, a.place.logme) == (b.place.nc1, b.place.logme)
    named = [[str(f.candidate) for f in c.finalists] for c in (before, after)]
    assert named[0] == named[1]


def test_each_head_is_that_of_the_first_part_alone(monkeypatch):
    taps, y = world()
    seen = []
    real = HEADS["ncm"]

    def spied(sample):
        seen.append(sample.n)
        return real(sample)

    monkeypatch.setitem(HEADS, "ncm", spied)
    found = choose_among(taps, rows(y), heads=["ncm"], share=0.3)
    assert {*seen} == {36}
    assert (found.fitted_on, found.result.n) == (36, 84)


def test_class_counts_that_were_fixed_are_split_and_bounded_as_such():
    taps, _ = world()
    y = np.repeat(np.arange(3), 40)
    for tap in taps[1:]:
        tap.features[:] += 2 * np.eye(3)[y] @ np.eye(3, 6)
    samples = rows(y, sampling="stratified")
    found = choose_among(taps, samples)
    fit, _ = parts(samples["holdout"])
    np.testing.assert_array_equal(np.bincount(y[fit]), [20, 20, 20])
    k = found.finalists[found.chosen].errors
    assert found.value == stratified_upper(k, 60, float(down(0.01)))
    assert "weighted by the class frequencies" in str(found)
    assert found.result.kind == "certificate"


def test_nothing_is_certified_of_rows_that_do_not_allow_it():
    taps, y = world()
    undeclared = choose_among(taps, rows(y, sampling="unknown"))
    assert undeclared.result.kind == "plug-in"
    trained = {"fit": labelled_rows(y, "fit", sampling="iid")}
    assert choose_among(taps, trained).result.kind == "plug-in"
    again = choose_among(taps, rows(y, input_hashes=np.arange(120, dtype=np.uint64) // 2))
    assert again.result.kind == "plug-in"
    compared = choose_among(taps, rows(y, selected_among=4))
    k = compared.finalists[compared.chosen].errors
    assert compared.value == binomial_upper(k, 60, float(down(0.0125 / 5)))


def test_declared_copies_count_once():
    taps, y = world()
    twice = [replace(t, features=np.repeat(t.features, 2, axis=0)) for t in taps]
    hashes = np.repeat(np.arange(120, dtype=np.uint64), 2)
    once = choose_among(taps, rows(y))
    found = choose_among(twice, rows(np.repeat(y, 2), input_hashes=hashes, repeats="copies"))
    assert found.value == once.value
    assert found.result.n == 60


def test_values_that_are_not_finite_are_errors_everywhere():
    taps, y = world()
    taps[3].features[::2] = np.nan
    taps[2].features[:] = np.inf
    found = choose_among(taps, rows(y), heads=["ncm", "ridge"])
    by_name = {str(c): c.leave_one_out for c in found.candidates}
    assert np.isnan(by_name["ncm on l1 of a"])
    assert by_name["ncm on l2 of a"] >= 0.4
    alone = choose_among([taps[2]], rows(y), heads=["ncm"])
    assert alone.head is None
    assert np.isnan(alone.value)
    assert "undefined" in str(alone)


def test_what_cannot_work_is_said():
    taps, y = world()
    for given, error in (
        ({"heads": ["svm"]}, UnknownName),
        ({"heads": ["ncm", "ncm"]}, InvalidArgument),
        ({"delta": 0.6}, InvalidArgument),
        ({"share": 1.0}, InvalidArgument),
        ({"share": 0.001}, InvalidSample),
    ):
        with pytest.raises(error):
            choose_among(taps, rows(y), **given)
    with pytest.raises(InvalidSample, match="100 rows, the labels are of 120"):
        choose_among([replace(taps[0], features=taps[0].features[:100])], rows(y))
    with pytest.raises(InvalidSample, match="no taps"):
        choose_among([], rows(y))
    with pytest.raises(InvalidSample, match="found test"):
        choose_among(taps, {"test": labelled_rows(y, "test")})


def test_raw_inputs_as_the_choice_are_nothing_to_transfer():
    taps, y = world()
    raw = replace(taps[0], features=np.hstack([taps[0].features, 3 * np.eye(3)[y]]))
    found = choose_among([raw, *taps[1:]], rows(y))
    assert found.place.origin == "raw"
    assert "nothing to transfer" in str(found)


def test_words_say_what_was_measured(tmp_path):
    taps, y = world(levels=(0.4, 1.6, 0.2))
    found = choose_among(taps, rows(y))
    text = str(found)
    best, last = (min(p.leave_one_out.values()) for p in found.layers if p.layer in ("l1", "l2"))
    assert f"tap l1, of least leave-one-out error {f'{best:.3f}'.lstrip('0')}" in text
    assert f"the last layer has {f'{last:.3f}'.lstrip('0')}" in text
    assert "not among all" in text
    assert "fixed by design" not in text
    assert text.count("delta 0.05 each") == 2  # a limit, and whether the choice is better
    frame, curve = found.to_frame(), found.curve()
    assert len(frame) == 12
    assert frame["chosen"].sum() == 1
    assert list(curve["layer"]) == ["input", "l0", "l1", "l2"]
    assert "value" not in frame
    found.write(tmp_path)
    stored = json.loads((tmp_path / "choice.json").read_text())
    assert stored["result"]["value"] == found.value
    raw = np.load(tmp_path / "head.npz")
    np.testing.assert_array_equal(raw["weight"], found.head.weight)


def misses(shortlist_reads_all, draws, seed, delta, n=60, count=40):
    """How often the error of the choice, 1/2 on noise labels, is above the value."""
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(draws):
        y = rng.integers(0, 2, n)
        taps = [Tap("a", str(i), rng.standard_normal((n, 2)), 2) for i in range(count)]
        if shortlist_reads_all:
            scores = [ncm_leave_one_out_formula(t.features, y) for t in taps]
            taps = [taps[i] for i in np.argsort(scores, kind="stable")[:5]]
        choice = choose_among(taps, rows(y), heads=["ncm"], delta=delta)
        found += choice.value < 0.5
    return found


@pytest.fixture
def bare(monkeypatch):
    """Without the measures and the regret, which a certificate does not read."""
    for name in ("nc1", "vci", "logme"):
        monkeypatch.setattr(fitting, name, lambda *_: Metric(np.nan))
    monkeypatch.setattr(module, "regret_upper", lambda *_, **__: np.nan)


def test_the_curve_is_drawn_of_the_chosen_network_or_of_a_named_one():
    plt = pytest.importorskip("matplotlib.pyplot")
    taps, y = world(levels=(0.4, 1.6, 0.2))
    found = choose_among(taps, rows(y), heads=["ncm"])
    above, below = found.plot()
    assert above.get_title(loc="left") == "a"
    heights = [p.leave_one_out["ncm"] for p in found.layers]
    np.testing.assert_array_equal(above.get_lines()[0].get_ydata(), heights[1:])
    np.testing.assert_array_equal(above.get_lines()[1].get_ydata(), heights[0])
    assert above.get_lines()[2].get_xdata()[0] == 1
    np.testing.assert_array_equal(
        below.get_lines()[0].get_ydata(), [p.nc1 for p in found.layers[1:]]
    )
    plt.close("all")
    with pytest.raises(UnknownName, match="no network 'b'"):
        found.plot("b")


@pytest.mark.usefixtures("bare")
def test_coverage_of_the_best_of_equal_candidates():
    """Labels are noise, so that every candidate errs half of the time and the choice is luck."""
    draws, delta = 25, 0.05
    honest, leaky = (misses(leak, draws, 1, delta, count=30) for leak in (False, True))
    assert stats.binom.sf(honest - 1, draws, delta) > 1e-3
    assert stats.binom.sf(leaky - 1, draws, delta) < 0.05


@pytest.mark.slow
@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("delta", [0.05, 0.25, 0.5])
def test_coverage_study(delta):
    draws = 2000
    honest = misses(False, draws, 2, delta, count=100)
    assert stats.binom.sf(honest - 1, draws, delta) > 1e-4
    if delta == 0.05:
        leaky = misses(True, draws // 4, 3, delta, count=100)
        assert stats.binom.sf(leaky - 1, draws // 4, delta) < 1e-6


@pytest.mark.usefixtures("bare")
def test_shares_of_the_shortlist_add_up_to_no_more_than_delta(monkeypatch):
    taps, y = world()
    value, gain = Kept(module.binomial_formula, 2), Kept(paired_lower, 3)
    monkeypatch.setattr(module, "binomial_formula", value)
    monkeypatch.setattr(baselines, "paired_lower", gain)
    delta = unlucky(5)
    choose_among(taps, rows(y), delta=delta)
    assert value.found
    assert gain.found
    assert all(within(d, 5, delta) for d in value.found + gain.found)


@pytest.mark.parametrize("sampling", ["iid", "stratified"])
def test_regret_and_gain_pay_for_candidates_in_the_form_of_the_draw(sampling):
    taps, _ = world()
    y = np.repeat(np.arange(3), 40)
    for tap in taps[1:]:
        tap.features[:] += 2 * np.eye(3)[y] @ np.eye(3, 6)
    samples = rows(y, sampling=sampling, selected_among=4)
    found = choose_among(taps, samples, heads=["ncm"])
    fit, rest = parts(samples["holdout"])
    heads = [ncm(t.features[fit], y[fit], 3) for t in taps]
    wrong = np.array(
        [h.logits(t.features[rest]).argmax(1) != y[rest] for h, t in zip(heads, taps, strict=True)]
    )
    order = np.argsort([c.leave_one_out for c in found.candidates], kind="stable")
    exact = sampling == "iid"
    form, lower = ("exact", paired_lower) if exact else ("stratified", paired_lower_stratified)
    assert found.regret == regret_upper(wrong[order], found.chosen, 0.0125, form=form)
    raw = next(b for b in found.baselines if b.what == "raw inputs")
    chosen = wrong[order[found.chosen]]
    pair = [int((wrong[0] & ~chosen).sum()), int((chosen & ~wrong[0]).sum())]
    assert raw.gain == lower(*pair, 60, float(down(0.0125 / 4)))
    assert raw.limit == binomial_upper(raw.errors, 60, 0.0125)


def test_the_limit_of_a_baseline_on_strata_has_the_edge_rule():
    wrong = np.arange(20) > 0
    limits = [
        baselines.Paired(wrong, 1, 0.05, stratified).baseline("raw", None, wrong, False).limit
        for stratified in (False, True)
    ]
    assert limits == [binomial_upper(19, 20, 0.05), stratified_upper(19, 20, 0.05)]
    assert limits[0] < limits[1]
