"""Which bounds and measures order the checkpoints of a report as their errors do."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ncbounds.arrays import Bools, Floats, Ints
from ncbounds.bounds import catalogue
from ncbounds.comparison.order import (
    FEWEST,
    FEWEST_OF_FACTOR,
    Judged,
    counted,
    interval,
    known_order,
    tau_b,
)
from ncbounds.comparison.rank_words import rank_table, rank_words
from ncbounds.comparison.ranked import Ranked
from ncbounds.comparison.stored import stored_errors
from ncbounds.errors import MissingEvidence
from ncbounds.results import BoundResult, Row
from ncbounds.tables import Table

if TYPE_CHECKING:
    import pandas as pd

#: Group factor of a manifest that says which checkpoints were made together.
MADE_TOGETHER = ("family", "block")
Facts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Ranking:
    """Quantities by how many resolved pairs they order wrongly; ``print`` shows the table.

    Attributes
    ----------
    rows : tuple of Ranked
    delta : float
        Probability with which any of the orders taken for known may be wrong.
    families : int
        Families that intervals redraw.
    """

    rows: tuple[Ranked, ...]
    delta: float
    families: int

    def to_frame(self) -> "pd.DataFrame":
        """One quantity a row, the fields of :class:`Ranked` as columns."""
        import pandas as pd

        return pd.DataFrame([vars(r) for r in self.rows], columns=list(Ranked.__dataclass_fields__))

    def table(self) -> Table:
        """Return the table, to be written in any format (:mod:`ncbounds.tables`)."""
        return rank_table(self.rows, self.delta, self.families, self.to_frame)

    def __str__(self) -> str:
        """Return the table, least sign error first, dashes last."""
        return rank_words(self.rows, self.delta, self.families)


@dataclass(frozen=True, eq=False)
class _Quantity:
    """Values by checkpoint, smaller for fewer errors, and what is known of the target's errors.

    All are errors of one kind: subset errors and one-errors, say, are two quantities.
    """

    name: str
    role: str
    kind: str
    params: str = ""
    target: str = "saved"
    error: str = ""
    values: dict[str, float] = field(default_factory=dict)
    judged: dict[str, Judged] = field(default_factory=dict)
    reason: str = ""


def rank(rows: Iterable[Row], facts: Facts, delta: float = 0.05) -> Ranking:
    """Rank every bound and measure of a report by how it orders checkpoints; no guarantee.

    Parameters
    ----------
    rows : iterable of results
    facts : mapping from checkpoint to what is known about it
        With the errors on the test sample that a run keeps.
    delta : float in (0, 1)
        Probability with which any order of a pair that is taken for known may be wrong, for each
        quantity.

    Raises
    ------
    MissingEvidence
        If fewer than two checkpoints have a measured error.
    """
    saved = {name: j for name, known in facts.items() if (j := _saved(known)) is not None}
    found = [*_of_rows(rows, facts, saved), *_of_geometry(facts, saved), *_baselines(facts, saved)]
    if not any(len(q.judged) > 1 for q in found):
        raise MissingEvidence(
            "ranking needs two checkpoints or more whose errors are measured: evaluate them with a "
            "test sample (ncbounds evaluate ... --out RUN)"
        )
    of = _families(facts)
    cached: dict[tuple[str, ...], Any] = {}
    return Ranking(
        tuple(_ranked(q, facts, of, delta, cached) for q in found), delta, len(set(of.values()))
    )


def _saved(known: Mapping[str, Any]) -> Judged | None:
    """Errors of the saved classifier on test, as a run keeps them."""
    bits = stored_errors(known, "test")
    if bits is None or not bits.n:
        return None
    return Judged(int(bits.wrong.sum()), bits.n, bits.rows, bits.wrong, bits.error)


def _of_rows(rows: Iterable[Row], facts: Facts, saved: Mapping[str, Judged]) -> "list[_Quantity]":
    """Quantities of a report's rows: one for each bound, parameters and sample."""
    larger = {b.id for b in catalogue() if b.larger_is_better}
    found: dict[tuple[str, ...], _Quantity] = {}
    for r in rows:
        params = {k: str(v) if v == np.inf else v for k, v in r.params.items()}
        written = json.dumps(params, sort_keys=True) if params else ""
        judged = _target(r, facts.get(r.checkpoint, {}), saved)
        error = "" if judged is None else judged.error
        key = (r.bound, r.role, r.target, r.qualifier, r.layer, written, error)
        role = f"{r.role} {r.layer}".rstrip()
        q = found.setdefault(key, _Quantity(r.bound, role, _word(r), written, r.target, error))
        value = r.value if isinstance(r, BoundResult) else r.measure
        if not np.isnan(value) and judged is not None:
            q.values[r.checkpoint] = -value if r.bound in larger else value
            q.judged[r.checkpoint] = judged
    return list(found.values())


