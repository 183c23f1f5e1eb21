"""Labels and features of one data split, with the role that the split had."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidSample, RoleError
from ncbounds.evidence.head import LinearHead, margins
from ncbounds.evidence.roles import ROLES, SAMPLINGS, Role, Sampling, check_role

if TYPE_CHECKING:
    from ncbounds.statistics.class_moments import ClassMoments


@dataclass(frozen=True, eq=False)
class Sample:
    """One data split as a bound sees it; make it with :meth:`from_arrays` or ``nb.extract``.

    Attributes
    ----------
    features : array of shape (n, d)
        What the head multiplies; any float type, possibly memory-mapped.
    labels : integer array of shape (n,)
        May exceed the head's classes (classes that the head never saw).
    role : {"fit", "head", "holdout", "unlabelled", "test"}
    sampling : {"iid", "stratified", "unknown"}
        How the rows were drawn. ``"unknown"`` makes every certificate a plug-in.
    selected_among : int or None
        Number of candidates that were compared on this sample (1: none); None if unknown.
    label_noise : float
        Probability with which a label was replaced by a uniform draw from all classes.
    rows : integer array of shape (n,) or None
        Source row ids, by which overlap between roles is found.
    groups : integer array of shape (n,) or None
        Ids of units that share rows (a patient, a writer).
    input_hashes : uint64 array of shape (n,) or None
    module_disagreements : int or None
        Rows where the module's own argmax differs from that of the float64 head.
    classes : int
        Number of classes that labels are counted over. It has to cover every label that the law
        can produce, drawn or not: rows that add up or compare class bounds count over it.
    """

    features: NDArray[Any]
    labels: Ints
    role: Role
    sampling: Sampling
    selected_among: int | None
    label_noise: float
    rows: Ints | None
    groups: Ints | None
    input_hashes: NDArray[np.uint64] | None
    module_disagreements: int | None
    classes: int
    # init=False: a copy by dataclasses.replace, with other features, starts without old logits
    _logits: dict[int, tuple[LinearHead, Floats]] = field(
        default_factory=dict, repr=False, init=False
    )

    @classmethod
    def from_arrays(
        cls,
        features: object,
        labels: object | None = None,
        *,
        role: str,
        sampling: str = "unknown",
        selected_among: int | None = 1,
        label_noise: float = 0.0,
        rows: object | None = None,
        groups: object | None = None,
        input_hashes: NDArray[np.uint64] | None = None,
        module_disagreements: int | None = None,
        classes: int | None = None,
    ) -> "Sample":
        """Make a sample from arrays of any framework.

        Parameters
        ----------
        features : array-like of shape (n, d)
        labels : array-like of n integers >= 0; may be left out for role ``"unlabelled"`` only.
        role, sampling, selected_among, label_noise, rows, groups, classes
            See the class. ``sampling`` must be declared (``"iid"`` or ``"stratified"``) before any
            result on this sample can be a certificate.

        Raises
        ------
        InvalidSample
            If shapes do not fit, a label is not a non-negative integer, or a declaration is
            impossible.
        RoleError
            If the role is unknown.
        """
        checked = check_role(role)
        f = features if isinstance(features, np.ndarray) else np.asarray(features)
        if f.ndim != 2:
            raise InvalidSample(
                f"features need shape (n, d), found {f.shape}; flatten them per row first"
            )
        if f.dtype.kind != "f":
            f = f.astype(np.float64)
        if sampling not in SAMPLINGS:
            raise InvalidSample(f"sampling is one of {', '.join(SAMPLINGS)}, found {sampling!r}")
        if selected_among is not None and selected_among < 1:
            raise InvalidSample(
                f"selected_among counts candidates and is at least 1, found {selected_among}"
            )
        if not 0.0 <= label_noise <= 1.0:
            raise InvalidSample(f"label_noise is a probability, found {label_noise}")
        y = _labels(labels, len(f), checked)
        highest = int(y.max(initial=-1)) + 1
        if classes is not None and classes < highest:
            raise InvalidSample(f"classes={classes}, but a label is {highest - 1}")
        return cls(
            features=f,
            labels=y,
            role=checked,
            sampling=sampling,
            selected_among=selected_among,
            label_noise=float(label_noise),
            rows=_ids(rows, len(f), "rows"),
            groups=_ids(groups, len(f), "groups"),
            input_hashes=input_hashes,
            module_disagreements=module_disagreements,
            classes=highest if classes is None else int(classes),
        )

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.labels)

    @property
    def dim(self) -> int:
        """Feature dimension d."""
        return int(self.features.shape[1])

    @cached_property
    def counts(self) -> Ints:
        """Rows per class, shape (classes,)."""
        return np.bincount(self.labels[self.labels >= 0], minlength=self.classes).astype(np.int64)

    @cached_property
    def norms(self) -> Floats:
        """Euclidean norms of the features, shape (n,), in float64."""
        f = np.asarray(self.features, dtype=np.float64)
        norms: Floats = np.sqrt(np.einsum("ij,ij->i", f, f))
        return norms

    @cached_property
    def distinct_points(self) -> NDArray[np.uint64]:
        """Sorted 64-bit hashes of the distinct feature rows."""
        bits = np.ascontiguousarray(self.features, dtype=np.float64).view(np.uint64)
        odd = np.random.default_rng(0).integers(1, 2**63, bits.shape[1], dtype=np.uint64)
        odd |= np.uint64(1)
        return np.unique(((bits ^ (bits >> np.uint64(29))) * odd).sum(axis=1, dtype=np.uint64))

    @cached_property
    def moments(self) -> "ClassMoments":
        """Counts, class means and pooled scatter; one streaming pass, kept."""
        from ncbounds.statistics.moments import class_moments

        return class_moments(self.features, self.labels, classes=self.classes)

    def logits(self, head: LinearHead) -> Floats:
        """Float64 logits of ``head``, shape (n, C); computed once per head and kept."""
        kept = self._logits.get(id(head))
        if kept is None or kept[0] is not head:
            if head.dim != self.dim:
                raise InvalidSample(
                    f"the head takes {head.dim} features, the {self.role} sample has {self.dim}"
                )
            with np.errstate(invalid="ignore", over="ignore"):
                kept = (head, head.logits(self.features))
            kept[1].setflags(write=False)
            self._logits[id(head)] = kept
        return kept[1]

    def margins(self, head: LinearHead) -> Floats:
        """Margins of ``head``, shape (n,); a point is an error iff its margin is <= 0."""
        return margins(self.logits(head), self.labels)

    def with_classes(self, classes: int) -> "Sample":
        """Return the same sample, with labels counted over at least ``classes`` classes."""
        if classes <= self.classes:
            return self
        return replace(self, classes=classes)

    def take(self, index: Ints, role: str | None = None) -> "Sample":
        """Rows ``index`` as a sample of their own, with a weaker role if one is given.

        How the rows were chosen is not known here, so the part's ``sampling`` is ``"unknown"``;
        :func:`split` makes parts that are draws of the same law.

        Raises
        ------
        RoleError
            If ``role`` is stronger than the sample's own.
        """
        check_weaker(self.role, role)
        return replace(
            self,
            features=self.features[index],
            labels=self.labels[index],
            role=self.role if role is None else check_role(role),
            sampling="unknown",
            rows=None if self.rows is None else self.rows[index],
            groups=None if self.groups is None else self.groups[index],
            input_hashes=None if self.input_hashes is None else self.input_hashes[index],
            module_disagreements=None,
        )


#: Roles that part of a sample may have; fresh points may become anything, the test sample nothing.
_PARTS: dict[Role, frozenset[str]] = {
    "fit": frozenset({"fit"}),
    "head": frozenset({"fit", "head"}),
    "holdout": frozenset(ROLES),
    "unlabelled": frozenset({"unlabelled"}),
    "test": frozenset({"test"}),
}


def check_weaker(own: Role, wanted: str | None) -> None:
    """Raise RoleError if ``wanted`` is a stronger role than ``own``."""
    if wanted is not None and check_role(wanted) not in _PARTS[own]:
        raise RoleError(
            f"a {own} sample cannot become {wanted}, only {' or '.join(sorted(_PARTS[own]))}: only "
            "data that nothing was fitted on can; declare role='holdout' if that is what it is"
        )


def _labels(labels: object | None, n: int, role: Role) -> Ints:
    if labels is None:
        if role != "unlabelled":
            raise InvalidSample(f"a {role} sample needs labels; only role='unlabelled' has none")
        return np.full(n, -1, dtype=np.int64)
    y = np.asarray(labels)
    if y.shape != (n,):
        raise InvalidSample(f"{n} rows of features need labels of shape ({n},), found {y.shape}")
    if y.dtype.kind not in "iubf":
        raise InvalidSample(
            f"labels are class numbers 0, 1, ..., found {y.dtype} such as {y.tolist()[:1]}; "
            "number them with numpy.unique(labels, return_inverse=True)[1]"
        )
    if y.dtype.kind == "f" and not (y == np.floor(y)).all():
        raise InvalidSample(f"labels are class numbers 0, 1, ..., found {y[:3]}...")
    y = y.astype(np.int64)
    if role != "unlabelled" and y.min(initial=0) < 0:
        raise InvalidSample(f"labels are class numbers 0, 1, ..., found {y.min()}")
    return y


def _ids(ids: object | None, n: int, name: str) -> Ints | None:
    if ids is None:
        return None
    a = np.asarray(ids)
    if a.shape != (n,) or a.dtype.kind not in "iu":
        raise InvalidSample(f"{name} needs {n} integers, found shape {a.shape} of {a.dtype}")
    return a.astype(np.int64)
