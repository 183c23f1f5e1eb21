"""Certificates of a head on frozen features, each with what it is worth."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ncbounds.evidence.head import LinearHead
from ncbounds.files import npz_bytes, write_bytes, write_json, write_text
from ncbounds.lines import aligned
from ncbounds.report.cells import interval, number
from ncbounds.report.legend import legend
from ncbounds.results import MARK, BoundResult
from ncbounds.tables.programs import csv_text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Worth:
    """What one certificate is worth.

    Attributes
    ----------
    labels : float
        Smallest number of fresh held-out labels on which counting the errors of the same head
        certifies no more on average; 0 for a vacuous value, ``inf`` for one below the error.
    error : float
        Error of the row's own head at which that was computed.
    measured : bool
        Whether ``error`` was measured on test points; otherwise it is the share of errors on the
        points that the certificate itself counted.
    oracle, ratio : float
        Mean exact bound from counting errors of the head fitted on all labels on as many fresh
        points as there are labels, and the value over it; nan without test points.
    """

    labels: float
    error: float
    measured: bool
    oracle: float = np.nan
    ratio: float = np.nan


@dataclass(frozen=True)
class CurvePoint:
    """Error of nearest class mean fitted on ``labels`` points, and the points it was counted on."""

    labels: int
    error: float
    on: str


@dataclass(frozen=True, eq=False, kw_only=True)
class HeadCertificates:
    """Certificates of a head on frozen features; made by ``nb.certify_head``.

    Attributes
    ----------
    rows : tuple of BoundResult
    heads : dict from bound id to LinearHead
        The classifier that each value speaks about: deploy this one to rely on the value.
    about : dict from bound id to str
        The same in words.
    worth : dict from bound id to Worth
    curve : tuple of CurvePoint
        Few-label learning curve of nearest class mean: where it is flat, holding labels back costs
        nothing.
    n : int
        Number of labels.
    estimator : str
    delta : float
        Probability with which each row (with ``simultaneous``: any row) may fail.
    simultaneous : bool
    """

    rows: tuple[BoundResult, ...]
    heads: Mapping[str, LinearHead] = field(repr=False)
    about: Mapping[str, str]
    worth: Mapping[str, Worth]
    curve: tuple[CurvePoint, ...]
    n: int
    estimator: str
    delta: float
    simultaneous: bool = False

    def __getitem__(self, bound: str) -> BoundResult:
        """Return the row of one bound."""
        found = {r.bound: r for r in self.rows}
        if bound not in found:
            from ncbounds.errors import UnknownName, suggest

            raise UnknownName(f"no certificate {bound!r}; {suggest(bound, list(found))}")
        return found[bound]

    def to_frame(self) -> "pd.DataFrame":
        """One row per certificate."""
        import pandas as pd

        return pd.DataFrame.from_records(
            [
                {
                    "bound": r.bound,
                    "about": self.about[r.bound],
                    "kind": r.kind,
                    "value": r.value,
                    "delta": r.delta,
                    "n": r.n,
                    "test_error": r.test.error if r.test else np.nan,
                    "test_low": r.test.low if r.test else np.nan,
                    "test_high": r.test.high if r.test else np.nan,
                    "worth_labels": w.labels,
                    "worth_at_error": w.error,
                    "oracle": w.oracle,
                    "ratio": w.ratio,
                    "reasons": "; ".join(r.reasons),
                }
                for r in self.rows
                for w in [self.worth[r.bound]]
            ]
        )

    def write(self, folder: "str | Path") -> list[str]:
        """Write ``certificates.csv``, ``certificates.json`` and one ``BOUND.npz`` per head.

        Returns
        -------
        list of str
            Names of the files. A head's file holds ``weight`` (C, d) and ``bias`` (C,).
        """
        folder = Path(folder)
        write_text(folder / "certificates.csv", csv_text(self.to_frame()))
        record = {
            "n": self.n,
            "estimator": self.estimator,
            "delta": self.delta,
            "simultaneous": self.simultaneous,
            "rows": [r.to_dict() for r in self.rows],
            "about": dict(self.about),
            "worth": {k: {a: _word(x) for a, x in vars(w).items()} for k, w in self.worth.items()},
            "learning_curve": [vars(p) for p in self.curve],
        }
        write_json(folder / "certificates.json", record)
        for name, head in self.heads.items():
            write_bytes(folder / f"{name}.npz", npz_bytes(weight=head.weight, bias=head.bias))
        return ["certificates.csv", "certificates.json", *(f"{name}.npz" for name in self.heads)]

    def __repr__(self) -> str:
        cells = [self._titles(), *self._cells()]
        lines = aligned(cells, left=range(len(cells[0])))
        reasons = [f"  {r.bound}: {reason}" for r in self.rows for reason in r.reasons]
        return "\n".join([self._head(), "", *lines, *reasons, "", *self._notes()])

    def _repr_html_(self) -> str:
        def line(cells: list[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(c)}</{tag}>" for c in cells) + "</tr>"

        body = "".join(line(row, "td") for row in self._cells())
        reasons = [f"{r.bound}: {reason}" for r in self.rows for reason in r.reasons]
        notes = "<br>".join(escape(text) for text in [*reasons, *self._notes()])
        return (
            f"<p>{escape(self._head())}</p><table><thead>{line(self._titles(), 'th')}</thead>"
            f"<tbody>{body}</tbody></table><p>{notes}</p>"
        )

    def _head(self) -> str:
        spent = f"delta {self.delta:g} {'for all rows together' if self.simultaneous else 'a row'}"
        return f"Head certificates: {self.n:,} labels, estimator {self.estimator}, {spent}"

    @staticmethod
    def _titles() -> list[str]:
        return ["", "error at most", "certificate", "about", "measured error", "worth", "x oracle"]

    def _cells(self) -> list[list[str]]:
        out = []
        for r in self.rows:
            w = self.worth[r.bound]
            test = interval(r.test.error, r.test.low, r.test.high) if r.test else "-"
            worth = f"{w.labels:,.0f} held-out labels" if np.isfinite(w.labels) else "-"
            worth = "below the error" if w.measured and r.value <= w.error else worth
            ratio = f"{w.ratio:.2f}" if np.isfinite(w.ratio) else "-"
            value = number(r.value, up=True)
            out.append([MARK[r.kind], value, r.bound, self.about[r.bound], test, worth, ratio])
        return out

    def _notes(self) -> list[str]:
        curve = ", ".join(f"{number(p.error)} with {p.labels:,}" for p in self.curve)
        on = "; ".join(dict.fromkeys(p.on for p in self.curve))
        notes = [f"nearest class mean, error by number of labels: {curve} (counted on {on})"]
        if not all(w.measured for w in self.worth.values()):
            notes.append("worth: at the share of errors that the certificate itself counted")
        if any(np.isfinite(w.ratio) for w in self.worth.values()):
            notes.append(
                "x oracle: times what counting on as many fresh points would certify on average, "
                "for the head that used all labels"
            )
        if len(self.rows) > 1 and not self.simultaneous:
            notes.append("each row holds with its own delta; the smallest of them does not")
        return [*notes, legend()]


def _word(x: float) -> float | str:
    return float(x) if np.isfinite(x) else str(x)
