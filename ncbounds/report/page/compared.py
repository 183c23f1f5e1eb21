"""Tabs of who beats whom, and of what orders checkpoints as their errors do."""

from collections.abc import Iterable

from markupsafe import Markup

from ncbounds.comparison.candidates import Candidate
from ncbounds.comparison.comparison import compared
from ncbounds.comparison.rank import rank
from ncbounds.comparison.stored import stored_errors
from ncbounds.errors import MissingEvidence
from ncbounds.report.data import ReportData
from ncbounds.report.page.tab import Tab

#: Sets of rows that checkpoints are compared on; ``ncbounds compare`` takes any.
SETS = 12
ROLE = "holdout"
#: Checkpoints of the least ranking: five make ten pairs, fewer of which order nothing.
LEAST = 5
#: Probability with which a statement, or any order that is taken for known, may be wrong.
DELTA = 0.05


def comparison_tabs(report: ReportData) -> list[Tab]:
    """Tabs of what the kept errors of several checkpoints say."""
    made = (("Comparison", _comparisons(report)), ("Ranking", _rankings(report)))
    return [Tab(title, _blocks(texts)) for title, texts in made if texts]


def _comparisons(report: ReportData) -> list[str]:
    """One text for each set of rows that several checkpoints were judged on, by one error."""
    by_rows: dict[tuple[str, str], list[Candidate]] = {}
    for name, facts in report.facts.items():
        kept = stored_errors(facts, ROLE)
        if kept is not None:
            by_rows.setdefault((kept.rows, kept.error), []).append(Candidate.of_bits(name, kept))
    several = [candidates for candidates in by_rows.values() if len(candidates) > 1]
    texts = [str(compared(candidates, delta=DELTA)) for candidates in several[:SETS]]
    if len(several) > SETS:
        texts.append(f"{len(several) - SETS} more sets of rows: ncbounds compare RUN NAME NAME")
    return texts


def _rankings(report: ReportData) -> list[str]:
    if len({r.checkpoint for r in report.rows}) < LEAST:
        return []
    try:
        return [str(rank(report.rows, report.facts, DELTA))]
    except MissingEvidence:
        return []


def _blocks(texts: Iterable[str]) -> Markup:
    return Markup("").join(
        Markup('<pre class="said" tabindex="0">{}</pre>').format(text) for text in texts
    )
