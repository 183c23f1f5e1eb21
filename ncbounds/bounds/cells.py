"""Exact limits of several counted probabilities, which all hold together."""

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.evidence.class_pairs import Confusions
from ncbounds.numerics import binomial_lower, binomial_upper, down


def upper_limits(count: Ints, n: Ints, each: float) -> Floats:
    """Exact limits, each at ``each``, of probabilities that were counted; 1 where ``n`` is 0."""
    high, some = np.ones(n.shape), n > 0
    high[some] = binomial_upper(count[some], n[some], each)
    return high


def cell_limits(count: Ints, n: Ints, cells: int, delta: float) -> tuple[Floats, Floats]:
    r"""Exact limits of the probability of an answer given a class, for all cells together.

    Each of ``cells`` cells has two limits at :math:`\delta / (2\,\mathrm{cells})`, so that those of
    any cells hold together, also of cells that were chosen by their counts.

    Parameters
    ----------
    count, n : int arrays of equal shape
        Points of a class with an answer, and all points of the class.
    cells : int
        Cells of the whole table, shown or not.
    delta : float in (0, 1)

    Returns
    -------
    low, high : arrays of that shape
        Rounded outward; 0 and 1 where ``n`` is 0.
    """
    each = float(down(delta / (2 * cells)))
    low, some = np.zeros(n.shape), n > 0
    low[some] = binomial_lower(count[some], n[some], each)
    return low, upper_limits(count, n, each)


def limits_of(found: Confusions) -> tuple[Floats, Floats]:
    """Exact limits of all kept ``cells``, each (m,), which hold together at their ``delta``."""
    cells = found.shape[0] * found.shape[1]
    return cell_limits(found.cells[:, 2], found.cells[:, 3], cells, found.delta)