def _word(r: Row) -> str:
    return "measure" if r.kind == "measure" else "bound"


def _target(r: Row, known: Mapping[str, Any], saved: Mapping[str, Judged]) -> Judged | None:
    """What is known of the error that a row speaks about."""
    if not r.of_error or r.details.get("weights") is not None:
        return None  # the measured error is of one class, or reweighted: no count
    if r.target == "saved" and (kept := saved.get(r.checkpoint)) is not None:
        return kept if r.qualifier in ("", kept.error) else None
    n = int(known.get("n", {}).get("test", 0))
    if r.test is None or not n or not np.isfinite(r.test.error):
        return None
    errors = round(r.test.error * n)
    whole = abs(errors - r.test.error * n) < 1e-6
    return Judged(errors, n, error=r.qualifier) if whole else None


def _of_geometry(facts: Facts, saved: Mapping[str, Judged]) -> "list[_Quantity]":
    """Collapse metrics of a report's facts; all are smaller the more features are collapsed."""
    found: dict[tuple[str, ...], _Quantity] = {}
    for name, judged in saved.items():
        for role, metrics in facts[name].get("collapse", {}).items():
            seen = set()
            for m in metrics:
                metric, value = str(m["metric"]), m["value"]
                if m["variant"] != "plug-in" or metric in seen or "efficiency" in metric:
                    continue  # efficiencies are rows of their own
                seen.add(metric)
                number = np.nan if value is None else float(value)
                key = (metric, role, judged.error)
                q = found.setdefault(key, _Quantity(metric, role, "measure", error=judged.error))
                if not np.isnan(number):
                    q.values[name], q.judged[name] = number, judged
    return list(found.values())


def _baselines(facts: Facts, saved: Mapping[str, Judged]) -> "list[_Quantity]":
    """What is known without looking at a network: label noise of the task, labels used."""
    noise = {n: facts[n].get("provenance", {}).get("label_noise") for n in saved}
    sizes = {n: facts[n].get("n", {}) for n in saved}
    used = {n: -float(s.get("fit", 0) + s.get("head", 0)) for n, s in sizes.items() if "fit" in s}
    known = {n: float(x) for n, x in noise.items() if x is not None}
    found = []
    for error in sorted({j.error for j in saved.values()}) or [""]:
        of = {n: j for n, j in saved.items() if j.error == error}
        for what, values in (("label noise of the task", known), ("labels used", used)):
            x = {n: value for n, value in values.items() if n in of}
            judged = {n: of[n] for n in x}
            found.append(_Quantity(what, "", "baseline", error=error, values=x, judged=judged))
    return found


def _families(facts: Facts) -> dict[str, str]:
    """Which checkpoints are redrawn together: those that the manifest's groups put together."""
    found = {}
    for name, known in facts.items():
        group = known.get("group", {})
        word = next((str(group[key]) for key in MADE_TOGETHER if key in group), "")
        found[name] = f"{word}/" if word else name
    return found


