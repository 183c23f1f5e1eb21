"""Margins by role, as quantiles: what a picture of their distribution needs, kept with a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.errors import InvalidSample, RoleError
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.roles import LABELS_OPTIONAL, Role, check_role

#: Percentages whose quantiles are kept.
PERCENT = np.arange(101)
#: Significant digits that are kept; the sign of a margin never changes.
DIGITS = 6


@dataclass(frozen=True, eq=False)
class MarginCurves:
    """Quantiles of the margins of one classifier.

    Attributes
    ----------
    unit : float
        Median absolute margin of the sample ``unit_of``, which makes heads of any scale
        comparable; 1 where that median is 0 or not finite.
    unit_of : str
        Its role: fit where there is such a sample, else the first of head, holdout, test.
    quantiles : dict from role to array of shape (101,)
        The smallest margin with at least so many per cent of the points at or below it, in the
        head's own scale, not divided by ``unit``.
    """

    unit: float
    unit_of: Role
    quantiles: Mapping[Role, Floats]

    @classmethod
    def of(cls, evidence: Evidence) -> Self | None:
        """Those of the saved classifier on labelled samples; None without a head or a sample.

        None, too, where points may have several labels: a margin is that of one class.
        """
        head = evidence.head
        if not isinstance(head, LinearHead) or evidence.decision.several:
            return None
        found = {
            role: sample.margins(head)  # kept: errors were counted by them
            for role, sample in evidence.samples().items()
            if role not in LABELS_OPTIONAL and sample.n
        }
        if not found:
            return None
        first = next(iter(found))
        middle = float(_quantiles(np.abs(found[first]))[50])
        unit = middle if np.isfinite(middle) and middle > 0 else 1.0
        return cls(unit, first, {role: _quantiles(m) for role, m in found.items()})

    def normalised(self, role: Role) -> Floats:
        """Quantiles of one role in units of ``unit``, shape (101,)."""
        return self.quantiles[role] / self.unit

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able fields, infinite margins as words."""
        return {
            "unit": _short(self.unit),
            "unit_of": self.unit_of,
            "quantiles": {role: [_short(x) for x in q] for role, q in self.quantiles.items()},
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Rebuild them from :meth:`to_dict`.

        Raises
        ------
        InvalidSample
            If that is not what is there.
        """
        try:
            unit, of = float(stored["unit"]), check_role(str(stored["unit_of"]))
            quantiles = {
                check_role(str(role)): np.array([float(x) for x in q])
                for role, q in stored["quantiles"].items()
            }
            if not (np.isfinite(unit) and unit > 0 and of in quantiles):
                raise ValueError(f"their unit is {unit}, of {of}")
            for role, q in quantiles.items():
                if q.shape != PERCENT.shape or not (q[1:] >= q[:-1]).all():
                    raise ValueError(f"those of {role} are not {len(PERCENT)} rising numbers")
        except (KeyError, TypeError, ValueError, AttributeError, RoleError) as error:
            raise InvalidSample(f"stored margins are damaged: {error}") from None
        return cls(unit, of, quantiles)


def _quantiles(x: Floats) -> Floats:
    """Order statistics: to interpolate between infinite margins would be undefined."""
    found: Floats = np.sort(x)[np.maximum(-(-PERCENT * len(x) // 100), 1) - 1]
    return found


def _short(x: float) -> float | str:
    return float(f"{x:.{DIGITS}g}") if np.isfinite(x) else str(float(x))
