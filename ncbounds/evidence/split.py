"""One sample in parts, by a seeded permutation."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ncbounds.arrays import Ints
from ncbounds.errors import InvalidSample
from ncbounds.evidence.sample import Sample


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


def split(sample: Sample, parts: "dict[str, float]", *, seed: int) -> dict[str, Sample]:
    """Split one sample at random into disjoint samples of other roles.

    Parameters
    ----------
    sample : Sample
    parts : dict from role to share
        Shares are positive and sum to at most 1; the roles differ and are not stronger than the
        sample's own.
    seed : int
        Seed of the permutation; fixed by the caller, never searched.

    Returns
    -------
    dict from role to Sample
        Every part inherits ``sampling``, ``selected_among`` and the noise: splitting a sample that
        was already used to choose something gives parts that were used for it as well.

    Raises
    ------
    RoleError
        If a part asks for a role that the sample's own does not allow.
    InvalidSample
        If the shares are impossible.
    """
    if min(parts.values(), default=0.0) <= 0 or sum(parts.values()) > 1 + 1e-12:
        raise InvalidSample(f"shares are positive and sum to at most 1, found {parts}")
    for role in parts:
        sample.draw.check_part(role)
    order = np.random.default_rng(seed).permutation(sample.n)
    ends = np.floor(np.cumsum(list(parts.values())) * sample.n + 1e-9).astype(int)
    starts = [0, *ends[:-1]]
    out = {}
    for role, a, b in zip(parts, starts, ends, strict=True):
        part = sample.take(np.sort(order[a:b]), role)
        # a random part of a draw is a draw of the same kind
        out[role] = replace(part, draw=replace(part.draw, sampling=sample.sampling))
    return out
