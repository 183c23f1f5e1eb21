"""HTML: the page, and a piece without scripts for notebooks."""

from typing import Any

from ncbounds.errors import printable
from ncbounds.report.columns import all_reasons, readable, titles
from ncbounds.report.compact import header, lines, used
from ncbounds.report.data import ReportData
from ncbounds.report.view import view
from ncbounds.report.views.screen import caption
from ncbounds.results import MARK, BoundResult, Row

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #888; --good: #1a7f37; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
.ncb table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
.ncb th, .ncb td { padding: .2rem .6rem; text-align: right; white-space: nowrap; }
.ncb th:first-child, .ncb td:first-child { text-align: left; }
.ncb .legend, .ncb thead th { white-space: pre-line; }
.ncb small { color: var(--soft); font-weight: 400; }
.ncb thead th { border-bottom: 1px solid var(--line); vertical-align: bottom; }
.ncb .block td { border-top: 1px solid var(--line); font-weight: 600; padding-top: .6rem; }
.ncb .certificate { color: var(--good); } .ncb .plug-in, .ncb .measure { color: var(--soft); }
.ncb .vacuous { text-decoration: line-through; text-decoration-color: var(--line); }
.ncb .reasons { white-space: normal; text-align: left; max-width: 28rem; color: var(--soft); }
.ncb .wide { overflow-x: auto; } .ncb summary { cursor: pointer; }
@media print { body { margin: 0; max-width: none; } details { break-inside: avoid; } }
"""

_FRAGMENT = """
<div class="ncb">
<style>{{ style }}</style>
<p class="legend">{{ legend }}</p>
<div class="wide"><table>
<thead><tr>{% for family, hint, title in header %}<th title="{{ hint }}"><small>{{ family }}</small>
{{ title }}</th>{% endfor %}</tr></thead>
<tbody>
{% for block, rows in blocks %}
{% if block %}<tr class="block"><td colspan="{{ header|length }}">{{ block }}</td></tr>{% endif %}
{% for row in rows %}<tr>{% for cell in row -%}
<td class="{{ '' if loop.first else kind(cell) }}">{{ cell }}</td>
{%- endfor %}</tr>
{% endfor %}{% endfor %}
</tbody></table></div>
{% if failures %}<h3>Not evaluated</h3><ul>
{% for name, reason in failures %}<li><b>{{ name }}</b>: {{ reason }}</li>{% endfor %}
</ul>{% endif %}
{% for name, rows in details %}
<details><summary>{{ name }}: {{ rows|length }} rows</summary>
<div class="wide"><table>
<thead><tr>{% for title in titles %}<th>{{ title }}</th>{% endfor %}</tr></thead><tbody>
{% for row in rows %}<tr>{% for style, cell in row %}<td class="{{ style }}">{{ cell }}</td>
{%- endfor %}</tr>
{% endfor %}
</tbody></table></div></details>
{% endfor %}
</div>
"""


def fragment(report: ReportData) -> str:
    """Return the report as a piece of HTML, without scripts, for notebooks."""
    columns = used(report)
    own = [(c.heading, ", ".join(c.bounds), c.title) for c in columns]
    text: str = _template(_FRAGMENT).render(
        style=_STYLE,
        legend=caption(report),
        header=[*(("", "", title) for title in header(report, [])), *own],
        blocks=lines(report, columns),
        failures=[(printable(f.checkpoint), printable(f.reason)) for f in report.failures],
        titles=[*titles(report)[1:], "reasons"],
        details=_details(report),
        kind=_kind_of,
    )
    return text


@view("report.html")
def html(report: ReportData) -> str:
    """One self-contained page."""
    from ncbounds.report.page import page

    return page(report)


def _template(text: str) -> Any:
    from jinja2 import Environment, StrictUndefined

    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
        text
    )


def _kind_of(cell: str) -> str:
    kind = next((kind for kind, mark in MARK.items() if cell.startswith(mark)), "")
    return f"{kind} vacuous" if "^" in cell else kind


def _details(report: ReportData) -> list[tuple[str, list[list[tuple[str, str]]]]]:
    """Rows of each checkpoint as styled cells: all columns but its name, and the reasons."""
    by_name: dict[str, list[list[tuple[str, str]]]] = {}
    columns = readable(report)[1:]
    for r in report.rows:
        row = [(_style(c.name, r), written(r)) for c, written in columns]
        row.append(("reasons", all_reasons(r)))
        by_name.setdefault(printable(r.checkpoint) or "classifier", []).append(row)
    return list(by_name.items())


def _style(column: str, r: Row) -> str:
    if column == "value" and isinstance(r, BoundResult) and r.vacuous:
        return "vacuous"
    return r.kind if column == "kind" else ""
