"""One bound in words: its docstring, what it needs, and its sources."""

import inspect
import re
from textwrap import TextWrapper, wrap

from ncbounds.bounds.bibliography import cited
from ncbounds.bounds.bound import Bound
from ncbounds.bounds.plain_math import plain_math
from ncbounds.results import MARK

#: Columns of a terminal that plain text is made for.
WIDTH = 100
#: Whose error a row speaks about, by the word of its target.
WHOSE = {
    "saved": "the classifier as it is saved",
    "worst class": "the classifier on its worst class",
    "ncm": "nearest class mean on its features",
    "refitted-head": "another head, refitted on its features",
    "restricted-head": "its head on projected features",
    "few-shot": "nearest class mean from m points of each class, on average over draws",
    "unseen-classes": "nearest class mean from m points of each of k new classes",
    "compressed": "the network that a code word decodes to",
    "gibbs": "the classifier with random weights",
}
#: A displayed formula of a docstring.
MATH_BLOCK = re.compile(r"\.\. math::[ ]*\n?\n?((?:[ ]+.*(?:\n|$)|\n)+)")
#: A name of this package in a docstring, which a documentation builder makes a link.
LINK = re.compile(r":\w+:`~?([\w.]+)`")
#: What a declared choice among candidates covers.
SELECTION = (
    "delta is divided by selected_among, which counts all candidates that could have been",
    "chosen on the sample, from a list that was fixed before; an adaptive search (hill",
    "climbing, a scheduler or early stopping on the held-out loss) is not covered by it",
)


def as_text(b: Bound) -> str:
    """Return statement, formula, role, assumptions and references as plain text."""
    needs = (", ".join(b.requires) or "its sample only") + (
        f" (uses if present: {', '.join(b.optional)})" if b.optional else ""
    )
    if not b.reads_features:
        needs += "; predictions are enough"
    facts = [
        ("family", b.family),
        ("at best", f"{MARK[b.kind]} {b.kind}"),
        ("sample", "any but test" if b.role == "any" else b.role),
        ("about", b.target),
        ("needs", needs),
        ("rows", ", ".join(_variant(v) for v in b.variants)),
        ("invariant to", ", ".join(b.invariant_to) or "-"),
    ]
    lines = [f"{b.id}", "=" * len(b.id), ""]
    lines += [f"{name:>13}  {text}" for name, text in facts]
    lines += [f"{'assumes':>13}  {text}" for text in b.assumptions]
    if b.spends_delta:
        lines += [f"{'' if i else 'selection':>13}  {text}" for i, text in enumerate(SELECTION)]
    lines += ["", _readable(inspect.getdoc(b.function) or "")]
    if b.confused_with:
        lines += ["", *wrap(f"Often confused with. {_readable(b.confused_with)}", WIDTH)]
    lines += ["", "References", "----------"]
    lines += [f"[{i}] {reference}" for i, reference in enumerate(cited(b.references), 1)]
    return "\n".join(lines)


def when_vacuous(b: Bound) -> str:
    """Return what its docstring says of when it says nothing, as plain text in one line."""
    doc = inspect.getdoc(b.function) or ""
    found = re.search(r"^When vacuous: ((?:.+\n?)+)", doc, re.MULTILINE)
    return " ".join(_readable(found[1]).split()) if found else ""


def as_latex(b: Bound) -> str:
    """Return the displayed formulas of the docstring as LaTeX environments."""
    blocks = MATH_BLOCK.findall(inspect.getdoc(b.function) or "")
    return "\n\n".join(_displayed(block) for block in blocks)


def _displayed(block: str) -> str:
    name = "align*" if "&" in block else "equation*"
    body = "\n".join(f"  {line.strip()}" for line in block.strip().splitlines())
    return f"\\begin{{{name}}}\n{body}\n\\end{{{name}}}"


def _readable(doc: str) -> str:
    """Docstring without the markup that only a documentation builder needs, formulas in signs."""
    doc = MATH_BLOCK.sub(lambda found: _set_apart(plain_math(found[1], displayed=True)), doc)
    doc = re.sub(r":math:`([^`]*)`", lambda found: plain_math(found[1]), doc)
    doc = LINK.sub(r"\1", doc)
    doc = re.sub(r"(\[\d+\])_(?: (?=[.,;:)]))?", r"\1", doc)
    return doc.replace("``", "")


def _set_apart(formula: str) -> str:
    """A displayed formula, indented, with what does not fit on a line further in."""
    fitted = TextWrapper(
        WIDTH,
        initial_indent=" " * 4,
        subsequent_indent=" " * 8,
        break_long_words=False,
        break_on_hyphens=False,
    )
    lines = (line for given in formula.splitlines() for line in fitted.wrap(given))
    return "\n".join(lines) + "\n\n"


def as_bibtex(b: Bound) -> str:
    """Return the references as BibTeX entries."""
    return "\n\n".join(reference.to_bibtex() for reference in cited(b.references))


def _variant(params: "object") -> str:
    items = dict(params)  # type: ignore[call-overload]
    return ", ".join(f"{k}={v}" for k, v in items.items()) or "one"
