"""Pairs of classes: what is taken for what, and how class means and head rows lie."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.cells import limits_of
from ncbounds.errors import NcboundsError, UnknownName, printable, suggest
from ncbounds.evidence.class_pairs import CLASSES, ClassPairs, Confusions
from ncbounds.evidence.roles import Role, check_role
from ncbounds.report.cells import number
from ncbounds.report.plot.style import COLOURS, COLUMN, TEXT, pyplot
from ncbounds.results import MARK

#: Words of what is drawn: answers, or cosines by what they are of.
PAIRS = {"confusion": "", "means": "class means", "head": "head rows"}
#: Classes up to which a map has a number in each cell, and names on its axes.
NUMBERED, NAMED = 12, 40
#: Pairs that stand as bars where there are too many classes for a map.
BARS = 30
#: Characters of a name on an axis.
LONGEST = 18
#: What a point without a single answer is called.
NO_ANSWER = "no answer"


def full_name(names: Sequence[str], c: int) -> str:
    """Name of a class; its number where it has none."""
    if c < 0:
        return NO_ANSWER
    return printable(names[c]) if c < len(names) else str(c)


def class_name(names: Sequence[str], c: int) -> str:
    """Name of a class as a picture has room for it."""
    name = full_name(names, c)
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def draw_pairs(
    found: ClassPairs, names: Sequence[str], name: str, of: str, role: str | None, ax: Any = None
) -> Any:
    """Draw what is kept of the pairs of a checkpoint's classes, as ``report.plot.pairs`` says."""
    if of not in PAIRS:
        raise UnknownName(f"no pairs of {of!r}; {suggest(of, list(PAIRS))}")
    called = name or "the classifier"
    if what := PAIRS[of]:
        if what not in found.cosines:
            raise NcboundsError(
                f"no cosines of {what} of {called} are kept: they need a linear head of at most "
                f"{CLASSES} classes, those of means training points too"
            )
        title = f"{name}: cosines of {what}".removeprefix(": ")
        return draw_cosines(found.cosines[what], names, title, ax)
    wanted: Role = next(iter(found.confusions), "holdout") if role is None else check_role(role)
    if wanted not in found.confusions:
        raise NcboundsError(
            f"no answers on {wanted} rows of {called} are kept, found those on "
            f"{', '.join(found.confusions) or 'none'}"
        )
    title = f"{name}, {wanted}".removeprefix(", ")
    return draw_confusions(found.confusions[wanted], names, title, ax)


def draw_confusions(
    found: Confusions, names: Sequence[str], title: str = "", ax: Any = None
) -> Any:
    """Draw the share of each class that is taken for each other; where there are many, the worst.

    Colours are of wrong answers; the diagonal, which is what is right, has none.
    """
    if not found.complete:
        return _draw_worst(found, names, title, ax)
    counts, n = found.table()
    if not counts[:, -1].any():
        counts = counts[:, :-1]
    with np.errstate(invalid="ignore"):
        shares = np.where(n[:, None] > 0, counts / np.maximum(n, 1)[:, None], np.nan)
    columns = [*range(found.shape[1] - 1), -1][: shares.shape[1]]
    diagonal = np.arange(shares.shape[0])[:, None] == np.array(columns)[None, :]
    top = float(np.nanmax(np.where(diagonal, 0.0, shares), initial=0.0)) or 1.0
    ax, image = _map(
        100.0 * np.where(diagonal, np.nan, shares),
        [class_name(names, c) for c in range(shares.shape[0])],
        [class_name(names, c) for c in columns],
        {"vmin": 0.0, "vmax": 100.0 * top, "cmap": "Blues"},
        [[percent(x) for x in row] for row in shares],
        ax,
    )
    ax.set(xlabel="answer", ylabel="true class")
    _title(ax, title)
    ax.figure.colorbar(image, ax=ax, label="per cent of the true class", shrink=0.8)
    return ax


