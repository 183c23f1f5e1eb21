"""How far a sample is from having one mode: the dip of its distribution function."""

import numpy as np

from ncbounds.arrays import Floats, Ints


def dip(values: Floats) -> float:
    """Largest distance of the empirical distribution function to the nearest unimodal one.

    It lies in [1/(2n), 1/4], and is 0 for a sample without spread. For a unimodal law
    ``sqrt(n) * dip`` stays near 1/2 or below, for a law with two modes it grows like ``sqrt(n)``.

    Parameters
    ----------
    values : array of shape (n,), n >= 1

    Notes
    -----
    Hartigan and Hartigan 1985: a unimodal distribution function is convex left of its mode and
    concave right of it. Inside a shrinking modal interval the greatest convex minorant of the lower
    and the least concave majorant of the upper ends of the jumps are compared; the interval is
    narrowed to where they are farthest apart until nothing outside it is farther from its hull.
    """
    points, jumps = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    above = np.cumsum(jumps)
    below = above - jumps
    total = int(above[-1])
    if len(points) == 1:
        return 0.0
    low, high, doubled = 0, len(points) - 1, 1.0
    while high > low:
        x, lower, upper = points[low : high + 1], below[low : high + 1], above[low : high + 1]
        left, right = _hull(x, lower), _hull(x, -upper)
        minorant = np.interp(x, x[left], lower[left])
        majorant = np.interp(x, x[right], upper[right])
        gap = majorant - minorant
        widest = np.unique(np.concatenate([left, right]))
        at = widest[np.argmax(gap[widest])]
        if gap[at] <= doubled:
            break
        a, b = left[left <= at][-1], right[right >= at][0]
        doubled = max(
            doubled,
            float((upper - minorant)[:a].max(initial=0.0)),
            float((majorant - lower)[b + 1 :].max(initial=0.0)),
        )
        if a == 0 and b == len(x) - 1:
            break
        low, high = low + a, low + b
    return doubled / (2.0 * total)


def _hull(x: Floats, y: Ints) -> Ints:
    """Indices of the lower convex hull of points in ascending ``x``."""
    xs, ys = x.tolist(), y.tolist()
    kept: list[int] = []
    for i in range(len(xs)):
        while len(kept) > 1:
            p, q = kept[-2], kept[-1]
            if (ys[q] - ys[p]) * (xs[i] - xs[q]) < (ys[i] - ys[q]) * (xs[q] - xs[p]):
                break
            kept.pop()
        kept.append(i)
    return np.array(kept)
