"""One self-contained HTML page: the compact table, the long one, reasons; no script, no network."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ncbounds.report.report import Report

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
{% for row in rows %}<tr>{% for cell in row %}<td class="{{ kind(cell) }}">{{ cell }}</td>
{%- endfor %}</tr>
{% endfor %}{% endfor %}
</tbody></table></div>
{% if failures %}<h3>Not evaluated</h3><ul>
{% for f in failures %}<li><b>{{ f.checkpoint }}</b>: {{ f.reason }}</li>{% endfor %}
</ul>{% endif %}
{% for name, rows in details %}
<details><summary>{{ name }}: {{ rows|length }} rows</summary>
<div class="wide"><table>
<thead><tr><th>bound</th><th>params</th><th>kind</th><th>target</th><th>role</th><th>n</th>
<th>value</th><th>measured error</th><th>reasons</th></tr></thead><tbody>
{% for r in rows %}<tr><td>{{ r.bound }}</td><td>{{ r.params }}</td>
<td class="{{ r.kind }}">{{ r.kind }}</td><td>{{ r.target }}</td><td>{{ r.role }}</td>
<td>{{ r.n }}</td><td class="{{ 'vacuous' if r.vacuous }}">{{ r.value }}</td><td>{{ r.test }}</td>
<td class="reasons">{{ r.reasons }}</td></tr>{% endfor %}
</tbody></table></div></details>
{% endfor %}
</div>
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><h1>{{ title }}</h1>{{ body }}</body></html>
"""


def fragment(report: "Report") -> str:
    """Return the report as a piece of HTML, for notebooks and :func:`render`."""
    from ncbounds.report.views.screen import caption, header, lines, used

    shown = [0, 1, 2, 3, *(4 + i for i in used(report))]
    blocks = [(block, [[row[i] for i in shown] for row in rows]) for block, rows in lines(report)]
    text: str = _template(_FRAGMENT).render(
        style=_STYLE,
        legend=caption(report),
        header=[(*_column(i), header()[i]) for i in shown],
        blocks=blocks,
        failures=report.failures,
        details=_details(report),
        kind=_kind_of,
    )
    return text


def _column(i: int) -> tuple[str, str]:
    """Family and bounds of a column."""
    from ncbounds.report.views.screen import SCREEN

    return (SCREEN[i - 4].family, ", ".join(SCREEN[i - 4].bounds)) if i >= 4 else ("", "")


def render(report: "Report", title: str = "ncbounds report") -> str:
    """Return the report as a whole page."""
    from markupsafe import Markup

    text: str = _template(_PAGE).render(title=title, body=Markup(fragment(report)))
    return text


def _template(text: str) -> Any:
    from jinja2 import Environment, StrictUndefined

    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
        text
    )


def _kind_of(cell: str) -> str:
    from ncbounds.results import MARK

    kind = next((kind for kind, mark in MARK.items() if cell.startswith(mark)), "")
    return f"{kind} vacuous" if "^" in cell else kind


def _details(report: "Report") -> list[tuple[str, list[dict[str, Any]]]]:
    from ncbounds.report.cells import interval, shown_params, shown_value
    from ncbounds.results import BoundResult

    by_name: dict[str, list[dict[str, Any]]] = {}
    for r in report.rows:
        test = "" if r.test is None else interval(r.test.error, r.test.low, r.test.high)
        reasons = [*r.reasons, *(r.test.reasons if r.test else ())]
        by_name.setdefault(r.checkpoint or "classifier", []).append(
            {
                "bound": r.bound,
                "params": shown_params(r),
                "kind": r.kind,
                "target": r.target,
                "role": r.role,
                "n": r.n,
                "value": shown_value(r),
                "vacuous": isinstance(r, BoundResult) and r.vacuous,
                "test": test,
                "reasons": "; ".join(reasons),
            }
        )
    return list(by_name.items())
