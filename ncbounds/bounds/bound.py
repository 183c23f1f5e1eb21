"""A bound: metadata as data, and one pure function of what it may see."""

import hashlib
import importlib
import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from ncbounds.bounds.averaged import not_of_the_priors, over_all_classes
from ncbounds.bounds.column import ScreenColumn
from ncbounds.bounds.kind import Verdict, judge
from ncbounds.bounds.needs import SOURCES, Needs, Part, RoleWanted
from ncbounds.bounds.references import Reference
from ncbounds.bounds.restate import Restated
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.averages import Weighted
from ncbounds.claims.claim import Claim
from ncbounds.claims.heads import Saved
from ncbounds.claims.registry import named
from ncbounds.claims.unmeasured import UnseenClasses
from ncbounds.errors import InvalidSample, MissingEvidence, RoleError
from ncbounds.evidence.asked import Asked
from ncbounds.evidence.contradictions import copies_found
from ncbounds.evidence.evidence import FIELD, Evidence
from ncbounds.evidence.head import LinearHead, NoHead
from ncbounds.evidence.roles import Role, check_role
from ncbounds.evidence.sample import Sample
from ncbounds.numerics.scaling import divided
from ncbounds.results import BoundResult, Kind, MeasureResult, Target

#: What a bound needs where there is a row of it without a value.
WITHOUT_HEAD = "needs a linear head and its features, and only predictions are known"
#: Why a row about one class a point has no value where points may have several labels.
ONE_CLASS = "every point may have several labels; this row is about one class a point"
#: What a bound may answer beside its variants: errors of classes and their averages, losses of 0
#: and 1, and losses between.
Answers = Literal["per", "counted", "means"]


