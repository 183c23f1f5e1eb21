"""What is said of a series: each word where it was planted, and nothing where nothing shows it."""

from dataclasses import replace

import numpy as np
import pytest
from fixtures.shares import Kept, unlucky, within

from ncbounds.evidence.error_bits import ErrorBits
from ncbounds.numerics import binomial_upper
from ncbounds.report import Failure, Report, trend
from ncbounds.report.steps import Step, steps_of
from ncbounds.report.trend import Indistinguishable, Stalled, StillCollapsing, moving, settled
from ncbounds.report.views.series import series_lines
from ncbounds.results import BoundResult, Measured

NAN = float("nan")


def run(efficiencies, losses, nc1=None, width=0.002):
    """A series with these efficiencies, in brackets of a width, and training losses."""
    nc1 = losses if nc1 is None else nc1
    return [
        Step("r", f"e{i}", float(i), True, loss=x, nc1=v, efficiency=e, efficiency_upper=e + width)
        for i, (e, x, v) in enumerate(zip(efficiencies, losses, nc1, strict=True))
    ]  # fmt: skip


RISING = np.linspace(0.1, 0.8, 9)
HALVED = 0.5 ** np.arange(9)
FLAT = np.minimum(RISING, 0.5)


def test_a_rising_efficiency_with_falling_nc1_is_still_collapsing():
    (word,) = moving(run(RISING, HALVED))
    assert isinstance(word, StillCollapsing)
    assert (word.first, word.last) == ("6", "8")
    assert word.efficiency == (RISING[6] + 0.002, RISING[8])
    assert "from step 6 to 8 the efficiency rises from at most 0.627 to" in str(word)


