"""What `which` promises is what rows are worth when they are run."""

from itertools import combinations

import numpy as np
import pytest
from fixtures.evidence import drawn, evidence_of

import ncbounds as nb
from ncbounds.bounds import catalogue
from ncbounds.bounds.explain import WHOSE, when_vacuous
from ncbounds.bounds.which import (
    FORMS,
    SEVERAL_LABELS,
    THINGS,
    asked,
    branches,
    which,
    with_several_labels,
)
from ncbounds.errors import InvalidArgument, UnknownName
from ncbounds.evidence.code_word import Compressed
from ncbounds.procedures.linear import ncm
from ncbounds.results import MARK

#: Parts of the evidence that a thing stands for; nothing is computed with them here.
PARTS = {"rule": {"procedure": ncm}, "code-word": {"code_word": Compressed(bits=80, tried=1)}}
BEST_FIRST = list(MARK)
ALL_FORMS = [*FORMS, *(with_several_labels(f) for f in FORMS if not f.losses)]


def evidence(form, things):
    """Evidence that holds exactly what is said."""
    rng = np.random.default_rng(0)
    roles = {t.role for t in things if t.role}
    labels = np.arange(30) % 3
    decision = {}
    if form.several:
        labels = np.eye(3, dtype=int)[labels] | (rng.random((30, 3)) < 0.3)
        decision = {"decision": nb.MultiLabel()}
    if form.losses:
        return nb.Evidence.from_losses({r: rng.random(30) for r in roles}, sampling="iid")
    if not form.features:
        given = dict.fromkeys(roles, labels)
        return nb.Evidence.from_predictions(
            predicted=given, labels=given, sampling="iid", **decision
        )
    samples = [drawn(rng.normal(size=(30, 4)), labels, role) for role in sorted(roles)]
    parts = {**decision, **({"network": object()} if "network" in form.parts else {})}
    for t in things:
        parts |= PARTS.get(t.word, {})
    return evidence_of(nb.LinearHead(rng.normal(size=(3, 4))), *samples, **parts)


def combined(form):
    """One sample by itself or with one more thing; everything, or all but one."""
    things = asked(form)
    labelled = [t for t in things if t.role in ("holdout", "head", "fit")]
    for size in (0, 1, len(things) - 1, len(things)):
        for more in combinations(things, size):
            for sample in labelled:
                yield tuple(t for t in THINGS if t in (*more, sample))


@pytest.mark.parametrize("form", ALL_FORMS, ids=lambda f: f"{f.word}{'-several' * f.several}")
def test_promised_kinds_are_those_that_evidence_gets(form):
    for things in dict.fromkeys(combined(form)):
        answer = which([form.word, *[SEVERAL_LABELS] * form.several, *(t.word for t in things)])
        promised = {r.bound.id: r.kind for r in (*answer.guarantees, *answer.others)}
        e = evidence(form, things)
        for b in catalogue():
            undecided = "code_word" in b.needs.parts and e.code_word is None
            unseen = b.needs.unseen and "new-classes" not in [t.word for t in things]
            roles = {role for role, _ in b.planned(e)}
            if not form.allows(b) or undecided or unseen or not roles:
                assert b.id not in promised, (b.id, things)
                continue
            kinds = {b.verdict(e, role=role).kind for role in roles}
            assert promised[b.id] == min(kinds, key=BEST_FIRST.index), (b.id, things)


def test_every_guarantee_is_on_the_tree_once_with_the_least_that_it_takes():
    ids = [b.id for _, bounds in branches(FORMS[0]) for b in bounds]
    counted = {b.id for b in catalogue() if "means" not in b.answers and b.spends_delta}
    assert sorted(ids) == sorted(counted)
    for form in FORMS:
        for least, bounds in branches(form):
            words = [t.word for t in least.things]
            have = {r.bound for r in which([form.word, *words]).guarantees}
            assert have >= {*bounds}
            for word in words:  # with one thing less none of them is
                rest = which([form.word, *(w for w in words if w != word)]).guarantees
                assert not {r.bound for r in rest} & {*bounds}


def test_one_more_thing_adds_what_it_says():
    before = which(["train"])
    for thing, bounds in before.more:
        after = {r.bound for r in which(["train", thing.word]).guarantees}
        assert after - {r.bound for r in before.guarantees} == {*bounds}
    assert {t.word for t, _ in before.more} >= {"holdout", "frozen", "code-word"}


@pytest.mark.parametrize(
    ("have", "error", "told"),
    [
        (["holdut"], UnknownName, "did you mean 'holdout'"),
        (["predictions", "losses"], InvalidArgument, "name one"),
        (["losses", "several-labels"], InvalidArgument, "whatever they are of"),
        (["predictions", "frozen"], InvalidArgument, "holdout, train"),
    ],
)
def test_what_does_not_go_together_is_refused(have, error, told):
    with pytest.raises(error, match=told):
        which(have)


@pytest.mark.parametrize("b", catalogue(), ids=lambda b: b.id)
def test_every_bound_says_when_it_is_vacuous_and_what_it_is_confused_with(b):
    assert len(when_vacuous(b).split()) > 3
    assert len(b.confused_with.split()) > 8
    assert ": " in b.confused_with  # what it is taken for, and what is true
    assert b.target in WHOSE
