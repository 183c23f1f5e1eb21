"""What a row is worth, rule by rule: each case fails without its rule."""

import numpy as np
import pytest
from fixtures.evidence import evidence_of
from fixtures.shares import unlucky, within

from ncbounds.bounds import Outcome, bound, get
from ncbounds.bounds.bound import Bound
from ncbounds.errors import InvalidSample, MissingEvidence, RoleError
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import binomial_upper, down
from ncbounds.procedures.linear import ncm
from ncbounds.results import MeasureResult

HEAD = LinearHead(np.eye(2))
SEEN = []


def echo(view, delta, **params):
    """Echo what it is given."""
    SEEN.append(view)
    return Outcome(value=delta, n=view.sample.n, reasons=("own reason",))


def made(kind="certificate", role="holdout", **more):
    metadata = {"family": "test", "kind": kind, "role": role, "target": "saved", **more}
    return Bound(id="echo", title="", function=echo, **metadata)


def sample(role, n=6, **more):
    f = np.random.default_rng(sum(role.encode())).normal(size=(n, 2))
    return Sample.from_arrays(f, np.arange(n) % 2, role=role, **{"sampling": "iid", **more})


def evidence(*samples, **more):
    return evidence_of(HEAD, *samples, **more)


def kind(b, e, delta=0.05, **call):
    return b(e, delta, **call).kind


@pytest.mark.parametrize(
    ("wanted", "given", "expected"),
    [
        ("holdout", "holdout", "certificate"),
        ("holdout", "head", "plug-in"),
        ("holdout", "fit", "plug-in"),
        ("holdout", "unlabelled", "plug-in"),
        ("head", "holdout", "certificate"),
        ("head", "head", "certificate"),
        ("head", "fit", "plug-in"),
        ("head", "unlabelled", "plug-in"),
        ("fit", "fit", "certificate"),
        ("fit", "head", "certificate"),
        ("fit", "holdout", "certificate"),
        ("fit", "unlabelled", "plug-in"),
    ],
)
def test_role(wanted, given, expected):
    row = made(role=wanted)(evidence(sample(given)), role=given)
    assert row.kind == expected
    assert row.role == given
    assert (f"needs role {wanted}" in " ".join(row.reasons)) is (expected == "plug-in")


def test_conditional_stays_conditional_and_says_its_assumption():
    b = made("conditional", assumptions=("margins are Gaussian",))
    row = b(evidence(sample("holdout")))
    assert row.kind == "conditional"
    assert row.reasons[0] == "margins are Gaussian"
    assert row.reasons[-1] == "own reason"
    assert kind(b, evidence(sample("holdout", sampling="unknown"))) == "plug-in"


def test_plug_in_and_measure_never_change():
    for k in ("plug-in", "measure"):
        for more in ({}, {"sampling": "unknown"}, {"selected_among": None}):
            row = made(k, "any")(evidence(sample("holdout", **more)))
            assert row.kind == k
            assert np.isnan(row.delta)
    row = made("measure", "any")(evidence(sample("holdout")))
    assert isinstance(row, MeasureResult)
    assert not hasattr(row, "value")


def test_sampling_must_be_declared():
    e = evidence(Sample.from_arrays(np.eye(2), [0, 1], role="holdout"))
    row = made()(e)
    assert row.kind == "plug-in"
    assert "how the holdout sample was drawn is not declared" in row.reasons[0]


def test_candidates_divide_delta():
    row = made()(evidence(sample("holdout", selected_among=5)), 0.05)
    assert row.kind == "certificate"
    assert row.value == 0.05 / 5
    assert row.delta == 0.05
    assert "delta divided by 5 candidates" in row.reasons
    odd = unlucky(5)  # whose nearest fifth is more than a fifth
    assert within(made()(evidence(sample("holdout", selected_among=5)), odd).value, 5, odd)
    assert not within(odd / 5, 5, odd)
    two = made()(evidence(sample("holdout", selected_among=2)), 0.05)
    assert "delta divided by 2 candidates" in two.reasons


def test_unknown_candidates():
    row = made()(evidence(sample("holdout", selected_among=None)))
    assert row.kind == "plug-in"
    assert "how many candidates" in row.reasons[0]


def test_candidates_multiply_over_the_samples_that_are_read():
    e = evidence(sample("holdout", selected_among=5), sample("unlabelled", selected_among=2))
    assert made(requires=("head", "unlabelled"))(e, 0.05).value == 0.05 / 10
    assert made(optional=("unlabelled",))(e, 0.05).value == 0.05 / 10
    assert made()(e, 0.05).value == 0.05 / 5


@pytest.mark.parametrize("where", ["requires", "optional"])
@pytest.mark.parametrize("flaw", [{"sampling": "unknown"}, {"selected_among": None}])
def test_unlabelled_sample_must_be_as_good(where, flaw):
    b = made(**{where: ("unlabelled",)})
    assert kind(b, evidence(sample("holdout"), sample("unlabelled"))) == "certificate"
    assert kind(b, evidence(sample("holdout"), sample("unlabelled", **flaw))) == "plug-in"
    assert kind(made(), evidence(sample("holdout"), sample("unlabelled", **flaw))) == "certificate"


