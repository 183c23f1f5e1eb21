"""Classifiers that are judged on the same rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ncbounds.arrays import Bools, Ints
from ncbounds.bounds.kind import judge
from ncbounds.bounds.needs import Needs
from ncbounds.errors import InvalidSample, MissingEvidence, few, shown
from ncbounds.evidence.by_role import row_ids
from ncbounds.evidence.error_bits import ErrorBits, rows_hash
from ncbounds.evidence.evidence import FIELD, Evidence
from ncbounds.evidence.roles import DEPENDENCE, Role, Sampling, check_role
from ncbounds.evidence.sample import Sample
from ncbounds.results import Kind

#: What comparing asks of the rows: no candidate was fitted, stopped or chosen on them. That rounded
#: rows count as errors where this could turn them is safe for a limit, and not for a difference.
NEEDS = Needs(kind="certificate", role="holdout", features=True)


@dataclass(frozen=True, eq=False)
class Candidate:
    """One classifier and the rows on which it errs.

    Attributes
    ----------
    name : str
    wrong : bool array of shape (n,)
    rows : str
        Hash of the labelled rows in their order (:func:`~ncbounds.evidence.error_bits.rows_hash`).
    ids, labels : integer arrays of shape (n,) or None
        What rows are called and what they are labelled, by which rows are told to be the same where
        hashes do not say it.
    role : str
    sampling : {"iid", "stratified", "unknown"}
    selected_among : int or None
        Number of classifiers of which it was picked by comparing them on these rows.
    kind : str
        What counting its errors is worth: a certificate, or a plug-in for ``reasons``.
    reasons : tuple of str
    cost : float
        Of using it, in any unit; nan if it is not known.
    error : str
        What an error is called where it is not that of a class, such as ``"subset error"``.
    """

    name: str
    wrong: Bools
    rows: str = ""
    ids: Ints | None = None
    labels: Ints | None = None
    role: Role = "holdout"
    sampling: Sampling = "unknown"
    selected_among: int | None = 1
    kind: Kind = "plug-in"
    reasons: tuple[str, ...] = ()
    cost: float = np.nan
    error: str = ""

    @classmethod
    def of(
        cls,
        evidence: Evidence,
        role: str = "holdout",
        delta: float = 0.05,
        *,
        name: str = "",
        cost: float = np.nan,
    ) -> "Candidate":
        """Judge the errors of a classifier on one sample of its evidence.

        Parameters
        ----------
        evidence : Evidence
        role : str
            Another one than ``"holdout"`` makes a plug-in.
        delta : float in (0, 1)
        name : str
            By default that of the evidence's checkpoint.
        cost : float

        Raises
        ------
        MissingEvidence
            If there is no such sample, or it is empty.
        """
        name = name or evidence.checkpoint
        wanted = check_role(role)
        sample = evidence.sample(wanted)
        if sample is None or not sample.n:
            raise MissingEvidence(
                f"{name or 'the evidence'} has no {role} rows to compare on, found "
                f"{', '.join(evidence.samples()) or 'none'}; pass Evidence({FIELD[wanted]}=...)"
            )
        verdict = judge(NEEDS, sample, evidence, delta)
        chosen = _chosen(sample.selected_among)
        return cls(
            name=name,
            wrong=evidence.decision.wrong(sample, evidence.head),
            rows=rows_hash(sample),
            ids=sample.rows,
            labels=_named_labels(sample, evidence.decision.names),
            error=evidence.decision.error,
            role=sample.role,
            sampling=sample.sampling,
            selected_among=sample.selected_among,
            kind="plug-in" if chosen else verdict.kind,
            reasons=(*chosen, *verdict.reasons),
            cost=cost,
        )

    @classmethod
    def of_bits(cls, name: str, bits: ErrorBits, cost: float = np.nan) -> "Candidate":
        """Candidate of errors that were stored."""
        chosen = _chosen(bits.candidates)
        held = bits.kind == "certificate" and not chosen
        beside = () if bits.role == "holdout" else (f"needs role holdout: {DEPENDENCE[bits.role]}",)
        return cls(
            name=name,
            wrong=bits.wrong,
            rows=bits.rows,
            role=bits.role,
            sampling=bits.sampling,
            selected_among=bits.candidates,
            kind="certificate" if held else "plug-in",
            reasons=(*chosen, *beside, *bits.reasons),
            error=bits.error,
            cost=cost,
        )


def _chosen(among: int | None) -> tuple[str, ...]:
    if among in (1, None):  # what is unknown is a reason already
        return ()
    return (
        f"picked among {among} by comparing them on these rows, so that it looks better here than "
        f"it is: compare all {among}, or on rows that it was not picked on",
    )


def _named_labels(sample: Sample, names: tuple[str, ...]) -> Ints:
    """Labels that are equal where classes are called the same, however files number them."""
    labels, held = sample.labels, sample.indicators
    if held is not None:  # several labels, as one number each set of them
        columns = sorted(range(len(names)), key=names.__getitem__) or range(held.shape[1])
        bits = np.packbits(held[:, list(columns)], axis=1)
        sets, of = np.unique(bits, axis=0, return_inverse=True)
        known = " ".join(sorted(names))
        return row_ids([f"{known} {row.tobytes().hex()}" for row in sets])[of.ravel()]
    if not names:
        return labels
    called = row_ids(np.array([*names, *map(str, range(len(names), int(labels.max()) + 1))]))
    return called[labels]


def candidates_of(
    found: "Mapping[str, Evidence] | Iterable[Evidence]", role: str = "holdout", delta: float = 0.05
) -> list[Candidate]:
    """Candidates of evidences, by their names or by those of their checkpoints."""
    if isinstance(found, Mapping):
        return [Candidate.of(e, role, delta, name=str(name)) for name, e in found.items()]
    return [
        Candidate.of(e, role, delta, name=e.checkpoint or f"classifier {i}")
        for i, e in enumerate(found, 1)
    ]


def on_the_same_rows(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return candidates with their rows in one order, that of the first.

    Rows are called the same by their ids, where both candidates have them, else by their place; a
    row has to have one label.

    Raises
    ------
    InvalidSample
        If two candidates were judged on different rows, with what differs, or if two have one name.
    """
    if not candidates:
        raise InvalidSample("there is nothing to compare: name two classifiers or more")
    names = [c.name for c in candidates]
    if twice := {n for n in names if names.count(n) > 1}:
        raise InvalidSample(
            f"two candidates are called {shown(min(twice))}; give each its own name"
        )
    first, *others = candidates
    return [first, *(_aligned(c, first) for c in others)]


