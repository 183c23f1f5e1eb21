"""Tabs of what a run keeps of each checkpoint beside its rows: margins, and pairs of classes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from ncbounds.arrays import Floats
from ncbounds.bounds.cells import limits_of
from ncbounds.errors import MissingExtra, printable
from ncbounds.evidence.class_pairs import ClassPairs, Confusions
from ncbounds.evidence.margin_curves import PERCENT, MarginCurves
from ncbounds.report.cells import number
from ncbounds.report.data import ReportData
from ncbounds.report.page.assets import rendered
from ncbounds.report.page.pictures import figure, tab
from ncbounds.report.page.tab import Tab
from ncbounds.report.plot.margins import draw_margins
from ncbounds.report.plot.pairs import draw_confusions, draw_cosines, full_name, percent
from ncbounds.results import MARK

#: Percentages whose quantiles stand in the table.
SHOWN = (0, 1, 5, 10, 25, 50, 75, 100)
#: Pairs of classes in a table of confusions, and in one of cosines.
CELLS, NEAREST = 40, 10
#: Classes up to which the map of pairs is a table itself, and the most colour in its cells, in per
#: cent: ink on it has a contrast of 4.5 or more.
MAP, TINT = 30, 45


def kept_tabs(report: ReportData) -> list[Tab]:
    """Tabs of margins and of pairs of classes, where these were kept."""

    def of(title: str, what: str, made: Callable[[str, Mapping[str, Any]], Markup]) -> Tab | None:
        names = [n for n, facts in report.facts.items() if facts.get(what)]
        return tab(title, names, lambda name: made(name, report.facts[name]))

    made = (
        of("Margins", "margins", _margins),
        of("Class pairs", "class_pairs", _pairs),
    )
    return [found for found in made if found is not None]


def _margins(name: str, facts: Mapping[str, Any]) -> Markup:
    curves = MarginCurves.from_dict(facts["margins"])
    rates = facts.get("error_rates", {})
    called = printable(name) or "the classifier"
    body = [
        (role, number(rates.get(role, np.nan)),
         *(number(float(curves.normalised(role)[PERCENT.tolist().index(p)]), 2) for p in SHOWN))
        for role in curves.quantiles
    ]  # fmt: skip
    caption = (
        f"Quantiles of the margins of {called}, in units of the median absolute margin on "
        f"{curves.unit_of} ({number(curves.unit)}); a margin that is not positive is an error."
    )
    head = ("sample", "error", "least", *(f"{p} %" for p in SHOWN[1:-1]), "largest")
    drawn = _drawn(f"Margins of {called} by sample", draw_margins, curves, rates)
    return _beside(drawn, _table(caption, head, body))


def _pairs(name: str, facts: Mapping[str, Any]) -> Markup:
    found, names = ClassPairs.from_dict(facts["class_pairs"]), facts.get("classes", [])
    called = printable(name) or "the classifier"
    pieces = []
    for role, confusions in list(found.confusions.items())[:1]:
        title = f"What {called} takes for what, on {role}"
        many = max(confusions.shape) > MAP + 1
        drawn = (
            _drawn(title, draw_confusions, confusions, names)
            if many
            else _heat(f"{title}, in per cent of the true class", *_shares(confusions, names))
        )
        pieces.append(_beside(drawn, _confused(title, confusions, names)))
    for what, cosines in found.cosines.items():
        title = f"Cosines of {what} of {called}"
        drawn = (
            _drawn(title, draw_cosines, cosines, names)
            if len(cosines) > MAP
            else _heat(title, *_angles(cosines, names))
        )
        more = Markup("<details><summary>{}</summary>{}</details>")
        pieces.append(more.format(title, _beside(drawn, _nearest(title, cosines, names))))
    return Markup("").join(pieces)


def _shares(found: Confusions, names: Sequence[str]) -> tuple[list[str], list[Any]]:
    """Head and rows of a map of answers: tints are of wrong ones, the diagonal has none."""
    counts, n = found.table()
    answers = [*range(found.shape[1] - 1), *([-1] if counts[:, -1].any() else [])]
    shares = [[counts[c, a] / n[c] if n[c] else np.nan for a in answers] for c in range(len(n))]
    wrong = [x for c, row in enumerate(shares) for a, x in zip(answers, row) if a != c and x > 0]
    top = max(wrong, default=1.0)
    rows = [
        (
            full_name(names, c),
            [
                _Cell(percent(x), "right" if a == c else "wrong", _tint(x / top) if a != c else 0,
                      f"{full_name(names, c)} as {full_name(names, a)}: {counts[c, a]} of {n[c]}")
                for a, x in zip(answers, row)
            ],
        )
        for c, row in enumerate(shares)
    ]  # fmt: skip
    return [full_name(names, a) for a in answers], rows


def _angles(cosines: Floats, names: Sequence[str]) -> tuple[list[str], list[Any]]:
    """Head and rows of a map of cosines: one tint for closer than in a collapsed network."""
    classes = len(cosines)
    away = cosines + 1.0 / max(classes - 1, 1)
    beside = ~np.eye(classes, dtype=bool)
    reach = float(np.nanmax(np.abs(away[beside]), initial=0.1))
    called = [full_name(names, c) for c in range(classes)]
    rows = [
        (
            called[a],
            [
                _Cell("", "right", 0, "")
                if a == b
                else _Cell(
                    number(float(cosines[a, b]), 2),
                    "near" if away[a, b] > 0 else "far",
                    _tint(abs(away[a, b]) / reach),
                    f"{called[a]} and {called[b]}",
                )
                for b in range(classes)
            ],
        )
        for a in range(classes)
    ]
    return called, rows


class _Cell(NamedTuple):
    """Text of a cell of a map, what it is of, its tint in per cent, and a hint."""

    text: str
    style: str
    tint: int
    said: str


def _tint(share: float) -> int:
    """So much colour that ink on it can be read, in steps of a per cent."""
    return round(TINT * share) if np.isfinite(share) else 0


def _heat(caption: str, head: list[str], rows: list[Any]) -> Markup:
    return rendered("heat.html", caption=caption, head=head, rows=rows)


def _confused(title: str, found: Confusions, names: Sequence[str]) -> Markup:
    """Wrong answers, most points first, with exact limits that hold together."""
    low, high = limits_of(found)
    at = found.worst()[:CELLS]
    body = [
        (full_name(names, label), full_name(names, answer), f"{count} of {n}",
         number(count / n), f"{number(low[i])} to {number(high[i], up=True)}")
        for i in at
        for label, answer, count, n in [found.cells[i].tolist()]
    ]  # fmt: skip
    worth = f"{MARK[found.kind]} {found.kind}"
    said = (
        f"{worth}: all hold together, of unseen pairs too, with probability {1 - found.delta:.4g}"
        if found.kind == "certificate"
        else f"{worth}: {'; '.join(found.reasons[:2])}"
    )
    many = f"the {len(at)} with most points of" if len(at) < found.seen else "all"
    caption = f"Wrong answers, {many} {found.seen} pairs that were seen. Limits, {printable(said)}."
    return _table(caption, ("true class", "answer", "points", "share", "limits"), body, words=2)


def _nearest(title: str, cosines: Floats, names: Sequence[str]) -> Markup:
    """Pairs whose cosine is largest: those that lie closest together."""
    above = np.triu_indices(len(cosines), 1)
    order = np.argsort(-np.nan_to_num(cosines[above], nan=-2.0), kind="stable")[:NEAREST]
    body = [
        (full_name(names, a), full_name(names, b), number(float(cosines[a, b]), 2))
        for a, b in zip(*(side[order].tolist() for side in above))
    ]
    middle = number(-1.0 / max(len(cosines) - 1, 1), 2)
    caption = f"{title}: the {len(body)} closest pairs. In a collapsed network all are {middle}."
    return _table(caption, ("class", "class", "cosine"), body, words=2)


def _drawn(title: str, draw: Callable[..., Any], *given: Any) -> Markup:
    """The figure; nothing without matplotlib, since the table says the same."""
    try:
        return figure(draw(*given).figure, title)
    except MissingExtra:
        return Markup("")


def _beside(drawn: Markup, table: Markup) -> Markup:
    return Markup("<div class='beside'>{}{}</div>").format(drawn, table)


def _table(
    caption: str, head: Iterable[str], body: Iterable[Sequence[str]], words: int = 1
) -> Markup:
    """A table whose first column heads its rows; ``words`` columns are aligned as words are."""
    return rendered("table.html", caption=caption, head=[*head], body=[*body], words=words)
