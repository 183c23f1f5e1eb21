"""Fitted scikit-learn classifiers as evidence: a linear head, and features before it.

What stands before the last linear map is the feature map: the steps of a pipeline before its last,
the hidden layers of a multilayer perceptron. The head is believed only where it predicts what the
classifier predicts.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidSample
from ncbounds.evidence.decision import MultiClass
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.roles import Role, check_role
from ncbounds.evidence.sample import Sample
from ncbounds.procedures.scikit_learn import affine, check_same, per_class

#: Values of ``decision_function`` and of the head may differ by this share of the largest.
SAME = 1e-6
#: Activations of ``MLPClassifier``.
ACTIVATIONS: Mapping[str, Callable[[Floats], Floats]] = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
    "logistic": expit,
}

Affine = tuple[Floats, Floats]


@dataclass(frozen=True)
class _Opened:
    """A classifier as features, and an affine map of them with one row a class (two: or one).

    ``read`` gives weight (k, d) and bias (k,), which some classifiers only show at points (n, d);
    ``candidates`` is the number that searches have compared; ``where`` says where the head stood.
    """

    features: Callable[[Any], Any]
    read: Callable[[Floats], Affine]
    where: str
    candidates: int = 1


def from_sklearn(
    estimator: Any,
    *,
    fit: Any = None,
    head_sample: Any = None,
    holdout: Any = None,
    unlabelled: Any = None,
    test: Any = None,
    sampling: str = "unknown",
    selected_among: "int | Mapping[str, int | None] | None" = None,
    repeats: str | None = None,
    priors: Any = None,
    checkpoint: str = "",
) -> Evidence:
    """Make evidence of a fitted scikit-learn classifier whose last map is linear.

    Classifiers with ``coef_`` or a linear ``decision_function`` (``LogisticRegression``,
    ``LinearSVC``, ``RidgeClassifier``, ``SGDClassifier``, ``LinearDiscriminantAnalysis``), also at
    the end of a pipeline, whose other steps are the features; ``MLPClassifier``, whose hidden
    layers are the features; searches (``best_estimator_``); and calibration of one classifier by
    sigmoids or a temperature.

    Parameters
    ----------
    estimator : classifier, fitted
    fit, head_sample, holdout, test : tuple (X, y) or (X, y, groups), optional
        Points as the classifier takes them and its labels, by what they were used for; see
        :class:`~ncbounds.Evidence`. What the classifier was fitted on is ``fit``.
    unlabelled : X, optional
    sampling, repeats
        See :class:`~ncbounds.Draw`; for all samples.
    selected_among : int or mapping from role to int, optional
        Number of classifiers that could have been chosen on each sample. By default, also of roles
        that a mapping does not name, the number of candidates of a search, on all samples but
        ``test``: pass ``selected_among=1`` if the search never saw the rows.
    priors, checkpoint
        See :class:`~ncbounds.Evidence`.

    Returns
    -------
    Evidence
        Classes are numbered in the order of ``classes_``, whose names are kept.

    Raises
    ------
    InvalidSample
        If it is not fitted, no sample is given, or no linear head predicts what it predicts. Its
        predictions are enough for what is counted: ``nb.Evidence.from_predictions``.
    """
    name = type(estimator).__name__
    names = getattr(estimator, "classes_", None)
    if names is None and not hasattr(estimator, "cv_results_"):
        raise InvalidSample(f"{name} is not a fitted classifier; pass one after .fit")
    given = {"fit": fit, "head": head_sample, "holdout": holdout, "test": test}
    points: dict[Role, tuple[Any, ...]] = {
        check_role(r): _parts(p, r) for r, p in given.items() if p is not None
    }
    if unlabelled is not None:
        points["unlabelled"] = (unlabelled, None, None)
    if not points:
        raise InvalidSample("no sample was given: pass holdout=(X, y), say")
    _check_one_label(name, points)
    opened = _open(estimator)
    if not isinstance(names, np.ndarray) or names.ndim != 1:
        raise InvalidSample(f"{name} has several outputs; pass the classifier of one of them")
    features = {role: _dense(opened.features(x), name) for role, (x, *_) in points.items()}
    try:
        read = opened.read(next(iter(features.values())))
        head = LinearHead(*per_class(*read, len(names), name))
        differing = {
            role: _differing(estimator, head, points[role][0], f) for role, f in features.items()
        }
    except InvalidSample as error:
        raise _not_linear(estimator, str(error)) from None
    among = _among(selected_among, opened.candidates)
    samples = {
        role: Sample.from_arrays(
            features[role],
            None if y is None else _numbered(y, names),
            role=Draw.of(
                role,
                sampling=sampling,
                selected_among=among.get(role, 1),
                groups=groups,
                repeats=repeats,
            ),
            module_disagreements=differing[role],
        )
        for role, (_, y, groups) in points.items()
    }
    numbered = names.dtype.kind in "iu" and np.array_equal(names, np.arange(len(names)))
    declared = selected_among if isinstance(selected_among, Mapping) else {}
    by_default = selected_among is None or declared is selected_among
    usual = {*samples} - {*declared, "test"} if by_default and opened.candidates > 1 else set()
    return Evidence.of(
        samples,
        head=head,
        priors=priors,
        decision=MultiClass(() if numbered else tuple(map(str, names))),
        checkpoint=checkpoint,
        provenance={
            "head": opened.where,
            "estimator": " ".join(repr(estimator).split()),
            "remarks": [_counted(opened.candidates, usual)] if usual else [],
        },
    )


def _counted(candidates: int, roles: Iterable[Role]) -> str:
    return (
        f"a search compared {candidates} candidates, which counts as selected_among={candidates} "
        f"on {', '.join(sorted(roles))}; pass selected_among=1 if it never saw the rows"
    )


def _parts(given: Any, role: str) -> tuple[Any, ...]:
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise InvalidSample(f"{role} is (X, y) or (X, y, groups), found {type(given).__name__}")
    return (*given, None)[:3]


def _among(
    given: "int | Mapping[str, int | None] | None", candidates: int
) -> dict[Role, int | None]:
    chosen: tuple[Role, ...] = ("fit", "head", "holdout", "unlabelled")
    if given is not None and not isinstance(given, Mapping):
        return dict.fromkeys(chosen, given)
    own = {check_role(role): count for role, count in (given or {}).items()}
    return dict.fromkeys(chosen, candidates) | own


def _open(estimator: Any) -> _Opened:
    """Features and last affine map of a fitted classifier."""
    name = type(estimator).__name__
    if name == "FrozenEstimator":
        return _open(estimator.estimator)
    if hasattr(estimator, "cv_results_"):
        if not hasattr(estimator, "best_estimator_"):
            raise InvalidSample(f"{name} has no best_estimator_; fit it with refit=True")
        found = _open(estimator.best_estimator_)
        count = max(1, len(estimator.cv_results_["params"]))
        return replace(found, candidates=found.candidates * count)
    if hasattr(estimator, "steps"):
        found, before = _open(estimator.steps[-1][1]), estimator[:-1]
        if not before.steps:
            return found
        return replace(found, features=lambda x: found.features(before.transform(x)))
    if hasattr(estimator, "calibrated_classifiers_"):
        return _calibrated(estimator)
    if hasattr(estimator, "coefs_") and hasattr(estimator, "intercepts_"):
        last = estimator.coefs_[-1].T, estimator.intercepts_[-1]
        return _Opened(lambda x: _hidden(estimator, x), lambda f: last, f"last layer of {name}")
    if hasattr(estimator, "coef_") or hasattr(estimator, "decision_function"):
        where = "coef_" if hasattr(estimator, "coef_") else "decision_function"
        return _Opened(lambda x: x, lambda f: affine(estimator, f), f"{where} of {name}")
    raise _not_linear(estimator, "it has neither coef_ nor decision_function")


def _hidden(network: Any, x: Any) -> Floats:
    """Last hidden layer of a multilayer perceptron, shape (n, width)."""
    hidden = _dense(x, type(network).__name__)
    act = ACTIVATIONS[network.activation]
    for weight, bias in zip(network.coefs_[:-1], network.intercepts_[:-1]):
        hidden = act(hidden @ weight + bias)
    return hidden


def _calibrated(estimator: Any) -> _Opened:
    """Fold sigmoids, one a class, or a temperature into the head of the one classifier behind them.

    A sigmoid rises or falls with its argument, and the same division for all classes leaves the
    largest: ``expit(-(a_k s_k + b_k))`` is largest where ``-(a_k s_k + b_k)`` is.
    """
    name = type(estimator).__name__
    if len(estimator.calibrated_classifiers_) != 1:
        raise _not_linear(estimator, "it averages several classifiers (ensemble=False has one)")
    (one,) = estimator.calibrated_classifiers_
    found = _open(one.estimator)
    if one.method == "temperature":
        return replace(found, where=f"{found.where} in {name}")
    if one.method != "sigmoid" or not hasattr(one.estimator, "decision_function"):
        raise _not_linear(estimator, f"its calibration ({one.method}) is no affine map of the head")
    a, b = (np.array([getattr(c, k) for c in one.calibrators]) for k in ("a_", "b_"))

    def read(f: Floats) -> Affine:
        weight, bias = found.read(f)
        if len(weight) != len(a):
            raise InvalidSample(f"{name} has {len(a)} sigmoids for {len(weight)} logits")
        return -a[:, None] * weight, -(a * bias + b)

    return replace(found, read=read, where=f"{found.where}, calibrated")


def _differing(estimator: Any, head: LinearHead, x: Any, f: Floats) -> int:
    """See that the head decides as the classifier does; count the near ties where it does not."""
    name = type(estimator).__name__
    finite = np.isfinite(f).all(axis=1)
    if not finite.all():
        raise InvalidSample(f"{int((~finite).sum())} rows have features that are not finite")
    predicted = np.searchsorted(estimator.classes_, np.asarray(estimator.predict(x)))
    check_same(head, predicted, f, name)
    logits = head.logits(f)
    if hasattr(estimator, "decision_function"):
        own = np.asarray(estimator.decision_function(x), dtype=np.float64)
        ours = logits[:, 1] - logits[:, 0] if own.ndim == 1 else logits
        scale = float(np.abs(own).max(initial=0.0))
        if own.shape != ours.shape or not np.allclose(own, ours, rtol=0.0, atol=SAME * scale):
            raise InvalidSample(f"{name}.decision_function is not what its linear head gives")
    return int((logits.argmax(axis=1) != predicted).sum())


def _numbered(labels: Any, names: NDArray[Any]) -> Ints:
    """Labels as positions in ``names``; one that the classifier does not know gets a later one."""
    y = np.asarray(labels)
    if y.ndim != 1:
        raise InvalidSample(f"labels need shape (n,), found {y.shape}")
    unknown = sorted({*y.tolist()} - {*names.tolist()}, key=str)
    numbers = {label: c for c, label in enumerate([*names.tolist(), *unknown])}
    return np.array([numbers[label] for label in y.tolist()], dtype=np.int64)


def _dense(features: Any, name: str) -> Floats:
    """Features (n, d) in float64; sparse ones and frames too."""
    if hasattr(features, "toarray"):
        features = features.toarray()
    try:
        f = np.asarray(features, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidSample(f"the features before the head of {name} are no numbers") from None
    if f.ndim != 2:
        raise InvalidSample(f"the features before the head of {name} have shape {f.shape}")
    return f


def _check_one_label(name: str, points: Mapping[Role, tuple[Any, ...]]) -> None:
    """Raise if points have several labels, and say how these are counted."""
    wide = [np.asarray(y) for _, y, *_ in points.values() if y is not None and np.ndim(y) == 2]
    if not wide:
        return
    parts = "predicted=estimator.predict(X), labels=y, decision=nb.MultiLabel()"
    if not all(np.isin(y, (0, 1)).all() for y in wide):
        parts = "predicted=estimator.predict(X)[:, j], labels=y[:, j]"
    raise InvalidSample(
        f"{name} predicts several labels a point, by no one linear head. Its predictions are "
        f"enough for what is counted: nb.Evidence.from_predictions({parts}, role='holdout', "
        "sampling='iid')"
    )


def _not_linear(estimator: Any, why: str) -> InvalidSample:
    predicted, labels = "estimator.predict(X)", "y"
    if np.asarray(getattr(estimator, "classes_", 0)).dtype.kind not in "iu":
        # a label that it does not know raises, and is no class beside it
        predicted, labels = (
            f"[[*estimator.classes_].index(v) for v in {what}]" for what in (predicted, labels)
        )
    return InvalidSample(
        f"{type(estimator).__name__} has no linear head that can be read: {why}. Its predictions "
        f"are enough for what is counted: nb.Evidence.from_predictions(predicted={predicted}, "
        f"labels={labels}, role='holdout', sampling='iid')"
    )
