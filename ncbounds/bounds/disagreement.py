"""Where two classifiers decide differently."""

import numpy as np

from ncbounds.arrays import Bools, Ints
from ncbounds.evidence.sample import Sample


def apart(one: Ints, other: Ints) -> Bools:
    """Points where predictions differ, or where one of them is -1, no single one."""
    found: Bools = (one != other) | (one < 0)
    return found


def other_law(labelled: Sample, pool: Sample, stratified: bool) -> str | None:
    """Say why the unlabelled points are not drawn from the law that the bounded error is over."""
    if not stratified:
        if pool.sampling == "stratified":
            return "the unlabelled points were drawn class by class, the labelled ones were not"
        return None
    known = (pool.labels >= 0).all()
    counts = np.bincount(pool.labels[pool.labels >= 0], minlength=len(labelled.counts))
    classes = max(len(counts), len(labelled.counts))
    own = np.pad(labelled.counts, (0, classes - len(labelled.counts)))
    counts = np.pad(counts, (0, classes - len(counts)))
    # integers, so that equal proportions are recognised exactly
    if not known or not np.array_equal(counts * labelled.n, own * pool.n):
        return (
            "the labelled sample was drawn class by class, and the unlabelled points are not known "
            "to have the class proportions of the part that errors are counted on"
        )
    return None
