"""Evidence that speaks against itself: each kind is noticed, and what is meant is kept."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.bounds import get
from ncbounds.errors import InvalidSample, NcboundsError
from ncbounds.evidence.code_word import Compressed
from ncbounds.evidence.contradictions import _never_drawn
from ncbounds.evidence.copies import repeated, shared
from ncbounds.evidence.evidence import FIELD, Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.evidence.split import split
from ncbounds.network.network import Network
from ncbounds.numerics import binomial_upper, kl_upper
from ncbounds.procedures.linear import ncm

CLASSES, DIM = 4, 30
HEAD = LinearHead(np.random.default_rng(5).normal(size=(CLASSES, DIM)))


def points(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, DIM)), rng.integers(0, CLASSES, n)


def made(role, f, y, **more):
    return Sample.from_arrays(f, y, role=role, **{"sampling": "iid", **more})


def evidence(*samples, **more):
    return Evidence(head=HEAD, **{FIELD[s.role]: s for s in samples}, **more)


def held_out(*samples, **more):
    return get("binomial")(evidence(*samples, **more), role="holdout")


# ---------------------------------------------------------------- copies across roles

F, Y = points(300)
ACROSS = {
    "half of the points": (F[:200], F[150:250]),
    "another order": (F[:200], F[250:100:-1]),
    "float32 against float64": (F[:200], F[:100].astype(np.float32)),
    "float16 against itself in float64": (
        F[:200].astype(np.float16),
        F[:99].astype(np.float16) + 0.0,
    ),
    "an oversampled table": (np.repeat(F[:60], 3, axis=0), F[:60]),
    "a few among many": (F[:200], np.vstack([F[200:296], F[:4]])),
    "negative zeros": (np.c_[F[:200, :-1], np.zeros(200)], np.c_[F[:99, :-1], -np.zeros(99)]),
    "scale beyond float32": (F[:200] * 1e200, F[:100] * 1e200),
}


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("case", ACROSS)
def test_points_of_two_roles_make_a_plug_in_that_names_both_ways_out(case, ids):
    fit, hold = ACROSS[case]
    y, z = np.arange(len(fit)) % CLASSES, np.arange(len(hold)) % CLASSES
    rows = {"rows": np.arange(len(fit))} if ids else {}
    other = {"rows": 1000 + np.arange(len(hold))} if ids else {}
    row = held_out(made("fit", fit, y, **rows), made("holdout", hold, z, **other))
    assert row.kind == "plug-in"
    (said,) = [r for r in row.reasons if "stand in the fit sample too" in r]
    assert "repeats='copies'" in said
    assert "repeats='by chance'" in said
    assert row.details["copies"]["fit"] == int(
        shared(made("holdout", hold, z), made("fit", fit, y)).rows.sum()
    )


@pytest.mark.parametrize("role", ["fit", "head"])
def test_points_of_head_and_holdout_and_fresh_ones(role):
    assert held_out(made(role, F[:100], Y[:100]), made("holdout", F[100:], Y[100:])).kind == (
        "certificate"
    )
    assert held_out(made(role, F[:150], Y[:150]), made("holdout", F[100:], Y[100:])).kind == (
        "plug-in"
    )


def test_unlabelled_points_that_stand_in_the_sample_or_were_trained_on():
    held = made("holdout", F[:100], Y[:100])
    b = get("unlabelled_head")
    for pool, kind in ((F[100:], "certificate"), (F[50:150], "plug-in")):
        pool = Sample.from_arrays(pool, role="unlabelled", sampling="iid")
        assert b(evidence(held, pool, procedure=ncm)).kind == kind


def test_inputs_that_are_equal_count_where_features_round_differently():
    rng = np.random.default_rng(3)
    hashes = rng.integers(0, 2**63, 200, dtype=np.uint64)
    off = F[:100] * (1 + 1e-5 * rng.normal(size=(100, DIM)))
    trained = made("fit", F[:100], Y[:100], input_hashes=hashes[:100])
    assert (
        held_out(trained, made("holdout", off, Y[:100], input_hashes=hashes[:100])).kind
        == "plug-in"
    )
    assert (
        held_out(trained, made("holdout", off, Y[:100], input_hashes=hashes[100:])).kind
        == "certificate"
    )


def test_one_point_in_a_hundred_is_counted_and_reported():
    trained, held = made("fit", F[:100], Y[:100]), made("holdout", F[99:199], Y[99:199])
    row = held_out(trained, held)
    assert row.kind == "certificate"
    assert row.details["copies"] == {"fit": 1}
    assert evidence(trained, held).duplicates() == {"fit/holdout": 1}


def test_points_that_were_trained_on_are_not_tolerated_where_chance_gives_fewer():
    """One in a hundred of many points lowers a rate by more than its limit adds."""
    n, common = 20_000, 190
    rng = np.random.default_rng(5)
    labels, answers = rng.integers(0, 10, (2, n))
    answers[:common] = labels[:common]  # random labels, learned by heart
    given = {"fit": labels[:common], "holdout": labels}
    for first, kind in ((0, "plug-in"), (n - 1, "certificate")):
        e = Evidence.from_predictions(
            predicted={"fit": labels[:common], "holdout": answers},
            labels=given,
            input_hashes={"fit": first + np.arange(common), "holdout": np.arange(n)},
            sampling="iid",
            classes=10,
        )
        row = get("binomial")(e)
        assert row.kind == kind
    assert row.details["copies"] == {"fit": 1}
    assert row.value < 0.9  # below the error rate, where 190 were taken for held-out points


def test_two_splits_of_one_sample_with_two_seeds():
    whole = made("holdout", F, Y)
    a, b = split(whole, {"fit": 0.3}, seed=1)["fit"], split(whole, {"holdout": 0.3}, seed=2)
    assert held_out(a, b["holdout"]).kind == "plug-in"
    both = split(whole, {"fit": 0.3, "holdout": 0.3}, seed=1)
    assert held_out(both["fit"], both["holdout"]).kind == "certificate"


# ---------------------------------------------------------------- copies inside a role


@pytest.mark.parametrize("times", [2, 10])
def test_points_that_repeat_inside_a_sample_have_to_be_declared(times):
    f, y = np.repeat(F[:40], times, axis=0), np.repeat(Y[:40], times)
    undeclared = held_out(made("holdout", f, y))
    assert undeclared.kind == "plug-in"
    assert (
        f"{40 * (times - 1)} of {40 * times} holdout points repeat others" in undeclared.reasons[0]
    )
    assert undeclared.details["copies"] == {"holdout": 40 * (times - 1)}
    by_chance = held_out(made("holdout", f, y, repeats="by chance"))
    assert (by_chance.kind, by_chance.n) == ("certificate", 40 * times)
    once, plain = (
        held_out(made("holdout", f, y, repeats="copies")),
        held_out(made("holdout", F[:40], Y[:40])),
    )
    assert (once.kind, once.value, once.n) == ("certificate", plain.value, 40)
    assert f"{40 * (times - 1)} holdout rows left out: copies" in " ".join(once.reasons)


def test_declared_copies_leave_the_sample_that_they_may_not_stand_in():
    """Half of the held-out points were trained on; the others alone are counted."""
    trained = made("fit", F[:100], Y[:100])
    held = made("holdout", F[50:150], Y[50:150], repeats="copies")
    row, fresh = held_out(trained, held), held_out(made("holdout", F[100:150], Y[100:150]))
    assert (row.kind, row.n, row.value) == ("certificate", 50, fresh.value)
    assert evidence(trained, held).holdout.kept.tolist() == list(range(50, 100))
    every = made("holdout", F[:100], Y[:100], repeats="copies")
    with pytest.raises(InvalidSample, match="empty"):
        held_out(trained, every)


def test_a_code_word_and_a_network_follow_the_rows_that_are_left():
    f, y = np.repeat(F[:10], 2, axis=0), np.repeat(Y[:10], 2)
    word = Compressed(bits=8, predict={"fit": lambda: np.arange(20)})
    e = evidence(
        made("fit", f, y, repeats="copies"),
        code_word=word,
        network=Network(layers=(), inputs=np.arange(20)[:, None], reason="none"),
    )
    assert e.code_word.on("fit").tolist() == list(range(0, 20, 2))
    assert e.network.inputs[:, 0].tolist() == list(range(0, 20, 2))
    assert e.without_test().code_word.on("fit").tolist() == list(range(0, 20, 2))


# ---------------------------------------------------------------- repeats by chance, and copies


def dead_features(n, rng, atoms=6, share=0.3):
    """Features of which a share falls on few points, the rest on none twice."""
    f = rng.normal(size=(n, DIM))
    on = rng.random(n) < share
    f[on] = np.eye(atoms, DIM)[rng.integers(0, atoms, int(on.sum()))]
    return f


def many_atoms(n, rng):
    """Features on 2,000 equal atoms, of which a sample meets few twice."""
    return rng.integers(0, 2000, (n, 1)) * np.ones((1, DIM))


@pytest.mark.parametrize("law", [dead_features, many_atoms])
@pytest.mark.parametrize("sizes", [(60, 60), (400, 60), (60, 400), (200, 200)])
def test_chance_explains_the_atoms_that_two_draws_of_a_law_share(law, sizes):
    """Large and small atoms, and samples of very different sizes: no false alarm in 100 draws."""
    rng = np.random.default_rng(2)
    for _ in range(100):
        one, other = (made("fit", law(k, rng), np.zeros(k, int)) for k in sizes)
        assert shared(one, other).chance


@pytest.mark.parametrize("copied", [40, 100])
@pytest.mark.parametrize("trained", [100, 200, 2000])
def test_repeats_by_chance_do_not_explain_copies_of_points_that_no_draw_repeats(copied, trained):
    f, y = points(trained + 100, seed=8)
    held = np.vstack([f[:copied], f[trained : trained + 100 - copied]])
    row = held_out(
        made("fit", f[:trained], y[:trained]),
        made("holdout", held, y[:100], repeats="by chance"),
    )
    assert row.kind == "plug-in"
    assert "more than repeats by chance explain" in row.reasons[0]


def test_a_point_is_its_float32_rounding_in_every_dtype_and_scale():
    f = np.random.default_rng(0).normal(size=(500, 3)) * 2.0 ** np.arange(-60, 60, 41)[None, :]
    rounded = made("fit", f.astype(np.float32), np.zeros(500, int))
    exact = made("holdout", f, np.zeros(500, int))
    assert np.array_equal(rounded.points, exact.points)
    assert len(np.unique(exact.points)) == 500
    ulp = made("holdout", f.astype(np.float32) * np.float32(1 + 2**-22), np.zeros(500, int))
    assert not np.isin(ulp.points, exact.points).any()
    assert not repeated(exact).any()


# ---------------------------------------------------------------- labels


def test_labels_beyond_the_head_say_what_they_look_like():
    shifted = held_out(made("holdout", F, Y + 1))
    assert shifted.kind == "plug-in"
    assert "look shifted by one (1 to 4): subtract 1" in shifted.reasons[0]
    for label in (255, 99, 9):
        ignored = held_out(made("holdout", F, np.where(np.arange(300) % 7, Y, label)))
        assert ignored.kind == "plug-in"
        assert f"ignore_label={label} leaves its rows out" in ignored.reasons[0]
    meant = held_out(made("holdout", F, np.where(np.arange(300) % 7, Y, 4), classes=5))
    assert meant.kind == "certificate"
    assert any("43 of 300" in r and "does not know" in r for r in meant.reasons)


@pytest.mark.parametrize("label", [255, -100, -1])
def test_ignored_labels_leave_their_rows_out_and_say_how_many(label):
    y = np.where(np.arange(300) % 7, Y, label)
    sample = made("holdout", F, y, ignore_label=label, rows=np.arange(300), groups=np.arange(300))
    kept = np.flatnonzero(np.arange(300) % 7)
    assert sample.rows.tolist() == sample.groups.tolist() == sample.kept.tolist() == kept.tolist()
    row, plain = held_out(sample), held_out(made("holdout", F[kept], Y[kept]))
    assert (row.kind, row.value) == ("certificate", plain.value)
    assert f"43 holdout rows left out: labelled {label}" in row.reasons
    if label < 0:
        with pytest.raises(InvalidSample, match=rf"ignore_label={label} .* leaves them out"):
            made("holdout", F, y)
    with pytest.raises(InvalidSample, match="leaves no row"):
        made("holdout", F, np.full(300, label), ignore_label=label)


# ---------------------------------------------------------------- priors and absent classes


def test_class_frequencies_that_no_draw_from_the_priors_gives():
    y = np.r_[np.zeros(150, int), np.arange(150) % CLASSES]
    assert held_out(made("holdout", F, y), priors=[0.6, 0.2, 0.1, 0.1]).kind == "certificate"
    row = held_out(made("holdout", F, y), priors="balanced")
    assert row.kind == "plug-in"
    assert "188 of 300 holdout points are of class 0, which priors of 0.25" in row.reasons[0]
    rare = held_out(made("holdout", F, y), priors=[1.0, 0.0, 0.0, 0.0])
    assert rare.kind == "plug-in"
    designed = held_out(made("holdout", F, y, sampling="stratified"), priors="balanced")
    assert designed.kind == "certificate"


def test_priors_of_the_law_are_never_taken_for_wrong_ones():
    """The test has level 1e-9: in 2,000 draws of small and large classes there is no alarm."""
    rng = np.random.default_rng(4)
    p = np.array([0.9, 0.09, 0.009, 0.001])
    for _ in range(200):
        y = rng.choice(CLASSES, 300, p=p)
        row = held_out(made("holdout", F, y), priors=p)
        assert row.kind == "certificate"


def test_a_class_that_another_draw_of_the_law_knows_well():
    y = np.arange(300) % 3
    trained = made("fit", F[:150] + 9, np.arange(150) % CLASSES)
    row = held_out(trained, made("holdout", F, y))
    assert row.kind == "plug-in"
    assert "class 3 has no point among 300 holdout points and 37 among 150 of fit" in row.reasons[0]
    few = made("fit", F[:20] + 9, np.arange(20) % CLASSES)
    assert held_out(few, made("holdout", F[:20], y[:20])).kind == "certificate"
    other_law = made("fit", F[:150] + 9, np.arange(150) % CLASSES, sampling="unknown")
    assert held_out(other_law, made("holdout", F, y)).kind == "certificate"


def test_a_stratified_sample_without_a_class_that_another_role_knows():
    held = made("holdout", F[:200], np.arange(200) % CLASSES, sampling="stratified", classes=6)
    assert held_out(held).kind == "certificate"
    wide = made("fit", F[200:], np.arange(100) % 5)
    row = held_out(wide, held)
    assert row.kind == "plug-in"
    assert "class 4 has no point in a stratified sample" in row.reasons


def test_label_noise_after_a_draw_by_clean_label():
    rng = np.random.default_rng(1)
    clean = np.arange(300) % CLASSES
    noisy = np.where(rng.random(300) < 0.5, rng.integers(0, CLASSES, 300), clean)
    designed = {"sampling": "stratified", "label_noise": 0.5}
    row = held_out(made("holdout", F, noisy, **designed))
    assert row.kind == "plug-in"
    assert "fix the counts of the noisy labels" in row.reasons[0]
    assert held_out(made("holdout", F, clean, **designed)).kind == "certificate"
    p = np.bincount(noisy) / 300
    assert held_out(made("holdout", F, noisy, **designed), priors=p).kind == "certificate"


# ---------------------------------------------------------------- what is compared, and with what


def test_overlap_that_nothing_can_be_compared_for_is_said_and_lowers_nothing():
    row = held_out(made("holdout", F[:100], Y[:100]))
    said = "overlap with training points is not checked: there is no fit sample"
    assert (row.kind, said in row.reasons) == ("certificate", True)
    row = held_out(made("fit", F[100:], Y[100:]), made("holdout", F[:100], Y[:100]))
    assert row.reasons == ()


def test_a_measured_error_on_points_that_were_chosen_on_or_trained_on_says_so():
    held, z = made("holdout", F[:100], Y[:100]), Y[100:200]

    def said(*samples):
        (row, *_) = nb.evaluate(evidence(held, *samples), bounds="binomial").rows
        return " ".join(row.test.reasons)

    assert said(made("test", F[100:200], z)) == ""
    assert "among 7 candidates" in said(made("test", F[100:200], z, selected_among=7))
    assert "unknown number" in said(made("test", F[100:200], z, selected_among=None))
    trained = made("fit", F[150:250], Y[150:250])
    assert "50 of 100 test points stand in the fit" in said(made("test", F[100:200], z), trained)
    assert "look shifted by one" in said(made("test", F[100:200], z + 1))


def test_all_holdout_rows_of_a_stratified_sample_speak_about_the_priors():
    """Class errors .3 and .02, law .9/.1: no best certificate below .272 more often than delta."""
    rng = np.random.default_rng(0)
    head, p, below = LinearHead([[-1.0], [1.0]]), np.array([0.9, 0.1]), 0
    y = np.repeat([0, 1], 300)
    for _ in range(100):
        wrong = rng.random(600) < np.array([0.3, 0.02])[y]
        f = ((2.0 * y - 1) * np.where(wrong, -1, 1) * rng.uniform(1, 2, 600))[:, None]
        held = made("holdout", f, y, sampling="stratified")
        e = Evidence(head=head, holdout=held, priors=p)
        found = nb.evaluate(e, bounds="binomial,kl_holdout,hoeffding", simultaneous=True)
        best = found.best_certificate()
        assert best.claim.weights.tolist() == p.tolist()
        below += best.value < 0.272
    assert below <= 12  # P(Bin(100, .05) > 12) = .0015; with other weights it was all 100


def test_prescribed_hoeffding_and_kl_by_hand():
    y = np.repeat([0, 1], [50, 20])
    f = np.r_[np.full(5, 1.0), np.full(45, -1.0), np.full(4, -1.0), np.full(16, 1.0)]
    f = (f * np.linspace(1, 2, 70))[:, None]
    held = made("holdout", f, y, sampling="stratified")
    e = Evidence(head=LinearHead([[-1.0], [1.0]]), holdout=held, priors=[0.8, 0.2])
    rate = 0.8 * 5 / 50 + 0.2 * 4 / 20
    term = np.sqrt(np.log(1 / 0.05) / 2 * (0.8**2 / 50 + 0.2**2 / 20))
    assert get("hoeffding")(e, 0.05).value == pytest.approx(rate + term, rel=1e-12)
    kl = [float(kl_upper(r, np.log(2 / 0.05) / n)) for r, n in ((0.1, 50), (0.2, 20))]
    value = get("kl_holdout")(e, 0.05).value
    assert value == pytest.approx(0.8 * kl[0] + 0.2 * kl[1], rel=1e-9)
    exact = [float(binomial_upper(k, n, 0.025)) for k, n in ((5, 50), (4, 20))]
    assert value >= get("binomial")(e, 0.05).value
    assert get("binomial")(e, 0.05).value == pytest.approx(0.8 * exact[0] + 0.2 * exact[1])


def test_certificates_about_other_class_weights_are_not_compared():
    y = np.repeat([0, 1, 2, 3], [100, 100, 50, 50])
    held = made("holdout", F, y, sampling="stratified")
    trained = made("fit", F + 9, np.arange(300) % CLASSES)
    e = evidence(held, trained, priors="balanced")
    found = nb.evaluate(e, bounds="binomial,margin_rademacher,hoeffding", simultaneous=True)
    with pytest.raises(NcboundsError, match="not about the same error"):
        found.best_certificate()
    assert found["binomial"].best_certificate().bound == "binomial"
    other = found["margin_rademacher"].rows[0]
    assert any("not with the priors" in reason for reason in other.reasons)


def test_coverage_of_counts_where_repeats_are_declared_to_be_by_chance():
    """The certificate that is kept on a law with atoms holds: 4 atoms, error .3, delta .1."""
    rng = np.random.default_rng(9)
    head, q = LinearHead([[-1.0], [1.0]]), np.array([0.2, 0.1, 0.3, 0.4])
    atoms, labels = np.array([1.0, -1.0, 2.0, -2.0]), np.array([0, 1, 1, 0])
    below = 0
    for _ in range(500):
        a, b = rng.choice(4, 60, p=q), rng.choice(4, 40, p=q)
        held = made("holdout", atoms[a][:, None], labels[a], repeats="by chance")
        e = Evidence(head=head, holdout=held, fit=made("fit", atoms[b][:, None], labels[b]))
        row = get("binomial")(e, 0.1)
        assert row.kind == "certificate"
        below += row.value < 0.3
    assert below <= 80  # P(Bin(500, .1) > 80) = 1.3e-5


def test_chance_that_a_class_is_missed_is_exact():
    for marked, drawn, total in ((3, 50, 100), (20, 30, 60), (2, 0, 5), (60, 50, 100)):
        exact = Fraction(comb(total - marked, drawn), comb(total, drawn))
        assert _never_drawn(marked, drawn, total) == pytest.approx(float(exact), rel=1e-9)
