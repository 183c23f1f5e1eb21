"""What the measures of a labelled sample ask of it."""

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.errors import InvalidSample, RoleError
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample


def labelled(sample: Sample, head: LinearHead | None = None) -> None:
    """Check that ``sample`` has labels, may be read, and fits ``head``.

    Raises
    ------
    InvalidSample
        Without labels or rows, or if the head takes another number of features.
    RoleError
        For the role ``"test"``, which only measures errors.
    """
    if sample.role == "test":
        raise RoleError(
            "a test sample only measures errors, found role 'test'; pass the fit sample, or "
            "declare the rows as role='holdout'"
        )
    if sample.n == 0 or sample.labels.min() < 0:
        raise InvalidSample(
            f"labelled rows are needed, found {sample.n} rows of role {sample.role!r}; pass "
            "labels= to Sample.from_arrays"
        )
    if head is not None and head.dim != sample.dim:
        raise InvalidSample(f"the head takes {head.dim} features, the sample has {sample.dim}")


def centred_rows(weight: Floats) -> Floats:
    """Head rows ``P_c W``: without their mean, which moves all logits alike."""
    with np.errstate(invalid="ignore"):  # what is not finite stays so
        return np.asarray(weight - weight.mean(axis=0))
