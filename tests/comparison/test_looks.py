"""Limits at every look, and files that grow while rows are labelled."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

import ncbounds as nb
from ncbounds.comparison.looks import Looks
from ncbounds.data.label_file import read_labelled
from ncbounds.errors import DataError, InvalidSample


def test_limits_are_those_of_the_numerics_and_the_least_stays():
    rng = np.random.default_rng(0)
    wrong = rng.random(300) < 0.1
    found = nb.anytime(wrong, sampling="iid")
    assert found.kind == "certificate"
    assert found.n.tolist() == list(range(1, 301))
    k = int(wrong[:200].sum())
    assert found.limits[199] == nb.numerics.anytime_upper(k, 200, 0.05)
    assert found.value == found.limits.min()
    frame = found.to_frame()
    assert (frame.least.diff().dropna() <= 0).all()
    assert found.reached(found.value) == found.n[np.argmin(found.limits)]
    assert found.reached(0.0) is None


def test_looks_are_thinned_where_there_are_many():
    found = nb.anytime(np.zeros(5000, dtype=bool), sampling="iid")
    assert len(found.n) == 1000
    assert (found.n[0], found.n[-1]) == (1, 5000)


def test_a_pair_is_shown_at_the_first_look_with_the_evidence():
    wrong = np.zeros(40, dtype=bool)
    against = np.ones(40, dtype=bool)
    found = nb.anytime(wrong, against=against, sampling="iid")
    first = next(b for b in range(1, 40) if nb.numerics.anytime_beats(b, 0, 0.05))
    assert found.beats == first
    assert nb.anytime(against, against=wrong, sampling="iid").beats is None
    assert "errs less often than the other: shown" in str(found)


@pytest.mark.parametrize("sampling", ["unknown", "stratified"])
def test_without_a_random_order_it_is_a_plug_in(sampling):
    found = nb.anytime([True, False], sampling=sampling)
    assert found.kind == "plug-in"
    assert str(found).startswith("~")


@pytest.mark.parametrize(
    ("wrong", "more"),
    [
        ([0, 1], {}),
        ([[True]], {}),
        ([True], {"delta": 0.6}),
        ([True], {"sampling": "x"}),
        ([True], {"against": [True, False]}),
        ([True], {"selected_among": 0}),
        ([True], {"selected_among": 1.5}),
        ([True], {"selected_among": 2**1100}),
        ([True], {"ids": [1, 2]}),
        ([True], {"ids": [1.5]}),
    ],
)
def test_impossible_looks(wrong, more):
    with pytest.raises(InvalidSample):
        nb.anytime(wrong, **more)


def test_a_classifier_that_was_picked_has_its_share_of_delta():
    wrong = np.arange(200) % 20 == 0
    found = nb.anytime(wrong, against=~wrong, sampling="iid", selected_among=3)
    share = found.share
    assert 0 < 0.05 - 3 * Fraction(share) < 1e-16
    assert found.kind == "certificate"
    assert (
        found.limits.tolist()
        == nb.numerics.anytime_upper(np.cumsum(wrong), np.arange(1, 201), share).tolist()
    )
    b, c = np.cumsum(~wrong), np.cumsum(wrong)
    beats = nb.numerics.anytime_beats
    assert found.beats == next(n for n in range(1, 201) if beats(b[n - 1], c[n - 1], share))
    assert found.beats > nb.anytime(wrong, against=~wrong, sampling="iid").beats
    assert "delta is divided by 3" in str(found)
    assert set(found.to_frame().selected_among) == {3}
    unknown = nb.anytime(wrong, sampling="iid", selected_among=None)
    assert unknown.kind == "plug-in"
    assert "how many candidates were compared" in str(unknown)


def test_limits_of_the_best_of_equal_classifiers_hold_if_it_is_counted():
    """Eight classifiers that err half of the time; the one whose limit is least is reported."""
    rng = np.random.default_rng(0)
    missed = {1: 0, 8: 0}
    for _ in range(5):
        wrong = rng.random((8, 30)) < 0.5
        for among in missed:
            least = min(
                nb.anytime(w, sampling="iid", delta=0.5, selected_among=among).value for w in wrong
            )
            missed[among] += least < 0.5
    assert missed[8] <= 3
    assert missed[1] == 5


@pytest.mark.parametrize("name", [int, str])
def test_a_row_that_stands_twice_makes_a_plug_in(name):
    ids = [name(i) for i in (4, 7, 9)]
    found = nb.anytime([True, False, False], ids=ids, sampling="iid")
    assert found.kind == "certificate"
    assert "not checked" not in str(found)
    again = nb.anytime([True, False, False], ids=[ids[0], ids[1], ids[0]], sampling="iid")
    assert again.kind == "plug-in"
    assert "1 rows of the holdout sample occur more than once" in str(again)
    assert "is not checked" in str(nb.anytime([True], sampling="iid"))


def test_no_row_yet():
    found = nb.anytime([], sampling="iid")
    assert found.value == 1.0
    assert "no row" in str(found)


def test_labels_to_come_wait_and_rows_passed_over_are_errors(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("label,predicted,other\n1,1,2\n,0,0\n2,1,2\n,1,1\n,2,2\n")
    found = read_labelled(path, "other")
    assert found.wrong.tolist() == [False, True, True]
    assert found.against.tolist() == [True, False, False]
    assert (found.passed_over, found.waiting) == (1, 2)


def test_rows_passed_over_are_never_held_against_the_other(tmp_path):
    """Whatever labels come late, the evidence that the first one is better does not shrink."""
    path = tmp_path / "a.csv"
    late = np.arange(40) % 4 == 1  # the other is right on these, whose labels come last
    frame = pd.DataFrame({"label": ["1"] * 40, "predicted": "1", "other": "2"})
    frame.loc[late, ["predicted", "other"]] = "2", "1"

    def last():
        frame.to_csv(path, index=False)
        rows = read_labelled(path, "other")
        return nb.anytime(rows.wrong, against=rows.against, sampling="iid").evidence[-1]

    in_full = last()
    frame.loc[late, "label"] = None
    assert last() <= in_full


def test_a_small_delta_is_not_shown_as_certainty():
    found = nb.anytime([False] * 50, against=[True] * 50, delta=1e-8, sampling="iid")
    assert str(found).count("delta 1e-08") == 2
    assert "probability 1" not in str(found)


def test_a_column_of_errors_and_labels_as_they_are_written(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,wrong\na,0\nb,1\nc,\n")
    assert read_labelled(path).wrong.tolist() == [False, True]
    assert read_labelled(path).ids.tolist() == ["a", "b"]
    path.write_text("label,predicted\n1.0,1\ncat,cat\ncat,dog\n")
    assert read_labelled(path).wrong.tolist() == [False, False, True]
    assert read_labelled(path).ids is None


def test_lists_of_labels_are_compared_in_any_order(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text(
        'label,predicted,other\n"[0, 3]","[3,0]","[3]"\n[],[],[1]\n'
        "\"['a, b']\",\"['a', 'b']\",[]\n"
        "²,².0,1\n,[],[]\n"
    )
    found = read_labelled(path, "other")
    assert found.wrong.tolist() == [False, False, True, True]
    assert found.against.tolist() == [True, True, True, True]
    assert found.waiting == 1
    arrays = {"label": [np.array([0, 3]), np.array([])], "predicted": [np.array([3, 0])] * 2}
    path = tmp_path / "a.parquet"
    path.touch()
    monkeypatch.setattr(pd, "read_parquet", lambda _: pd.DataFrame(arrays))
    assert read_labelled(path).wrong.tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "against", "says"),
    [
        ("a,b\n1,2\n", None, "one column 'label'"),
        ("label\n1\n", None, "one column 'predicted'"),
        ("label,predicted\n1,2\n", "other", "no column of predictions is called other"),
        ("wrong\n2\n", None, "0 or 1"),
        ("id,wrong\n,1\n7,0\n", None, "1 of 2 rows have no id"),
        ("id,row_id,wrong\n1,2,0\n", None, "id, row_id could all be ids"),
    ],
)
def test_files_without_what_is_needed(tmp_path, text, against, says):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=says):
        read_labelled(path, against)


def _ever(runs, n, rate, seed, delta):
    rng = np.random.default_rng(seed)
    return sum(
        nb.anytime(rng.random(n) < rate, sampling="iid", delta=delta).value < rate
        for _ in range(runs)
    )


def test_all_looks_hold_together():
    assert _ever(30, 60, 0.2, 1, 0.5) < 24


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.02, 0.2, 0.6])
def test_coverage_at_every_look(rate):
    assert _ever(400, 300, rate, 2, 0.25) <= 130


def test_evidence_that_rounding_alone_brings_to_its_goal_shows_nothing():
    goal = -np.log(0.05)
    for evidence, beats in ((goal, None), (goal * (1 + 1e-11), 7)):
        one = np.array([7])
        found = Looks(one, one, np.ones(1), 0.05, "certificate", evidence=np.array([evidence]))
        assert found.beats == beats