@dataclass(frozen=True, eq=False)
class Bound:
    """One statement: what it needs, what it is worth at best, and the function that computes it.

    Made by the decorator :func:`bound`; call it as ``bound(evidence, delta=0.05)``.

    Attributes
    ----------
    id, family, title : str
    kind : str
        The best kind that a row can have; the evidence decides.
    role : str
        Role of the sample that the probability is over; ``"any"`` for moment estimates.
    target : str
        Word of :data:`ncbounds.claims.CLAIMS`: whose error a row speaks about, unless its outcome
        brings a claim of its own.
    function : callable ``(view, delta, **params) -> Outcome``
    requires, optional : tuple of str
        Parts of the evidence that must be there, and that are used if they are.
    reads_features : bool
        Whether it reads more of the classifier than what it predicts; if not, it also gives a row
        where no head is known, and is as sound where features were rounded.
    several_labels : bool
        Whether it also holds where points may have several labels; if not, its row says so.
    variants : tuple of dict
        Parameters of the rows that it gives, one row each.
    answers : tuple of str
        What else it gives rows of where that is asked for (``Evidence.asked``): ``"per"`` averages
        over classes, as ``per=NAME``; ``"counted"`` losses that are 0 or 1, ``"means"`` all others,
        as ``loss=NAME``.
    also_fit : bool
        Whether it is also evaluated on ``fit``, as a plug-in.
    assumptions : tuple of str
        Shown as reasons on every row that is not a certificate.
    confused_with : str
        What it is taken for, and what is true instead, in a sentence or two.
    references : tuple of str or Reference
        Keys of the bibliography, or references of one's own.
    decreasing_in : tuple of str
        ``"n"`` and/or ``"delta"``.
    invariant_to : tuple of str
        Of ``"relabelling", "rotation", "translation", "feature scale", "head scale",
        "common row"``.
    larger_is_better : bool
        Of a measure, whether larger values are taken to go with smaller errors.
    default : bool
        Whether it is evaluated where nobody asked for bounds by name.
    column : ScreenColumn or None
        Its column of the compact table.
    restated : callable ``(row, n, delta) -> float``, str or None
        Value of one of its rows at another n and delta, its measured quantities kept; it raises
        :class:`~ncbounds.bounds.restate.NotExplicit` where they say too little. A text says why
        there is no such value.
    formula : callable or None
        What it computes, as a function of arrays.
    """

    id: str
    family: str
    title: str
    kind: Kind
    role: RoleWanted
    target: Target
    function: Callable[..., Outcome]
    requires: tuple[Part, ...] = ("head",)
    optional: tuple[Part, ...] = ()
    reads_features: bool = True
    several_labels: bool = False
    variants: tuple[Mapping[str, Any], ...] = ({},)
    answers: tuple[Answers, ...] = ()
    also_fit: bool = True
    assumptions: tuple[str, ...] = ()
    confused_with: str = ""
    references: tuple[str | Reference, ...] = ()
    decreasing_in: tuple[str, ...] = ()
    invariant_to: tuple[str, ...] = ()
    larger_is_better: bool = False
    default: bool = False
    column: ScreenColumn | None = None
    restated: Restated | str | None = None
    formula: Callable[..., Any] | None = None

    @property
    def spends_delta(self) -> bool:
        """Whether a row can be a certificate or conditional and so takes part in a union."""
        return self.kind in ("certificate", "conditional")

    @property
    def claim(self) -> Claim:
        """Claim of a row whose outcome brings none."""
        return named(self.target)

    def claim_of(self, evidence: Evidence) -> Claim:
        """Return that claim, which says what an error is where it is not that of a class."""
        claim, error = self.claim, evidence.decision.error
        return replace(claim, qualifier=error) if error and isinstance(claim, Saved) else claim

    @property
    def needs(self) -> Needs:
        """What it asks of the evidence."""
        return Needs(
            kind=self.kind,
            role=self.role,
            parts=frozenset((*self.requires, *self.optional)),
            required=frozenset(self.requires),
            assumptions=self.assumptions,
            unseen=isinstance(self.claim, UnseenClasses),
            features=self.reads_features,
        )

    @cached_property
    def source_hash(self) -> str:
        """Hash of the source of the function's file and of the metadata; part of a result."""
        try:
            source = Path(inspect.getfile(self.function)).read_bytes()
        except (OSError, TypeError):  # typed at a prompt, or compiled
            code = getattr(self.function, "__code__", None)
            source = b"" if code is None else code.co_code + repr(code.co_consts).encode()
        metadata = f"{self.kind} {self.role} {self.target} {self.requires} {self.variants}"
        return hashlib.sha256(source + metadata.encode()).hexdigest()[:16]

    def planned(self, evidence: Evidence) -> list[tuple[Role, Mapping[str, Any]]]:
        """Rows that it gives on ``evidence``: pairs of role and parameters."""
        if any(getattr(evidence, part) is None for part in self.requires):
            return []
        if self.unfit(evidence):
            return []
        weights = evidence.class_weights()
        empty = {name for name, w in weights.items() if not w.any()}
        rows = [
            params
            for params in self.rows_for(
                evidence.asked,
                losses_alone=evidence.losses_alone,
                several_labels=evidence.decision.several,
            )
            if params.get("per") not in empty
        ]
        roles = [r for r in SOURCES[self.role] if evidence.sample(r) is not None][:1]
        if self.also_fit and self.role != "fit" and evidence.fit is not None:
            roles.append("fit")
        return [(role, params) for role in roles for params in rows]

    def rows_for(
        self, asked: Asked, *, losses_alone: bool = False, several_labels: bool = False
    ) -> list[Mapping[str, Any]]:
        """Parameters of its rows on one sample, fixed before any sample is seen.

        Parameters
        ----------
        asked : Asked
            What is asked beside the error.
        losses_alone : bool
            Whether losses are all that is known, so that there is no error to speak of.
        several_labels : bool
            Whether points may have several labels, so that there are no errors of classes.
        """
        if several_labels and not self.several_labels:
            return []
        own = [v for v in self.variants if not (several_labels and "per" in v)]
        if losses_alone or ("means" in self.answers and asked.means):
            own = []
        if "per" in self.answers and not losses_alone:
            plain = [v for v in self.variants if "per" not in v]
            more = [{**v, "per": name} for name in asked.per for v in plain]
            own += [params for params in more if params not in own]
        if "counted" in self.answers:
            own += [{"loss": name} for name in asked.counted]
        if "means" in self.answers:
            own += [{"loss": name, **v} for name in asked.means for v in self.variants]
        return own

    def unfit(self, evidence: Evidence) -> str:
        """Say why it has no value, whatever the samples are; empty if it may have one.

        Either points may have several labels, and it is about one class a point, or it reads
        features, and predictions are all that is known of the classifier.
        """
        if evidence.decision.several and not self.several_labels:
            return ONE_CLASS
        if self.reads_features and isinstance(evidence.head, NoHead):
            return f"{WITHOUT_HEAD}: {evidence.provenance['no_head']}"
        return ""

    def __call__(
        self, evidence: Evidence, delta: float = 0.05, *, role: Role | None = None, **params: Any
    ) -> BoundResult | MeasureResult:
        """Evaluate one row.

        Parameters
        ----------
        evidence : Evidence
        delta : float in (0, 1)
        role : str, optional
            Which sample; by default the one of the bound's role or the next stronger one.
        **params
            Parameters of the row; by default those of the first variant.

        Raises
        ------
        MissingEvidence
            If a sample or a part is missing.
        RoleError
            If ``role="test"``: no bound may read the test sample.
        """
        if not 0.0 < delta < 1.0:
            raise InvalidSample(f"delta is a probability in (0, 1), found {delta}")
        delta = float(delta)
        if role == "test":
            raise RoleError("no bound may read the test sample; it only measures the error")
        sample = self._sample(evidence, None if role is None else check_role(role))
        chosen = dict(params) if params else dict(self.variants[0])
        verdict = judge(self.needs, sample, evidence, delta)
        start = time.perf_counter()
        outcome = self.function(self._view(evidence, sample), verdict.delta, **chosen)
        seconds = time.perf_counter() - start
        claim = outcome.claim or self.claim_of(evidence)
        verdict = over_all_classes(verdict, claim, evidence)
        details, reasons = dict(outcome.details), [*verdict.reasons, *outcome.reasons]
        if isinstance(claim, Weighted):
            details["weights"] = claim.weights.tolist()
            if sample.sampling == "stratified":
                reasons += not_of_the_priors(claim, evidence)
        if (among := sample.selected_among or 1) > 1:
            details["selected_among"] = among
        if copies := copies_found(sample, evidence):
            details["copies"] = copies
        common: dict[str, Any] = {
            "bound": self.id,
            "family": self.family,
            "kind": verdict.kind,
            "target": claim.target,
            "qualifier": claim.qualifier,
            "sampling": sample.sampling,
            "claim": claim,
            "role": sample.role,
            "layer": sample.tap or "",
            "n": outcome.n,
            "delta": delta if self.spends_delta else np.nan,
            "params": chosen,
            "reasons": tuple(reasons),
            "terms": {name: float(term) for name, term in outcome.terms.items()},
            "details": details,
            "seconds": seconds,
            "checkpoint": evidence.checkpoint,
            "provenance": {**evidence.provenance, "source": self.source_hash},
        }
        if self.kind == "measure":
            return MeasureResult(measure=float(outcome.value), **common)
        return BoundResult(value=float(outcome.value), **common)

    def verdict(
        self, evidence: Evidence, delta: float = 0.05, *, role: Role | None = None
    ) -> Verdict:
        """Return what a row is worth, and why, without computing it."""
        return judge(self.needs, self._sample(evidence, role), evidence, delta)

    def __reduce__(self) -> tuple[Callable[[str, str], "Bound"], tuple[str, str]]:
        # the decorated name is this object, not the function, so it is pickled by that name
        return _by_name, (self.function.__module__, self.function.__qualname__)

    def _sample(self, evidence: Evidence, role: Role | None) -> Sample:
        roles = SOURCES[self.role] if role is None else (role,)
        for part in self.requires:
            if getattr(evidence, part) is None:
                raise MissingEvidence(f"{self.id} needs {part}; pass Evidence({part}=...)")
        if reason := self.unfit(evidence):
            raise MissingEvidence(f"{self.id}: {reason}")
        for r in roles:
            if (found := evidence.sample(r)) is not None:
                if found.n == 0:
                    raise InvalidSample(f"the {r} sample is empty")
                return found
        raise MissingEvidence(
            f"{self.id} needs a sample of role {' or '.join(roles)}, found "
            f"{', '.join(evidence.samples()) or 'none'}; pass Evidence({FIELD[roles[0]]}=...)"
        )

    def _view(self, evidence: Evidence, sample: Sample) -> View:
        seen = {*self.requires, *self.optional}
        fit = evidence.fit if "fit" in seen and sample.role != "fit" else None
        head = evidence.head
        # what the row does not depend on may not leave the range of float64 when it is squared
        power = sample.power if "feature scale" in self.invariant_to else 0
        if power and isinstance(head, LinearHead):
            weight = divided(head.weight, -power)
            head = LinearHead(weight, head.bias, has_bias=head.has_bias)
        # thresholds of several labels are of the logits as they are
        free = "head scale" in self.invariant_to and not evidence.decision.several
        if isinstance(head, LinearHead) and free:
            head = head.scaled

        def part(name: str, given: Sample | None) -> Sample | None:
            return given.divided(power) if name in seen and given is not None else None

        return View(
            sample=sample.divided(power),
            head=cast(LinearHead, head),  # a bound that reads more than predictions has one
            fit=None if fit is None else fit.divided(power),
            head_sample=part("head_sample", evidence.head_sample),
            unlabelled=part("unlabelled", evidence.unlabelled),
            procedure=evidence.procedure if "procedure" in seen else None,
            network=evidence.network if "network" in seen else None,
            code_word=evidence.code_word if "code_word" in seen else None,
            priors=evidence.class_priors() if "priors" in seen else None,
            loss=evidence.loss,
            stratified=sample.sampling == "stratified",
            decision=evidence.decision,
            claim=self.claim_of(evidence),
            asked=evidence.asked,
            averages=evidence.class_weights(),
        )


def bound(**metadata: Any) -> Callable[[Callable[..., Outcome]], Bound]:
    """Make a :class:`Bound` of a function ``(view, delta, **params) -> Outcome``.

    The function's name is the bound's id, its docstring the explanation, and the docstring's first
    line the title. See :class:`Bound` for the keywords.
    """

    def make(function: Callable[..., Outcome]) -> Bound:
        doc = inspect.getdoc(function) or ""
        return Bound(
            id=function.__name__, title=doc.partition("\n")[0], function=function, **metadata
        )

    return make


def _by_name(module: str, name: str) -> Bound:
    found: Bound = getattr(importlib.import_module(module), name)
    return found
