"""The curve of a search: every network that it visited, by bits, errors and bound."""

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from ncbounds.files import write_text


@dataclass
class Point:
    """One place on the curve of bits, errors and bounds."""

    stage: str
    epoch: int
    bits: int
    errors: int
    differences: int
    bound: float
    nonzeros: int
    seconds: float


def write_curve(path: Path, curve: list[Point]) -> None:
    """Write the curve as csv."""
    rows = pd.DataFrame([asdict(point) for point in curve], columns=list(Point.__annotations__))
    write_text(path, rows.to_csv(index=False, float_format="%.6g"))
