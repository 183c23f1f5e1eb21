"""Tabs of who beats whom, and of what orders checkpoints as their errors do."""

from collections.abc import Iterable

from markupsafe import Markup

from ncbounds.comparison.candidates import Candidate
from ncbounds.comparison.comparison import compared
from ncbounds.comparison.rank import Ranking, rank
from ncbounds.comparison.stored import stored_errors
from ncbounds.errors import MissingEvidence, NcboundsError
from ncbounds.report.data import ReportData
from ncbounds.report.page.pictures import figure
from ncbounds.report.page.tab import Tab
from ncbounds.report.plot.ranking import draw_ranking

#: Sets of rows that checkpoints are compared on; ``ncbounds compare`` takes any.
SETS = 12
#: Checkpoints that are compared or ranked on a page: every pair of them is looked at.
MOST = 400
ROLE = "holdout"
#: Checkpoints of the least ranking: five make ten pairs, fewer of which order nothing.
LEAST = 5
#: Probability with which a statement, or any order that is taken for known, may be wrong.
DELTA = 0.05


def comparison_tabs(report: ReportData) -> list[Tab]:
    """Tabs of what the kept errors of several checkpoints say."""
    found = _comparisons(report)
    made = [Tab("Comparison", _blocks(found))] if found else []
    if (many := len({r.checkpoint for r in report.rows})) > MOST:
        said = f"{many:,} checkpoints are too many to rank here: ncbounds rank RUN"
        return [*made, Tab("Ranking", _blocks([said]))]
    ranked = _ranked(report) if many >= LEAST else None
    if ranked is not None:
        made.append(Tab("Ranking", _picture(ranked) + _blocks([str(ranked)])))
    return made


def _comparisons(report: ReportData) -> list[str]:
    """One text for each set of rows that several checkpoints were judged on, by one error."""
    by_rows: dict[tuple[str, str], list[Candidate]] = {}
    for name, facts in report.facts.items():
        kept = stored_errors(facts, ROLE)
        if kept is not None:
            by_rows.setdefault((kept.rows, kept.error), []).append(Candidate.of_bits(name, kept))
    several = [candidates for candidates in by_rows.values() if len(candidates) > 1]
    texts = [
        str(compared(candidates, delta=DELTA))
        if len(candidates) <= MOST
        else f"{len(candidates):,} checkpoints on one set of rows are too many to compare here: "
        "ncbounds compare RUN NAME NAME"
        for candidates in several[:SETS]
    ]
    if len(several) > SETS:
        texts.append(f"{len(several) - SETS} more sets of rows: ncbounds compare RUN NAME NAME")
    return texts


def _ranked(report: ReportData) -> Ranking | None:
    try:
        return rank(report.rows, report.facts, DELTA)
    except MissingEvidence:
        return None


def _picture(ranked: Ranking) -> Markup:
    """The figure, where there is something to draw and to draw with; the words say it too."""
    try:
        return figure(draw_ranking(ranked).figure, "Which bounds and measures order checkpoints")
    except NcboundsError:
        return Markup("")


def _blocks(texts: Iterable[str]) -> Markup:
    return Markup("").join(
        Markup('<pre class="said" tabindex="0">{}</pre>').format(text) for text in texts
    )
