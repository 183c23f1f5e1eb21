"""Comparing classifiers: what is claimed, of which rows, and what is refused."""

import numpy as np
import pytest
from fixtures.shares import Kept, unlucky, within

import ncbounds as nb
from ncbounds.comparison import comparison as module
from ncbounds.comparison.candidates import Candidate, on_the_same_rows
from ncbounds.comparison.comparison import compared
from ncbounds.errors import InvalidSample, MissingEvidence, UnknownName
from ncbounds.evaluation.facts import error_bits
from ncbounds.evidence.error_bits import ErrorBits
from ncbounds.numerics import (
    best_set,
    certified_list,
    paired_lower,
    paired_lower_stratified,
    paired_lower_two_step,
    regret_upper,
)
from ncbounds.report import Failure
from ncbounds.report.merge import merged
from ncbounds.runs.compare import of_runs

N = 400


def bits(*counts, n=N):
    """Errors on the first so many rows each: nested, so that pairs are as clear as can be."""
    return [np.arange(n) < k for k in counts]


def candidates(*errors, **declared):
    declared = {"sampling": "iid", "kind": "certificate", **declared}
    return [Candidate(f"c{i}", e, **declared) for i, e in enumerate(errors)]


def predictions(name, wrong, ids=None, labels=None, **declared):
    y = np.arange(len(wrong)) % 3 if labels is None else labels
    declared = {"role": "holdout", "sampling": "iid", "classes": 3, **declared}
    answers = np.where(wrong, (y + 1) % 3, y)
    ids = np.arange(len(wrong)) if ids is None else ids
    return nb.Evidence.from_predictions(
        predicted=answers, labels=y, ids=ids, checkpoint=name, **declared
    )


def test_statements_are_those_of_the_numerics_at_their_shares():
    rng = np.random.default_rng(0)
    wrong = [rng.random(N) < p for p in (0.05, 0.1, 0.3)]
    found = compared(candidates(*wrong), delta=0.05, requirement=0.2)
    for i in range(3):
        for j in range(3):
            b, c = (int((wrong[x] & ~wrong[y]).sum()) for x, y in ((j, i), (i, j)))
            limit = paired_lower(b, c, N, 0.05 / 6 * (1 - 1e-12))
            if i != j and limit > 0:
                assert found.limits[i, j] == pytest.approx(limit, abs=1e-9)
            elif i != j:
                assert not found.limits[i, j] > 0
    assert found.best.tolist() == best_set(np.stack(wrong), 0.05).tolist()
    assert found.regret == regret_upper(np.stack(wrong), found.chosen, 0.05)
    assert found.listed.tolist() == certified_list(found.errors, N, 0.2, 0.05).tolist()
    assert found.kind == "certificate"


def test_stratified_rows_have_two_binomial_limits():
    a, b = bits(20, 60)
    found = compared(candidates(a, b, sampling="stratified"), delta=0.05)
    assert found.form == "stratified"
    assert found.limits[0, 1] == pytest.approx(paired_lower_stratified(40, 0, N, 0.025), abs=1e-12)
    assert "class frequencies" in str(found)


def test_many_candidates_have_the_quick_form():
    wrong = bits(*range(10, 140, 10))
    found = compared(candidates(*wrong), delta=0.05)
    assert len(wrong) == 13
    assert found.form == "two-step"
    expected = paired_lower_two_step(120, 0, N, 0.05 / (13 * 12))
    assert found.limits[0, 12] == pytest.approx(expected, abs=1e-12)
    assert "beaten by" in str(found)


