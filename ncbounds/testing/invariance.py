"""The part of the contract about values: monotonicity, invariance, ties, non-finite features."""

from itertools import pairwise, product

import numpy as np

from ncbounds.arrays import Ints
from ncbounds.bounds.bound import Bound
from ncbounds.claims.heads import Saved
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.roles import Role
from ncbounds.testing.asking import ask, differs, mapped, number, own_role, with_sample
from ncbounds.testing.violations import ContractViolation

#: Share of rows that the battery makes non-finite.
SPOILED = 0.25

#: Invariances that have a size, and sizes at which they are tried.
SIZED = ("head scale", "feature scale", "common row")
SIZES = (1e-300, 1e-162, 1e20, 1e300)


def check_monotone(bound: Bound, evidence: Evidence) -> None:
    """Check that the value does not rise with n and delta where that is declared.

    More points with the same averages: every row of the bound's sample is repeated.
    """
    role = own_role(bound, evidence)
    sample = evidence.sample(role)
    assert sample is not None
    for params in bound.variants:
        if "delta" in bound.decreasing_in:
            values = [
                ask(bound, evidence, f"at delta = {d}", delta=d, params=params)
                for d in (0.001, 0.05, 0.2)
            ]
            _must_fall(bound, [number(r) for r in values if r], "delta")
        if "n" in bound.decreasing_in:
            rows = [
                ask(
                    bound,
                    with_sample(
                        evidence,
                        role,
                        features=np.repeat(sample.features, k, axis=0),
                        labels=np.repeat(sample.labels, k),
                    ),
                    f"with every row {k} times",
                    params=params,
                )
                for k in (1, 2, 5)
            ]
            _must_fall(bound, [number(r) for r in rows if r], "n")


def _must_fall(bound: Bound, values: list[float], what: str) -> None:
    for a, b in pairwise(values):
        if b > a + 1e-9 * abs(a) + 1e-12:
            raise ContractViolation(
                f"{bound.id}: declared decreasing in {what}, but rises from {a:.12g} to {b:.12g}; "
                f"remove {what!r} from decreasing_in or mend the formula"
            )


def check_invariance(bound: Bound, evidence: Evidence) -> None:
    """Check each declared invariance to 1e-9, relative."""
    for name in bound.invariant_to:
        changed = transformed(name, evidence)
        for params in bound.variants:
            before = ask(bound, evidence, "before a change", params=params)
            after = ask(bound, changed, f"after {name}", params=params)
            if before is None or after is None or differs(number(before), number(after)):
                shown = [None if r is None else number(r) for r in (before, after)]
                raise ContractViolation(
                    f"{bound.id}{dict(params) or ''}: declared invariant to {name!r}, but goes "
                    f"from {shown[0]} to {shown[1]}; remove {name!r} from invariant_to"
                )


def check_scales(bound: Bound, evidence: Evidence) -> None:
    """Check the invariances that have a size over 600 orders of magnitude.

    Scales of the head and of the features change nothing, to 1e-9. A row that all classes share
    does once it drowns their differences in float64: then a value may rise, or a vacuous one be 1.
    """
    for name in SIZED:
        if name not in bound.invariant_to or (name == "common row" and bound.kind == "measure"):
            continue
        for params, size in product(bound.variants, SIZES):
            rows = (
                ask(bound, e, f"at {name} {size:g}", params=params)
                for e in (evidence, transformed(name, evidence, size))
            )
            a, b = (np.nan if r is None else number(r) for r in rows)
            drowned = name == "common row" and size > 1 and not b < min(a, 1.0)
            if differs(a, b) and not drowned:
                raise ContractViolation(
                    f"{bound.id}{dict(params) or ''}: declared invariant to {name!r}, but a size "
                    f"of {size:g} takes it from {a} to {b}; divide by powers of two first"
                )


