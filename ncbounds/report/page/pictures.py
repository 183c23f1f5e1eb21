"""Tabs of figures: the same that papers get, as drawings that follow the page's colours."""

import io
import re
from collections.abc import Callable, Iterable
from typing import Any

from markupsafe import Markup

from ncbounds.errors import MissingExtra, NcboundsError
from ncbounds.report.data import ReportData
from ncbounds.report.page.tab import Tab
from ncbounds.report.plot import Plots
from ncbounds.report.plot.series import draw_series
from ncbounds.report.plot.style import save
from ncbounds.report.steps import steps_of
from ncbounds.report.trend import words_of

#: Figures of one tab; a run folder has all of them through ``ncbounds plot``.
FIGURES = 12
_INK = re.compile(r"#000000\b|#000\b|\bblack\b")
#: Names of groups, which every figure has alike and nothing refers to.
_NAMED = re.compile(r'<g id="[^"]*"')


def tabs_of(report: ReportData) -> list[Tab]:
    """Tabs of what is there to draw; without matplotlib only those that have tables."""
    layered = [n for n, facts in report.facts.items() if facts.get("layers")]
    series, words = steps_of(report), words_of(report)
    said = [f"{w.series}: {w}" if len(series) > 1 else str(w) for w in words]

    def stepped(name: str) -> Markup:
        drawn = draw_series(series[name], [w for w in words if w.series == name])
        return figure(drawn[0].figure, f"Series {name}".strip())

    def by_layer(name: str) -> Markup:
        return figure(Plots(report).layers(name)[0].figure, f"Layers {name}".strip())

    made = (
        tab("Series", series, stepped, said),
        tab("Layers", layered, by_layer),
    )
    return [tab for tab in made if tab is not None]


def tab(
    title: str, names: Iterable[str], made: Callable[[str], Markup], said: Iterable[str] = ()
) -> Tab | None:
    """A tab with a piece for each name, and sentences before; None if there is none to show."""
    pieces = []
    names = list(names)
    for name in names[:FIGURES]:
        try:
            pieces.append(made(name))
        except MissingExtra:
            return None
        except NcboundsError as why:
            pieces.append(Markup("<p>{}: {}</p>").format(name, str(why)))
    if not pieces:
        return None
    more = len(names) - FIGURES
    if more > 0:
        pieces.append(Markup("<p>{} more: <code>ncbounds plot</code></p>").format(more))
    words = Markup("").join(Markup("<li>{}</li>").format(line) for line in said)
    listed = Markup("<ul>{}</ul>").format(words) if words else Markup("")
    return Tab(title, listed + Markup("").join(pieces))


def figure(drawn: Any, caption: str) -> Markup:
    """A figure of matplotlib as HTML; what it draws in black takes the page's ink."""
    from matplotlib.pyplot import close

    out = io.StringIO()
    save(drawn, out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    close(drawn)
    svg = out.getvalue()
    svg = _INK.sub("currentColor", svg[svg.index("<svg") :])
    svg = _NAMED.sub("<g", svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # text of an axis is read; the drawing as a whole has a name
    head = Markup("<figure><figcaption>{0}</figcaption>").format(caption)
    named = Markup('<svg role="img" aria-label="{}"').format(caption)
    return head + named + Markup(svg[len("<svg") :]) + Markup("</figure>")
