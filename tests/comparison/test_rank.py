"""Ranking: which orders are known, and how quantities order what is known."""

import numpy as np
import pytest
from fixtures.shares import Kept, unlucky, within

import ncbounds as nb
from ncbounds.comparison import order as order_module
from ncbounds.comparison.order import REDRAWS, SEED, Judged, counted, interval, known_order
from ncbounds.errors import InvalidSample, MissingEvidence
from ncbounds.evidence.error_bits import ErrorBits
from ncbounds.numerics import binomial_lower, binomial_upper
from ncbounds.results import BoundResult, Measured, MeasureResult

N = 1000


def wrong(k, n=N):
    return np.arange(n) < k


def test_counts_of_intervals_by_hand():
    low, high = np.array([[0.28, 0.18, 0.22, 0.43, 0.48], [0.32, 0.22, 0.28, 0.47, 0.52]])
    order = (low[:, None] > high).astype(np.int8) - (high[:, None] < low).astype(np.int8)
    found = counted([0.3, 0.2, 0.2, 0.5, 0.4], order)
    assert list(found) == [8, 7, 1, 0]
    assert found.sign_error == 1 / 8


def test_pairs_on_the_same_rows_are_resolved_by_the_exact_paired_test():
    # 7 rows apart: 2^-7 = .0078 is below .05 / 2 and above .05 / 12
    a, b = (Judged(k, N, "h", wrong(k)) for k in (100, 107))
    assert known_order([a, b], 0.05).tolist() == [[0, -1], [1, 0]]
    others = [Judged(k, N, "h", wrong(k)) for k in (100, 107, 500, 501)]
    assert known_order(others, 0.05)[0, 1] == 0
    assert known_order(others, 0.05)[2, 0] == 1


def test_pairs_on_other_rows_need_disjoint_limits():
    near = [Judged(k, N, h, wrong(k)) for k, h in ((100, "h"), (107, "g"))]
    far = [Judged(k, N, h, wrong(k)) for k, h in ((100, "h"), (200, "g"))]
    assert known_order(near, 0.05).tolist() == [[0, 0], [0, 0]]
    assert known_order(far, 0.05).tolist() == [[0, -1], [1, 0]]
    assert known_order([Judged(100, N), Judged(200, N)], 0.05)[1, 0] == 1


def test_limits_on_other_rows_hold_for_all_at_once():
    """Disjoint at delta / 2 each, and not at delta / 2T."""
    few, many = 20, 40
    assert binomial_upper(few, 200, 0.05) < binomial_lower(many, 200, 0.05)
    assert binomial_upper(few, 200, 0.05 / 4) > binomial_lower(many, 200, 0.05 / 4)
    assert not known_order([Judged(few, 200), Judged(many, 200)], 0.05).any()


def test_two_ways_of_resolving_share_delta():
    # with a third on other rows, the pair has half of delta: 2^-7 is above .025 / 6
    mixed = [Judged(k, N, h, wrong(k)) for k, h in ((100, "h"), (107, "h"), (900, "g"))]
    order = known_order(mixed, 0.05)
    assert order[0, 1] == 0
    assert (order[2, :2] == 1).all()


def test_wrong_orders_and_ties_and_pairs_left_out():
    order = np.array([[0, -1, -1], [1, 0, -1], [1, 1, 0]], dtype=np.int8)
    assert list(counted([1, 2, 3], order)) == [3, 3, 0, 0]
    assert list(counted([3, 2, 1], order)) == [3, 0, 3, 0]
    assert list(counted([1, 1, np.inf], order)) == [3, 2, 0, 1]
    assert list(counted([np.inf] * 3, order)) == [3, 0, 0, 3]
    only = np.zeros((3, 3), dtype=bool)
    only[0, 2] = only[2, 0] = True
    assert list(counted([3, 2, 1], order, only)) == [1, 0, 1, 0]
    with pytest.raises(InvalidSample):
        counted([1, np.nan, 2], order)


