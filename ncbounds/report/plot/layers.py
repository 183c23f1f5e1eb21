"""The curve over the layers of one checkpoint."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.depth.layers import LayerReport
from ncbounds.evidence.roles import Role
from ncbounds.report.plot.style import (
    COLOURS,
    DASHES,
    MARKS,
    draw_upper,
    finish,
    panels,
    pyplot,
    spans,
)

#: Colours of probes, and of the network.
_OF = ("blue", "orange", "green", "purple")
_NETWORK = "black"
_ROLES: tuple[Role, ...] = ("fit", "holdout", "test")


def draw_layers(report: LayerReport) -> NDArray[Any]:
    """Draw errors of the probes with their limits, and NC1, from input to logits.

    Returns
    -------
    array of matplotlib axes
        Errors above, NC1 below.
    """
    x = np.arange(len(report.layers), dtype=float)
    roles = [r for r in _ROLES if r in report.rows]
    with pyplot() as plt:
        above, below = axes = panels(plt, (2.8, 2.0), width=max(6.4, 0.5 * len(x)))
        for colour, probe in zip(_OF, report.layers[0].errors[roles[0]]):
            if report.layers[0].limits:
                limits = [layer.limits[probe] for layer in report.layers]
                look = {"color": COLOURS[colour], "label": f"{probe} <= ({report.kind})"}
                draw_upper(above, x, limits, **look)
            for role in roles:
                rates = [layer.errors[role][probe] / report.rows[role] for layer in report.layers]
                _line(above, x, rates, colour, role, f"{probe}, {role}")
        for role in roles:
            rate = report.network_errors[role] / report.rows[role]
            dash = DASHES[_ROLES.index(role)]
            above.axhline(rate, color=COLOURS[_NETWORK], ls=dash, lw=0.8, label=f"network, {role}")
        above.set_ylim(bottom=0)
        every = []
        for role in roles:
            nc1 = [layer.geometry[role].nc1 for layer in report.layers]
            every += nc1
            _line(below, x, nc1, "red", role, role)
        if spans(every):
            below.set_yscale("log")
        _marked(axes, report)
        finish(above, "error")
        finish(below, "NC1")
        below.set_xticks(x, [layer.name for layer in report.layers], rotation=45, ha="right")
        above.set_title(report.checkpoint, loc="left")
    return axes


def _line(ax: Any, x: Any, y: list[float], colour: str, role: Role, label: str) -> None:
    at = _ROLES.index(role)
    ax.plot(x, y, color=COLOURS[colour], ls=DASHES[at], marker=MARKS[at], label=label)


def _marked(axes: Any, report: LayerReport) -> None:
    """Mark the early exit and the effective depth in both panels."""
    for at, dash, label in (
        (report.exit, "-", f"exit: within {report.eps:g} from here on"),
        (report.effective_depth, "--", "effective depth"),
    ):
        if at is not None:
            for ax, said in zip(axes, (label, None)):
                ax.axvline(at, color=COLOURS["sky"], ls=dash, lw=1.0, label=said)
