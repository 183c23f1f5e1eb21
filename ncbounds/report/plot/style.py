"""How figures look: one style, colours that all readers can tell apart, marks beside colours."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ncbounds.errors import MissingExtra
from ncbounds.results import Kind

#: Okabe and Ito's colours, told apart with any colour vision, by what they stand for.
COLOURS = {
    "black": "#000000",
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "red": "#D55E00",
    "sky": "#56B4E9",
    "purple": "#CC79A7",
}
#: Beside every colour a mark and a dash, for print in grey.
MARKS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")
#: Colour and mark of each kind of a row.
KINDS: dict[Kind, tuple[str, str]] = {
    "certificate": ("green", "o"),
    "conditional": ("orange", "s"),
    "plug-in": ("sky", "^"),
    "measure": ("purple", "D"),
}
#: Widths of one column and of the text of usual articles, in inches.
COLUMN, TEXT = 3.35, 6.4
#: An axis is logarithmic where its values are positive and span at least this factor.
SPAN = 20.0
_STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.0,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "savefig.bbox": "tight",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


@contextmanager
def pyplot() -> Iterator[Any]:
    """Yield ``matplotlib.pyplot`` in the style of this package.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise MissingExtra("figures need matplotlib: pip install 'ncbounds[plots]'") from None
    with plt.rc_context(_STYLE):
        yield plt
        interactive = plt.isinteractive()
    if interactive:  # a notebook's backend switched it on when it was loaded inside
        plt.ion()


def save(figure: Any, out: Any, **options: Any) -> None:
    """Write a figure in the style of this package: text as text, cut to what is drawn.

    Those settings count where a figure is written, not where it is drawn.
    """
    with pyplot():
        figure.savefig(out, **options)


def panels(plt: Any, heights: Sequence[float], width: float = 6.4) -> NDArray[Any]:
    """Axes one above the other on a common horizontal axis, as an array."""
    _, axes = plt.subplots(
        len(heights),
        squeeze=False,
        sharex=True,
        figsize=(width, sum(heights)),
        height_ratios=heights,
        layout="constrained",
    )
    column: NDArray[Any] = axes[:, 0]
    return column


def spans(values: Sequence[float]) -> bool:
    """Whether values are all positive and far enough apart for a logarithmic axis."""
    finite = [v for v in values if np.isfinite(v)]
    return bool(finite) and min(finite) > 0 and max(finite) >= SPAN * min(finite)


def draw_upper(ax: Any, x: ArrayLike, values: ArrayLike, **look: Any) -> None:
    """Draw upper limits of errors as intervals from 0, vacuous ones as crosses above."""
    at, limit = np.asarray(x, dtype=float), np.asarray(values, dtype=float)
    says = np.isfinite(limit) & (limit < 1)
    label = look.pop("label", None)
    if says.any():
        lower = [limit[says], np.zeros(int(says.sum()))]
        ax.errorbar(
            at[says], limit[says], lower, fmt="_", capsize=0, alpha=0.7, label=label, **look
        )
    if (vacuous := np.isfinite(limit) & ~says).any():
        ax.plot(
            at[vacuous],
            np.ones(int(vacuous.sum())),
            "x",
            color=look.get("color"),
            transform=ax.get_xaxis_transform(),
            clip_on=False,
            label=f"{label}: vacuous" if label else "vacuous",
        )


def finish(ax: Any, label: str) -> None:
    """Name the vertical axis, and show the legend beside the panel."""
    ax.set_ylabel(label)
    if ax.get_legend_handles_labels()[1]:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