def _aligned(candidate: Candidate, first: Candidate) -> Candidate:
    pair = f"{shown(first.name)} and {shown(candidate.name)} cannot be compared"
    if candidate.role != first.role or candidate.sampling != first.sampling:
        raise InvalidSample(
            f"{pair}: {first.role} rows, drawn {first.sampling}, of the one, {candidate.role} "
            f"rows, drawn {candidate.sampling}, of the other"
        )
    n, m = len(first.wrong), len(candidate.wrong)
    if n != m:
        raise InvalidSample(f"{pair}: {n:,} rows of the one, {m:,} of the other; needed: the same")
    if first.error != candidate.error:
        kinds = (c.error or "error of one class a point" for c in (first, candidate))
        raise InvalidSample(f"{pair}: one by its {' and the other by its '.join(kinds)}")
    if first.rows and first.rows == candidate.rows:
        pass  # labels of one number may have other names
    elif first.ids is not None and candidate.ids is not None:
        candidate = _by_ids(candidate, first.ids, candidate.ids, pair)
    elif first.rows or candidate.rows:
        raise InvalidSample(
            f"{pair}: they were judged on different rows, or on the same in another order; "
            "evaluate both on the same data"
        )
    if first.labels is None or candidate.labels is None:
        return candidate
    if other := int(np.count_nonzero(first.labels != candidate.labels)):
        raise InvalidSample(
            f"{pair}: {other:,} of {n:,} rows are labelled differently; needed: the same rows in "
            "the same order with the same labels, or ids that say which row is which"
        )
    return candidate


def _by_ids(candidate: Candidate, wanted: Ints, ids: Ints, pair: str) -> Candidate:
    """Put rows into the order of ``wanted``."""
    if np.array_equal(wanted, ids):
        return candidate
    missing = np.setdiff1d(wanted, ids)
    if len(missing):
        raise InvalidSample(
            f"{pair}: {len(missing):,} rows of the first are none of the second, such as the one "
            f"called {few(missing[:1])}; needed: the same rows"
        )
    order = np.argsort(ids, kind="stable")
    if len(np.unique(ids)) < len(ids):
        raise InvalidSample(f"{pair}: rows of one name stand more than once, in different orders")
    place = order[np.searchsorted(ids[order], wanted)]
    labels = None if candidate.labels is None else candidate.labels[place]
    return replace(candidate, wrong=candidate.wrong[place], ids=wanted, labels=labels)
