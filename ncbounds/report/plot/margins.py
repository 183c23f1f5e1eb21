"""How margins are distributed, sample by sample."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ncbounds.evidence.margin_curves import PERCENT, MarginCurves
from ncbounds.evidence.roles import ROLES, Role
from ncbounds.report.cells import number
from ncbounds.report.plot.style import COLOURS, COLUMN, DASHES, pyplot

#: Colours and dashes of the roles.
_LOOK: dict[Role, tuple[str, str]] = {
    "fit": ("blue", DASHES[0]),
    "head": ("orange", DASHES[1]),
    "holdout": ("green", DASHES[2]),
    "test": ("red", DASHES[3]),
}


def draw_margins(
    curves: MarginCurves, error_rates: Mapping[str, float], name: str = "", ax: Any = None
) -> Any:
    """Draw for each role the share of points whose margin is at most so large; errors are shaded.

    The axis runs from the 1 % to the 99 % quantile of any role.
    """
    shown = {role: curves.normalised(role) for role in ROLES if role in curves.quantiles}
    ends = np.array([q[[1, -2]] for q in shown.values()]).ravel()
    ends = np.append(ends[np.isfinite(ends)], 0.0)
    pad = 0.05 * (np.ptp(ends) or 1.0)
    left, right = ends.min() - pad, ends.max() + pad
    with pyplot() as plt:
        if ax is None:
            _, ax = plt.subplots(figsize=(COLUMN, 0.8 * COLUMN), layout="constrained")
        for role, q in shown.items():
            colour, dash = _LOOK[role]
            error = error_rates.get(role, np.nan)
            ax.plot(
                np.clip(q, 2 * left - right, 2 * right - left),  # infinite margins are not drawn
                PERCENT / 100,
                color=COLOURS[colour],
                ls=dash,
                label=f"{role}, error {number(error)}" if np.isfinite(error) else role,
            )
        ax.axvspan(left, 0.0, color=COLOURS["black"], alpha=0.06, lw=0)
        ax.annotate(
            "errors", (0, 1), xycoords=ax.get_xaxis_transform(), xytext=(-3, -3),
            textcoords="offset points", ha="right", va="top", fontsize=7,
        )  # fmt: skip
        unit = f"margin / median |margin| on {curves.unit_of}" if curves.unit != 1 else "margin"
        ax.set(xlim=(left, right), ylim=(0, 1), xlabel=unit, ylabel="share of points below")
        ax.set_title(name, loc="left", fontsize=9, parse_math=False)
        ax.legend(loc="upper left", bbox_to_anchor=(0, 0.93))
    return ax
