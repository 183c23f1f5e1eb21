"""Several runs in one report: equal rows once, and nothing mixed that is not known to be the same.

A checkpoint's rows stand under one name only if they rest on the same evidence. Where two runs call
different things by one name, each keeps its rows under the name with what tells it apart in
brackets, and that is said.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np

from ncbounds.errors import printable
from ncbounds.report.cells import shown_value
from ncbounds.report.data import Failure
from ncbounds.report.report import Report
from ncbounds.results import BoundResult, Row, plain

#: Of where a row comes from, what may differ between runs on the same evidence.
_INCIDENTAL = ("versions",)
#: What a row is about beside its file, and how that is written where it tells rows apart.
_SOURCE: Mapping[str, Callable[[Any], str]] = {
    "file": lambda file: PurePath(file).parent.name or str(file),
    "data": str,
    "precision": str,
    "limit": lambda limit: "all rows" if limit is None else f"first {limit} rows",
    "store": lambda store: f"stored as {store or 'they are'}",
}


class Merged(NamedTuple):
    """A report, and what has to be said about how it came about."""

    report: Report
    said: tuple[str, ...]


class _Subject(NamedTuple):
    """What one run has about one checkpoint."""

    run: str
    name: str
    rows: tuple[Row, ...]
    facts: Mapping[str, Any]

    @property
    def provenance(self) -> dict[str, Any]:
        return {
            k: v for r in self.rows[:1] for k, v in r.provenance.items() if k not in _INCIDENTAL
        }

    @property
    def source(self) -> dict[str, Any]:
        """File, from the run folder, name of the data, how it was run; what is known of them."""
        known = {name: self.provenance[name] for name in _SOURCE if name in self.provenance}
        return {"file": file, **known} if (file := self.facts.get("file")) else known

    @property
    def called(self) -> str:
        """Name that it was evaluated under, before another one came to be called the same."""
        return str(self.facts.get("called", self.name))

    def named(self, name: str) -> "_Subject":
        return self._replace(name=name, rows=tuple(replace(r, checkpoint=name) for r in self.rows))


def with_earlier(now: Report, before: Report) -> Merged:
    """Return a run's report with the rows that earlier runs left in the same folder.

    What was evaluated now takes the place of what is there about the same file on the same data,
    run in the same way; rows of other bounds stay beside it if they rest on the same evidence.
    Another file of that name, other data, another precision or number of rows keep their rows
    under a name of their own. What could not be evaluated now keeps the rows that it had.
    """
    now = now.with_facts(_layers_before(now, before))
    asked = {s.name: s for s in _subjects("", now)}
    for f in now.failures:
        asked.setdefault(
            f.checkpoint, _Subject("", f.checkpoint, (), now.facts.get(f.checkpoint, {}))
        )
    taken = {*asked}
    done = {(r.checkpoint, r.bound) for r in now.rows}
    kept: list[_Subject] = []
    said, apart = [], False
    for old in _subjects("", before):
        new = asked.get(old.called)
        if new is None:
            kept.append(old)
        elif _same_key(old, new) or not _unlike(old, new):  # the run folder may have been moved
            left = tuple(r for r in old.rows if (old.called, r.bound) not in done)
            if left and not new.rows:
                said.append(f"{old.name} failed this time; its {len(left)} earlier rows stay")
            if _same_key(old, new):
                kept.append(old._replace(rows=left).named(new.name))
            elif not new.rows:
                kept.append(old)
            elif left:
                said.append(
                    f"{len(left)} earlier rows of {old.name} are left out: its file, its data, "
                    "what is declared of them or this package has changed since"
                )
        else:
            name = old.name if old.name not in taken else _apart(old, new, taken)
            kept.append(old.named(name)._replace(facts={**old.facts, "called": old.called}))
            if old.name in taken:
                said.append(f"{len(old.rows)} earlier rows of {old.called} stay as {name}")
            taken.add(name)
            apart = True
    failures = [f for f in before.failures if f.checkpoint not in taken]
    kept = [s for s in kept if s.rows]
    evaluated = {name for name, s in asked.items() if s.rows}
    facts = dict(now.facts) | {s.name: s.facts for s in kept if s.name not in evaluated}
    rows = [*(r for s in kept for r in s.rows), *now.rows]
    failures += now.failures
    found = _joined(rows, failures, facts, [before, now], whole=not apart)
    more = len(rows) > len(now.rows) or len(failures) > len(now.failures)
    return Merged(found if more else now, tuple(map(printable, said)))


def _layers_before(now: Report, before: Report) -> dict[str, dict[str, Any]]:
    """Layers that were evaluated before on the same evidence, and not this time."""
    return {
        name: {"layers": old["layers"]}
        for name, about in now.facts.items()
        if "layers" in (old := before.facts.get(name, {}))
        and "layers" not in about
        and about.get("key")
        and about["key"] == old.get("key")
    }


def merged(reports: Mapping[str, Report]) -> Merged:
    """Return the rows of several runs as one report.

    Parameters
    ----------
    reports : mapping from str to Report
        By the names of the runs, which stand in brackets where two runs do not agree.

    Returns
    -------
    Merged
        Each disagreement (a row with another value, other weights, other data) is said.
    """
    by_name: dict[str, list[_Subject]] = {}
    for run, report in reports.items():
        for subject in _subjects(run, report):
            by_name.setdefault(subject.name, []).append(subject)
    said: list[str] = []
    kept: list[_Subject] = []
    for name, subjects in by_name.items():
        classes: list[list[_Subject]] = []
        for subject in subjects:
            same = (c for c in classes if all(_agree(subject, other) for other in c))
            found = next(same, None)
            found.append(subject) if found is not None else classes.append([subject])
        for subject in (c[0] for c in classes[1:]):
            said.append(_disagreement(classes[0][0], subject))
        for members in classes:
            by_key: dict[tuple[str, ...], Row] = {}
            for r in (r for s in members for r in s.rows):
                by_key.setdefault(_key(r), r)
            one = members[0]._replace(rows=tuple(by_key.values()))
            kept.append(one if len(classes) == 1 else one.named(f"{name} [{one.run}]"))
    failures = _failures(reports, by_name)
    facts = {s.name: s.facts for s in kept}
    rows = [r for s in kept for r in s.rows]
    report = _joined(rows, failures, facts, list(reports.values()), whole=not said)
    return Merged(report, tuple(map(printable, said)))


def _joined(
    rows: Iterable[Row],
    failures: Iterable[Failure],
    facts: Mapping[str, Mapping[str, Any]],
    reports: list[Report],
    *,
    whole: bool,
) -> Report:
    """Join parts of one plan, whose rows share one delta; those of several plans do not."""
    rows, plans = list(rows), {r.plan for r in reports}
    one = whole and len(plans) == 1 and "" not in plans
    left_out: Counter[str] = Counter()
    for r in reports:
        left_out.update(r.left_out)
    return Report(
        _along_steps(rows),
        failures,
        facts,
        simultaneous=one and all(r.simultaneous for r in reports),
        planned=reports[0].planned if one else 0,
        plan=reports[0].plan if one else "",
        left_out=left_out,
    )


def _along_steps(rows: list[Row]) -> list[Row]:
    """Rows of each series together, in the order of its steps; those without one come last."""
    first: dict[tuple[str, str], int] = {}
    for i, r in enumerate(rows):
        first.setdefault(("series", r.series), i)
        first.setdefault(("checkpoint", r.checkpoint), i)

    def place(r: Row) -> tuple[int, float, int]:
        own = first["checkpoint", r.checkpoint]
        if not r.series:
            return own, 0.0, own
        return first["series", r.series], r.step if np.isfinite(r.step) else np.inf, own

    return sorted(rows, key=place)


def _subjects(run: str, report: Report) -> list[_Subject]:
    rows: dict[str, list[Row]] = {}
    for r in report.rows:
        rows.setdefault(r.checkpoint, []).append(r)
    return [
        _Subject(run, name, tuple(found), report.facts.get(name, {}))
        for name, found in rows.items()
    ]


def _key(r: Row) -> tuple[str, ...]:
    """What makes a row another one of the same checkpoint."""
    params = json.dumps(plain(r.params), sort_keys=True)
    return (r.bound, r.layer, r.role, r.target, r.qualifier, params)


def _says(r: Row) -> tuple[float, ...]:
    value = r.value if isinstance(r, BoundResult) else r.measure
    return (value, r.delta, r.n, np.nan if r.test is None else r.test.error)


def _differ(a: _Subject, b: _Subject) -> list[tuple[Row, Row]]:
    """Rows that both have and that say different things."""
    theirs = {_key(r): r for r in b.rows}
    pairs = [(r, theirs[_key(r)]) for r in a.rows if _key(r) in theirs]
    return [
        (r, s)
        for r, s in pairs
        if r.kind != s.kind
        or not np.allclose(_says(r), _says(s), rtol=1e-9, atol=0, equal_nan=True)
    ]


def _same_key(a: _Subject, b: _Subject) -> bool:
    return bool(a.facts.get("key")) and a.facts.get("key") == b.facts.get("key")


def _agree(a: _Subject, b: _Subject) -> bool:
    """Whether two runs speak of the same evidence, as far as they say, and say the same of it."""
    if _differ(a, b):
        return False
    shared = {_key(r) for r in a.rows} & {_key(r) for r in b.rows}
    return _same_key(a, b) or (bool(shared) and a.provenance == b.provenance)


def _disagreement(a: _Subject, b: _Subject) -> str:
    """Say why two runs' rows of one name are kept apart."""
    unlike = [
        word
        for word, field in (("weights", "weights"), ("file", "checkpoint_sha256"), ("data", "data"),
                            ("task", "task"), ("rows", "roles"))
        if a.provenance.get(field) != b.provenance.get(field)
    ]  # fmt: skip
    why = f" (other {', '.join(unlike)})" if unlike else ""
    pairs = _differ(a, b)
    if not pairs:
        return f"{a.name} of {a.run} and of {b.run} are not known to be the same{why}: kept apart"
    r, s = pairs[0]
    more = f", and {len(pairs) - 1} rows more differ" if len(pairs) > 1 else ""
    exactly = _written(r, False) == _written(s, False)
    return (
        f"{a.name} differs{why}: {r.bound} on {r.role} is {_written(r, exactly)} in {a.run} "
        f"and {_written(s, exactly)} in {b.run}{more}: kept apart"
    )


