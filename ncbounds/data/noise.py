"""Label noise, and long tails, seeded."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import DataError


def noisy_labels(
    labels: NDArray[Any], rate: float, seed: int, classes: int = 10
) -> NDArray[np.int64]:
    """Labels of which each is, with probability ``rate``, drawn anew uniformly from all classes.

    To be applied to the whole array of a task, before it is split into roles, so that all roles
    follow one law. The drawn label may equal the old one: at rate z an error e becomes
    ``(1 - z) e + z (1 - 1/classes)``.

    Raises
    ------
    DataError
        If ``rate`` is not in [0, 1].
    """
    if not 0 <= rate <= 1:
        raise DataError(f"label noise is a probability, found {rate}")
    rng = np.random.RandomState(seed)
    redrawn = rng.random_sample(len(labels)) < rate
    drawn = rng.randint(0, classes, len(labels))
    return np.where(redrawn, drawn, labels).astype(np.int64)


def long_tail(labels: NDArray[Any], ratio: float, seed: int, classes: int) -> NDArray[np.bool_]:
    """Rows that are left of a long tail, boolean of shape (n,).

    Each row of class c stays with probability ``ratio ** (-c / (classes - 1))``, whatever the
    others do: of independent draws of a law those that stay are independent draws of the law with
    such class weights. To be applied to the whole array of a task, as label noise is.
    """
    u = np.random.RandomState([seed, 1]).random_sample(len(labels))
    return np.asarray(u < float(ratio) ** (-np.maximum(labels, 0) / max(1, classes - 1)))
