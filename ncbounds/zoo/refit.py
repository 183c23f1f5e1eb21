"""Heads fitted on frozen features: ridge, logistic, nearest class mean. Settings fixed a priori."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RIDGE = 0.01
"""Ridge penalty as a multiple of the mean variance of a feature, per point."""

LOGISTIC_C = 0.1
"""Inverse penalty of the logistic head on standardised features, as scikit-learn counts it."""


def ridge(features: Floats, labels: Ints, classes: int) -> tuple[Floats, Floats]:
    """Least squares on one-hot labels with a penalty; the bias is free.

    Returns
    -------
    weight : array of shape (C, d)
    bias : array of shape (C,)
    """
    centre = features.mean(0)
    centred = features - centre
    onehot = np.eye(classes)[labels]
    scatter = centred.T @ centred
    dim = len(scatter)
    scatter += RIDGE * np.trace(scatter) / dim * np.eye(dim)
    weight: Floats = np.linalg.solve(scatter, centred.T @ (onehot - onehot.mean(0))).T
    return weight, onehot.mean(0) - weight @ centre


def logistic(features: Floats, labels: Ints, classes: int) -> tuple[Floats, Floats]:
    """Penalised multinomial logistic regression on standardised features; shapes as in `ridge`."""
    from sklearn.linear_model import LogisticRegression

    centre, scale = features.mean(0), features.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    model = LogisticRegression(C=LOGISTIC_C, max_iter=2000, tol=1e-6)
    model.fit((features - centre) / scale, labels)
    weight = np.zeros((classes, features.shape[1]))
    bias = np.full(classes, -1e4)  # never predicts a class without points
    weight[model.classes_] = model.coef_ / scale
    bias[model.classes_] = model.intercept_ - weight[model.classes_] @ centre
    return weight, bias


def ncm(features: Floats, labels: Ints, classes: int) -> tuple[Floats, Floats]:
    """Nearest class mean as a linear head; shapes as in `ridge`.

    Logits are half of the squared distance to the overall mean minus half of that to the class
    mean, so the weights stay small where the features have a large common mean.
    """
    centre = features.mean(0)
    means = np.stack([features[labels == c].mean(0) for c in range(classes)])
    weight: Floats = means - centre
    bias: Floats = ((centre**2).sum() - (means**2).sum(1)) / 2
    return weight, bias


ESTIMATORS: dict[str, Callable[[Floats, Ints, int], tuple[Floats, Floats]]] = {
    "ridge": ridge,
    "logistic": logistic,
    "ncm": ncm,
}
