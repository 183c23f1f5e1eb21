"""Class means and scatter of a sample: a frozen value that can be merged."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidSample
from ncbounds.statistics.rows import as_rows, checked_labels
from ncbounds.statistics.shifted_sums import ShiftedSums


@dataclass(frozen=True, eq=False)
class ClassMoments:
    """Counts, class means and centred second moments of C classes in R^d, in float64.

    Values for disjoint sets of rows are merged by ``+`` (the pairwise update of Chan, Golub and
    LeVeque); any split and order gives the same value up to rounding.

    Attributes
    ----------
    count : integer array of shape (C,)
        Rows per class.
    mean : array of shape (C, d)
        Class means; nan in the rows of empty classes, never zero.
    within : array of shape (d, d)
        Pooled within-class scatter: the sum over all rows of ``(x - mean_y)(x - mean_y)'``.
    trace : array of shape (C,)
        Sum over the rows of each class of ``||x - mean_c||^2`` (not divided); they add up to the
        trace of ``within``.
    directions : array of shape (k, d) or None
        Fixed directions that were asked for.
    along : array of shape (C, k) or None
        Sum over the rows of each class of ``(u_k'(x - mean_c))^2``.
    """

    count: Ints
    mean: Floats
    within: Floats
    trace: Floats
    directions: Floats | None = None
    along: Floats | None = None

    def __post_init__(self) -> None:
        classes, dim = self.mean.shape
        k = 0 if self.directions is None else len(self.directions)
        wanted = {
            "count": (classes,),
            "within": (dim, dim),
            "trace": (classes,),
            "directions": (k, dim),
            "along": (classes, k),
        }
        for name, shape in wanted.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise InvalidSample(
                    f"moments with means of shape ({classes}, {dim}) need {name} of shape {shape}, "
                    f"found {array.shape}"
                )
        if (self.directions is None) != (self.along is None):
            raise InvalidSample("directions and along go together; give both or neither")
        for array in (self.count, self.mean, self.within, self.trace, self.directions, self.along):
            if array is not None:
                array.setflags(write=False)

    @classmethod
    def empty(cls, classes: int, dim: int, directions: object | None = None) -> "ClassMoments":
        """Moments of no rows: the neutral element of ``+``."""
        return cls.from_sums(ShiftedSums(classes, dim, as_directions(directions, dim)))

    @classmethod
    def of(cls, features: object, labels: object, classes: int | None = None) -> "ClassMoments":
        """Moments of rows that fit into memory; ``classes`` defaults to the largest label + 1.

        :func:`ncbounds.statistics.moments.class_moments` does the same a block at a time.
        """
        if classes is None:
            classes = int(np.max(np.asarray(labels), initial=-1)) + 1
        rows = as_rows(features)
        n, dim = rows.shape
        sums = ShiftedSums(classes, dim)
        sums.add(rows.read(0, n, np.empty((n, dim))), checked_labels(labels, n, classes))
        return cls.from_sums(sums)

    @classmethod
    def from_sums(cls, sums: ShiftedSums) -> "ClassMoments":
        """Moments of all rows that were added to ``sums``."""
        found = sums.centred()
        return cls(found.rows, found.mean, found.within, found.trace, sums.directions, found.along)

    @property
    def classes(self) -> int:
        """Number of classes C, empty ones included."""
        return len(self.count)

    @property
    def dim(self) -> int:
        """Feature dimension d."""
        return int(self.mean.shape[1])

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.count.sum())

    @property
    def present(self) -> Ints:
        """Indices of the classes that have rows."""
        return np.flatnonzero(self.count > 0)

    @property
    def empty_classes(self) -> tuple[int, ...]:
        """Indices of the classes without rows."""
        return tuple(int(c) for c in np.flatnonzero(self.count == 0))

    @property
    def one_point_classes(self) -> tuple[int, ...]:
        """Indices of the classes with a single row, whose spread is unknown."""
        return tuple(int(c) for c in np.flatnonzero(self.count == 1))

    @property
    def fingerprint(self) -> str:
        """Hash of counts and means, by which a second pass proves what it was centred by."""
        parts = (self.count.astype("<i8"), self.mean.astype("<f8"))
        return hashlib.sha256(
            b"".join(np.ascontiguousarray(p).tobytes() for p in parts)
        ).hexdigest()

    def over(self, classes: int) -> "ClassMoments":
        """Return the same moments counted over ``classes`` classes: empty ones more or fewer.

        Raises
        ------
        InvalidSample
            If a class that has rows would be left out.
        """
        if classes == self.classes:
            return self
        if int(self.count[classes:].sum()):
            raise InvalidSample(
                f"moments have rows of class {int(self.present[-1])}, beyond {classes} classes"
            )
        more = max(classes - self.classes, 0)
        grown = {
            name: np.pad(
                array[:classes], [(0, more)] + [(0, 0)] * (array.ndim - 1), constant_values=value
            )
            for name, value in (("count", 0), ("mean", np.nan), ("trace", 0.0), ("along", 0.0))
            if (array := getattr(self, name)) is not None
        }
        return replace(self, **grown)

    def variance(self, ddof: int = 1) -> Floats:
        """``trace / (count - ddof)``, shape (C,); nan for classes of at most ``ddof`` rows."""
        freedom = np.maximum(self.count - ddof, 0).astype(np.float64)
        freedom[self.count <= ddof] = np.nan
        return self.trace / freedom

    def centre(self, *, weighted: bool = False) -> Floats:
        """Mean of the present class means, shape (d,); by class counts if ``weighted``.

        Raises
        ------
        InvalidSample
            If every class is empty.
        """
        here = self.present
        if len(here) == 0:
            raise InvalidSample("moments of no rows have no centre; add rows first")
        w = self.count[here] / self.n if weighted else np.full(len(here), 1 / len(here))
        base = self.mean[here[0]]  # averaging differences keeps the digits that a sum would lose
        return np.asarray(base + w @ (self.mean[here] - base), dtype=np.float64)

    def __add__(self, other: object) -> "ClassMoments":
        """Moments of the rows of both.

        Raises
        ------
        InvalidSample
            If classes, dimension or directions differ.
        """
        if not isinstance(other, ClassMoments):
            return NotImplemented
        if self.mean.shape != other.mean.shape:
            raise InvalidSample(
                f"moments of shape (C, d) = {self.mean.shape} and {other.mean.shape} cannot be "
                "added; compute both with the same classes= and features"
            )
        mine, others = self.directions, other.directions
        same = mine is others
        if mine is not None and others is not None:
            same = np.array_equal(mine, others)
        if not same:
            raise InvalidSample("moments along different directions cannot be added")
        n = self.count + other.count
        both = ((self.count > 0) & (other.count > 0))[:, None]
        safe = np.maximum(n, 1)
        step = np.where(both, other.mean - self.mean, 0.0)
        merged = self.mean + step * (other.count / safe)[:, None]
        mean = np.where((self.count > 0)[:, None], merged, other.mean)
        pull = step * np.sqrt(self.count * (other.count / safe))[:, None]
        along = None
        if self.along is not None and other.along is not None and self.directions is not None:
            along = self.along + other.along + np.square(pull @ self.directions.T)
        return ClassMoments(
            count=n,
            mean=mean,
            within=self.within + other.within + pull.T @ pull,
            trace=self.trace + other.trace + np.einsum("ij,ij->i", pull, pull),
            directions=self.directions,
            along=along,
        )


def as_directions(directions: object | None, dim: int) -> Floats | None:
    """Return ``directions`` as a new float64 array of shape (k, dim), or None.

    Raises
    ------
    InvalidSample
        If the shape differs.
    """
    if directions is None:
        return None
    u = np.array(directions, dtype=np.float64)
    if u.ndim != 2 or u.shape[1] != dim:
        raise InvalidSample(f"directions need shape (k, {dim}), found {u.shape}")
    return u
