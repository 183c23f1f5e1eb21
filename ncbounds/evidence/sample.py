"""Labels and features of one data split, with the role that the split had."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Bools, Floats, Ints, numbers, plain_array
from ncbounds.budgets import CLASSES
from ncbounds.errors import InvalidSample
from ncbounds.evidence.decided import longest, stands, strict_margins
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.indicators import answers_of_labels, indicators_of, several
from ncbounds.evidence.logit_rows import KEPT_BYTES, LogitRows
from ncbounds.evidence.point_hashes import point_hashes
from ncbounds.evidence.roles import LABELS_OPTIONAL, Role, Sampling
from ncbounds.numerics.scaling import divided, exponent, row_norms
from ncbounds.statistics.rows import PickedRows, RowsWhenRead

if TYPE_CHECKING:
    from ncbounds.statistics.class_moments import ClassMoments

T = TypeVar("T")

#: What a draw declares beside its role.
DECLARED = frozenset(f.name for f in fields(Draw)) - {"role"}


@dataclass(frozen=True, eq=False)
class Sample:
    """One data split as a bound sees it; make it with :meth:`from_arrays` or ``nb.extract``.

    Attributes
    ----------
    features : array of shape (n, d)
        What the head multiplies; any float type, possibly memory-mapped.
    labels : integer array of shape (n,)
        May exceed the head's classes (classes that the head never saw); all -1 where a point may
        have several, which ``indicators`` say.
    draw : Draw
        How the rows came about; its fields can be read from the sample (``sample.role``).
    input_hashes : uint64 array of shape (n,) or None
    module_disagreements : int or None
        Rows where the module's own argmax differs from that of the float64 head.
    classes : int
        Number of classes that labels are counted over. It has to cover every label that the law
        can produce, drawn or not: rows that add up or compare class bounds count over it.
    tap : str or None
        Place of the network where the features were read; None is the head's input.
    classes_declared : bool
        Whether ``classes`` was declared, so that labels beyond those of a head are meant.
    left_out : mapping from a reason to a number of rows
        Rows that were given and are not part of the sample.
    kept : integer array of shape (n,) or None
        Which of the given rows are part of it; None for all.
    answers : integer array of shape (n,), or (n, L) for several labels, or None
        The classifier's predictions where they are all that is known of it, -1 where there is no
        single one; ``features`` then has no columns.
    losses : mapping from str to array of shape (n,)
        Losses in [0, 1] of the rows by name, where they came with the sample; nan where a loss
        does not count the row.
    other_rows : bool
        Whether what the sample was read from gives other rows each time; it is one such draw.
    rounded : bool
        Whether features were rounded to float16 to be stored, so that those of the network are
        within half a unit in the last place of them. A point then counts as right only where this
        cannot change its prediction.
    precision : str or None
        In which numbers a network computed the features, such as ``"bf16"``, if it is known.
    indicators : boolean array of shape (n, L) or None
        Which labels each point has, where it may have several; ``classes`` is L.

    Raises
    ------
    InvalidSample
        If points with several labels are declared to be drawn class by class, or their labels
        to be replaced by noise.
    """

    features: NDArray[Any]
    labels: Ints
    draw: Draw
    input_hashes: NDArray[np.uint64] | None
    module_disagreements: int | None
    classes: int
    tap: str | None = None
    classes_declared: bool = False
    left_out: Mapping[str, int] = field(default_factory=dict)
    kept: Ints | None = None
    answers: NDArray[Any] | None = None
    losses: Mapping[str, Floats] = field(default_factory=dict)
    other_rows: bool = False
    rounded: bool = False
    precision: str | None = None
    indicators: Bools | None = None
    # init=False: a copy by dataclasses.replace, with other features, starts without old logits
    _by_head: dict[tuple[Hashable, int], tuple[LinearHead, Any]] = field(
        default_factory=dict, repr=False, init=False
    )

    def __post_init__(self) -> None:
        if self.indicators is None:
            return
        if self.label_noise:
            raise InvalidSample(
                "label_noise replaces the one label of a point; these have several: leave it out"
            )
        if self.sampling == "stratified":
            raise InvalidSample(
                "points with several labels are in no single class, so sampling='stratified' does "
                "not say in which strata they were drawn: pass the losses, with the strata as "
                "labels=, to Evidence.from_losses(losses, labels=strata, sampling='stratified')"
            )

    def __repr__(self) -> str:
        """Say how much there is and how it was drawn: ``Sample(holdout, 500 x 8 float32, iid)``."""
        what = f"{self.dim} {self.features.dtype}"
        if not self.dim:
            what = "losses" if self.answers is None else "predictions"
        if self.indicators is not None:
            what += f", {self.classes} labels"
        return f"Sample({self.role}, {self.n} x {what}, {self.sampling})"

    @classmethod
    def from_arrays(
        cls,
        features: object,
        labels: object | None = None,
        *,
        role: str | Draw,
        input_hashes: NDArray[np.uint64] | None = None,
        module_disagreements: int | None = None,
        classes: int | None = None,
        tap: str | None = None,
        ignore_label: int | None = None,
        other_rows: bool = False,
        rounded: bool = False,
        precision: str | None = None,
        **declared: Any,
    ) -> "Sample":
        """Make a sample from arrays of any framework.

        Parameters
        ----------
        features : array-like of shape (n, d)
        labels : array-like of n integers >= 0, or of several labels a point
            May be left out for the roles ``"unlabelled"`` and ``"target"`` only. Several labels are
            an array of shape (n, L) of 0 and 1, or n lists of label numbers with ``classes=L``.
        role : str or Draw
        input_hashes, module_disagreements, classes, tap, other_rows, rounded, precision
            See the class.
        ignore_label : int, optional
            Label of rows that are left out, such as 255 or -100 for "do not count"; the rows'
            number is kept in ``left_out``.
        **declared
            ``sampling``, ``selected_among``, ``label_noise``, ``rows``, ``groups``, ``repeats`` of
            :class:`Draw`, where ``role`` is a word. ``sampling`` must be declared (``"iid"`` or
            ``"stratified"``) before any result on this sample can be a certificate.

        Raises
        ------
        InvalidSample
            If shapes do not fit, a label is not a non-negative integer, or a declaration is
            impossible.
        RoleError
            If the role is unknown.
        """
        draw = Draw.of(role, **declared)
        f = numbers(features, "features")
        if f.ndim != 2:
            raise InvalidSample(
                f"features need shape (n, d), found {f.shape}; flatten them per row first"
            )
        if f.dtype.kind != "f":
            f = f.astype(np.float64)
        if rounded and f.dtype != np.float16:
            raise InvalidSample(f"rounded features are float16, found {f.dtype}")
        draw.check_length(given := len(f))
        more = labels is not None and several(labels)
        kept = None
        if ignore_label is not None and labels is not None:
            if more:
                raise InvalidSample(
                    "ignore_label leaves out rows with one label: where points have several, leave "
                    "rows out first"
                )
            counted = _counted(labels, len(f), ignore_label)
            if not counted.all():
                kept = np.flatnonzero(counted)
                f, labels, draw = f[kept], np.asarray(labels)[kept], draw.rows_only(kept)
                input_hashes = None if input_hashes is None else input_hashes[kept]
        held = indicators_of(labels, len(f), classes) if more else None
        y = _labels(None if more else labels, len(f), "unlabelled" if more else draw.role)
        highest = int(y.max(initial=-1)) + 1 if held is None else held.shape[1]
        if classes is not None and classes < highest:
            raise InvalidSample(f"classes={classes}, but a label is {highest - 1}")
        return cls(
            features=f,
            labels=y,
            draw=draw,
            input_hashes=input_hashes,
            module_disagreements=module_disagreements,
            classes=highest if classes is None else int(classes),
            tap=tap,
            classes_declared=classes is not None,
            left_out={} if kept is None else {f"labelled {ignore_label}": given - len(kept)},
            kept=kept,
            other_rows=other_rows,
            rounded=rounded,
            precision=precision,
            indicators=held,
        )

    @classmethod
    def from_answers(
        cls, answers: object, labels: object | None = None, *, role: str | Draw, **given: Any
    ) -> "Sample":
        """Make a sample of a classifier of which only the predictions are known.

        Parameters
        ----------
        answers : array-like of n integers, or of shape (n, L)
            Predicted classes, -1 where there is no single one, which counts as an error. For
            several labels 1 where a label is given, 0 where not, -1 for no answer.
        labels, role, **given
            As in :meth:`from_arrays`.

        Raises
        ------
        InvalidSample
            As :meth:`from_arrays` does, and if a prediction is no class number.
        """
        y = plain_array(answers, "predictions")
        if y.ndim == 2:
            found = answers_of_labels(y, len(y), given.get("classes"), "predictions")
            return replace(
                cls.from_arrays(np.empty((len(y), 0)), labels, role=role, **given), answers=found
            )
        if y.ndim != 1 or y.dtype.kind not in "iub":
            raise InvalidSample(
                "predictions are class numbers 0, 1, ... of shape (n,), -1 for none; found "
                f"{y.dtype} of shape {y.shape}"
            )
        if len(y) and (y.min() < -1 or y.max() >= CLASSES):
            raise InvalidSample(
                f"predictions are class numbers 0, 1, ... below {CLASSES}, -1 for none; found "
                f"{y.min() if y.min() < -1 else y.max()}"
            )
        sample = cls.from_arrays(np.empty((len(y), 0)), labels, role=role, **given)
        y = y.astype(np.int64)
        return replace(sample, answers=y if sample.kept is None else y[sample.kept])

    @classmethod
    def from_losses(
        cls,
        losses: Mapping[str, object],
        labels: object | None = None,
        *,
        role: str | Draw,
        **given: Any,
    ) -> "Sample":
        """Make a sample of a classifier, or of anything else, of which only losses are known.

        Parameters
        ----------
        losses : mapping from str to array-like of n numbers in [0, 1]
        labels, role, **given
            As in :meth:`from_arrays`; labels may be left out.

        Raises
        ------
        InvalidSample
            As :meth:`from_arrays` does, and if a loss is no number in [0, 1].
        """
        arrays = {name: _losses(name, found) for name, found in losses.items()}
        if not arrays:
            raise InvalidSample("no losses were given")
        n = len(next(iter(arrays.values())))
        odd = [name for name, x in arrays.items() if len(x) != n]
        if odd:
            raise InvalidSample(f"{odd[0]} has {len(arrays[odd[0]])} rows, another loss {n}")
        draw = Draw.of(role, **{k: given.pop(k) for k in DECLARED & {*given}})
        known = np.zeros(n, dtype=np.int64) if labels is None else labels
        sample = cls.from_arrays(np.empty((n, 0)), known, role=draw, **given)
        kept = slice(None) if sample.kept is None else sample.kept
        arrays = {name: x[kept] for name, x in arrays.items()}
        if labels is None:
            sample = replace(sample, labels=np.full(n, -1, dtype=np.int64), classes=0)
        return replace(sample, losses=arrays)

    def __getstate__(self) -> dict[str, Any]:
        # heads are told apart by their id, which means nothing in another process
        return {**self.__dict__, "_by_head": {}}

    @property
    def role(self) -> Role:
        """What the rows were used for."""
        return self.draw.role

    @property
    def sampling(self) -> Sampling:
        """How the rows were drawn."""
        return self.draw.sampling

    @property
    def selected_among(self) -> int | None:
        """Number of candidates that were compared on the rows."""
        return self.draw.selected_among

    @property
    def label_noise(self) -> float:
        """Probability with which a label was replaced."""
        return self.draw.label_noise

    @property
    def rows(self) -> Ints | None:
        """Source row ids, shape (n,)."""
        return self.draw.rows

    @property
    def groups(self) -> Ints | None:
        """Ids of units that share rows, shape (n,)."""
        return self.draw.groups

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
        return row_norms(self.features)

    @cached_property
    def points(self) -> NDArray[np.uint64] | None:
        """64-bit hashes of the feature rows, shape (n,): equal where all float32 roundings are.

        Those of the inputs where there are no features, None where not even these were hashed.
        """
        return point_hashes(self.features) if self.dim else self.input_hashes

    @cached_property
    def moments(self) -> "ClassMoments":
        """Counts, class means and pooled scatter; one streaming pass, kept."""
        from ncbounds.statistics.moments import class_moments

        return class_moments(self.features, self.labels, classes=self.classes)

    def check_dim(self, head: LinearHead) -> None:
        """Raise InvalidSample unless a head takes as many features as the sample has."""
        if head.dim != self.dim:
            has = "predictions only" if self.answers is not None else f"{self.dim}"
            raise InvalidSample(
                f"the head takes {head.dim} features, the {self.role} sample has {has}"
            )

    def logits(self, head: LinearHead) -> Floats:
        """Float64 logits of ``head``, shape (n, C); kept if they are not too many.

        What can do with a part at a time reads :meth:`logit_rows`.
        """
        return self.logit_rows(head)[:]

    def logit_rows(self, head: LinearHead) -> LogitRows:
        """Float64 logits of ``head``, (n, C), to be read a part at a time.

        They are kept while all that is kept is below ``KEPT_BYTES``, else computed when read, as
        those of a :meth:`part` are.
        """

        def made() -> LogitRows:
            self.check_dim(head)
            rows = LogitRows.on_demand(head, self.features)
            features: Any = self.features
            if isinstance(features, RowsWhenRead):
                return rows
            kept = (found for _, found in self._by_head.values() if isinstance(found, LogitRows))
            if 8 * self.n * head.classes + sum(k.bytes_kept for k in kept) > KEPT_BYTES:
                return rows
            logits = rows[:]
            logits.setflags(write=False)
            return LogitRows.of_array(logits, self.dim)

        return self.of_head("logits", head, made)

    def of_head(self, what: Hashable, head: LinearHead, make: Callable[[], T]) -> T:
        """Return what was made for a head before, or make it and keep it."""
        kept = self._by_head.get((what, id(head)))
        if kept is None or kept[0] is not head:
            kept = self._by_head[what, id(head)] = (head, make())
        found: T = kept[1]
        return found

    def margins(self, head: LinearHead) -> Floats:
        """Margins of ``head``, shape (n,), kept; a point is an error iff its margin is <= 0.

        It is positive only where rounding cannot change the prediction: see
        :mod:`ncbounds.evidence.decided`.
        """

        def made() -> Floats:
            out = np.empty(self.n)
            for part, logits in self.logit_rows(head.scaled).blocks():
                out[part] = strict_margins(
                    head,
                    self.features[part],
                    self.labels[part],
                    logits=logits,
                    norms=self._longest[part],
                    rounded=self.rounded,
                )
            out.setflags(write=False)
            return out

        return self.of_head("margins", head, made)

    def predictions(self, head: LinearHead) -> Ints:
        """Class of the largest logit, shape (n,), kept; it stands where :meth:`decided`."""
        return self._answers(head)[0]

    def decided(self, head: LinearHead) -> NDArray[np.bool_]:
        """Rows, boolean of shape (n,), whose prediction rounding cannot change; kept.

        The others have a non-finite logit, a tie, or a lead that is within rounding.
        """
        return self._answers(head)[1]

    def undecided(self, head: LinearHead) -> int:
        """Number of rows with finite logits that are ties, or would be in some order of sums."""
        return int((self.logit_rows(head.scaled).finite & ~self.decided(head)).sum())

    def _answers(self, head: LinearHead) -> tuple[Ints, NDArray[np.bool_]]:
        def made() -> tuple[Ints, NDArray[np.bool_]]:
            scaled = head.scaled
            answers, sure = np.empty(self.n, dtype=np.int64), np.empty(self.n, dtype=np.bool_)
            for part, logits in self.logit_rows(scaled).blocks():
                answers[part], f = logits.argmax(axis=1), self.features[part]
                with np.errstate(invalid="ignore", over="ignore"):
                    sure[part] = stands(
                        scaled, f, logits, answers[part], self._longest[part], rounded=self.rounded
                    )
            answers.setflags(write=False)
            sure.setflags(write=False)
            return answers, sure

        return self.of_head("answers", head, made)

    @cached_property
    def _longest(self) -> Floats:
        return longest(self.features)

    @cached_property
    def power(self) -> int:
        """Binary exponent of the largest finite feature; 0 if it is within +-400."""
        return exponent(self.features)

    def divided(self, power: int) -> "Sample":
        """Return the same sample with its features divided by ``2**power``."""
        return self if power == 0 else replace(self, features=divided(self.features, power))

    def with_classes(self, classes: int) -> "Sample":
        """Return the same sample, with labels counted over at least ``classes`` classes."""
        if classes <= self.classes:
            return self
        wider = replace(self, classes=classes)
        if "moments" in self.__dict__:  # known already
            wider.__dict__["moments"] = self.moments.over(classes)
        return wider

    def without(self, rows: NDArray[np.bool_], why: str) -> "Sample":
        """Return the same draw without some rows (boolean of shape (n,)), which are counted."""
        if not rows.any():
            return self
        index = np.flatnonzero(~rows)
        part = self._rows(index, self.draw.rows_only(index))
        count = self.left_out.get(why, 0) + int(rows.sum())
        kept = index if self.kept is None else self.kept[index]
        return replace(part, left_out={**self.left_out, why: count}, kept=kept)

    def take(self, index: Ints, role: str | None = None) -> "Sample":
        """Rows ``index`` as a sample of their own, with a weaker role if one is given.

        How the rows were chosen is not known here, so the part's ``sampling`` is ``"unknown"``;
        :func:`split` makes parts that are draws of the same law.

        Raises
        ------
        RoleError
            If ``role`` is stronger than the sample's own.
        """
        return replace(self._rows(index, self.draw.take(index, role)), left_out={}, kept=None)

    def part(self, index: Ints) -> "Sample":
        """Return what :meth:`take` does, with features and logits that are made when read.

        For one bound's use: beside the sample it holds a few numbers a row.
        """
        features: Any = PickedRows(self.features, index)
        draw = self.draw.take(index, None)
        return replace(self._rows(index, draw, features), left_out={}, kept=None)

    def _rows(self, index: Ints, draw: Draw, features: NDArray[Any] | None = None) -> "Sample":
        return replace(
            self,
            features=self.features[index] if features is None else features,
            labels=self.labels[index],
            draw=draw,
            input_hashes=None if self.input_hashes is None else self.input_hashes[index],
            answers=None if self.answers is None else self.answers[index],
            indicators=None if self.indicators is None else self.indicators[index],
            losses={name: values[index] for name, values in self.losses.items()},
            module_disagreements=None,
        )


def _losses(name: str, found: object) -> Floats:
    x = numbers(found, name)
    if x.ndim != 1:
        raise InvalidSample(f"{name} needs one number a row, shape (n,), found {x.shape}")
    x = x.astype(np.float64)
    outside = ~((x >= 0) & (x <= 1))
    if outside.any():
        raise InvalidSample(
            f"{name} has {int(outside.sum())} values that are no numbers in [0, 1], such as "
            f"{x[outside][0]:g}: divide by the largest value that there can be, fixed beforehand"
        )
    return x


def _counted(labels: object, n: int, ignore_label: int) -> NDArray[np.bool_]:
    """Rows that are not to be ignored, boolean of shape (n,)."""
    y = np.asarray(labels)
    if y.shape != (n,):
        raise InvalidSample(f"{n} rows of features need labels of shape ({n},), found {y.shape}")
    if isinstance(ignore_label, bool) or not isinstance(ignore_label, int | np.integer):
        raise InvalidSample(f"ignore_label is one label, such as 255, found {ignore_label!r}")
    counted: NDArray[np.bool_] = y != ignore_label
    if not counted.any():
        raise InvalidSample(f"ignore_label={ignore_label} leaves no row: all {n} have this label")
    return counted


def _labels(labels: object | None, n: int, role: Role) -> Ints:
    if labels is None:
        if role not in LABELS_OPTIONAL:
            raise InvalidSample(
                f"a {role} sample needs labels; only role='unlabelled' and role='target' have none"
            )
        return np.full(n, -1, dtype=np.int64)
    y = plain_array(labels, "labels")
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
    if y.max(initial=0) >= CLASSES:
        raise InvalidSample(
            f"a label is {y.max()}, labels are class numbers 0, 1, ... below {CLASSES}; number "
            "them with numpy.unique(labels, return_inverse=True)[1]"
        )
    if role not in LABELS_OPTIONAL and y.min(initial=0) < 0:
        raise InvalidSample(
            f"labels are class numbers 0, 1, ..., found {y.min()} ({int((y == y.min()).sum())} "
            f"rows); ignore_label={y.min()} (--ignore-label {y.min()}) leaves them out if they are "
            "not to count"
        )
    return y
