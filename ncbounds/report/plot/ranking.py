"""How well bounds and measures order checkpoints."""

import json
from typing import Any

import numpy as np

from ncbounds.comparison.rank import Ranking
from ncbounds.comparison.ranked import Ranked
from ncbounds.errors import NcboundsError, printable
from ncbounds.report.plot.style import COLOURS, TEXT, pyplot

#: Quantities of one figure.
ROWS = 40
#: Colour and mark of what is ranked.
_LOOK = {"bound": ("blue", "o"), "measure": ("purple", "D"), "baseline": ("black", "v")}


def draw_ranking(ranking: Ranking, ax: Any = None) -> Any:
    """Draw the sign error of each quantity over the pairs whose order is known, least first.

    Raises
    ------
    NcboundsError
        If too few pairs are resolved for any.
    """
    found = sorted(
        (r for r in ranking.rows if np.isfinite(r.sign_error)), key=lambda r: r.sign_error
    )
    if not found:
        raise NcboundsError(f"there is no ranking to draw: {ranking}")
    shown = found[:ROWS]
    y = np.arange(len(shown), dtype=float)
    with pyplot() as plt:
        if ax is None:
            size = (TEXT, 0.9 + 0.18 * len(shown))
            _, ax = plt.subplots(figsize=size, layout="constrained")
        for kind, (colour, mark) in _LOOK.items():
            of = [i for i, r in enumerate(shown) if r.kind == kind]
            if not of:
                continue
            x = np.array([shown[i].sign_error for i in of])
            ends = np.abs([[shown[i].low for i in of], [shown[i].high for i in of]] - x)
            ax.errorbar(
                x, y[of], xerr=np.nan_to_num(ends), ls="", marker=mark, capsize=2,
                color=COLOURS[colour], label=kind,
            )  # fmt: skip
        ax.axvline(0.5, color=COLOURS["black"], lw=0.8, ls=":")
        ax.annotate("no order", (0.5, 1), xycoords=ax.get_xaxis_transform(), xytext=(2, 2),
                    textcoords="offset points", fontsize=7)  # fmt: skip
        ax.set_yticks(y, [_label(r) for r in shown], parse_math=False, fontsize=7)
        ax.set_ylim(len(shown) - 0.4, -0.6)
        ax.grid(axis="y", visible=False)
        ax.set(xlim=(-0.02, 1.02), xlabel="share of resolved pairs of checkpoints ordered wrongly")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        if len(found) > ROWS:
            ax.set_title(f"the best {ROWS} of {len(found)}", loc="left", fontsize=9)
    return ax


def _label(r: Ranked) -> str:
    target = "" if r.target == "saved" else f"[{r.target}]"
    params = json.loads(r.params) if r.params else {}
    given = f"({', '.join(f'{k}={v}' for k, v in params.items())})" if params else ""
    words = (r.name, given, target, "" if r.kind == "baseline" else r.role)
    return printable(" ".join(w for w in words if w))