def transformed(name: str, evidence: Evidence, size: float | None = None) -> Evidence:
    """Apply the named transformation, which leaves every prediction of the head as it was.

    ``size`` is that of a scale or of a common row; ordinary by default.
    """
    w, b = evidence.linear_head.weight, evidence.linear_head.bias
    rng = np.random.default_rng(5)
    classes, dim = w.shape
    if name == "relabelling":
        order = np.roll(np.arange(classes), 1)  # moves every class
        place = np.empty(classes, dtype=np.int64)
        place[order] = np.arange(classes)

        def relabel(y: Ints) -> Ints:
            return np.where((y >= 0) & (y < classes), place[np.clip(y, 0, classes - 1)], y)

        priors = None if evidence.priors is None else np.asarray(evidence.priors)[order]
        head = LinearHead(w[order], b[order])
        return mapped(evidence, labels=relabel, head=head, priors=priors)
    if name == "rotation":
        q = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
        return mapped(evidence, features=lambda f: f @ q, head=LinearHead(w @ q, b))
    if name == "translation":
        shift = rng.standard_normal(dim)
        return mapped(evidence, features=lambda f: f + shift, head=LinearHead(w, b - w @ shift))
    if name == "feature scale":
        c = 3.7 if size is None else size
        return mapped(evidence, features=lambda f: c * f, head=LinearHead(w / c, b))
    if name == "head scale":
        c = 2.3 if size is None else size
        return mapped(evidence, head=LinearHead(c * w, c * b))
    row, constant = rng.standard_normal(dim), float(rng.standard_normal())
    if size is not None:
        row, constant = size * row, size * constant
    return mapped(evidence, head=LinearHead(w + row, b + constant))


def check_errors_counted(bound: Bound, evidence: Evidence) -> None:
    """Check that ties and non-finite features count as errors, and that small samples work."""
    if bound.kind == "measure":
        return
    role = own_role(bound, evidence)
    sample = evidence.sample(role)
    assert sample is not None
    if isinstance(bound.claim, Saved) and "head" in bound.requires:
        nothing = LinearHead(np.zeros_like(evidence.linear_head.weight))
        _at_least(bound, mapped(evidence, head=nothing), 1.0, "with a head of zeros, all ties,")
        twin = evidence.linear_head.weight.copy(), evidence.linear_head.bias.copy()
        for a in twin:
            a[1] = a[0]
        tied = float(sample.counts[:2].sum()) / sample.n
        _at_least(
            bound,
            mapped(evidence, head=LinearHead(*twin)),
            0.85 * tied,
            "with two equal rows of the head, ties in both classes,",
        )
    for bad in (np.nan, np.inf):
        features = np.array(sample.features)
        features[:: round(1 / SPOILED)] = bad
        share = float((~np.isfinite(features)).any(axis=1).mean())
        _at_least(
            bound,
            with_sample(evidence, role, features=features),
            0.6 * share,
            f"with a quarter of its features {bad}",
        )
    _small_samples(bound, evidence, role)


def _at_least(bound: Bound, evidence: Evidence, least: float, what: str) -> None:
    for params in bound.variants:
        row = ask(bound, evidence, what, params=params)
        if row is None:
            continue
        if number(row) < least:
            raise ContractViolation(
                f"{bound.id}{dict(params) or ''}: {what} is {number(row):.6g}, below {least:.6g}; "
                "a tie or a non-finite logit is an error, never dropped"
            )


def _small_samples(bound: Bound, evidence: Evidence, role: Role) -> None:
    """One point, one point per class, an absent class: a value, nan with a reason, or a refusal."""
    sample = evidence.sample(role)
    assert sample is not None
    y = sample.labels
    firsts = np.array([np.flatnonzero(y == c)[0] for c in np.unique(y)])
    for what, rows in (
        ("on one point", firsts[:1]),
        ("on one point per class", firsts),
        ("without a class", np.flatnonzero(y != y[0])),
        ("on two points", np.arange(2)),
    ):
        few = with_sample(evidence, role, features=sample.features[rows], labels=y[rows])
        for params in bound.variants:
            row = ask(bound, few, what, params=params)
            if row is None or bound.kind != "certificate" or len(rows) > 2:
                continue
            if number(row) < 0.4 and row.claim.classifier(few) in (None, few.head):
                raise ContractViolation(
                    f"{bound.id}: certifies {number(row):.3g} {what} at delta = .05"
                )