def test_stratified_edge_rule():
    e = evidence(sample("holdout", sampling="stratified"))
    assert kind(made(), e, 0.25) == "certificate"
    assert kind(made(), e, 0.2501) == "plug-in"
    assert kind(made(), evidence(sample("holdout")), 0.5) == "certificate"


def test_stratified_needs_every_class():
    f, y = np.eye(2), [0, 0]
    e = evidence(Sample.from_arrays(f, y, role="holdout", sampling="stratified"))
    row = made()(e)
    assert row.kind == "plug-in"
    assert "class 1 has no point" in row.reasons[0]
    assert kind(made(), evidence(Sample.from_arrays(f, y, role="holdout", sampling="iid"))) == (
        "certificate"
    )


def test_rows_that_share_groups():
    b = made()
    alone = sample("holdout", groups=np.arange(6))
    assert kind(b, evidence(alone)) == "certificate"
    row = b(evidence(sample("holdout", groups=[0, 0, 1, 2, 3, 4])))
    assert row.kind == "plug-in"
    assert "share groups" in row.reasons[0]


@pytest.mark.parametrize("other", ["fit", "head"])
def test_groups_across_roles(other):
    held = sample("holdout", groups=np.arange(6))
    e = evidence(held, sample(other, groups=np.arange(5, 11)))
    row = made()(e)
    assert row.kind == "plug-in"
    assert f"1 groups have rows in {other} and in holdout" in row.reasons
    apart = evidence(held, sample(other, groups=np.arange(6, 12)))
    assert kind(made(), apart) == "certificate"


@pytest.mark.parametrize("role", ["holdout", "head"])
def test_groups_between_the_sample_and_the_unlabelled_points(role):
    b = made(role="head", requires=("unlabelled",))
    pool = sample("unlabelled", groups=np.arange(5, 11))
    row = b(evidence(sample(role, groups=np.arange(6)), pool))
    assert row.kind == "plug-in"
    assert sum("groups have rows in" in r for r in row.reasons) == 1
    assert kind(b, evidence(sample(role, groups=np.arange(20, 26)), pool)) == "certificate"


@pytest.mark.parametrize("role", ["holdout", "head"])
@pytest.mark.parametrize("silent", [0, 1])
def test_groups_that_only_the_sample_or_only_the_unlabelled_points_declare(role, silent):
    groups = [{"groups": np.arange(6)}, {}]
    e = evidence(sample(role, **groups[silent]), sample("unlabelled", **groups[1 - silent]))
    row = made(role="head", requires=("unlabelled",))(e)
    assert row.kind == "plug-in"
    assert f"groups are declared, but not for {('unlabelled', role)[silent]}" in row.reasons


def test_a_row_that_occurs_twice():
    row = made()(evidence(sample("holdout", rows=[0, 1, 2, 3, 4, 4])))
    assert row.kind == "plug-in"
    assert "1 rows of the holdout sample occur more than once" in row.reasons


def test_fit_cannot_be_sample_and_prior_knowledge():
    b = made(role="head", requires=("head", "fit"))
    e = evidence(sample("fit"), sample("head"))
    assert kind(b, e) == "certificate"
    row = b(e, role="fit")
    assert row.kind == "plug-in"
    assert "the fit sample cannot be both the bound's sample and its prior knowledge" in row.reasons
    assert SEEN[-1].fit is None


def test_parts_that_were_not_declared_are_hidden():
    e = evidence(
        sample("fit"), sample("holdout"), sample("unlabelled"), procedure=max, priors="balanced",
        network=object(),
    )  # fmt: skip
    made()(e)
    view = SEEN[-1]
    for part in ("fit", "unlabelled", "procedure", "priors", "network"):
        assert getattr(view, part) is None
    made(optional=("fit", "unlabelled", "procedure", "priors", "network"))(e)
    view = SEEN[-1]
    assert view.fit is e.fit
    assert view.unlabelled is e.unlabelled
    assert view.priors.tolist() == [0.5, 0.5]
    assert not hasattr(view, "test")


@pytest.mark.parametrize(
    ("role", "present", "expected"),
    [
        ("holdout", ("holdout", "head", "fit"), ["holdout", "fit"]),
        ("head", ("holdout", "head", "fit"), ["head", "fit"]),
        ("head", ("holdout", "fit"), ["holdout", "fit"]),
        ("any", ("holdout", "head"), ["holdout"]),
        ("any", ("head",), ["head"]),
        ("holdout", ("head",), []),
        ("holdout", ("test",), []),
        ("fit", ("fit",), ["fit"]),
    ],
)
def test_planned_rows(role, present, expected):
    b = made("plug-in" if role == "any" else "certificate", role)
    assert [r for r, _ in b.planned(evidence(*map(sample, present)))] == expected


