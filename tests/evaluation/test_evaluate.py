"""Selecting bounds, dividing delta, and rows beside the measured error of their own target."""

import json
from dataclasses import fields

import numpy as np
import pytest
from fixtures.shares import unlucky, within

from ncbounds.bounds import catalogue, get
from ncbounds.bounds.bound import Bound
from ncbounds.bounds.selection import select
from ncbounds.bounds.view import Outcome
from ncbounds.claims import OtherHead, Weighted
from ncbounds.errors import InvalidSample, MissingEvidence, UnknownName
from ncbounds.evaluation.evaluate import evaluate
from ncbounds.evaluation.plan import planned_rows
from ncbounds.evaluation.rows import bound_rows
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.results import BoundResult, MeasureResult, result_from_dict
from ncbounds.testing import worlds


@pytest.fixture(scope="module")
def evidence():
    (world,) = (w for w in worlds() if w.name == "simplex3")
    rng = np.random.default_rng(0)
    e = world.draw(rng, 120).evidence
    test = world.sample("test", rng, 300)
    return Evidence(head=e.head, fit=e.fit, holdout=e.holdout, test=test, checkpoint="net")


def made(function, **more):
    metadata = {
        "family": "test",
        "kind": "certificate",
        "role": "holdout",
        "target": "saved",
        "also_fit": False,
        **more,
    }
    return Bound(id=function.__name__, title="", function=function, **metadata)


def test_selection():
    assert {b.id for b in select("all")} == {b.id for b in catalogue()}
    assert [b.id for b in select(None)] == [b.id for b in catalogue() if b.default]
    assert select("default") == select(None)
    assert [b.id for b in select("binomial, hoeffding")] == ["binomial", "hoeffding"]
    assert {b.family for b in select("margin")} == {"margin"}
    assert select([get("binomial"), "binomial"]) == (get("binomial"),)
    assert len({b.id for b in select(["holdout", "binomial"])}) == len(select("holdout"))
    with pytest.raises(UnknownName, match="did you mean 'binomial'"):
        select("binomal")
    with pytest.raises(UnknownName, match="no bound was selected"):
        select([])


def test_planned_rows_count_what_can_be_a_guarantee():
    chosen = [get("binomial"), get("hoeffding"), get("cantelli_union"), get("margin_quantiles")]
    assert planned_rows(chosen) == len(get("binomial").variants) + len(get("hoeffding").variants)


def test_simultaneous_divides_delta_by_all_planned_rows(evidence):
    # unlabelled_head has no sample here and is counted all the same
    names = ["binomial", "hoeffding", "unlabelled_head", "cantelli_union"]
    rows = evaluate(evidence, names, delta=0.04, simultaneous=True).rows
    planned = planned_rows(select(names))
    assert planned == 4
    for row in rows:
        expected = 0.04 / planned if row.bound != "cantelli_union" else np.nan
        assert row.delta == pytest.approx(expected, nan_ok=True)
    odd = unlucky(3)  # whose nearest third is more than a third
    three = evaluate(evidence, names[:2], delta=odd, simultaneous=True)
    assert three.planned == 3
    assert {within(r.delta, 3, odd) for r in three.rows} == {True}
    alone = evaluate(evidence, names, delta=0.04).rows
    assert all(r.delta == 0.04 for r in alone if r.bound != "cantelli_union")
    assert alone[0].value < rows[0].value


@pytest.mark.parametrize("simultaneous", [False, True])
def test_shares_of_a_short_float_are_those_of_the_number_that_it_is(simultaneous):
    """In float32 a third of it is more than a third."""
    delta = np.float32(0.05)
    assert float(delta / 3) > float(delta) / 3
    e = Evidence.from_predictions(
        predicted=[0] * 99, labels=[0] * 99, role="holdout", classes=2, selected_among=3
    )
    short, long = (
        evaluate(e, "binomial", d, simultaneous).rows[0].value for d in (delta, float(delta))
    )
    assert short == long
    with pytest.raises(InvalidSample, match=r"in \(0, 1\), found '0.05'"):
        evaluate(e, delta="0.05")


