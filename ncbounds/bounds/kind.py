"""The kind of a row, computed from the evidence and never declared."""

import math
from typing import NamedTuple

import numpy as np

from ncbounds.bounds.needs import Needs
from ncbounds.evidence.contradictions import contradictions, only_first, remarks
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.roles import DEPENDENCE, Role, serves
from ncbounds.evidence.sample import Sample
from ncbounds.numerics.rounding import part_of
from ncbounds.results import Kind

#: Above this delta the pooled binomial statement is not proved for samples drawn class by class.
EDGE_RULE_DELTA = 0.25

#: Beyond this many candidates, delta's share of one leaves the range of float64.
MOST_CANDIDATES = 2**900


class Verdict(NamedTuple):
    """Kind of a row, what lowered or qualifies it, and the delta left for its formula."""

    kind: Kind
    reasons: tuple[str, ...]
    delta: float


def judge(needs: Needs, sample: Sample, evidence: Evidence, delta: float) -> Verdict:
    """Decide what a statement with these needs on ``sample`` is worth.

    A row reaches the bound's best kind only if the sample's role meets the hypothesis, its
    sampling is declared and leaves the rows independent, the number of candidates compared on it
    is known (its delta is divided by that number), and the other samples that the bound reads meet
    the same demands. What is missing is listed and lowers the kind to a plug-in, and so does
    evidence that speaks against itself (:mod:`ncbounds.evidence.contradictions`). A row through a
    code word whose version was developed on these images is conditional at best.
    """
    delta = float(delta)  # a share of a float16 is another number
    looked = tuple(only_first(sample))
    if needs.kind == "measure":
        return Verdict("measure", looked, delta)
    on_fit = ("the features were fitted on this sample",) if sample.role == "fit" else ()
    if needs.kind == "plug-in":
        return Verdict("plug-in", (*looked, *needs.assumptions, *on_fit), delta)
    read = [sample]
    pool = evidence.unlabelled
    if "unlabelled" in needs.parts and pool is not None:
        read.append(pool)
    missing = [
        *(reason for s in read for reason in only_first(s)),
        *_role(needs, sample),
        *(reason for s in read for reason in _draw(s, evidence)),
        *contradictions(sample, evidence, unseen=needs.unseen),
        *(x for s in read[1:] for x in contradictions(s, evidence, beside=[sample])),
        *_apart(sample, read[1:], evidence),
        *_fit_apart(needs, sample, evidence),
        *_tried(needs, evidence),
        *_rounded(needs, evidence),
    ]
    if sample.sampling == "stratified" and delta > EDGE_RULE_DELTA:
        missing.append(f"a stratified sample needs delta <= {EDGE_RULE_DELTA}, found {delta:g}")
    candidates = math.prod(s.selected_among or 1 for s in read)
    if candidates > MOST_CANDIDATES:
        missing.append(f"more than 2^{MOST_CANDIDATES.bit_length() - 1} candidates were compared")
        candidates = MOST_CANDIDATES
    hindsight = _hindsight(needs, evidence)
    said = [reason for s in read for reason in remarks(s, evidence)]
    assumptions = (*needs.assumptions, *hindsight, *said)
    share = part_of(delta, candidates)
    if missing:
        return Verdict("plug-in", (*missing, *assumptions), share)
    chosen = (f"delta divided by {candidates} candidates",) if candidates > 1 else ()
    kind = "conditional" if hindsight else needs.kind
    return Verdict(kind, (*assumptions, *chosen), share)


def _role(needs: Needs, sample: Sample) -> list[str]:
    if needs.role == "any" or serves(sample.role, needs.role):
        return []
    return [f"needs role {needs.role}: {DEPENDENCE[sample.role]}"]


def again_and_picked(draw: Draw) -> list[str]:
    """Say whether rows are known to stand more than once, or candidates not to be counted."""
    reasons = []
    if draw.selected_among is None:
        reasons.append(f"how many candidates were compared on the {draw.role} sample is unknown")
    if draw.rows is not None and (again := len(draw.rows) - len(np.unique(draw.rows))):
        reasons.append(f"{again} rows of the {draw.role} sample occur more than once")
    return reasons


def _draw(sample: Sample, evidence: Evidence) -> list[str]:
    reasons = []
    if sample.sampling == "unknown":
        reasons.append(f"how the {sample.role} sample was drawn is not declared (sampling='iid')")
    reasons += again_and_picked(sample.draw)
    if sample.groups is not None and len(np.unique(sample.groups)) < sample.n:
        reasons.append(
            f"rows of the {sample.role} sample share groups, so they are not independent"
        )
    others: tuple[Role, ...] = ("fit", "head")
    for other in others:
        if other != sample.role:
            reasons += _grouped_apart(sample, other, evidence)
    return reasons


def _grouped_apart(sample: Sample, other: Role, evidence: Evidence) -> list[str]:
    """Whether units that share rows are known not to have rows on both sides."""
    used = evidence.sample(other)
    if used is not None and (sample.groups is None) != (used.groups is None):
        silent = sample.role if sample.groups is None else other
        return [f"groups are declared, but not for {silent}"]
    shared = evidence.shared_groups(sample.role, other)
    return [f"{shared} groups have rows in {other} and in {sample.role}"] if shared else []


def _apart(sample: Sample, others: list[Sample], evidence: Evidence) -> list[str]:
    """Two samples whose draws a statement needs independent of each other."""
    if sample.role in ("fit", "head"):  # compared already, in _draw
        return []
    return [reason for s in others for reason in _grouped_apart(s, sample.role, evidence)]


def _fit_apart(needs: Needs, sample: Sample, evidence: Evidence) -> list[str]:
    if "fit" in needs.required and sample.role == "fit" and needs.role != "fit":
        return ["the fit sample cannot be both the bound's sample and its prior knowledge"]
    return []


def _tried(needs: Needs, evidence: Evidence) -> list[str]:
    """Decoded networks compared on the unlabelled points need a known, finite list."""
    word = evidence.code_word
    both = {"code_word", "unlabelled"} <= needs.parts
    if not both or word is None or word.reason or word.tried is not None:
        return []
    return ["how many decoded networks could be compared on the unlabelled sample is unknown"]


def _rounded(needs: Needs, evidence: Evidence) -> list[str]:
    """Counting pays for what rounding can do; what reads features is about the rounded ones."""
    if not needs.features:
        return []
    return [
        f"the {role} features were rounded to float16 when they were stored, and so the row is "
        "about another network; store them as they are"
        for role, sample in evidence.samples().items()
        if sample.rounded and role != "test"
    ]


def _hindsight(needs: Needs, evidence: Evidence) -> tuple[str, ...]:
    """Code words need a code that was fixed before the images."""
    word = evidence.code_word
    reads = "code_word" in needs.parts
    return (word.assumption,) if reads and word is not None and word.assumption else ()
