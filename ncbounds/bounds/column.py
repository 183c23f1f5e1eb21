"""Where a bound stands in the compact table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ScreenColumn:
    """The column of the compact table that shows a bound, and which of its rows.

    Bounds of the same ``title`` share a column: it shows the first of them, by ``order``, that
    says something.

    Attributes
    ----------
    title : str
    order : float
        Columns, and the bounds that share one, stand in this order. Those of the shipped bounds
        are whole numbers from 10 to 99.
    heading : str
        Written over the column; one heading spans neighbours that have the same.
    on_fit : bool
        Show the row on the training sample instead of the one on fresh points.
    params : dict
        Parameters of the row that is shown.
    digits : int
        Decimals.
    """

    title: str
    order: float = 100
    heading: str = ""
    on_fit: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)
    digits: int = 2
