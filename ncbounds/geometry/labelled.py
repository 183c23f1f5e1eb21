"""What the measures of a labelled sample ask of it."""

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.errors import InvalidSample, RoleError
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample


def labelled(sample: Sample, head: LinearHead | None = None, *, sets: bool = False) -> None:
    """Check that ``sample`` has labels, may be read, and fits ``head``.

    ``sets`` says whether points may have several labels.

    Raises
    ------
    InvalidSample
        Without labels or rows, with several labels a point unless these are welcome, or if the
        head takes another number of features.
    RoleError
        For the role ``"test"``, which only measures errors.
    """
    if sample.role == "test":
        raise RoleError(
            "a test sample only measures errors, found role 'test'; pass the fit sample, or "
            "declare the rows as role='holdout'"
        )
    several = sample.indicators is not None
    if several and not sets:
        raise InvalidSample(
            "every point may have several labels, and this measure is about one class a point; "
            "take the points with exactly one label (single_label_points)"
        )
    if sample.n == 0 or (sample.labels.min() < 0 and not several):
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