def _written(r: Row, exactly: bool) -> str:
    number = f"{_says(r)[0]!r} (n {r.n}, delta {r.delta:.3g})" if exactly else shown_value(r)
    return f"{r.kind} {number}"


def _unlike(old: _Subject, now: _Subject) -> list[str]:
    """What tells an earlier checkpoint from one of its name, as far as both are known."""
    a, b = old.source, now.source
    return [name for name in _SOURCE if name in a and name in b and a[name] != b[name]]


def _apart(old: _Subject, now: _Subject, taken: Iterable[str]) -> str:
    """Name for an earlier checkpoint whose name was given to another one."""
    about = old.source
    short = [_SOURCE[name](about[name]) for name in _unlike(old, now)]
    name = f"{old.called} [{', '.join(short)}]"
    return name if name not in taken else f"{old.called} [{', '.join(map(str, about.values()))}]"


def _failures(
    reports: Mapping[str, Report], by_name: Mapping[str, list[_Subject]]
) -> list[Failure]:
    """What could not be evaluated, once, with the run where another one has rows of that name."""
    found: dict[tuple[str, str], Failure] = {}
    for run, report in reports.items():
        for f in report.failures:
            elsewhere = any(s.run != run for s in by_name.get(f.checkpoint, ()))
            name = f"{f.checkpoint} [{run}]" if elsewhere else f.checkpoint
            found.setdefault((name, f.reason), replace(f, checkpoint=name))
    return list(found.values())
