"""Which checkpoints stand under one heading, and which differ in their seed alone."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from ncbounds.errors import InvalidArgument, UnknownName, few, suggest
from ncbounds.report.compact import Subject, blocks, by_subject
from ncbounds.report.data import ReportData

#: A fact that a manifest has in ``group``, or the name of each checkpoint's lot.
Named = str | Mapping[str, str] | Callable[[str], str]


def grouped(report: ReportData, by: Named | None) -> dict[str, list[Subject]]:
    """Lines under their headings, as they first appear; those without one come first.

    Parameters
    ----------
    report : ReportData
    by : str, mapping or callable, optional
        ``"series"``, a fact of ``group`` in a manifest, or each checkpoint's heading by its name.
        By default those of the screen; none for an empty string.

    Raises
    ------
    UnknownName
        If nothing of that name is known of any checkpoint.
    """
    if by is None:
        return dict(sorted(blocks(report).items(), key=lambda block: block[0] != ""))
    heading = _heading(report, by) if by else lambda _: ""
    out: dict[str, list[Subject]] = {}
    for subject in by_subject(report):
        out.setdefault(heading(subject[0]), []).append(subject)
    return dict(sorted(out.items(), key=lambda block: block[0] != ""))


def _heading(report: ReportData, by: Named) -> Callable[[str], str]:
    if not isinstance(by, str):
        return _called(by)
    series = {r.checkpoint: r.series for r in report.rows}
    if by == "series" and any(series.values()):
        return lambda name: series.get(name, "")
    facts = _facts(report)
    known = list(dict.fromkeys(key for about in facts.values() for key in about))
    if by not in known:
        raise UnknownName(f"no checkpoint has a fact {by!r}; {suggest(by, ['series', *known])}")

    def heading(name: str) -> str:
        value = facts[name].get(by)
        return "" if value is None else str(value) if by == "block" else f"{by} {value}"

    return heading


def lots(
    report: ReportData, subjects: Sequence[Subject], over: Named
) -> list[tuple[str, list[Subject]]]:
    r"""Sets of lines that differ in one thing alone, with a name for each.

    Parameters
    ----------
    report : ReportData
    subjects : sequence of Subject
    over : str, mapping or callable
        A fact of ``group`` in a manifest, such as ``"seed"``: all other facts, the series' step and
        the place are equal in a lot. Else a regular expression for the part of a name in which
        checkpoints of one lot differ, such as ``r"-s\d+"``; or the name of each one's lot.

    Raises
    ------
    UnknownName
        If it is no fact and stands in no name.
    """
    key = _lot(report, over)
    out: dict[tuple[Any, ...], list[Subject]] = {}
    for subject in subjects:
        out.setdefault((key(subject[0]), subject[1]), []).append(subject)
    return [(_name(lot), lot) for lot in out.values()]


def check_lots(report: ReportData, over: Named) -> None:
    """Raise InvalidArgument unless some checkpoints are in one lot."""
    subjects = [*by_subject(report)]
    if subjects and len(lots(report, subjects, over)) == len(subjects):
        names = few(dict.fromkeys(name for name, _ in subjects))
        raise InvalidArgument(
            f"over={over!r} leaves every checkpoint a line of its own: no two of {names} are equal "
            "but for it"
        )


def difference(report: ReportData, over: Named) -> str:
    """What checkpoints of one lot differ in, in words."""
    if not isinstance(over, str):
        return "what they were named apart by"
    facts = any(over in about for about in _facts(report).values())
    return over if facts else f"{over!r} of their names"


def _lot(report: ReportData, over: Named) -> Callable[[str], Any]:
    if not isinstance(over, str):
        return _called(over)
    facts = _facts(report)
    steps = {r.checkpoint: r.step for r in report.rows}
    known = list(dict.fromkeys(key for about in facts.values() for key in about))
    if over in known:
        return lambda name: (
            json.dumps({**facts[name], over: None}, sort_keys=True, default=str),
            str(steps.get(name)),
        )
    try:
        part = re.compile(over)
    except re.error as error:
        raise InvalidArgument(
            f"over={over!r} is no fact and no regular expression: {error}"
        ) from None
    if not any(part.search(name) for name in steps):
        raise UnknownName(
            f"no checkpoint has a fact {over!r}, and it is in no name; {suggest(over, known)}, or "
            r"type what names differ in, as in '-s\d+'"
        )
    return lambda name: part.sub("", name)


def _called(by: Mapping[str, str] | Callable[[str], str]) -> Callable[[str], str]:
    return by if callable(by) else lambda name: by.get(name, name)


def _facts(report: ReportData) -> dict[str, dict[str, Any]]:
    """What a manifest's ``group`` says of each checkpoint."""
    return {r.checkpoint: dict(report.facts.get(r.checkpoint, {}).get("group", {})) for r in report}


def _name(lot: Sequence[Subject]) -> str:
    """What all names of a lot begin and end with, a star for what is between."""
    names = [" ".join(subject).rstrip() for subject in lot]
    if len(names) == 1:
        return names[0]
    start = _shared(names)
    end = _shared([name[len(start) :][::-1] for name in names])[::-1]
    return f"{start}*{end}"


def _shared(names: Sequence[str]) -> str:
    """What all names begin with."""
    alike = takewhile(lambda letters: len({*letters}) == 1, zip(*names))
    return "".join(letters[0] for letters in alike)