def _ranked(
    q: _Quantity,
    facts: Facts,
    families: Mapping[str, str],
    delta: float,
    cached: dict[tuple[str, ...], Any],
) -> Ranked:
    names = list(q.judged)
    fields = ("params", "role", "target", "kind", "error")
    base: dict[str, Any] = {name: getattr(q, name) for name in fields}
    if len(names) < 2:
        why = "fewer than two checkpoints have a value and a count of its target's errors"
        return Ranked(q.name, checkpoints=len(names), reason=why, **base)
    key = (q.target, q.error, *names)
    if key not in cached:
        judged = [q.judged[n] for n in names]
        cached[key] = (known_order(judged, delta), *_strata([facts[n] for n in names]))
    order, strata, factors = cached[key]
    x = np.array([q.values[n] for n in names])
    errors = np.array([q.judged[n].rate for n in names])
    family = np.unique([families[n] for n in names], return_inverse=True)[1]
    same = strata[:, None] == strata[None, :]
    everywhere, inside = counted(x, order), counted(x, order, same)
    if everywhere.resolved < FEWEST:
        why = f"{everywhere.resolved} resolved pairs, fewer than {FEWEST}"
        found: dict[str, Any] = {"resolved": everywhere.resolved, "reason": why}
        return Ranked(q.name, checkpoints=len(names), **base, **found)
    low, high = interval(x, order, family)
    more: dict[str, Any] = {"within_resolved": inside.resolved}
    if inside.resolved >= FEWEST:
        ends = interval(x, order, family, same)
        more |= {"within": inside.sign_error, "within_low": ends[0], "within_high": ends[1]}
    regret, random = _regret(x, errors, strata)
    factor, factor_error = _worst(lambda pairs: counted(x, order, pairs), factors)
    return Ranked(
        q.name,
        checkpoints=len(names),
        **base,
        resolved=everywhere.resolved,
        sign_error=everywhere.sign_error,
        low=low,
        high=high,
        tau_b=tau_b(x, errors),
        factor=factor,
        factor_error=factor_error,
        regret=regret,
        random_regret=random,
        **more,
    )


def _strata(known: "list[Mapping[str, Any]]") -> tuple[Ints, dict[str, Bools]]:
    """Strata by number, and for each factor the pairs that differ in it alone, (T, T)."""
    laws, groups = [], []
    for k in known:
        p = k.get("provenance", {})
        roles = p.get("roles", {})
        law = [p.get(what) for what in ("task", "data", "label_noise", "noise_seed")]
        laws.append(json.dumps([*law, roles.get("fit"), roles.get("head")]))
        groups.append({f: v for f, v in k.get("group", {}).items() if f not in MADE_TOGETHER})
    factors: dict[str, Bools] = {}
    for i, a in enumerate(groups):
        for j, b in enumerate(groups[:i]):
            differ = [f for f in a if a[f] != b.get(f)] if a.keys() == b.keys() else []
            if len(differ) == 1:
                pairs = factors.setdefault(differ[0], np.zeros((len(known),) * 2, dtype=bool))
                pairs[i, j] = pairs[j, i] = True
    return np.unique(laws, return_inverse=True)[1], factors


def _worst(count: Callable[[Bools], Any], factors: Mapping[str, Bools]) -> tuple[str, float]:
    """Factor with the largest sign error among those that resolve enough pairs."""
    found = {f: count(pairs) for f, pairs in factors.items()}
    enough = {f: c.sign_error for f, c in found.items() if c.resolved >= FEWEST_OF_FACTOR}
    if not enough:
        return "", np.nan
    worst = max(enough, key=lambda f: enough[f])
    return worst, enough[worst]


def _regret(x: Floats, errors: Floats, strata: Ints) -> tuple[float, float]:
    """In the largest stratum: error of the smallest value, ties averaged, above the least."""
    inside = strata == np.bincount(strata).argmax()
    if inside.sum() < 2:
        return np.nan, np.nan
    x, errors = x[inside], errors[inside]
    least = errors.min()
    return float(errors[x == x.min()].mean() - least), float(errors.mean() - least)