def test_interval_redraws_whole_families():
    rng = np.random.default_rng(0)
    order = np.sign(np.subtract.outer(np.arange(12), np.arange(12))).astype(np.int8)
    x = np.arange(12) + rng.normal(0, 4, 12)
    point = counted(x, order).sign_error
    low, high = interval(x, order, np.arange(12))
    assert low < point < high
    assert interval(np.arange(12), order, np.arange(12)) == (0.0, 0.0)
    assert np.isnan(interval(x, order, np.zeros(12, dtype=np.int64))).all()


def test_interval_by_writing_out_every_redraw():
    rng = np.random.default_rng(3)
    families = np.array([0, 0, 1, 2, 2, 3])
    order = np.sign(np.subtract.outer(np.arange(6), np.arange(6))).astype(np.int8)
    x = rng.normal(size=6)
    shares = []
    for times in np.random.default_rng(SEED).multinomial(4, np.full(4, 0.25), REDRAWS):
        copies = np.repeat(np.arange(6), times[families])
        pairs = [(a, b) for a in copies for b in copies if a > b]  # never a copy with itself
        wrong = [x[a] < x[b] for a, b in pairs]
        shares.append(np.mean(wrong) if wrong else np.nan)
    expected = np.nanpercentile(shares, (2.5, 97.5))
    assert interval(x, order, families) == pytest.approx(tuple(expected))


def zoo(values, errors, noise=None, test_only=False, of=""):
    """A report of a bound with these values, and its checkpoints' errors on the same test rows."""
    rows, facts = [], {}
    for i, (x, k) in enumerate(zip(values, errors, strict=True)):
        name = f"c{of}{i}"
        law = 0.0 if noise is None else noise[i]
        test = Measured(k / N, 0.0, 1.0)
        common = {"family": "f", "role": "holdout", "n": 9, "delta": 0.05, "checkpoint": name}
        common["qualifier"] = of
        rows += [
            BoundResult(
                bound="binomial", kind="certificate", target="saved", value=x, test=test, **common
            ),
            BoundResult(
                bound="split_head", kind="plug-in", target="refitted-head", value=x, test=test,
                **common
            ),
            MeasureResult(
                bound="margin_efficiency", kind="measure", target="saved", measure=-x, **common
            ),
            BoundResult(
                bound="binomial", kind="certificate", target="saved", value=x, test=test,
                params={"per": "worst class"}, **{**common, "qualifier": "worst class"}
            ),
        ]  # fmt: skip
        bits = ErrorBits("test", f"h{law}", wrong(k), "iid", 1, "measure", error=of).to_dict()
        facts[name] = {
            "errors": {} if test_only else {"test": bits},
            "n": {"test": N, "fit": 100 * (i + 1)},
            "provenance": {"label_noise": law, "task": f"t{law}", "roles": {"fit": "0:9"}},
            "group": {"block": f"b{i % 3}", "width": i, "depth": 1},
            "collapse": {"fit": [{"metric": "NC1", "variant": "plug-in", "value": x}]},
        }
    return nb.Report(rows, facts=facts)


ERRORS = (100, 200, 300, 400, 500, 600)


def test_a_quantity_that_orders_all_and_one_that_orders_none():
    right = zoo([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], ERRORS).rank()
    turned = zoo([0.6, 0.5, 0.4, 0.3, 0.2, 0.1], ERRORS).rank()
    for found, share in ((right, 0.0), (turned, 1.0)):
        named = {(r.name, r.params): r for r in found.rows}
        for key in (("binomial", ""), ("NC1", ""), ("margin_efficiency", ""), ("split_head", "")):
            assert (named[key].resolved, named[key].sign_error) == (15, share)
        assert named["binomial", ""].within == share
        assert named["binomial", ""].factor == "width"
        assert named["binomial", ""].factor_error == share
        assert named["labels used", ""].sign_error == 1.0
        assert named["label noise of the task", ""].sign_error == 0.5
        assert np.isnan(named["binomial", '{"per": "worst class"}'].sign_error)
    best = {r.name: r for r in right.rows if not r.params}["binomial"]
    worst = {r.name: r for r in turned.rows if not r.params}["binomial"]
    assert (best.regret, worst.regret) == (0.0, 0.5)
    assert best.random_regret == pytest.approx(0.25)
    assert best.tau_b == pytest.approx(1.0)