def test_what_could_have_been_compared_is_paid_for():
    a, b = bits(20, 60)
    found = compared(candidates(a, b), among=40, requirement=0.15)
    alone = compared(candidates(a, b), requirement=0.15)
    assert 0 < found.limits[0, 1] < alone.limits[0, 1]
    assert found.limits[0, 1] == pytest.approx(paired_lower_two_step(40, 0, N, 0.05 / 1560))
    assert found.regret == 0
    c = np.roll(a, 200)
    assert compared(candidates(a, c), among=40).regret > compared(candidates(a, c)).regret
    near = candidates(*bits(20, 28))  # 8 rows apart: 2^-8 is below .05, not below .05 / 1560
    assert compared(near).best.tolist() == [True, False]
    assert compared(near, among=40).best.tolist() == [True, True]
    # listed as if the other 38 stood last: the first at delta / 40
    limit = nb.numerics.binomial_upper(20, N, 0.05 / 40)
    for requirement, listed in ((limit + 1e-6, True), (limit - 1e-6, False)):
        strict = compared(candidates(a, b), among=40, requirement=requirement)
        assert strict.listed.tolist() == [listed, False]
        assert compared(candidates(a, b), requirement=requirement).listed.tolist() == [True, False]


def test_a_list_in_order_needs_every_candidate():
    with pytest.raises(InvalidSample, match="needs all 3 that could have been compared"):
        compared(candidates(*bits(1, 2)), among=3, requirement=0.1, in_order=True)


def test_lists_name_the_cheapest_first():
    found = [
        Candidate("dear", bits(3)[0], sampling="iid", kind="certificate", cost=9.0),
        Candidate("cheap", bits(5)[0], sampling="iid", kind="certificate", cost=1.0),
    ]
    answer = compared(found, requirement=0.1)
    assert [answer.names[t] for t in answer.cheapest_first()] == ["cheap", "dear"]
    assert "cheapest first): cheap, dear" in str(answer)


def test_of_equally_good_ones_each_is_in_the_set_by_itself():
    said = str(compared(candidates(*bits(5, 5, 200))))
    assert (
        "✓ best: the best is among c0, c1 (2 of 3); of several that are equally good, each" in said
    )


def test_one_candidate_alone():
    found = compared(candidates(bits(9)[0]), requirement=0.5)
    assert found.best.tolist() == [True]
    assert found.regret == 0
    assert len(found.to_frame()) == 0


def test_frames_have_a_row_for_each_ordered_pair_and_each_candidate():
    found = nb.compare([predictions("a", bits(20)[0]), predictions("b", bits(90)[0])])
    pairs = found.to_frame()
    assert pairs[["better", "worse", "shown", "only_worse", "only_better"]].values.tolist() == [
        ["a", "b", True, 70, 0],
        ["b", "a", False, 0, 70],
    ]
    assert found.matrix().loc["a", "b"] == pairs.at_least[0]
    assert found.to_candidates()[["errors", "may_be_best"]].values.tolist() == [
        [20, True],
        [90, False],
    ]
    assert "a beats b by at least" in str(found)


def test_rows_in_another_order_are_put_into_one():
    rng = np.random.default_rng(1)
    wrong = rng.random(N) < 0.2
    order = rng.permutation(N)
    a = predictions("a", wrong)
    b = predictions("b", wrong[order], ids=order, labels=(np.arange(N) % 3)[order])
    assert nb.compare([a, b]).only.sum() == 0


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"wrong": bits(3, n=30)[0]}, "400 rows of the one, 30 of the other"),
        ({"ids": np.arange(N) + 1}, "1 rows of the first are none of the second"),
        ({"labels": np.arange(N) % 2}, "rows are labelled differently"),
        ({"sampling": "stratified"}, "drawn iid, of the one, holdout rows, drawn stratified"),
    ],
)
def test_pairs_on_different_rows_are_refused_with_what_differs(other, says):
    b = predictions("b", **{"wrong": bits(3)[0], **other})
    with pytest.raises(InvalidSample, match=says):
        nb.compare([predictions("a", bits(3)[0]), b])


