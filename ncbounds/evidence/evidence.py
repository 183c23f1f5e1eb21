"""All that a bound may see: a head, samples by role, and a network."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.errors import InvalidSample, MissingEvidence, RoleError
from ncbounds.evidence.asked import NOTHING, Asked, asked_for
from ncbounds.evidence.code_word import Compressed
from ncbounds.evidence.copies import COPIED, check_rows, declared_copies, repeated, shared
from ncbounds.evidence.decision import Decision, MultiClass, answers_of, check_labels
from ncbounds.evidence.given_losses import loss_parts
from ncbounds.evidence.head import Head, LinearHead, NoHead
from ncbounds.evidence.label_claims import asked_under
from ncbounds.evidence.loss import declared_loss
from ncbounds.evidence.predictions import predicted_parts
from ncbounds.evidence.roles import Role
from ncbounds.evidence.sample import Sample

#: Field of :class:`Evidence` that holds the sample of a role.
FIELD: dict[Role, str] = {
    "fit": "fit",
    "head": "head_sample",
    "holdout": "holdout",
    "unlabelled": "unlabelled",
    "target": "target",
    "test": "test",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """A head and the samples that speak about it.

    Parameters
    ----------
    head : LinearHead or NoHead
        ``NoHead`` where predictions are all that is known: see :meth:`from_predictions`.
    fit, head_sample, holdout, unlabelled, target, test : Sample, optional
        Each of the role of its name (``head_sample``: role ``"head"``).
    network : object, optional
        Summary of the whole network, for bounds that read it.
    code_word : object, optional
        A short description of a network that imitates the classifier, decoded; see
        ``nb.with_code_word``.
    priors : "balanced", array of shape (C,) or None
        Class probabilities of the law, if known; used where a sample was drawn class by class.
    procedure : object, optional
        A fitting procedure ``(features, labels, classes) -> LinearHead``, fixed before the data.
    loss : str, optional
        What the network was trained with: ``"cross-entropy"``, ``"label-smoothing:0.1"``,
        ``"pick-all-label"``, ``"binary"`` or ``"mse"``. Measures of how far training went read it.
    decision : Decision
        What an error is, and what the classes are called; ``MultiClass(names)`` names them. Points
        with several labels need ``MultiLabel(names, threshold)``.
    asked : Asked
        Claims beside the error on average, fixed before the samples: see :meth:`asking`. Of several
        labels a few are usual, see :func:`ncbounds.evidence.label_claims.asked_under`.
    checkpoint : str
        Name shown in tables.
    provenance : dict
        What is known about where this came from (hashes, head name, versions).

    Raises
    ------
    RoleError
        If a sample of another role is passed.
    OverlapError
        If one source row has two roles.
    InvalidSample
        If dimensions, or the number of class names, do not fit.
    UnknownName, InvalidArgument
        If there is no such loss.
    """

    head: Head
    fit: Sample | None = None
    head_sample: Sample | None = None
    holdout: Sample | None = None
    unlabelled: Sample | None = None
    target: Sample | None = None
    test: Sample | None = None
    network: Any = None
    code_word: Compressed | None = None
    priors: Any = None
    procedure: Any = None
    loss: str | None = None
    decision: Decision = field(default_factory=MultiClass)
    asked: Asked = NOTHING
    checkpoint: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Name the head and the samples, and what else is not as usual."""
        name = f"{self.checkpoint!r}, " if self.checkpoint else ""
        return f"Evidence({name}{', '.join(map(repr, (self.head, *self.samples().values())))})"

    def __post_init__(self) -> None:
        self.decision.check(self.head.classes)
        if self.loss is not None:
            declared_loss(self.loss)  # raises where it is none
        for role, name in FIELD.items():
            sample = getattr(self, name)
            if sample is None:
                continue
            if sample.role != role:
                raise RoleError(
                    f"{name}= takes a sample of role {role!r}, found {sample.role!r}; "
                    "a role is declared once, where the sample is made"
                )
            if isinstance(self.head, LinearHead):
                sample.check_dim(self.head)
            elif self.head.predicts:
                answers_of(sample)
            check_labels(sample, self.decision, self.head.classes)
            object.__setattr__(self, name, sample.with_classes(self.head.classes))
        if isinstance(self.head, NoHead):
            object.__setattr__(self, "provenance", {**self.provenance, "no_head": self.head.why})
        scored = isinstance(self.head, LinearHead)
        asked = asked_under(self.asked, self.decision, self.head.classes, scored=scored)
        object.__setattr__(self, "asked", asked)
        check_rows(self.samples())
        self.class_priors()  # raises where they are none
        self.class_weights()
        self._count_copies_once()

    def _count_copies_once(self) -> None:
        """Leave declared copies out of their samples, and out of what stands beside these."""
        for role, copies in declared_copies(self.samples()).items():
            index = np.flatnonzero(~copies)
            object.__setattr__(
                self, FIELD[role], getattr(self, FIELD[role]).without(copies, COPIED)
            )
            if self.code_word is not None:
                object.__setattr__(self, "code_word", self.code_word.take(role, index))
            if role == "fit" and self.network is not None:
                object.__setattr__(self, "network", self.network.take(index))

    @classmethod
    def of(cls, samples: Mapping[Role, Sample], **parts: Any) -> "Evidence":
        """Make evidence of samples by their roles, and of its other parts."""
        by_field: dict[str, Any] = {FIELD[role]: s for role, s in samples.items()}
        return cls(**by_field, **parts)

    @classmethod
    def from_predictions(cls, **given: Any) -> "Evidence":
        """Make evidence of what a classifier answered and of labels: counting needs no head.

        Parameters
        ----------
        **given
            One of ``predicted`` (n,), ``logits`` and ``probabilities`` (n, C), (n, 1) or (n,);
            ``labels`` (n,), ``role``, and all that is declared of a sample (``sampling="iid"``,
            ``ids``, ...): see :func:`ncbounds.evidence.predictions.predicted_parts`. Mappings from
            role to arrays give several roles.

        Raises
        ------
        InvalidSample, RoleError, OverlapError
            If these do not fit together.
        """
        samples, parts = predicted_parts(**given)
        return cls.of(samples, **parts)

    @classmethod
    def from_losses(cls, losses: Any, **given: Any) -> "Evidence":
        """Make evidence of the losses of anything that is judged point by point, each in [0, 1].

        Parameters
        ----------
        losses : array-like of n numbers in [0, 1], or mapping from role to it
            Truth values are right or wrong and have exact limits; numbers have those of
            ``mean_loss``.
        **given
            ``role``, ``labels`` where classes are known, ``name`` of the loss, and all that is
            declared of a sample: see :func:`ncbounds.evidence.given_losses.loss_parts`.

        Raises
        ------
        InvalidSample, RoleError, OverlapError
            If these do not fit together, or a loss is no number in [0, 1].
        """
        samples, parts = loss_parts(losses, **given)
        return cls.of(samples, **parts)

    def asking(self, claims: Any) -> "Evidence":
        """Return the same evidence, asked for more: ``"balanced"``, ``"worst"``, ``"groups"``, ...

        Parameters
        ----------
        claims : str, mapping, loss, or iterable of these
            See :func:`ncbounds.evidence.asked.asked_for`; they are fixed before the samples.

        Raises
        ------
        InvalidSample
            If a claim is none, or needs what is not there.
        """
        more = asked_for(claims)
        return replace(self, asked=self.asked + more) if more != NOTHING else self

    def class_weights(self) -> dict[str, Floats]:
        """Weights of the class averages that are asked for, each (C,), by name; all 0 for none.

        Raises
        ------
        InvalidSample
            If an average needs what is not there.
        """
        if self.losses_alone and self.asked.per:
            raise InvalidSample(
                f"{self.asked.per[0]!r} is of errors of classes, and only losses were given: pass "
                "what was answered (Evidence.from_predictions)"
            )
        classes = self.head.classes
        fit = None if self.fit is None else self.fit.counts[:classes]
        return {a.name: a.weights(classes, self.decision, fit) for a in self.asked.averages}

    @property
    def losses_alone(self) -> bool:
        """Whether losses are all that is known, and not even predictions."""
        return isinstance(self.head, NoHead) and not self.head.predicts

    @property
    def linear_head(self) -> LinearHead:
        """The head.

        Raises
        ------
        MissingEvidence
            If none is known.
        """
        if isinstance(self.head, NoHead):
            raise MissingEvidence(f"no head is known: {self.head.why}")
        return self.head

    def sample(self, role: Role) -> Sample | None:
        """Return the sample of ``role``, or None."""
        found: Sample | None = getattr(self, FIELD[role])
        return found

    def samples(self) -> dict[Role, Sample]:
        """Samples that are present, by role."""
        return {role: s for role in FIELD if (s := self.sample(role)) is not None}

    def class_priors(self) -> Floats | None:
        """Class probabilities of shape (C,), or None if they were not given."""
        if self.priors is None:
            return None
        if self.decision.several:
            raise InvalidSample("priors are of one class a point; labels of MultiLabel have none")
        classes = self.head.classes
        if isinstance(self.priors, str):
            if self.priors != "balanced":
                raise InvalidSample(f"priors is 'balanced' or an array, found {self.priors!r}")
            return np.full(classes, 1.0 / classes)
        p = np.asarray(self.priors, dtype=np.float64)
        if p.shape != (classes,) or not (p >= 0).all() or abs(p.sum() - 1.0) > 1e-9:
            raise InvalidSample(f"priors need {classes} probabilities that sum to 1, found {p}")
        return p

    def without_test(self) -> "Evidence":
        """Return the same evidence as bounds see it: the test sample is gone."""
        return self._without_test

    @cached_property  # each bound asks
    def _without_test(self) -> "Evidence":
        word = self.code_word
        return replace(self, test=None, code_word=None if word is None else word.without_test())

    def shared_groups(self, one: Role, other: Role) -> int:
        """Count groups that have rows in both roles (0 where a sample declares no groups)."""
        a, b = self.sample(one), self.sample(other)
        if a is None or b is None or a.groups is None or b.groups is None:
            return 0
        return len(np.intersect1d(a.groups, b.groups))

    def duplicates(self) -> dict[str, int]:
        """Count rows whose point (or input) also stands in another role, or before in their own.

        ``"fit/test"`` counts rows of ``test`` that stand in ``fit``, ``"fit"`` those of ``fit``
        that repeat others of it; whatever is 0 is left out.
        """
        found: dict[str, int] = {role: int(repeated(s).sum()) for role, s in self.samples().items()}
        for (one, a), (other, b) in combinations(self.samples().items(), 2):
            found[f"{one}/{other}"] = int(shared(b, a).rows.sum())
        return {where: count for where, count in found.items() if count}
