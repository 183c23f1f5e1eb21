"""The part of the contract that is read off a bound's metadata and docstring."""

import inspect
import pickle
import re
from typing import get_args

from ncbounds.bounds.bibliography import REFERENCES
from ncbounds.bounds.bound import Bound
from ncbounds.bounds.needs import Part
from ncbounds.bounds.references import Reference
from ncbounds.claims.registry import CLAIMS
from ncbounds.evidence.roles import ROLES
from ncbounds.results import Kind
from ncbounds.testing.violations import ContractViolation

#: Words that begin a line of every bound's docstring.
SECTIONS = ("Shapes", "Role", "Assumptions", "Source", "When vacuous")
INVARIANCES = (
    "relabelling",
    "rotation",
    "translation",
    "feature scale",
    "head scale",
    "common row",
)


def check_declarations(bound: Bound) -> None:
    """Check words, docstring, references, parameters and that the bound can be pickled.

    Raises
    ------
    ContractViolation
    """
    _words(bound)
    _docstring(bound)
    _references(bound)
    _variants(bound)
    _pickles(bound)


def _words(bound: Bound) -> None:
    allowed = {
        "kind": get_args(Kind),
        "target": tuple(CLAIMS),
        "role": (*(r for r in ROLES if r not in ("test", "unlabelled", "target")), "any"),
    }
    for name, words in allowed.items():
        if getattr(bound, name) not in words:
            raise ContractViolation(
                f"{bound.id}: {name}={getattr(bound, name)!r} is not one of {', '.join(words)}"
            )
    listed = {
        "requires": get_args(Part),
        "optional": get_args(Part),
        "decreasing_in": ("n", "delta"),
        "invariant_to": INVARIANCES,
    }
    for name, words in listed.items():
        declared = getattr(bound, name)
        if isinstance(declared, str) or any(x not in words for x in declared):
            raise ContractViolation(
                f"{bound.id}: {name}={declared!r} has to be a tuple of {', '.join(words)}"
            )
    both = set(bound.requires) & set(bound.optional)
    if both:
        raise ContractViolation(f"{bound.id}: {sorted(both)} is both required and optional")
    if bound.role == "any" and bound.spends_delta:
        raise ContractViolation(
            f"{bound.id}: role='any' with kind={bound.kind!r}: a guarantee needs the role that its "
            "probability is over; write role='holdout', 'head' or 'fit'"
        )
    if bound.kind == "conditional" and not bound.assumptions:
        raise ContractViolation(
            f"{bound.id}: a conditional bound names its assumption; add assumptions=('...',)"
        )
    if not bound.family:
        raise ContractViolation(f"{bound.id}: family is empty")


def _docstring(bound: Bound) -> None:
    doc = inspect.getdoc(bound.function) or ""
    first = doc.partition("\n")[0].strip()
    if not first.endswith("."):
        raise ContractViolation(
            f"{bound.id}: the docstring's first line has to be the statement in one sentence, "
            f"ending with a period; found {first!r}"
        )
    if ".. math::" not in doc and ":math:" not in doc:
        raise ContractViolation(f"{bound.id}: the docstring has no formula; add `.. math::`")
    if ".. math::" not in doc and bound.kind != "measure":
        raise ContractViolation(f"{bound.id}: the docstring has no displayed `.. math::`")
    for word in SECTIONS:
        if not re.search(rf"^{word}\b.*?:", doc, re.MULTILINE):
            raise ContractViolation(
                f"{bound.id}: the docstring has no line that begins with {word + ':'!r}"
            )


def _references(bound: Bound) -> None:
    doc = inspect.getdoc(bound.function) or ""
    for key in bound.references:
        if not isinstance(key, Reference) and REFERENCES.find(key) is None:
            raise ContractViolation(
                f"{bound.id}: reference {key!r} is not in the bibliography; write "
                f"nb.bounds.Reference({key!r}, author, title, published, year) in its place"
            )
    if not bound.references and "Notes\n" not in doc:
        raise ContractViolation(
            f"{bound.id}: no reference and no proof: name a source in references=(...), or add a "
            "section Notes with the proof"
        )
    cited = {int(i) for i in re.findall(r"\[(\d+)\]_", doc)}
    expected = set(range(1, len(bound.references) + 1))
    if cited != expected:
        raise ContractViolation(
            f"{bound.id}: the docstring cites {sorted(cited) or 'nothing'}, but references lists "
            f"{len(bound.references)} keys; write [1]_ for the first key, [2]_ for the second"
        )


def _variants(bound: Bound) -> None:
    if not bound.variants:
        raise ContractViolation(f"{bound.id}: variants is empty; one row is variants=({{}},)")
    seen = []
    for params in bound.variants:
        try:
            inspect.signature(bound.function).bind(None, 0.05, **params)
        except TypeError as error:
            raise ContractViolation(
                f"{bound.id}: the function does not take the variant {dict(params)}: {error}"
            ) from None
        if dict(params) in seen:
            raise ContractViolation(f"{bound.id}: the variant {dict(params)} is listed twice")
        seen.append(dict(params))


def _pickles(bound: Bound) -> None:
    try:
        again = pickle.loads(pickle.dumps(bound))
    except Exception as error:
        raise ContractViolation(
            f"{bound.id}: cannot be pickled ({type(error).__name__}: {error}); define the function "
            "at the top level of a module, under the name that it is decorated with"
        ) from None
    if again.id != bound.id or again.kind != bound.kind:
        raise ContractViolation(f"{bound.id}: unpickles as {again!r}")
