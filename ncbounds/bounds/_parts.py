"""Cut a bound's sample into two parts by a seeded permutation."""

from collections.abc import Callable

import numpy as np

from ncbounds.linear_head import Ints
from ncbounds.samples.sample import Sample


def two_parts(sample: Sample, first: Callable[[int], int], *, seed: int) -> tuple[Ints, Ints]:
    """Rows of the first and of the second part, each in ascending order.

    Parameters
    ----------
    sample : Sample
        Drawn at random: one permutation of all rows is cut. Drawn class by class: each class is
        permuted and cut on its own, so that both parts are drawn class by class as well.
    first : callable
        Number of rows, of ``n``, that go to the first part.
    seed : int
        Fixed by the bound and never searched; rows are often stored class by class.
    """
    rng = np.random.default_rng(seed)
    if sample.sampling == "stratified":
        pools = [np.flatnonzero(sample.labels == c) for c in range(len(sample.counts))]
    else:
        pools = [np.arange(sample.n)]
    a, b = [], []
    for pool in pools:
        order = rng.permutation(pool)
        cut = first(len(pool))
        a.append(order[:cut])
        b.append(order[cut:])
    return np.sort(np.concatenate(a)), np.sort(np.concatenate(b))
