"""One statement about a target that differs from the rows at hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ncbounds.results import Kind


@dataclass(frozen=True)
class Statement:
    """One line of the table.

    Attributes
    ----------
    checkpoint, statement : str
    claim : str
        Which error, and on which law.
    relation : {"<=", ">=", "refuted", ""}
        What the value is to the error.
    value : float
        Rounded to the safe side; nan if refuted or undefined.
    kind : str
    delta : float
        Which the statement spends by itself.
    n : int
        Rows that it counts.
    measured : float
        Share of errors on the target rows, where these have labels, for a claim about the target.
    reasons : tuple of str
    details : dict
    """

    checkpoint: str
    statement: str
    claim: str
    relation: str
    value: float
    kind: Kind
    delta: float
    n: int
    measured: float = np.nan
    reasons: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