def test_strata_are_pairs_of_one_label_law():
    noise = [0.0, 0.0, 0.0, 0.5, 0.5, 0.5]
    # right between laws, wrong inside them
    found = zoo([0.3, 0.2, 0.1, 0.6, 0.5, 0.4], ERRORS, noise).rank()
    row = found.rows[0]
    assert row.sign_error == 6 / 15
    assert row.within_resolved == 6
    assert np.isnan(row.within)  # fewer than ten
    noise_row = next(r for r in found.rows if r.name == "label noise of the task")
    assert noise_row.sign_error == (6 / 2) / 15


def test_few_resolved_pairs_are_a_dash():
    found = zoo([0.1, 0.2, 0.3], ERRORS[:3]).rank()
    row = found.rows[0]
    assert (row.resolved, row.reason) == (3, "3 resolved pairs, fewer than 10")
    assert np.isnan(row.sign_error)
    assert str(found).startswith("nothing is ranked: the test rows show the order of 3 pairs")


def test_without_stored_errors_counts_of_the_rows_are_used():
    row = zoo([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], ERRORS, test_only=True).rank().rows[0]
    assert (row.resolved, row.sign_error) == (15, 0.0)


def test_nothing_to_rank():
    with pytest.raises(MissingEvidence, match="two checkpoints or more"):
        zoo([0.1], [100]).rank()


def test_the_frame_has_a_row_for_each_quantity():
    frame = zoo([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], ERRORS).rank().to_frame()
    assert set(frame.name) >= {"binomial", "NC1", "labels used", "label noise of the task"}
    assert frame.loc[frame.name == "NC1", "sign_error"].tolist() == [0.0]


def test_orders_taken_for_known_are_rarely_wrong():
    rng = np.random.default_rng(5)
    false = 0
    for _ in range(60):
        judged = [Judged(int(w.sum()), 60, "h", w) for w in rng.random((4, 60)) < 0.3]
        false += bool(known_order(judged, 0.5).any())
    assert false <= 42


def test_shares_of_the_order_add_up_to_no_more_than_delta(monkeypatch):
    low, high, delta = Kept(binomial_lower, 2), Kept(binomial_upper, 2), unlucky(6)
    monkeypatch.setattr(order_module, "binomial_lower", low)
    monkeypatch.setattr(order_module, "binomial_upper", high)
    known_order([Judged(k, N) for k in (100, 200, 300)], delta)
    assert [within(d, 6, delta) for d in low.found + high.found] == [True, True]
    # p-values that are above a sixth of delta, by less than an ulp
    monkeypatch.setattr(order_module, "sign_test_p", lambda b, c: np.where(b > c, delta / 6, 1.0))
    assert not known_order([Judged(k, N, "h", wrong(k)) for k in (100, 200, 300)], delta).any()


@pytest.mark.parametrize("test_only", [False, True])
def test_errors_of_different_kinds_are_never_ordered_against_each_other(test_only):
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    of_sets = zoo(values, ERRORS, test_only=test_only, of="subset error")
    of_tops = zoo(values[::-1], ERRORS, test_only=test_only, of="one-error")
    both = nb.Report([*of_sets.rows, *of_tops.rows], facts={**of_sets.facts, **of_tops.facts})
    found = {(r.name, r.error): r for r in both.rank().rows if not r.params}
    for name in ("binomial", "split_head", *(() if test_only else ("NC1", "labels used"))):
        for error, share in (("subset error", 0.0), ("one-error", 1.0)):
            share = 1.0 if name == "labels used" else share
            assert (found[name, error].resolved, found[name, error].sign_error) == (15, share)
    assert "binomial (one-error)" in str(both.rank())
