"""The page of a report, from its parts."""

import json
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

from ncbounds.bounds import find
from ncbounds.report.compact import header, lines, used
from ncbounds.report.data import ReportData
from ncbounds.report.page.assets import component, own, rendered
from ncbounds.report.page.compared import comparison_tabs
from ncbounds.report.page.kept import kept_tabs
from ncbounds.report.page.picture import picture
from ncbounds.report.page.pictures import tabs_of
from ncbounds.report.page.rows import kept, table
from ncbounds.report.page.statements import statement
from ncbounds.report.page.tab import Tab
from ncbounds.report.page.words import words
from ncbounds.results import MARK

#: Checkpoints that stand side by side.
SIDE_BY_SIDE = 300
#: What the kinds say, in a few words.
KINDS = {
    "certificate": "holds with probability 1 - delta",
    "conditional": "holds if its assumption does",
    "plug-in": "no guarantee",
    "measure": "not an error",
}


def page(report: ReportData, tabs: Iterable[Tab] = (), *, title: str = "ncbounds report") -> str:
    """Return the page; ``tabs`` stand after those that a report has by itself.

    Nothing is loaded from outside, which the page itself forbids its browser.
    """
    shown, hint = kept(report)
    bounds = {r.bound: find(r.bound) for r in shown.rows}
    kinds = [k for k in MARK if any(r.kind == k for r in shown.rows)]
    said = words(report)
    rows = rendered(
        "rows.html",
        kinds=[(k, MARK[k], KINDS[k], sum(r.kind == k for r in shown.rows)) for k in kinds],
        hint=hint,
    )
    own_tabs = [Tab("All rows", rows), *_side_by_side(report)]
    text = rendered(
        "page.html",
        title=title,
        evaluated=said.evaluated,
        words=said,
        picture=picture(report),
        statements={i: statement(b) for i, b in bounds.items() if b is not None},
        titles={i: b.title for i, b in bounds.items() if b is not None},
        tabs=[
            *own_tabs,
            *tabs_of(report),
            *kept_tabs(report),
            *comparison_tabs(report),
            *tabs,
        ],
        rows=_json(table(shown)),
        css=Markup(component("dt_bundle.css") + own("page.css")),
        library=Markup(component("dt_bundle.js")),
        script=Markup(own("page.js") + own("tabs.js")),
    )
    return str(text)


def _side_by_side(report: ReportData) -> list[Tab]:
    """The compact table, one line a checkpoint, if there is one that can be read."""
    columns = used(report)
    if not columns or len({r.checkpoint for r in report.rows}) > SIDE_BY_SIDE:
        return []
    own_columns = [(c.title, c.heading, ", else ".join(c.bounds)) for c in columns]
    body = rendered(
        "side.html",
        header=[*((title, "", "") for title in header(report, [])), *own_columns],
        blocks=lines(report, columns),
        kinds={mark: kind for kind, mark in MARK.items()},
    )
    return [Tab("Side by side", body)]


def _json(data: Any) -> Markup:
    """JSON that cannot end the element that it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))
