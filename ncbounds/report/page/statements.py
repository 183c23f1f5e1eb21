"""What a bound says, as HTML: its docstring with formulas in MathML, and its sources."""

import inspect
import re
from functools import cache

from markupsafe import Markup, escape

from ncbounds.bounds.bibliography import cited
from ncbounds.bounds.bound import Bound
from ncbounds.bounds.references import Reference

_BLOCK = re.compile(r"\.\. math::[ ]*\n\n?((?:[ ]+.*(?:\n|$)|\n)+)")
_INLINE = re.compile(r":math:`([^`]*)`|``([^`]*)``|\[(\d+)\]_(?: (?=[.,;:)]))?")
_SECTION = re.compile(r"^(\w+)\n-{3,}\n", re.MULTILINE)
_TITLED = re.compile(r"(Role|Assumptions|Source|When vacuous|Shapes|Proof): ")
#: Words that LaTeX sets upright and the converter does not know.
_OPERATORS = (("\\arg\\max", "\\operatorname{argmax}"), ("\\arg\\min", "\\operatorname{argmin}"))
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


@cache
def mathml(latex: str, *, displayed: bool = False) -> Markup:
    """A formula as MathML, which browsers set without fonts or scripts of ours."""
    from latex2mathml.converter import convert

    for command, known in _OPERATORS:
        latex = latex.replace(command, known)
    lines = " ".join(latex.split())
    return Markup(convert(lines, display="block" if displayed else "inline"))


def statement(b: Bound) -> Markup:
    """Docstring of a bound: paragraphs, formulas, and its sources as a list."""
    doc = _SECTION.sub(r"**\1**\n\n", inspect.getdoc(b.function) or b.title)
    parts: list[Markup] = []
    for i, piece in enumerate(_BLOCK.split(doc)):
        if i % 2:
            parts.append(mathml(piece, displayed=True))
        else:
            parts += [_paragraph(p) for p in re.split(r"\n\s*\n", piece) if p.strip()]
    sources = Markup("").join(
        Markup("<li>{}</li>").format(_linked(reference)) for reference in cited(b.references)
    )
    more = Markup("<ol class='sources'>{}</ol>").format(sources) if sources else Markup("")
    return Markup("\n").join([*parts, more])


def _paragraph(text: str) -> Markup:
    """One paragraph; a list if its lines start with an asterisk."""
    if heading := re.fullmatch(r"\*\*(\w+)\*\*", text.strip()):
        return Markup("<p><b>{}</b></p>").format(heading[1])
    items = re.split(r"(?:^|\n)[*-] ", text)
    if len(items) > 1:
        listed = Markup("").join(Markup("<li>{}</li>").format(_words(i)) for i in items[1:])
        before = Markup("<p>{}</p>").format(_words(items[0])) if items[0].strip() else ""
        return Markup("{}<ul>{}</ul>").format(before, listed)
    return Markup("<p>{}</p>").format(_words(text))


def _words(text: str) -> Markup:
    text = " ".join(text.split())
    titled = _TITLED.match(text)
    out = Markup("<b>{}.</b> ").format(titled[1]) if titled else Markup("")
    at = titled.end() if titled else 0
    for found in _INLINE.finditer(text, at):
        out += escape(text[at : found.start()])
        formula, code, number = found.groups()
        if formula is not None:
            out += mathml(formula)
        elif code is not None:
            out += Markup("<code>{}</code>").format(code)
        else:
            out += f"[{number}]"
        at = found.end()
    return out + escape(text[at:])


def _linked(reference: Reference) -> Markup:
    """A source, with a link where it says its number on arXiv."""
    text = str(reference)
    found = _ARXIV.search(text)
    if found is None:
        return escape(text)
    link = Markup('<a href="https://arxiv.org/abs/{0}">arXiv:{0}</a>').format(found[1])
    return escape(text[: found.start()]) + link + escape(text[found.end() :])
