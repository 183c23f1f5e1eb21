"""The contract battery finds what is broken, and says which line it is."""

import itertools

import numpy as np
import pytest

from ncbounds.bounds import Outcome, bound
from ncbounds.bounds.bound import Bound
from ncbounds.numerics import kl_upper
from ncbounds.testing import ContractViolation, check_bound, worlds
from ncbounds.testing.contract import evidence_pair
from ncbounds.testing.several_labels import check_several_labels

NUMBERS = itertools.count()
EVIDENCE = evidence_pair(worlds()[0], 1)[0]
GOOD = {
    "family": "mine",
    "kind": "certificate",
    "role": "holdout",
    "target": "saved",
    "requires": ("head",),
    "references": ("hoeffding1963",),
    "decreasing_in": ("n", "delta"),
    "invariant_to": ("relabelling", "rotation", "translation", "feature scale", "head scale"),
}
TEXT = r"""Bound the error by the Chernoff bound on held-out points.

With probability at least :math:`1-\delta`

.. math::
    R \le \max\{p : \mathrm{kl}(k/n \| p) \le \ln(1/\delta)/n\} .

Shapes: logits (n, C), labels (n,).

Role: ``holdout``, because the head must not depend on the points.

Assumptions: none beyond the draw.

Source: Hoeffding 1963 [1]_ .

When vacuous: for very few points.
"""


@bound(**GOOD)
def mine(view, delta):
    wrong = view.wrong
    value = float(kl_upper(float(wrong.mean()), np.log(1 / delta) / len(wrong)))
    return Outcome(value=value, n=len(wrong), claim=view.pooled())


mine = Bound(id="mine", title=TEXT.partition("\n")[0], function=mine.function, **GOOD)
mine.function.__doc__ = TEXT


def value_of(view, delta):
    return mine.function(view, delta).value


def variant(function=None, text=TEXT, **changes):
    """The good bound with another function or other metadata, pickled by a name of its own."""
    metadata = {**GOOD, **changes}

    def made(view, delta, **params):
        return mine.function(view, delta)

    made = made if function is None else function
    made.__doc__ = text
    b = Bound(id="mine", title=text.partition("\n")[0], function=made, **metadata)
    name = f"variant_{next(NUMBERS)}"
    made.__qualname__, made.__module__ = name, __name__
    globals()[name] = b
    return b


def refused(b, words):
    with pytest.raises(ContractViolation, match=words):
        check_bound(b, worlds=())


def test_a_users_bound_passes():
    check_bound(mine)
    check_bound(variant(), worlds=worlds()[:1])


def test_violation_is_an_assertion():
    assert issubclass(ContractViolation, AssertionError)


@pytest.mark.parametrize("word", ["Shapes", "Role", "Assumptions", "Source", "When vacuous"])
def test_each_section_is_needed(word):
    refused(variant(text=TEXT.replace(f"{word}:", "About:")), f"begins with '{word}:'")


def test_docstring_needs_statement_and_formula():
    refused(variant(text=TEXT.replace("points.\n", "points\n", 1)), "one sentence")
    refused(variant(text=TEXT.replace(".. math::", "Formula:")), r"math::")
    refused(variant(text=""), "one sentence")


def test_references():
    refused(variant(references=("nobody1900",)), r"nb.bounds.Reference\('nobody1900'")
    refused(variant(references=()), "no reference and no proof")
    refused(variant(text=TEXT.replace("[1]_", "")), "cites nothing")
    refused(variant(text=TEXT.replace("[1]_", "[2]_")), r"cites \[2\]")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "theorem"}, "kind='theorem'"),
        ({"target": "mine"}, "target='mine'"),
        ({"role": "test"}, "role='test'"),
        ({"role": "any"}, "role='any' with kind='certificate'"),
        ({"requires": "head"}, "requires='head' has to be a tuple"),
        ({"invariant_to": ("shift",)}, "invariant_to"),
        ({"decreasing_in": ("m",)}, "decreasing_in"),
        ({"optional": ("head",)}, "both required and optional"),
        ({"kind": "conditional"}, "names its assumption"),
        ({"family": ""}, "family is empty"),
        ({"variants": ()}, "variants is empty"),
        ({"variants": ({"a": 1}, {"a": 1})}, "listed twice"),
    ],
)
def test_metadata(changes, words):
    refused(variant(**changes), words)


def test_variant_that_the_function_does_not_take():
    def plain(view, delta):
        return mine.function(view, delta)

    refused(variant(plain, variants=({"m": 5},)), "does not take the variant")


def test_bound_that_cannot_be_pickled():
    b = variant()
    b.function.__qualname__ = "test_bound.<locals>.made"
    refused(b, "pickled")


def test_reads_features_although_it_says_that_predictions_are_enough():
    check_bound(variant(reads_features=False), worlds=())

    def by_dimension(view, delta):
        found = mine.function(view, delta)
        return Outcome(value=min(1.0, found.value + 0.01 * view.sample.dim), n=found.n)

    refused(variant(by_dimension, reads_features=False), "says reads_features=False")


def test_requires_what_it_never_reads():
    refused(variant(requires=("head", "fit")), "never reads view.fit")


@pytest.mark.parametrize("part", ["fit", "unlabelled", "procedure", "priors", "network"])
def test_reads_what_it_does_not_declare(part):
    def peeking(view, delta):
        getattr(view, part)
        return mine.function(view, delta)

    refused(variant(peeking), f"reads view.{part}, which it does not declare")