def test_a_flat_efficiency_with_a_falling_loss_is_stalled():
    (word,) = moving(run(FLAT, HALVED))
    assert isinstance(word, Stalled)
    assert word.efficiency == (0.5, 0.502)
    assert word.loss == (HALVED[6], HALVED[8])


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        (run(FLAT, np.ones(9)), "flat, and so is the loss"),
        (run(FLAT, HALVED, width=0.2), "brackets too wide to show that it is flat"),
        (run(RISING, HALVED, width=0.2), "brackets too wide to show that it rises"),
        (run(RISING, HALVED, nc1=np.ones(9)), "NC1 does not fall"),
        (run(RISING[::-1], HALVED), "the efficiency falls"),
        (run([*RISING[:7], 0.9, 0.8], HALVED), "it falls back at the last step"),
        (run([*RISING[:7], 0.9, 0.905], HALVED), "it has stopped to rise at the last step"),
        (run(RISING[:6], HALVED[:6]), "the last third has two steps"),
        (run([*RISING[:7], NAN, 0.8], HALVED), "a step of the last third is not known"),
        ([replace(s, placed=False) for s in run(RISING, HALVED)], "nobody knows the order"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_nothing_is_said_without_evidence(steps, why):
    assert moving(steps) == []


def test_the_loss_of_a_log_goes_before_that_of_the_fit_rows():
    steps = [replace(s, log={"train_loss": 1.0}) for s in run(FLAT, HALVED)]
    assert moving(steps) == []
    steps = [replace(s, log={"loss": float(x)}) for s, x in zip(run(FLAT, np.ones(9)), HALVED)]
    assert moving(steps)[0].loss == (HALVED[6], HALVED[8])


def bits(wrong, rows="x", **more):
    given = {"sampling": "iid", "kind": "certificate", **more}
    return ErrorBits("holdout", rows, np.asarray(wrong, dtype=bool), **given)


def wrong(n, *where):
    out = np.zeros(n, dtype=bool)
    out[[i for part in where for i in part]] = True
    return out


def said(errors, delta=0.05, charged=None, **more):
    steps = [Step("r", f"e{i}", float(i), True) for i in range(len(errors))]
    by_name = {s.checkpoint: e for s, e in zip(steps, errors, strict=True)}
    return settled(steps, by_name, delta, len(errors) - 1 if charged is None else charged, **more)


N = 4000
LAST = wrong(N, range(200))
NEAR = wrong(N, range(5, 205))
FAR = wrong(N, range(400))


def test_the_first_step_of_those_that_are_all_near_the_last_is_named():
    (word,) = said([bits(FAR), bits(NEAR), bits(LAST), bits(LAST)])
    assert isinstance(word, Indistinguishable)
    assert (word.since, word.last, word.steps, word.charged, word.n) == ("1", "3", 2, 3, N)
    assert word.kind == "certificate"
    assert str(word).startswith("✓ from step 1 on indistinguishable from the last, 3: at 2 steps")


def test_a_step_that_was_judged_on_test_rows_makes_no_certificate():
    (word,) = said([bits(LAST, kind="measure"), bits(LAST)])
    assert word.kind == "measure"


def test_a_step_near_the_last_before_one_that_is_far_does_not_count():
    (word,) = said([bits(NEAR), bits(FAR), bits(NEAR), bits(LAST)])
    assert word.since == "2"


@pytest.mark.parametrize(
    "before",
    [
        bits(FAR),
        bits(wrong(N, range(214))),  # within .01, and shown to err more often
        bits(wrong(N, range(186))),  # and less often
        bits(NEAR, rows="y"),
        bits(NEAR[:-1]),
        None,
    ],
    ids=["far", "worse", "better", "other rows", "fewer rows", "not known"],
)
def test_nothing_is_said_where_the_step_before_the_last_is_not_shown_to_be_near(before):
    assert said([bits(LAST), before, bits(LAST)]) == []


def test_both_directions_have_to_be_shown():
    # 8 rows against 2 of 1,000: no difference is seen, and one of two limits is beyond .01
    one, other = wrong(1000, range(8)), wrong(1000, range(8, 10))
    assert said([bits(one), bits(other)]) == said([bits(other), bits(one)]) == []
    assert said([bits(one[::-1]), bits(one[::-1])])


def test_few_rows_show_nothing_and_an_undeclared_draw_is_no_certificate():
    some = wrong(100, range(5))
    assert said([bits(some), bits(some[::-1])]) == []
    (word,) = said([bits(NEAR, kind="plug-in", reasons=("not declared",)), bits(LAST)])
    assert word.kind == "plug-in"
    assert str(word).endswith("(not declared)")


def test_delta_is_divided_over_the_steps_and_candidates():
    # two classifiers that never differ on n rows: within eps at delta iff no share above eps of
    # rows on which they do is possible
    n, eps = 330, 0.01
    same = [bits(wrong(n)), bits(wrong(n))]
    needed = [d for d in (0.05, 0.025, 0.01) if binomial_upper(0, n, d) <= eps]
    assert needed == [0.05]
    assert said(same, 0.06)
    assert not said(same, 0.06, charged=5)
    assert not said([bits(wrong(n)), bits(wrong(n), candidates=5)], 0.06)


@pytest.mark.parametrize("delta", [0.05, 0.25])
def test_the_least_of_many_far_steps_is_called_near_with_probability_delta_at_most(delta):
    """Steps at the boundary, eps worse than the last on independent rows: all claims are wrong."""
    rng, n, eps, others, draws = np.random.default_rng(0), 400, 0.05, 3, 300
    false = 0
    for _ in range(draws):
        last = rng.random(n) < 0.02
        steps = [bits(last | (rng.random(n) < eps / 0.98)) for _ in range(others)]
        false += bool(said([*steps, bits(last)], delta, eps=eps))
    assert false <= delta * draws + 3 * np.sqrt(delta * (1 - delta) * draws)


def row(name, step, value=0.3, **more):
    return BoundResult(
        **{
            **{"bound": "binomial", "family": "holdout", "kind": "certificate", "target": "saved"},
            **{"role": "holdout", "n": N, "delta": 0.05, "checkpoint": name, "series": "r"},
            **{"step": step, "value": value, "test": Measured(0.1, 0.09, 0.11), **more},
        }
    )


def facts(wrong_rows, efficiency=0.5, **more):
    fit = [
        ("loss", "cross-entropy", 0.2), ("NC1", "plug-in", 0.04), ("NC1", "plug-in", 9.0),
        ("collapse efficiency (within)", "plug-in", 0.9),
        ("collapse efficiency", "at least", efficiency),
        ("collapse efficiency", "at most", efficiency + 0.001),
        ("margin efficiency", "minimum", -0.2), ("margin efficiency", "5% quantile", 0.3),
    ]  # fmt: skip
    collapse = {"fit": [{"metric": m, "variant": v, "value": x} for m, v, x in fit]}
    errors = {"holdout": bits(wrong_rows).to_dict()}
    rates = {"fit": 0.01}
    return {"collapse": collapse, "errors": errors, "error_rates": rates, **more}


REPORT = Report(
    [
        row("e1", 1.0, 0.4),
        row("e1", 1.0, 0.2, bound="kl_holdout"),
        row("e10", 10.0),
        row("best.pt", NAN),
        row("final.pt", NAN),
    ],
    [Failure("e2", "broken", "r", 2.0)],
    {
        "e1": facts(FAR, steps={"planned": 30, "delta": 0.1, "last": False}),
        "e10": facts(NEAR, layers={"layers": [{}] * 5, "effective_depth": 3}),
        "best.pt": facts(LAST, steps={"last": False}),
        "final.pt": facts(LAST, steps={"planned": 30, "delta": 0.1, "last": True}),
    },
)


def test_a_table_along_the_steps_has_all_columns_in_order():
    table = REPORT.series()
    assert table.checkpoint.tolist() == ["e1", "e2", "e10", "best.pt", "final.pt"]
    assert table.step.tolist()[:3] == [1, 2, 10]
    first = table.iloc[0]
    assert (first.certificate, first.value) == ("binomial", 0.4)
    assert (first.train_error, first.test_error, first.nc1, first.loss) == (0.01, 0.1, 0.04, 0.2)
    assert (first.efficiency, first.efficiency_upper, first.within) == (0.5, 0.501, 0.9)
    assert (first.margin_efficiency, first.margin_efficiency_quantile) == (-0.2, 0.3)
    assert table.effective_depth.tolist()[2] == 3
    assert table.reason.tolist()[1] == "broken"
    assert Report([], simultaneous=False).series().empty


def test_the_smallest_certificate_is_taken_where_all_hold_together_only():
    together = Report(REPORT.rows, facts=REPORT.facts, simultaneous=True)
    (first,) = (s for s in steps_of(together)["r"] if s.checkpoint == "e1")
    assert (first.certificate, first.value) == ("kl_holdout", 0.2)


def test_the_measured_error_of_a_step_is_that_of_the_saved_classifier():
    worst = replace(row("e1", 1.0, 0.4), qualifier="worst class", test=Measured(0.6, 0.5, 0.7))
    (first,) = steps_of(Report([worst, row("e1", 1.0)]))["r"]
    assert first.test_error == 0.1


def test_words_are_charged_for_steps_that_were_planned_and_pass_by_the_best():
    (word,) = REPORT.words()
    assert (word.since, word.last, word.delta, word.charged) == ("10", "final", 0.1, 29)
    text = "\n".join(series_lines(REPORT))
    assert str(word) in " ".join(text.split())
    assert "not evaluated" in text
    assert "indistinguishable from the last" in REPORT.to_markdown()
    assert REPORT.render("series.csv").count("\n") == 6


def test_shares_of_the_steps_add_up_to_no_more_than_delta(monkeypatch):
    limit = Kept(lambda *_: True, 4)
    monkeypatch.setattr(trend, "_within", limit)
    delta = unlucky(45)
    said([bits(NEAR, candidates=5), bits(LAST, candidates=3)], delta, charged=3)
    assert [within(d, 45, delta) for d in limit.found] == [True, True]


def test_the_last_step_has_to_be_certified_too():
    (word,) = said([bits(NEAR), bits(LAST, kind="plug-in", reasons=("not declared",))])
    assert (word.kind, word.reasons) == ("plug-in", ("not declared",))


def test_strata_have_no_sign_test():
    # 8 rows on which one errs alone: 2^-8 is below delta, and the two binomial limits overlap
    pair = [wrong(N, range(8)), wrong(N)]
    assert said([bits(w) for w in pair]) == []
    (word,) = said([bits(w, sampling="stratified") for w in pair])
    assert word.kind == "certificate"
    # no row apart: each of the two binomial limits has half of the share
    few = [bits(wrong(330), sampling=s) for s in ("iid", "stratified")]
    assert said([few[0]] * 2, 0.06)
    assert not said([few[1]] * 2, 0.06)