def test_bounds_never_see_the_test_sample(evidence):
    def peek(view, delta):
        assert not hasattr(view, "test")
        return Outcome(value=0.5, n=1)

    (row,) = evaluate(evidence, [made(peek)]).rows
    assert row.test.error == pytest.approx(
        float((evidence.test.margins(evidence.head) <= 0).mean())
    )
    other = Evidence(head=evidence.head, holdout=evidence.holdout)
    assert (
        evaluate(other, ["binomial"]).rows[0].value
        == evaluate(evidence, ["binomial"]).rows[0].value
    )
    assert evaluate(other, ["binomial"]).rows[0].test is None


def test_planning_does_not_see_the_test_sample_either(evidence):
    class Spy(Bound):
        def planned(self, seen):
            assert seen.test is None
            return []

    b = get("binomial")
    spy = Spy(**{f.name: getattr(b, f.name) for f in fields(b)})
    assert bound_rows(spy, evidence, 0.05) == []


def test_each_row_is_measured_on_its_own_target(evidence):
    turned = LinearHead(-evidence.head.weight, -evidence.head.bias)

    def other_head(view, delta):
        return Outcome(value=0.5, n=1, claim=OtherHead("refitted-head", turned))

    def other_weights(view, delta):
        return Outcome(value=0.5, n=1, claim=Weighted(np.array([1.0, 0.0, 0.0])))

    rows = evaluate(evidence, [made(other_head, target="refitted-head"), made(other_weights)]).rows
    wrong = evidence.test.margins(turned) <= 0
    assert rows[0].test.error == pytest.approx(float(wrong.mean()))
    first = evidence.test.labels == 0
    wrong = evidence.test.margins(evidence.head) <= 0
    assert rows[1].test.error == pytest.approx(float(wrong[first].mean()))


def test_a_failing_bound_is_a_row_with_its_reason(evidence):
    def divides(view, delta):
        return Outcome(value=1 / 0, n=1)

    def fits_badly(view, delta):
        raise np.linalg.LinAlgError("singular")

    rows = evaluate(evidence, [made(divides), made(fits_badly), "binomial"]).rows
    for row, word in zip(rows[:2], ("ZeroDivisionError", "singular"), strict=True):
        assert np.isnan(row.value)
        assert row.kind == "plug-in"
        assert word in row.reasons[0]
    assert rows[2].bound == "binomial"
    assert rows[2].kind == "certificate"


def test_a_failing_measure_has_no_value(evidence):
    def fails(view, delta):
        raise ValueError("no")

    (row,) = bound_rows(made(fails, kind="measure", role="any"), evidence, 0.05)
    assert isinstance(row, MeasureResult)
    assert not hasattr(row, "value")


def test_nothing_to_evaluate():
    e = Evidence(head=LinearHead(np.eye(2)), fit=Sample.from_arrays(np.eye(2), [0, 1], role="fit"))
    with pytest.raises(MissingEvidence, match=r"role head .*the evidence has fit"):
        evaluate(e, ["unlabelled_head"])


@pytest.mark.parametrize("name", ["nan", "inf", "net"])
def test_names_survive_writing(name):
    row = BoundResult(
        bound="b", family="f", kind="certificate", target="saved", role="holdout", n=3, delta=0.1,
        value=np.inf, checkpoint=name, params={"m": np.inf}, reasons=("nan",),
        terms={"x": np.nan}, details={"a": np.arange(2), "b": {"c": (1, None, True)}},
    )  # fmt: skip
    again = result_from_dict(json.loads(json.dumps(row.to_dict(), allow_nan=False)))
    assert again.checkpoint == name
    assert again.value == np.inf
    assert again.params == {"m": np.inf}
    assert again.reasons == ("nan",)
    assert np.isnan(again.terms["x"])
    assert again.details == {"a": [0, 1], "b": {"c": [1, None, True]}}


def test_vacuous():
    common = {"bound": "b", "family": "f", "kind": "plug-in", "target": "saved", "role": "fit"}
    common |= {"n": 1, "delta": np.nan}
    assert [BoundResult(value=v, **common).vacuous for v in (0.99, 1.0, 7.0, np.nan)] == [
        False, True, True, True,
    ]  # fmt: skip
