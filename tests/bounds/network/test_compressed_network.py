"""The two rows through a code word: by hand, in simulation, and without one."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from ncbounds.bounds.network.compressed_network import compressed_network
from ncbounds.bounds.network.unlabelled_network import unlabelled_network
from ncbounds.evidence.code_word import Compressed
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import binomial_upper, occam_upper

RNG = np.random.default_rng(3)
N, M = 400, 300
HEAD = LinearHead(np.eye(3), np.zeros(3))

#: Features of three values, which no bound here reads.
ATOMS = {"repeats": "by chance"}


def evidence(*, sampling="iid", wrong=40, differ=30, bits=48, tried=1, **roles):
    y = RNG.permutation(np.arange(N) % 3)
    fit = Sample.from_arrays(np.eye(3)[y], y, role="fit", sampling=sampling, **ATOMS)
    pool_y = np.arange(M) % 3
    pool = Sample.from_arrays(np.eye(3)[pool_y], None, role="unlabelled", sampling="iid", **ATOMS)
    own, other = y.copy(), pool_y.copy()
    own[:wrong] = (own[:wrong] + 1) % 3
    other[:differ] = -1
    classes = {"fit": own, "unlabelled": other, **roles}
    word = Compressed(bits, {role: partial(np.copy, c) for role, c in classes.items()}, tried)
    return Evidence(head=HEAD, fit=fit, unlabelled=pool, code_word=word)


def test_values_by_hand():
    row = compressed_network(evidence(), delta=0.05)
    assert row.kind == "certificate"
    assert row.target == "compressed"
    assert row.value == pytest.approx(occam_upper(40, N, 48, 0.05), rel=1e-12)
    assert row.details["errors"] == 40
    assert row.terms["empirical"] == 0.1
    both = unlabelled_network(evidence(tried=3), delta=0.05)
    assert both.kind == "certificate"
    assert both.target == "saved"
    expected = occam_upper(40, N, 48, 0.025) + float(binomial_upper(30, M, 0.025 / 3))
    assert both.value == pytest.approx(expected, rel=1e-9)
    assert both.value >= expected


def test_an_undecided_point_is_an_error():
    e = evidence(wrong=0)
    own = e.code_word.on("fit")
    own[:7] = -1
    word = Compressed(48, {"fit": partial(np.copy, own)})
    row = compressed_network(replace(e, code_word=word))
    assert row.details["errors"] == 7
    assert row.value == occam_upper(7, N, 48, 0.05)


def test_undecided_saved_logits_are_differences():
    e = evidence(differ=0)
    tie = Evidence(
        head=LinearHead(np.zeros((3, 3)), np.zeros(3)),
        fit=e.fit,
        unlabelled=e.unlabelled,
        code_word=e.code_word,
    )
    assert unlabelled_network(tie).details["differences"] == M


def test_stratified_and_undeclared_draws():
    assert compressed_network(evidence(sampling="stratified")).kind == "certificate"
    assert compressed_network(evidence(sampling="unknown")).kind == "plug-in"
    assert np.isnan(unlabelled_network(evidence(sampling="stratified")).value)


def test_without_a_code_word_there_is_a_reason():
    e = evidence()
    bare = Evidence(head=HEAD, fit=e.fit, unlabelled=e.unlabelled)
    for row in (compressed_network(bare), unlabelled_network(bare)):
        assert np.isnan(row.value)
        assert "ncbounds compress" in row.reasons[-1]
        assert row.details["not given"] == "code_word"
    broken = replace(bare, code_word=Compressed(reason="damaged: a byte"))
    for row in (compressed_network(broken), unlabelled_network(broken)):
        assert np.isnan(row.value)
        assert row.reasons[-1] == "damaged: a byte"
        assert "not given" not in row.details
    other_rows = compressed_network(evidence(fit=np.zeros(N - 1, dtype=int)))
    assert np.isnan(other_rows.value)
    assert str(N - 1) in other_rows.reasons[-1]


def test_without_a_known_list_the_difference_is_a_plug_in():
    unknown = evidence(tried=None)
    row = unlabelled_network(unknown)
    assert row.kind == "plug-in"
    assert "unlabelled sample is unknown" in row.reasons[0]
    assert row.value == unlabelled_network(evidence(tried=1)).value
    # the decoded network itself was not chosen there
    assert compressed_network(unknown).kind == "certificate"


def test_coverage_of_the_best_of_all_words():
    """All 2^l words of l bits, fixed classifiers of known error: the best is chosen on S."""
    bits, n, draws, delta = 8, 60, 400, 0.25
    rng = np.random.default_rng(11)
    failures = 0
    for _ in range(draws):
        # every word errs independently with probability .3: the most tempting case
        errors = rng.binomial(n, 0.3, size=2**bits)
        k = int(errors.min())
        labels = np.zeros(n, dtype=int)
        predicted = (np.arange(n) < k).astype(int)
        sample = Sample.from_arrays(np.zeros((n, 2)), labels, role="fit", sampling="iid", classes=2)
        e = Evidence(
            head=LinearHead(np.eye(2), np.zeros(2)),
            fit=sample,
            code_word=Compressed(bits, {"fit": partial(np.copy, predicted)}),
        )
        failures += compressed_network(e, delta=delta).value < 0.3
    assert failures <= delta * draws + 5 * math.sqrt(delta * draws)
    # it is not vacuous: the choice itself uses up a good part of delta
    assert failures > 0.1 * delta * draws
