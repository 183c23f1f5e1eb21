"""All that a bound may see: a head, samples by role, and a network."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import InvalidSample, OverlapError, RoleError
from ncbounds.linear_head import Floats, LinearHead
from ncbounds.samples.roles import Role, check_role
from ncbounds.samples.sample import Sample

if TYPE_CHECKING:
    from ncbounds.network.compress.counted import Compressed

#: Share of distinct points from which on equal points in two roles are taken for the same rows.
MOSTLY_DISTINCT = 0.95

#: Field of :class:`Evidence` that holds the sample of a role.
FIELD: dict[Role, str] = {
    "fit": "fit",
    "head": "head_sample",
    "holdout": "holdout",
    "unlabelled": "unlabelled",
    "test": "test",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """A head and the samples that speak about it.

    Parameters
    ----------
    head : LinearHead
    fit, head_sample, holdout, unlabelled, test : Sample, optional
        Each of the role of its name (``head_sample``: role ``"head"``).
    network : object, optional
        Summary of the whole network, for bounds that read it.
    code_word : object, optional
        A short description of a network that imitates the classifier, decoded; see
        :meth:`with_code_word`.
    priors : "balanced", array of shape (C,) or None
        Class probabilities of the law, if known; used where a sample was drawn class by class.
    procedure : object, optional
        A fitting procedure ``(features, labels, classes) -> LinearHead``, fixed before the data.
    checkpoint : str
        Name shown in tables.
    provenance : dict
        What is known about where this came from (hashes, head name, versions).

    Raises
    ------
    RoleError
        If a sample of another role is passed.
    OverlapError
        If one source row has two roles.
    InvalidSample
        If dimensions do not fit.
    """

    head: LinearHead
    fit: Sample | None = None
    head_sample: Sample | None = None
    holdout: Sample | None = None
    unlabelled: Sample | None = None
    test: Sample | None = None
    network: Any = None
    code_word: "Compressed | None" = None
    priors: Any = None
    procedure: Any = None
    checkpoint: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for role, name in FIELD.items():
            sample = getattr(self, name)
            if sample is None:
                continue
            if sample.role != role:
                raise RoleError(
                    f"{name}= takes a sample of role {role!r}, found {sample.role!r}; "
                    "a role is declared once, where the sample is made"
                )
            if sample.dim != self.head.dim:
                raise InvalidSample(
                    f"the head takes {self.head.dim} features, the {role} sample has {sample.dim}"
                )
            object.__setattr__(self, name, sample.with_classes(self.head.classes))
        _check_rows(self.samples())

    def sample(self, role: Role) -> Sample | None:
        """Return the sample of ``role``, or None."""
        found: Sample | None = getattr(self, FIELD[role])
        return found

    def samples(self) -> dict[Role, Sample]:
        """Samples that are present, by role."""
        return {role: s for role in FIELD if (s := self.sample(role)) is not None}

    def class_priors(self) -> Floats | None:
        """Class probabilities of shape (C,), or None if they were not given."""
        if self.priors is None:
            return None
        classes = self.head.classes
        if isinstance(self.priors, str):
            if self.priors != "balanced":
                raise InvalidSample(f"priors is 'balanced' or an array, found {self.priors!r}")
            return np.full(classes, 1.0 / classes)
        p = np.asarray(self.priors, dtype=np.float64)
        if p.shape != (classes,) or not (p >= 0).all() or abs(p.sum() - 1.0) > 1e-9:
            raise InvalidSample(f"priors need {classes} probabilities that sum to 1, found {p}")
        return p

    def without_test(self) -> "Evidence":
        """Return the same evidence as bounds see it: the test sample is gone."""
        word = self.code_word
        return replace(self, test=None, code_word=None if word is None else word.without_test())

    def with_code_word(
        self,
        word: "bytes | str | Path",
        images: Mapping[Role, NDArray[np.uint8]],
        *,
        tried: int | None = None,
    ) -> "Evidence":
        """Return the same evidence with a code word, for bounds from the training data alone.

        Parameters
        ----------
        word : bytes, or path of a file such as ``network.ncz``
        images : dict from role to uint8 array (n, height, width) or (n, channels, height, width)
            The raw images of the samples, row for row: of ``fit``, and as far as there are of
            ``unlabelled`` and ``test``.
        tried : int, optional
            Number of decoded networks that could have been compared on the unlabelled sample, a
            list complete before that was read. Unknown if not given: what is read off these
            points is then a plug-in.

        Raises
        ------
        CodeWordError
            If this is not a code word for such images and as many classes as the head has.
        DataError
            If these are no 8-bit images.
        InvalidSample
            If a sample has another number of rows than its images.
        """
        from ncbounds.network.compress.counted import counted

        for role, x in images.items():
            sample = self.sample(check_role(role))
            if sample is not None and sample.n != len(x):
                raise InvalidSample(f"{len(x)} images for the {sample.n} rows of {role}")
        data = word if isinstance(word, bytes) else Path(word).read_bytes()
        return replace(self, code_word=counted(data, images, self.head.classes, tried=tried))

    def shared_groups(self, one: Role, other: Role) -> int:
        """Count groups that have rows in both roles (0 where a sample declares no groups)."""
        a, b = self.sample(one), self.sample(other)
        if a is None or b is None or a.groups is None or b.groups is None:
            return 0
        return len(np.intersect1d(a.groups, b.groups))

    def duplicates(self) -> dict[str, int]:
        """Count rows of one role whose input also occurs, as another row, in another role."""
        found = {}
        for (one, a), (other, b) in combinations(self.samples().items(), 2):
            if a.input_hashes is not None and b.input_hashes is not None:
                count = int(np.isin(b.input_hashes, a.input_hashes).sum())
                if count:
                    found[f"{one}/{other}"] = count
        return found


def _check_rows(samples: dict[Role, Sample]) -> None:
    for (one, a), (other, b) in combinations(samples.items(), 2):
        if a.rows is None or b.rows is None:
            _check_arrays(one, a, other, b)
            continue
        both = np.intersect1d(a.rows, b.rows)
        if len(both):
            raise OverlapError(
                f"{len(both)} rows have two roles, {one!r} and {other!r} (row {both[0]} is one); "
                "give every row one role, e.g. fit = '0:4000', holdout = '4000:8000'"
            )


def _check_arrays(one: str, a: Sample, other: str, b: Sample) -> None:
    """Without row ids, notice that most points of one role stand in another as well.

    A law with few distinct features repeats them by chance; so a sample whose points repeat within
    itself is left alone.
    """
    first, second = a.distinct_points, b.distinct_points
    if min(len(first) / max(a.n, 1), len(second) / max(b.n, 1)) < MOSTLY_DISTINCT:
        return
    both = len(np.intersect1d(first, second, assume_unique=True))
    if both > 0.5 * min(len(first), len(second)):
        raise OverlapError(
            f"{both} points have two roles, {one!r} and {other!r}: their features are equal; "
            "split the data, or pass rows= ids if these are different rows"
        )