def test_classes_of_one_name_are_one_label_however_they_are_numbered():
    names = ("cat", "dog", "emu")
    wrong, y = bits(30)[0], np.arange(N) % 3
    answers = np.where(wrong, (y + 1) % 3, y)
    common = {"ids": np.arange(N), "role": "holdout", "sampling": "iid"}
    swap = np.array([2, 1, 0])
    a = nb.Evidence.from_predictions(
        predicted=answers, labels=y, decision=nb.MultiClass(names), **common
    )
    b = nb.Evidence.from_predictions(
        predicted=swap[answers], labels=swap[y], decision=nb.MultiClass(names[::-1]), **common
    )
    assert nb.compare({"a": a, "b": b}).only.sum() == 0
    other = nb.Evidence.from_predictions(
        predicted=swap[answers], labels=swap[y], decision=nb.MultiClass(names), **common
    )
    with pytest.raises(InvalidSample, match="labelled differently"):
        nb.compare({"a": a, "b": other})


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ({"sampling": "unknown"}, "not declared"),
        ({"selected_among": 7}, "picked among 7"),
        ({"selected_among": None}, "unknown"),
        ({"role": "fit"}, "needs role holdout"),
        ({"role": "test"}, "needs role holdout"),
    ],
)
def test_what_lowers_a_comparison(declared, reason):
    role = declared.get("role", "holdout")
    a, b = (predictions(n, bits(k)[0], **declared) for n, k in (("a", 5), ("b", 80)))
    found = nb.compare([a, b], role=role)
    assert found.kind == "plug-in"
    assert found.kind_of(0, 1) == "plug-in"
    assert any(reason in r for r in found.candidates[0].reasons)
    assert "~ a beats b" in str(found)


def test_one_picked_candidate_lowers_what_it_takes_part_in():
    subjects = [
        predictions("a", bits(5)[0]),
        predictions("b", bits(60)[0]),
        predictions("c", bits(120)[0], selected_among=4),
    ]
    found = nb.compare(subjects)
    assert (found.kind_of(0, 1), found.kind_of(0, 2), found.kind) == (
        "certificate",
        "plug-in",
        "plug-in",
    )


def report(**wrong):
    facts = {
        name: {
            "errors": {"holdout": ErrorBits("holdout", "h", w, "iid", 1, "certificate").to_dict()}
        }
        for name, w in wrong.items()
    }
    return nb.Report([], facts=facts)


def test_a_report_compares_what_its_run_has_kept():
    found = report(a=bits(10)[0], b=bits(70)[0], c=bits(200)[0])
    both = found.compare("b", "a", among=2)
    assert both.names == ("b", "a")
    assert both.limits[1, 0] == pytest.approx(paired_lower(60, 0, N, 0.025), abs=1e-9)
    assert len(found.compare().candidates) == 3
    with pytest.raises(UnknownName, match="did you mean"):
        found.compare("aa")
    with pytest.raises(MissingEvidence, match="no errors on test rows are kept"):
        found.compare(role="test")


def test_those_named_of_a_report_pay_for_all_unless_they_were_named_before():
    found = report(a=bits(10)[0], b=bits(20)[0], c=bits(200)[0], d=bits(210)[0])
    whole, picked = found.compare(), found.compare("b", "a")
    assert (picked.among, picked.beside) == (4, 2)
    assert picked.limits[1, 0] == pytest.approx(paired_lower(10, 0, N, 0.05 / 12), abs=1e-9)
    assert picked.limits[1, 0] == whole.limits[0, 1] > 0
    assert "of 4 that could have been compared" in str(picked)
    assert "--among 2 (among=2) if they were named" in str(picked)
    declared = found.compare("b", "a", among=2)
    assert declared.limits[1, 0] == pytest.approx(paired_lower(10, 0, N, 0.025), abs=1e-9)
    assert "that 2 could have been compared is declared" in str(declared)
    assert "beside" not in str(whole)
    with pytest.raises(InvalidSample, match=r"needs all 4 .* --among 2"):
        found.compare("b", "a", requirement=0.2, in_order=True)
    found.compare("b", "a", requirement=0.2, in_order=True, among=2)


