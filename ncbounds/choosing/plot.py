"""The curve over the layers of one network on the rows of a new task."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.choosing.candidates import Layer
from ncbounds.choosing.found import Found
from ncbounds.errors import UnknownName, printable, suggest
from ncbounds.report.plot.style import COLOURS, DASHES, MARKS, finish, panels, pyplot, spans

#: Colours of heads, in the order in which they were declared.
_OF = ("blue", "orange", "green")


def networks_of(found: Found) -> list[str]:
    """Names of the networks that have a curve: all but raw inputs."""
    return list(dict.fromkeys(p.network for p in found.layers if p.origin != "raw"))


def own_network(found: Found) -> str:
    """Name of the network that was chosen; of raw inputs, the first network, if there is one."""
    if found.place.origin != "raw":
        return found.place.network
    return "".join(networks_of(found)[:1])


def draw_network(found: Found, network: str) -> NDArray[Any]:
    """Draw one network of a choice, with raw inputs and the best untrained layer as levels.

    Raises
    ------
    UnknownName
        If there is no such network.
    """
    if network not in (known := networks_of(found)):
        raise UnknownName(f"no network {network!r}; {suggest(network, known)}")
    levels = [(b.what, b.candidate.place) for b in found.baselines if not b.candidate.place.last]
    return draw_curve([p for p in found.layers if p.network == network], levels, found.place)


def draw_curve(
    layers: Sequence[Layer], beside: Sequence[tuple[str, Layer]] = (), tapped: Layer | None = None
) -> NDArray[Any]:
    """Draw leave-one-out errors of the heads and NC1 from the first layer to the last.

    Parameters
    ----------
    layers : sequence of Layer
        Of one network.
    beside : sequence of pairs of a name and a Layer
        Levels to compare with, such as raw inputs: their least leave-one-out error.
    tapped : Layer, optional
        The one that was chosen, marked if it is among them.

    Returns
    -------
    array of matplotlib axes
        Errors above, NC1 below; ``axes[0].figure`` is the figure.
    """
    x = np.arange(len(layers), dtype=float)
    with pyplot() as plt:
        above, below = axes = panels(plt, (2.8, 2.0), width=max(6.4, 0.5 * len(x)))
        for i, head in enumerate(layers[0].leave_one_out):
            errors = [p.leave_one_out[head] for p in layers]
            look = {"color": COLOURS[_OF[i]], "ls": DASHES[i], "marker": MARKS[i]}
            above.plot(x, errors, label=f"{head}, leave-one-out", **look)
        for i, (name, place) in enumerate(beside):
            dash = DASHES[1 + i % (len(DASHES) - 1)]
            above.axhline(place.least, color=COLOURS["black"], ls=dash, lw=0.8, label=name)
        above.set_ylim(bottom=0)
        nc1 = [p.nc1 for p in layers]
        below.plot(x, nc1, color=COLOURS["red"], marker=MARKS[0])
        if spans(nc1):
            below.set_yscale("log")
        if tapped in layers:
            for ax, said in ((above, "chosen"), (below, None)):
                at = float(list(layers).index(tapped))  # type: ignore[arg-type]
                ax.axvline(at, color=COLOURS["sky"], lw=1.0, label=said)
        finish(above, "error")
        finish(below, "NC1")
        names = [printable(p.layer) for p in layers]
        below.set_xticks(x, names, rotation=45, ha="right", parse_math=False)
        above.set_title(printable(layers[0].network), loc="left", parse_math=False)
    return axes
