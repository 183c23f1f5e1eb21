"""A series along its steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats
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
from ncbounds.report.steps import Step, known_steps
from ncbounds.report.trend import LOSSES, Indistinguishable, Word

#: How far to the right a last step without a number stands, as a share of the range before it.
BEYOND = 0.06
_HIGH, _LOW = 2.2, 1.5


@dataclass(frozen=True)
class _Line:
    """One quantity by step."""

    label: str
    value: Callable[[Step], float]
    colour: str
    dashed: int = 0


_SHARES = (
    _Line("within", lambda s: s.within, "green", 1),
    _Line("alignment", lambda s: s.alignment, "orange", 2),
    _Line("outputs", lambda s: s.outputs, "purple", 3),
    _Line("margin efficiency, 5 %", lambda s: s.margin_efficiency_quantile, "red", 1),
)
_SCALES = (
    _Line("NC1", lambda s: s.nc1, "blue"),
    _Line("training loss", lambda s: s.loss, "red", 1),
)


def draw_series(steps: Sequence[Step], words: Sequence[Word] = ()) -> NDArray[Any]:
    """Draw the steps of one series; those whose place is not known are left out.

    Returns
    -------
    array of matplotlib axes
    """
    placed = known_steps(steps)
    draws = [draw for draw, names in _PANELS.items() if _known(placed, *names)]
    logged = [n for n in dict.fromkeys(n for s in placed for n in s.log) if n not in LOSSES]
    heights = [_HIGH if d in (_errors, _efficiency) else _LOW for d in draws] + [_LOW] * len(logged)
    with pyplot() as plt:
        axes = panels(plt, heights or [_LOW])
        x = _horizontal(axes[-1], placed)
        for ax, draw in zip(axes, draws):
            draw(ax, x, placed)
        for ax, name in zip(axes[len(draws) :], logged):
            _plot(ax, x, placed, _logged(name, "black"))
            _scaled(ax)
            finish(ax, f"{name}, as logged")
        for word in words:
            if isinstance(word, Indistinguishable):
                _since(axes, x, placed, word)
        axes[0].set_title(placed[0].series if placed else "", loc="left")
    return axes


def _horizontal(ax: Any, placed: Sequence[Step]) -> Floats:
    """Positions of the steps, on a scale that suits them; a last one without number is named."""
    steps = np.array([s.step for s in placed])
    known = steps[np.isfinite(steps)]
    log = spans(known[known > 0].tolist()) and known.min(initial=1) >= 0
    if log and known.min() > 0:
        ax.set_xscale("log")
    elif log:
        ax.set_xscale("symlog", linthresh=known[known > 0].min())
    ax.set_xlabel("step")
    if len(known) == len(steps):
        return steps
    if not len(known):
        after = 0.0
    elif log:
        after = known.max() * (known.max() / known[known > 0].min()) ** BEYOND
    else:
        after = known.max() + max(np.ptp(known), 1.0) * BEYOND
    at = np.where(np.isfinite(steps), steps, after)
    ax.annotate(
        placed[-1].shown,
        (after, 0),
        xycoords=("data", "axes fraction"),
        xytext=(0, -24),
        textcoords="offset points",
        ha="center",
        fontsize=7,
    )
    return np.asarray(at)


def _plot(ax: Any, x: Floats, placed: Sequence[Step], line: _Line) -> None:
    y = np.array([line.value(s) for s in placed])
    here = np.isfinite(y)
    if here.any():
        ax.plot(
            x[here],
            y[here],
            color=COLOURS[line.colour],
            marker=MARKS[[*COLOURS].index(line.colour)],
            linestyle=DASHES[line.dashed],
            label=line.label,
        )


def _logged(name: str, colour: str, dashed: int = 0) -> _Line:
    return _Line(f"{name}, as logged", lambda s: s.log.get(name, np.nan), colour, dashed)


def _known(placed: Sequence[Step], *names: str) -> bool:
    return any(np.isfinite(getattr(s, name)) for s in placed for name in names)


def _scaled(ax: Any) -> None:
    if spans([v for line in ax.get_lines() for v in line.get_ydata()]):
        ax.set_yscale("log")


def _errors(ax: Any, x: Floats, placed: Sequence[Step]) -> None:
    names = list(dict.fromkeys(s.certificate for s in placed if s.certificate))
    label = f"error <= ({', '.join(names)})"
    draw_upper(ax, x, [s.value for s in placed], color=COLOURS["sky"], label=label)
    _plot(ax, x, placed, _Line("training error", lambda s: s.train_error, "blue"))
    test = np.array([[s.test_error, s.test_low, s.test_high] for s in placed])
    here = np.isfinite(test).all(axis=1)
    _plot(ax, x, placed, _Line("test error, 95 %", lambda s: s.test_error, "red", 1))
    ax.fill_between(x[here], test[here, 1], test[here, 2], color=COLOURS["red"], alpha=0.15, lw=0)
    ax.set_ylim(bottom=0)
    finish(ax, "error")


def _efficiency(ax: Any, x: Floats, placed: Sequence[Step]) -> None:
    ends = np.array([[s.efficiency, s.efficiency_upper] for s in placed])
    here = np.isfinite(ends).all(axis=1)
    middle = ends[here].mean(axis=1)
    half = ends[here, 1] - middle
    ax.errorbar(
        x[here], middle, half, color=COLOURS["black"], marker="o", capsize=2, label="efficiency"
    )
    for line in _SHARES:
        _plot(ax, x, placed, line)
    ax.axhline(1.0, color=COLOURS["black"], lw=0.6, ls=":")
    ax.set_ylim(top=1.05)
    finish(ax, "share of the best")


def _scales(ax: Any, x: Floats, placed: Sequence[Step]) -> None:
    for line in _SCALES:
        _plot(ax, x, placed, line)
    logged = next((n for n in LOSSES if any(n in s.log for s in placed)), None)
    if logged is not None:
        _plot(ax, x, placed, _logged(logged, "orange", 2))
    _scaled(ax)
    finish(ax, "fit rows")


def _depth(ax: Any, x: Floats, placed: Sequence[Step]) -> None:
    _plot(ax, x, placed, _Line("effective depth", lambda s: s.effective_depth, "purple"))
    ax.set_ylim(bottom=0, top=max((s.places for s in placed if np.isfinite(s.places)), default=1))
    finish(ax, "layer")


#: Panels from above, with what of a step they show.
_PANELS = {
    _errors: ("train_error", "test_error", "value"),
    _efficiency: ("efficiency",),
    _scales: ("nc1", "loss"),
    _depth: ("effective_depth",),
}


def _since(axes: Any, x: Floats, placed: Sequence[Step], word: Indistinguishable) -> None:
    at = next((a for a, s in zip(x, placed) if s.shown == word.since), None)
    if at is not None:
        for ax in axes:
            ax.axvline(at, color=COLOURS["black"], lw=0.8, ls="--", alpha=0.6)
        axes[0].annotate(
            "from here on as the last",
            (at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-3, -8),
            textcoords="offset points",
            ha="right",
            fontsize=7,
        )
