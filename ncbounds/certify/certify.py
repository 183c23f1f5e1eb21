"""Certify a linear head on frozen features: split it, compare it, or anchor it."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.bounds import get
from ncbounds.certify.certificates import CurvePoint, HeadCertificates, Worth
from ncbounds.claims.claim import measured_error
from ncbounds.claims.heads import Saved
from ncbounds.errors import InvalidSample, RoleError
from ncbounds.evidence.copies import COPIED, declared_copies
from ncbounds.evidence.decision import MultiClass
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.roles import DEPENDENCE, Role, serves
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import held_out_worth, mean_binomial_upper
from ncbounds.procedures.linear import ncm, procedure_name
from ncbounds.procedures.scikit_learn import head_of, procedure_of
from ncbounds.results import BoundResult, Measured

#: Shares of the labels at which the learning curve is shown, and random draws per share.
CURVE_SHARES = (10, 5, 2, 1)
CURVE_DRAWS = 5


def certify_head(
    features: Any,
    labels: Any = None,
    estimator: Any = None,
    unlabelled: Any = None,
    *,
    delta: float = 0.05,
    head: Any = None,
    test: Any = None,
    sampling: str = "unknown",
    selected_among: int | None = 1,
    repeats: str | None = None,
    simultaneous: bool = False,
    seed: int = 0,
    classes: int | None = None,
) -> HeadCertificates:
    r"""Certify a linear head on features that do not depend on these labels.

    Up to three certificates, each of a classifier that the report names:

    ``split_head``, always: the head fitted on 30 % of the labels, its errors counted on the rest.
    On frozen features of a collapsed network this is hard to beat, since few labels fit the head.

    ``unlabelled_head``, with ``unlabelled``: the head that has used every label, by its
    disagreement with one fitted on 40 % of them.

    ``anchored_head``, with ``head``: a head into which every label has gone already, by its
    distance from one fitted on 40 % of them. Worth far fewer labels than the others.

    Parameters
    ----------
    features : array-like of shape (n, d), or Sample of role "head" or "holdout"
        Outputs of a backbone that was fixed before these points were drawn.
    labels : array-like of n integers >= 0
        Left out if ``features`` is a Sample.
    estimator : None, str, callable or scikit-learn classifier
        How a head is fitted: nearest class mean by default, ``"ridge"``, ``"logistic"``, a function
        ``(features, labels, classes) -> LinearHead``, or a classifier with a linear decision
        function (pipelines and searches included). It must be fixed before the sample: its kind
        and settings may have been chosen on other data, or by itself inside the part that it is
        fitted on (``GridSearchCV``), never by looking at these labels. A function has to be pure:
        what it keeps between calls (a cache, a warm start) has seen all labels. Settings that were
        tuned on these labels make all values plug-ins, and nothing here can notice it.
    unlabelled : array-like of shape (m, d) or Sample, optional
        Features of fresh points of the same law.
    delta : float in (0, 1)
        Probability with which each certificate may fail; with ``simultaneous``, any of them.
    head : LinearHead or fitted scikit-learn classifier, optional
        A head that may depend on all these labels. By default the estimator fitted on all of them.
    test : pair (features, labels) or Sample of role "test", optional
        Measures errors; no certificate reads it.
    sampling : {"unknown", "iid", "stratified"}
        How the points were drawn; it is your declaration. ``"unknown"`` makes plug-ins. A Sample
        carries its own declarations.
    selected_among : int or None
        Number of estimators (or heads, features, settings) of which this is the one, if they could
        have been compared by what these labels say, their certificates included: delta is divided
        by it. They have to be a list that was fixed before. None if unknown, or if each was chosen
        in the light of the last: then values are plug-ins.
    repeats : {"by chance", "copies"} or None
        Why points stand more than once, if they do; see :class:`~ncbounds.Draw`.
    simultaneous : bool
        Divide delta over the certificates, so that they hold together.
    seed : int
        Of the learning curve, and of classifiers whose ``random_state`` is None. The certificates
        split with fixed seeds, so that nobody can try several.
    classes : int, optional
        Number of classes, if some have no point here.

    Returns
    -------
    HeadCertificates
        Rows with the classifiers they speak about, their worth as a number of held-out labels,
        with ``test`` their ratio to counting on n fresh points, and the few-label learning curve
        of nearest class mean.

    Raises
    ------
    InvalidSample
        If shapes do not fit, or the estimator is no linear classifier.
    RoleError
        If a Sample has a role that does not allow this.
    """
    procedure = procedure_of(estimator, seed)
    drawn = {"sampling": sampling, "repeats": repeats}
    declared = {**drawn, "selected_among": selected_among}
    sample = _sample(features, labels, "head", declared, classes)
    if sample.indicators is not None:
        raise InvalidSample(
            "certify_head is about one class a point, and these have several labels: pass one "
            "column of them, labels[:, j], to certify a head for label j"
        )
    given = None if head is None else _given_head(head, sample)
    sample = sample.with_classes(given.classes if given else 0)
    if sample.classes < 2:
        raise InvalidSample("all labels are 0; a classifier needs two classes (or pass classes=)")
    full = given or procedure(sample.features, sample.labels, sample.classes)
    pool = None if unlabelled is None else _sample(unlabelled, None, "unlabelled", drawn)
    probe = None if test is None else _test_sample(test, drawn)
    evidence = Evidence(head=full, head_sample=sample, unlabelled=pool, procedure=procedure)
    # with the labelled points, so that it is said where these stand in the test sample too
    beside = Evidence(head=full, head_sample=sample, test=probe)
    if sample.n < 10:
        raise InvalidSample(f"certifying a head needs at least 10 labelled points, got {sample.n}")

    ids = ["split_head"]
    ids += ["unlabelled_head"] if pool is not None else []
    ids += ["anchored_head"] if given is not None else []
    delta = float(delta)
    each = delta / len(ids) if simultaneous else delta
    whole = measured_error(Saved(), beside, label_noise=sample.label_noise)
    rows, heads, worth = [], {}, {}
    for name in ids:
        row = get(name)(evidence, each, role="head")
        measured = measured_error(row.claim, beside, label_noise=sample.label_noise)
        row = replace(row, test=measured)
        rows.append(row)
        heads[name] = row.claim.classifier(beside)
        worth[name] = _worth(row, measured, whole, sample.n, each)  # type: ignore[arg-type]
    return HeadCertificates(
        rows=tuple(rows),  # type: ignore[arg-type]
        heads=heads,
        about={r.bound: _about(r, sample.n, given is not None) for r in rows},
        worth=worth,
        curve=_curve(sample, probe, seed),
        n=sample.n,
        estimator=procedure_name(procedure),
        delta=delta,
        simultaneous=simultaneous,
    )


def _worth(
    row: BoundResult, measured: Measured | None, whole: Measured | None, n: int, delta: float
) -> Worth:
    if measured is None or whole is None or not np.isfinite(measured.error):
        error = row.details.get("errors", np.nan) / row.n
        return Worth(held_out_worth(row.value, error, delta), error, measured=False)
    labels = held_out_worth(row.value, measured.error, delta)
    oracle = mean_binomial_upper(whole.error, n, delta)
    return Worth(labels, measured.error, True, oracle, row.value / oracle)


def _about(row: Any, n: int, given: bool) -> str:
    if row.target == "refitted-head":
        return f"the head fitted on {row.details['fitted on']:,} of the labels"
    return "the given head" if given else f"the head fitted on all {n:,} labels"


def _curve(sample: Sample, test: Sample | None, seed: int) -> tuple[CurvePoint, ...]:
    f = np.asarray(sample.features, dtype=np.float64)
    y, n = sample.labels, sample.n
    asked = None if test is None else (np.asarray(test.features, dtype=np.float64), test.labels)
    rng = np.random.default_rng(seed)
    points = []
    for share in CURVE_SHARES:
        m = n // share
        if m == n and asked is None:
            alone = Evidence(head=ncm(f, y, sample.classes), head_sample=sample)
            error = get("ncm_leave_one_out")(alone).value  # type: ignore[union-attr]
            points.append(CurvePoint(m, error, "each point left out in turn"))
            continue
        errors = []
        for _ in range(CURVE_DRAWS if m < n else 1):
            order = rng.permutation(n)
            x, z = (f[order[m:]], y[order[m:]]) if asked is None else asked
            errors.append(_error(ncm(f[order[:m]], y[order[:m]], sample.classes), x, z))
        on = "the other labelled points" if test is None else f"{test.n:,} test points"
        points.append(CurvePoint(m, float(np.mean(errors)), on))
    return tuple(points)


def _error(head: LinearHead, features: NDArray[Any], labels: NDArray[np.int64]) -> float:
    sample = Sample.from_arrays(features, labels, role="test")
    return float(np.mean(MultiClass().wrong(sample, head)))


def _given_head(head: Any, sample: Sample) -> LinearHead:
    if isinstance(head, LinearHead):
        return head
    return head_of(head, sample.features, sample.classes)


def _sample(
    given: Any, labels: Any, role: Role, declared: dict[str, Any], classes: int | None = None
) -> Sample:
    if not isinstance(given, Sample):
        sample = Sample.from_arrays(given, labels, role=role, classes=classes, **declared)
        return _counted_once(sample)
    if labels is not None:
        raise InvalidSample("labels were passed beside a Sample, which has its own; leave them out")
    if not serves(given.role, role):
        raise RoleError(
            f"certifying a head needs a {role} sample, found role {given.role!r}: "
            f"{DEPENDENCE[given.role]}"
        )
    if declared.get("selected_among", 1) != 1:
        raise InvalidSample(
            "selected_among was passed beside a Sample, which declares it already: make that with "
            f"it (Sample.from_arrays(..., role={given.role!r}, selected_among=...))"
        )
    kept = replace(given, draw=replace(given.draw, role=role)).with_classes(classes or 0)
    return _counted_once(kept)


def _counted_once(sample: Sample) -> Sample:
    """Return the sample without points that are declared copies of others in it."""
    copies = declared_copies({sample.role: sample}).get(sample.role)
    return sample if copies is None else sample.without(copies, COPIED)


def _test_sample(test: Any, drawn: dict[str, Any]) -> Sample:
    if isinstance(test, Sample):
        if test.role != "test":
            raise RoleError(f"test= takes a sample of role 'test', found {test.role!r}")
        return test
    if not isinstance(test, tuple | list) or len(test) != 2:
        raise InvalidSample("test= takes a pair (features, labels) or a Sample of role 'test'")
    return Sample.from_arrays(*test, role="test", **drawn)