def test_reads_the_head_without_saying_so():
    refused(variant(requires=()), "reads view.head")


def wrong_bounds():
    def mutates(view, delta):
        view.sample.features[0] = 0.0
        return mine.function(view, delta)

    def random(view, delta):
        return Outcome(value=value_of(view, delta) + 1e-3 * np.random.default_rng().random(), n=1)

    def global_random(view, delta):
        np.random.random()  # noqa: NPY002
        return mine.function(view, delta)

    def rises_with_delta(view, delta):
        return Outcome(value=min(1.0, value_of(view, 0.05) + delta), n=1)

    def rises_with_n(view, delta):
        return Outcome(value=value_of(view, delta) * view.sample.n, n=1)

    def needs_the_origin(view, delta):
        return Outcome(
            value=value_of(view, delta) + float(np.nan_to_num(view.sample.norms, posinf=0).mean()),
            n=1,
        )

    def reads_the_weight(view, delta):
        return Outcome(value=value_of(view, delta) + abs(view.head.weight[0, 0]), n=1)

    def likes_class_zero(view, delta):
        return Outcome(value=value_of(view, delta) + view.sample.counts[0], n=1)

    def drops_non_finite(view, delta):
        keep = np.isfinite(view.margins)
        q = float((view.margins[keep] <= 0).mean()) if keep.any() else 1.0
        return Outcome(value=float(kl_upper(q, np.log(1 / delta) / view.sample.n)), n=1)

    def ties_are_right(view, delta):
        q = float((view.margins < 0).mean())
        return Outcome(value=float(kl_upper(q, np.log(1 / delta) / view.sample.n)), n=1)

    def silent_nan(view, delta):
        return Outcome(value=np.nan, n=1)

    def negative(view, delta):
        return Outcome(value=-0.1, n=1)

    def crashes_on_few(view, delta):
        return Outcome(value=value_of(view, delta), n=1, terms={"x": 1 / (view.sample.n - 1)})

    def not_json(view, delta):
        return Outcome(value=value_of(view, delta), n=1, details={"head": view.head})

    def empirical(view, delta):
        return Outcome(value=float(view.wrong.mean()), n=view.sample.n)

    none = {"decreasing_in": (), "invariant_to": ()}
    yield mutates, {}, "read-only"
    yield random, none, "two calls differ"
    yield global_random, {}, "global generator"
    yield rises_with_delta, {}, "decreasing in delta"
    yield rises_with_n, {}, "decreasing in n"
    yield needs_the_origin, {"invariant_to": ("rotation", "translation")}, "'translation'"
    yield reads_the_weight, {"invariant_to": ("rotation",)}, "'rotation'"
    yield reads_the_weight, {"invariant_to": ("head scale",)}, "'head scale'"
    yield reads_the_weight, {"invariant_to": ("feature scale",)}, "'feature scale'"
    yield reads_the_weight, {"invariant_to": ("common row",)}, "'common row'"
    yield likes_class_zero, {"decreasing_in": ()}, "'relabelling'"
    yield drops_non_finite, {}, "never dropped"
    yield ties_are_right, {}, "all ties"
    yield silent_nan, none, "nan without a reason"
    yield negative, none, "negative"
    yield crashes_on_few, {}, "raises ZeroDivisionError"
    yield not_json, none, "not JSON-able"
    yield empirical, {"decreasing_in": ("n",)}, "on one point"


@pytest.mark.parametrize(
    ("function", "changes", "words"),
    [pytest.param(*case, id=f"{case[0].__name__}-{case[2]}") for case in wrong_bounds()],
)
def test_wrong_values(function, changes, words):
    refused(variant(function, **changes), words)


def test_plug_in_must_not_depend_on_delta():
    refused(variant(kind="plug-in", role="any"), r"say why in assumptions=\(...\)")
    said = {"kind": "plug-in", "role": "any", "assumptions": ("an estimate",)}
    refused(variant(**said), "its value depends on it")


@pytest.mark.parametrize("target", ["ncm", "few-shot", "worst class"])
def test_a_claim_that_a_bound_fills_in_is_needed(target):
    refused(variant(target=target), r"Outcome\(claim=...\)")


def test_a_bound_that_says_it_holds_for_several_labels_has_to():
    check_several_labels(variant(several_labels=True), EVIDENCE)

    def by_first_label(view, delta):
        return Outcome(value=view.sample.indicators[:, 0].mean(), n=view.sample.n)

    def nothing(view, delta):
        return Outcome(value=np.nan, n=1, reasons=("none",))

    wrong = (
        (by_first_label, "changes with labels in another order"),
        (nothing, "has no value there"),
    )
    for function, words in wrong:
        with pytest.raises(ContractViolation, match=words):
            check_several_labels(variant(function, several_labels=True), EVIDENCE)


def test_slow_bound(monkeypatch):
    monkeypatch.setattr("ncbounds.testing.asking.PATIENCE", 0.0)
    refused(variant(), "takes more than")


def test_coverage_catches_a_value_that_is_too_small():
    def half(view, delta):
        # a certificate at delta = .9: valid on almost half of all draws only
        n = view.sample.n
        return Outcome(value=value_of(view, 0.9 if n > 20 else delta), n=n)

    with pytest.raises(ContractViolation, match="below the true error in"):
        check_bound(variant(half, decreasing_in=("n",)))
