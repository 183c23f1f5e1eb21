"""scikit-learn classifiers with a linear decision function, as procedures and as heads."""

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidSample, UnknownName, suggest
from ncbounds.evidence.head import LinearHead
from ncbounds.procedures.linear import PROCEDURES, Procedure, checked, never_predicted

#: A prediction may differ from the classifier's own where the two best logits are this close, as a
#: share of the largest logit.
TIE = 1e-6


@dataclass(frozen=True)
class EstimatorProcedure:
    """A scikit-learn classifier as a fitting procedure: cloned, fitted, read off as a head.

    Parameters
    ----------
    estimator : classifier
        Never fitted itself.
    seed : int
        Given to every ``random_state`` that is None, so that a refit gives the same head.
    """

    estimator: Any
    seed: int = 0
    __name__: str = field(init=False)

    def __post_init__(self) -> None:
        name = re.sub(r"\s+", " ", repr(self.estimator))
        object.__setattr__(self, "__name__", name)

    def __call__(self, features: NDArray[Any], labels: Ints, classes: int, /) -> LinearHead:
        """Fit a clone to features (n, d) and labels (n,); rows that are not finite are left out."""
        from sklearn.base import clone

        f, y, present = checked(features, labels, classes)
        if len(present) == 1:  # no classifier can be fitted; the only class is always predicted
            return never_predicted(np.zeros((1, f.shape[1])), np.zeros(1), present, classes)
        fresh = clone(self.estimator)
        _check_unfitted(self.estimator, fresh)
        open_seeds = {
            k: self.seed
            for k, v in fresh.get_params().items()
            if k.rpartition("__")[2] == "random_state" and v is None
        }
        fresh.set_params(**open_seeds)
        fresh.fit(f, y)
        return head_of(fresh, f, classes)


def procedure_of(estimator: Any, seed: int = 0) -> Procedure:
    """Return the fitting procedure that ``estimator`` stands for.

    Parameters
    ----------
    estimator : None, str, callable or scikit-learn classifier
        None is nearest class mean; a name is one of :data:`ncbounds.procedures.linear.PROCEDURES`.
    seed : int
        See :class:`EstimatorProcedure`.

    Raises
    ------
    UnknownName
        For an unknown name.
    InvalidSample
        For anything else.
    """
    if estimator is None:
        return PROCEDURES["ncm"]
    if isinstance(estimator, str):
        if estimator not in PROCEDURES:
            raise UnknownName(
                f"no estimator {estimator!r}; {suggest(estimator, list(PROCEDURES))}; or pass a "
                "scikit-learn classifier"
            )
        return PROCEDURES[estimator]
    if hasattr(estimator, "fit") and hasattr(estimator, "get_params"):
        return EstimatorProcedure(estimator, seed)
    if callable(estimator):
        found: Procedure = estimator
        return found
    raise InvalidSample(
        f"estimator is a name, a scikit-learn classifier or a function (features, labels, classes) "
        f"-> LinearHead, found {type(estimator).__name__}"
    )


def _check_unfitted(estimator: Any, fresh: Any) -> None:
    """Refuse a part that cloning leaves fitted: it may have seen the labels that are held out."""
    before, after = ({"": e, **e.get_params()} for e in (estimator, fresh))
    for part, kept in before.items():
        if kept is after[part] and hasattr(kept, "fit") and not isinstance(kept, type):
            raise InvalidSample(
                f"{type(kept).__name__} keeps what it was fitted on when it is cloned, so it may "
                "know the labels that errors are counted on; pass it unfitted"
            )


def head_of(fitted: Any, features: NDArray[Any], classes: int) -> LinearHead:
    """Linear head with the predictions of a fitted scikit-learn classifier.

    Coefficients are read from ``coef_`` and ``intercept_``, or, for pipelines and searches, from
    values of ``decision_function``; two classes give two rows. A class without a point is never
    predicted.

    Parameters
    ----------
    fitted : classifier
        Its ``classes_`` are class numbers.
    features : array of shape (n, d)
        Points on which the head's predictions are compared with the classifier's own.
    classes : int
        Number of outputs of the head.

    Raises
    ------
    InvalidSample
        If it is not fitted, or the two predict differently: its decision function is not linear,
        or does not take the largest of one value per class.
    """
    name = type(fitted).__name__
    if not hasattr(fitted, "classes_") or not hasattr(fitted, "predict"):
        raise InvalidSample(f"{name} is not a fitted classifier; pass one after .fit")
    f = np.asarray(features, dtype=np.float64)
    f = f[np.isfinite(f).all(axis=1)]
    labels = np.asarray(fitted.classes_).astype(np.int64)
    weight, bias = per_class(*affine(fitted, f), len(labels), name)
    head = never_predicted(weight, bias, labels, max(classes, int(labels.max()) + 1))
    check_same(head, fitted.predict(f), f, name)
    return head


def per_class(weight: Floats, bias: Floats, classes: int, name: str) -> tuple[Floats, Floats]:
    """One row for each class, of which the largest logit decides; two classes may have one row.

    Raises
    ------
    InvalidSample
        If there are other numbers of rows.
    """
    if classes == 2 and len(weight) == 1:
        return np.vstack([-weight, weight]) / 2.0, np.concatenate([-bias, bias]) / 2.0
    if len(weight) != classes:
        raise InvalidSample(
            f"{name} has {len(weight)} linear functions for {classes} classes; needed one per "
            "class, as in LogisticRegression, RidgeClassifier or LinearSVC"
        )
    return weight, bias


def affine(fitted: Any, f: Floats) -> tuple[Floats, Floats]:
    """Weight (k, d) and bias (k,) of the decision function."""
    if hasattr(fitted, "coef_") and hasattr(fitted, "intercept_"):
        weight = np.atleast_2d(np.asarray(fitted.coef_, dtype=np.float64))
        bias = np.broadcast_to(np.asarray(fitted.intercept_, dtype=np.float64), (len(weight),))
        return weight, bias
    if not hasattr(fitted, "decision_function"):
        raise InvalidSample(
            f"{type(fitted).__name__} has neither coef_ nor decision_function; needed a classifier "
            "with a linear decision function"
        )
    # differences at the scale of the data, where its values are as accurate as they get
    origin = f.mean(axis=0)
    step = float(np.sqrt(np.mean((f - origin) ** 2))) or 1.0
    points = np.vstack([origin, origin + step * np.eye(f.shape[1])])
    values = np.asarray(fitted.decision_function(points), dtype=np.float64)
    values = values.reshape(len(points), -1)
    weight = (values[1:] - values[0]).T / step
    return weight, values[0] - weight @ origin


def check_same(head: LinearHead, predicted: Any, f: Floats, name: str) -> None:
    """Raise InvalidSample if a head does not predict what a classifier does, near ties aside."""
    logits = head.logits(f)
    top = np.partition(logits, -2, axis=1)[:, -2:]
    clear = top[:, 1] - top[:, 0] > TIE * np.abs(logits).max(axis=1)
    other = clear & (np.argmax(logits, axis=1) != np.asarray(predicted))
    if other.any():
        raise InvalidSample(
            f"{name} predicts otherwise than the head of its coefficients on "
            f"{int(other.sum())} of {len(f)} points; needed a linear decision function with one "
            "row per class, as in LogisticRegression, RidgeClassifier or LinearSVC"
        )