def test_each_variant_is_a_row():
    b = made(variants=({"m": 1}, {"m": 5}), also_fit=False)
    e = evidence(sample("holdout"), sample("fit"))
    assert b.planned(e) == [("holdout", {"m": 1}), ("holdout", {"m": 5})]
    assert b(e).params == {"m": 1}
    assert b(e, m=5).params == {"m": 5}


def test_the_test_sample_is_never_read():
    e = evidence(sample("test"), sample("holdout"))
    with pytest.raises(RoleError, match="no bound may read the test sample"):
        made()(e, role="test")
    with pytest.raises(MissingEvidence, match=r"Evidence\(holdout="):
        made()(evidence(sample("test")))


def test_calls_that_make_no_sense():
    with pytest.raises(RoleError, match="did you mean 'holdout'"):
        made()(evidence(sample("holdout")), role="holdot")
    for delta in (0.0, 1.0, -0.1, np.nan):
        with pytest.raises(InvalidSample, match="probability in"):
            made()(evidence(sample("holdout")), delta)
    with pytest.raises(InvalidSample, match="empty"):
        made()(evidence(Sample.from_arrays(np.empty((0, 2)), [], role="holdout")))
    with pytest.raises(MissingEvidence, match=r"Evidence\(fit=...\)"):
        made(requires=("fit",))(evidence(sample("holdout")))


def test_bound_typed_at_a_prompt_can_be_evaluated():
    space = {"bound": bound, "Outcome": Outcome}
    exec(
        "@bound(family='mine', kind='plug-in', role='any', target='saved')\n"
        "def typed(view, delta):\n    'Half.'\n    return Outcome(value=0.5, n=1)\n",
        space,
    )
    assert space["typed"](evidence(sample("holdout"))).value == 0.5
    assert (space["typed"].id, space["typed"].title) == ("typed", "Half.")


def test_code_that_is_in_no_file_tells_its_constants_and_operations_apart():
    """A stored result is not taken for that of another function or of other metadata."""

    def of(text, **more):
        return bound(family="mine", kind="plug-in", role="any", target="saved", **more)(
            eval(f"lambda view, delta: {text}")
        ).source_hash

    hashes = [of("delta + 1"), of("delta + 2"), of("delta - 1"), of("delta + 1", variants=({}, {}))]
    assert len(set(hashes)) == 4
    assert of("delta + 1") == hashes[0]


def test_a_selected_part_of_a_sample_is_no_certificate():
    """Keeping the points that the head gets right is a selection, whatever the role says."""
    whole = sample("holdout")
    right = whole.take(np.flatnonzero(whole.margins(HEAD) > 0))
    assert kind(get("binomial"), evidence(whole)) == "certificate"
    assert kind(get("binomial"), evidence(right)) == "plug-in"


@pytest.mark.parametrize("silent", ["fit", "holdout"])
def test_groups_that_are_declared_on_one_side_only(silent):
    groups = {"groups": np.arange(6)}
    held = sample("holdout", **({} if silent == "holdout" else groups))
    trained = sample("fit", **({} if silent == "fit" else groups))
    row = made()(evidence(held, trained))
    assert row.kind == "plug-in"
    assert f"groups are declared, but not for {silent}" in row.reasons


@pytest.mark.parametrize("count", [True, np.True_, 2.0, "3", 0, -1, np.float64(4.0), np.nan])
def test_candidates_are_whole_numbers(count):
    with pytest.raises(InvalidSample, match="whole number"):
        Sample.from_arrays(np.zeros((2, 1)), [0, 1], role="holdout", selected_among=count)


def test_candidates_of_every_integer_type_multiply_without_overflow():
    """2^32 candidates on each of two samples are 2^64, not 0 and not 1."""
    f, y = np.random.default_rng(0).normal(size=(60, 1)), np.arange(60) % 2
    given = {"sampling": "iid", "selected_among": np.int64(2**32)}
    e = Evidence(
        head=LinearHead([[-1.0], [1.0]]),
        head_sample=Sample.from_arrays(f[:40], y[:40], role="head", **given),
        unlabelled=Sample.from_arrays(f[40:], role="unlabelled", **given),
        procedure=ncm,
    )
    row = get("unlabelled_head")(e, 0.05)
    assert f"delta divided by {2**64} candidates" in row.reasons
    assert row.terms["difference"] == binomial_upper(
        row.details["differences"], 20, down(0.2 * (0.05 / 2**64))
    )


def test_more_candidates_than_delta_can_be_shared_among_are_a_plug_in():
    f, y = np.arange(20.0)[:, None], np.arange(20) % 2
    sample = Sample.from_arrays(f, y, role="holdout", sampling="iid", selected_among=10**400)
    row = get("binomial")(Evidence(head=LinearHead([[-1.0], [1.0]]), holdout=sample))
    assert row.kind == "plug-in"
    assert any("candidates were compared" in reason for reason in row.reasons)
