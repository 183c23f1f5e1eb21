"""One bit per point: whether a classifier errs there, kept with a hash of the points.

Two classifiers can be compared on points that both were judged on, long after their features are
gone. Which points these were is part of what is kept, so that others are never taken for the same.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ncbounds.arrays import Bools
from ncbounds.errors import InvalidSample, RoleError, shown
from ncbounds.evidence.roles import SAMPLINGS, Role, Sampling, check_role
from ncbounds.evidence.sample import Sample
from ncbounds.results import MARK, Kind


@dataclass(frozen=True, eq=False)
class ErrorBits:
    """Errors of one classifier on the points of one sample.

    Attributes
    ----------
    role : {"holdout", "test"}
    rows : str
        Hash of the points with their labels, in order: equal for equal rows only.
    wrong : boolean array of shape (n,)
    sampling : {"iid", "stratified", "unknown"}
    candidates : int or None
        Classifiers that could have been chosen by comparing them on these rows; None if unknown.
    kind : str
        What a count of errors on these rows is worth, and ``reasons`` why not more.
    reasons : tuple of str
    error : str
        What an error is called where it is not that of a class, such as ``"subset error"``.
    """

    role: Role
    rows: str
    wrong: Bools
    sampling: Sampling = "unknown"
    candidates: int | None = 1
    kind: Kind = "plug-in"
    reasons: tuple[str, ...] = ()
    error: str = ""

    @property
    def n(self) -> int:
        """Number of points."""
        return len(self.wrong)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able fields, eight points a byte."""
        return {
            "role": self.role,
            "rows": self.rows,
            "n": self.n,
            "bits": base64.b64encode(np.packbits(self.wrong).tobytes()).decode("ascii"),
            "sampling": self.sampling,
            "candidates": self.candidates,
            "kind": self.kind,
            "reasons": list(self.reasons),
            **({"error": self.error} if self.error else {}),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "ErrorBits":
        """Rebuild it from :meth:`to_dict`.

        Raises
        ------
        InvalidSample
            If that is not what is there.
        """
        try:
            n, packed = stored["n"], base64.b64decode(stored["bits"], validate=True)
            among, kind, sampling = stored["candidates"], stored["kind"], stored["sampling"]
            if type(n) is not int or n < 0 or len(packed) != -(-n // 8):
                raise ValueError(f"{len(packed)} bytes for {shown(n)} points")
            if not (among is None or (type(among) is int and among > 0)):
                raise ValueError(f"{shown(among)} candidates")
            if kind not in MARK or sampling not in SAMPLINGS:
                raise ValueError(f"kind {shown(kind)} and sampling {shown(sampling)}")
            wrong = np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=n).astype(bool)
            role, rows = check_role(str(stored["role"])), str(stored["rows"])
            reasons, of = tuple(map(str, stored["reasons"])), str(stored.get("error", ""))
        except (KeyError, TypeError, ValueError, RoleError) as error:
            raise InvalidSample(f"stored errors are damaged: {error}") from None
        return cls(role, rows, wrong, sampling, among, kind, reasons, of)


def rows_hash(sample: Sample) -> str:
    """Hash of the labelled points of a sample in their order; empty if nothing tells them.

    Points are known by the hashes of their inputs, else by their ids; never by their features,
    which are another network's own.
    """
    known = (("inputs", sample.input_hashes), ("ids", sample.rows))
    what, points = next(((w, p) for w, p in known if p is not None), ("", None))
    if points is None:
        return ""
    digest = hashlib.sha256(f"{what} {sample.n} ".encode())
    for part, kind in ((points, points.dtype.newbyteorder("<")), (sample.labels, "<i8")):
        digest.update(np.ascontiguousarray(part, dtype=kind).tobytes())
    if (held := sample.indicators) is not None:
        digest.update(f" {held.shape[1]} labels ".encode() + np.packbits(held, axis=1).tobytes())
    return digest.hexdigest()


def same_rows(found: Mapping[str, ErrorBits]) -> Bools:
    """Errors of several classifiers on the same points, boolean of shape (T, n).

    Parameters
    ----------
    found : mapping from the name of a classifier to its errors

    Raises
    ------
    InvalidSample
        If there is none, or two were not judged on the same rows in the same order.
    """
    if not found:
        raise InvalidSample("no errors are stored; needed are those of at least one classifier")
    first, *others = found
    for other in others:
        a, b = found[first], found[other]
        if (a.rows, a.n) != (b.rows, b.n) or not a.rows:
            raise InvalidSample(
                f"{first} and {other} were judged on different rows ({a.n} of {a.role}, {b.n} of "
                f"{b.role}), or the same in another order; evaluate both on the same data"
            )
        if a.error != b.error:
            raise InvalidSample(
                f"{first} was judged by the {a.error or 'error of one class a point'}, {other} by "
                f"the {b.error or 'error of one class a point'}; needed: the same"
            )
    return np.stack([bits.wrong for bits in found.values()])