def test_a_part_of_a_report_pays_for_the_whole_also_once_it_was_written(tmp_path):
    found = report(a=bits(10)[0], b=bits(20)[0], c=bits(200)[0], d=bits(210)[0])
    whole = nb.Report([], [Failure(name, "why") for name in found.facts], found.facts)
    part = whole.only("[abc]").only("[ab]")
    assert part.compare().limits[0, 1] == whole.compare().limits[0, 1]
    assert part.compare().beside == 2
    part.to_json(tmp_path / "report.json")
    named, beside = of_runs([tmp_path])
    assert ([c.name for c in named], beside) == (["a", "b"], 2)
    again = merged({"part": nb.load_report(tmp_path)}).report
    assert (again.left_out, again.to_dict()["left_out"]) == ({"holdout": 2}, {"holdout": 2})
    assert whole.left_out == {}
    assert "left_out" not in whole.to_dict()


def test_best_of_a_report_at_chance_is_rarely_shown_to_beat_another():
    """Of 15 equal checkpoints the best and the worst, picked by looking, at delta 1/2."""
    rng = np.random.default_rng(0)
    shown = {None: 0, 2: 0}
    for _ in range(12):
        wrong = {f"c{i}": w for i, w in enumerate(rng.random((15, 40)) < 0.3)}
        found = report(**wrong)
        errors = {name: w.sum() for name, w in wrong.items()}
        pair = min(errors, key=errors.get), max(errors, key=errors.get)
        for among in shown:
            shown[among] += bool(found.compare(*pair, delta=0.5, among=among).limits[0, 1] > 0)
    assert shown[None] <= 10
    assert shown[2] == 12


def test_stored_errors_on_other_rows_are_refused():
    a, b = (
        Candidate.of_bits(n, ErrorBits("holdout", rows, bits(3)[0], "iid", 1, "certificate"))
        for n, rows in (("a", "h"), ("b", "g"))
    )
    with pytest.raises(InvalidSample, match="different rows"):
        on_the_same_rows([a, b])


def test_stored_test_rows_and_picked_checkpoints_are_plug_ins():
    on_test = ErrorBits("test", "h", bits(3)[0], "iid", 1, "measure")
    picked = ErrorBits("holdout", "h", bits(3)[0], "iid", 5, "certificate")
    assert Candidate.of_bits("a", on_test).kind == "plug-in"
    assert Candidate.of_bits("a", picked).kind == "plug-in"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"among": 1}, "2 are given"),
        ({"chosen": "d"}, "no candidate is called"),
        ({"delta": 0.7}, "at most 1/2"),
    ],
)
def test_impossible_options(options, says):
    with pytest.raises(InvalidSample, match=says):
        compared(candidates(*bits(3, 5)), **options)


def test_two_candidates_of_one_name_and_none_at_all():
    with pytest.raises(InvalidSample, match="two candidates are called a"):
        nb.compare([predictions("a", bits(3)[0])] * 2)
    with pytest.raises(InvalidSample, match="nothing to compare"):
        compared([])
    with pytest.raises(MissingEvidence, match="a has no test rows"):
        nb.compare([predictions("a", bits(3)[0])], role="test")


def _misses(runs, total, n, seed):
    """How often any limit of a pair is above the truth, among equal candidates."""
    rng = np.random.default_rng(seed)
    missed = left = 0
    for _ in range(runs):
        found = compared(candidates(*(rng.random((total, n)) < 0.3)), delta=0.5)
        missed += bool((found.limits > 0).any())
        left += not found.best[0]
    return missed, left


def test_equal_candidates_are_rarely_told_apart():
    missed, left = _misses(30, 3, 16, 2)
    # 24 or more of 30 at 1/2: probability .0007
    assert missed < 24
    assert left < 24


@pytest.mark.slow
def test_coverage_of_pairs_and_best_set_among_equal_candidates():
    missed, left = _misses(300, 4, 40, 3)
    # 3.5 standard deviations above 150
    assert missed <= 180
    assert left <= 180


