"""Tables for programs and spreadsheets: CSV and JSON lines, both with full precision."""

import json
import math
import re
from typing import TYPE_CHECKING, Any

from ncbounds.errors import printable

if TYPE_CHECKING:
    import pandas as pd

#: What a spreadsheet takes for the start of a formula, in either width of Japanese keyboards.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")


def escaped(cell: Any) -> Any:
    """A cell that a spreadsheet shows as it is: words that it would compute start with ``'``."""
    if not isinstance(cell, str):
        return cell
    return printable(f"'{cell}" if _FORMULA.match(cell) or cell[:1].isspace() else cell)


def csv_text(table: "pd.DataFrame") -> str:
    """Return a frame as CSV; numbers stay numbers."""
    words = table.select_dtypes(exclude=["number", "bool"]).columns
    safe = table.assign(**{name: table[name].map(escaped) for name in words})
    return safe.rename(columns=escaped).to_csv(index=False, lineterminator="\n")


def jsonl_text(table: "pd.DataFrame") -> str:
    """Return a frame as one JSON object a line; what is missing is null, infinity a word."""
    return "".join(
        json.dumps({name: _json(x) for name, x in record.items()}, ensure_ascii=False) + "\n"
        for record in table.to_dict("records")
    )


def _json(x: Any) -> Any:
    import pandas as pd

    if isinstance(x, str):
        return printable(x)
    if isinstance(x, float) and math.isinf(x):
        return str(x)
    return x if isinstance(x, (list, tuple, dict)) or not pd.isna(x) else None