def draw_cosines(cosines: Floats, names: Sequence[str], title: str = "", ax: Any = None) -> Any:
    """Draw cosines of all pairs; the middle of the colours is collapse, -1/(C-1)."""
    classes = len(cosines)
    called = [class_name(names, c) for c in range(classes)]
    middle = -1.0 / max(classes - 1, 1)
    shown = np.where(np.eye(classes, dtype=bool), np.nan, cosines)
    reach = max(float(np.nanmax(np.abs(shown - middle), initial=0.0)), 0.1)
    look = {"vmin": middle - reach, "vmax": middle + reach, "cmap": "PuOr_r"}
    ax, image = _map(shown, called, called, look, _rounded(shown), ax)
    _title(ax, title)
    bar = ax.figure.colorbar(image, ax=ax, label="cosine", shrink=0.8)
    bar.ax.axhline(middle, color=COLOURS["black"], lw=0.8)
    return ax


def _map(
    coloured: Floats,
    rows: list[str],
    columns: list[str],
    look: dict[str, Any],
    texts: list[list[str]],
    ax: Any,
) -> tuple[Any, Any]:
    """A map of cells, with numbers in them where there are few; nan has no colour."""
    size = max(len(rows), len(columns))
    width = COLUMN if size <= NUMBERED else TEXT
    with pyplot() as plt:
        if ax is None:
            _, ax = plt.subplots(figsize=(width, 0.86 * width), layout="constrained")
        # cells as shapes up to a size, so that print is sharp; beyond it as one picture
        image = ax.pcolormesh(coloured, rasterized=size > NAMED, linewidth=0, **look)
        ax.set_aspect("equal")
        ax.invert_yaxis()
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
        every = 1 if size <= NAMED else 10
        small = 7 if size <= NUMBERED else 6
        for axis, called in ((ax.xaxis, columns), (ax.yaxis, rows)):
            axis.set_ticks(np.arange(0, len(called), every) + 0.5)
            axis.set_ticklabels(called[::every], parse_math=False, fontsize=small)
            axis.set_tick_params(length=0)
        ax.tick_params(axis="x", rotation=60 if max(map(len, columns)) > 2 else 0)
        for label in ax.get_xticklabels():
            if max(map(len, columns)) > 2:
                label.set(ha="right", rotation_mode="anchor")
        if size <= NUMBERED:
            _write(ax, image, coloured, texts)
    return ax, image


def percent(share: float) -> str:
    """A share as whole per cents; nothing for none, ``<1`` for less than one."""
    if not np.isfinite(share) or share == 0:
        return ""
    return f"{100 * share:.0f}" if share >= 0.01 else "<1"


def _rounded(cosines: Floats) -> list[list[str]]:
    return [[number(round(x, 2) + 0.0, 2) if np.isfinite(x) else "" for x in row]
            for row in cosines]  # fmt: skip


def _write(ax: Any, image: Any, coloured: Floats, texts: list[list[str]]) -> None:
    """Texts in cells, light on dark ones."""
    for (i, j), x in np.ndenumerate(coloured):
        ink = COLOURS["black"]
        if np.isfinite(x):
            red, green, blue, _ = image.cmap(image.norm(x))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            ink = "#ffffff" if dark else "#111111"  # not the ink of the page: the cell is its own
        ax.text(j + 0.5, i + 0.5, texts[i][j], ha="center", va="center", fontsize=6, color=ink)


def _draw_worst(found: Confusions, names: Sequence[str], title: str, ax: Any) -> Any:
    """The pairs with most errors as shares with their limits."""
    at = found.worst()[:BARS]
    low, high = limits_of(found)
    label, answer, count, n = found.cells[at].T
    share = count / n
    y = np.arange(len(at))
    with pyplot() as plt:
        if ax is None:
            size = (COLUMN, 0.7 + 0.17 * len(at))
            _, ax = plt.subplots(figsize=size, layout="constrained")
        ends = [share - low[at], high[at] - share]
        ax.errorbar(share, y, xerr=ends, fmt="o", color=COLOURS["blue"], capsize=2)
        called = [f"{class_name(names, a)} → {class_name(names, b)}" for a, b in zip(label, answer)]
        ax.set_yticks(y, called, parse_math=False, fontsize=7)
        ax.set_ylim(len(at) - 0.4, -0.6)
        ax.grid(axis="y", visible=False)
        ax.set(xlim=(0, None), xlabel=f"share of the class, {MARK[found.kind]} limits")
        said = f"the worst {len(at)} of {found.seen} pairs"
        _title(ax, f"{title}: {said}" if title else said)
    return ax


def _title(ax: Any, text: str) -> None:
    ax.set_title(text, loc="left", fontsize=9, parse_math=False)