@pytest.mark.slow
def test_coverage_of_the_regret_of_the_best_looking():
    rng = np.random.default_rng(4)
    rates = np.array([0.2, 0.2, 0.2, 0.25])
    missed = 0
    for _ in range(200):
        found = compared(candidates(*(rng.random((4, 80)) < rates[:, None])), delta=0.5)
        missed += found.regret < rates[found.chosen] - 0.2
    assert missed <= 125


def test_rows_of_one_hash_with_other_names_of_labels_are_refused():
    a, b = (
        nb.Evidence.from_predictions(
            predicted=[0, 1, 1],
            labels=[0, 1, 0],
            ids=[1, 2, 3],
            role="holdout",
            sampling="iid",
            classes=2,
            decision=nb.MultiClass(names),
        )
        for names in (("a", "b"), ("a", "c"))
    )
    with pytest.raises(InvalidSample, match="1 of 3 rows are labelled differently"):
        nb.compare({"a": a, "b": b})


def test_errors_that_rounding_may_have_made_are_no_difference():
    """Rounded features make the second network err on each row, whatever it does in truth."""
    y, h = np.zeros(60, dtype=int), np.arange(60, dtype=np.uint64)
    head = nb.LinearHead(np.eye(2), np.zeros(2))

    def network(features, rounded):
        return nb.Evidence(
            head=head,
            holdout=nb.Sample.from_arrays(
                features,
                y,
                role="holdout",
                sampling="iid",
                input_hashes=h,
                rounded=rounded,
                repeats="by chance",
            ),
        )

    sure = network(np.tile([[1.0, 0.0]], (60, 1)), False)
    unsure = network(np.ones((60, 2), dtype=np.float16), True)
    found = nb.compare({"a": sure, "b": unsure})
    assert found.limits[0, 1] > 0
    assert found.kind == found.kind_of(0, 1) == "plug-in"
    assert [b.kind for b in error_bits(unsure)] == ["plug-in"]
    assert nb.compare({"a": sure}).kind == "certificate"


def test_shares_of_pairs_add_up_to_no_more_than_delta(monkeypatch):
    limit = Kept(lambda b, c, n, share: np.zeros(len(b)), 3)
    monkeypatch.setitem(module._LIMITS, "exact", limit)
    delta = unlucky(6)
    compared(candidates(*bits(5, 60, 120)), delta=delta)
    assert [within(d, 6, delta) for d in limit.found] == [True]
    # two of three: the set and the regret have the share of a pair
    together = Kept(lambda wrong, delta, **_: np.ones(len(wrong), dtype=bool), 1)
    regret = Kept(lambda wrong, chosen, delta, **_: 0.0, 2)
    monkeypatch.setattr(module, "best_set", together)
    monkeypatch.setattr(module, "regret_upper", regret)
    compared(candidates(*bits(5, 60)), delta=delta, among=3)
    assert [within(d, 6, delta) for d in together.found + regret.found] == [True, True]


def test_every_statement_about_stratified_rows_has_its_form():
    """Eight rows apart pass the sign test, which strata do not have; lists know the edge rule."""
    near = bits(20, 28)
    drawn, by_class = (
        compared(candidates(*near, sampling=s), chosen="c1") for s in ("iid", "stratified")
    )
    assert (drawn.best.tolist(), by_class.best.tolist()) == ([True, False], [True, True])
    wider = regret_upper(np.stack(near), 1, 0.05, form="stratified")
    assert by_class.regret == pytest.approx(wider, rel=1e-9)
    assert drawn.regret < 0.95 * wider
    listed = [
        compared(
            candidates(*bits(2, n=3), sampling=s), delta=0.2, requirement=1 - 0.2 / 3 - 1e-9
        ).listed.tolist()
        for s in ("iid", "stratified")
    ]
    assert listed == [[True], [False]]
