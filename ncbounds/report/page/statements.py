"""What a bound says, as HTML: its docstring with formulas in MathML, and its sources."""

import inspect
import re
from functools import cache
from urllib.parse import quote_plus

from markupsafe import Markup, escape

from ncbounds.bounds.bibliography import cited
from ncbounds.bounds.bound import Bound
from ncbounds.bounds.explain import LINK, MATH_BLOCK
from ncbounds.bounds.plain_math import mathml_of
from ncbounds.bounds.references import Reference

_INLINE = re.compile(r":math:`([^`]*)`|``([^`]*)``|\[(\d+)\]_(?: (?=[.,;:)]))?")
_SECTION = re.compile(r"^(\w+)\n-{3,}\n", re.MULTILINE)
_TITLED = re.compile(r"(Role|Assumptions|Source|When vacuous|Shapes|Proof): ")
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


@cache
def mathml(latex: str, *, displayed: bool = False) -> Markup:
    """A formula as MathML, which browsers set without fonts or scripts of ours."""
    if not displayed:
        return Markup(mathml_of(latex))
    # a wide one is scrolled, by keys too
    return Markup(mathml_of(latex, "block").replace("<math ", '<math tabindex="0" ', 1))


def statement(b: Bound) -> Markup:
    """Docstring of a bound: paragraphs, formulas, and its sources as a list."""
    text, notes = paragraphs(b)
    heading = Markup("<p><b>Notes</b></p>") if notes else Markup("")
    return Markup("\n").join([text, heading, notes, sources(b)])


def paragraphs(b: Bound) -> tuple[Markup, Markup]:
    """Docstring of a bound, and its notes: proofs and what is done where rounding decides."""
    doc = LINK.sub(r"``\1``", inspect.getdoc(b.function) or b.title)
    text, _, notes = doc.partition("\nNotes\n-----\n")
    return _rendered(text), _rendered(notes)


def sources(b: Bound) -> Markup:
    """What a bound cites, as a numbered list with links."""
    found = Markup("").join(Markup("<li>{}</li>").format(linked(r)) for r in cited(b.references))
    return Markup("<ol class='sources'>{}</ol>").format(found) if found else Markup("")


def _rendered(doc: str) -> Markup:
    parts: list[Markup] = []
    for i, piece in enumerate(MATH_BLOCK.split(_SECTION.sub(r"**\1**\n\n", doc))):
        if i % 2:
            parts.append(mathml(piece, displayed=True))
        else:
            parts += [_paragraph(p) for p in re.split(r"\n\s*\n", piece) if p.strip()]
    return Markup("\n").join(parts)


def _paragraph(text: str) -> Markup:
    """One paragraph; a list if its lines start with an asterisk."""
    if heading := re.fullmatch(r"\*\*(\w+)\*\*", text.strip()):
        return Markup("<p><b>{}</b></p>").format(heading[1])
    if text.lstrip().startswith("==="):
        return _table(text.strip())
    items = re.split(r"(?:^|\n)[*-] ", text)
    if len(items) > 1:
        listed = Markup("").join(Markup("<li>{}</li>").format(words(i)) for i in items[1:])
        before = Markup("<p>{}</p>").format(words(items[0])) if items[0].strip() else ""
        return Markup("{}<ul>{}</ul>").format(before, listed)
    return Markup("<p>{}</p>").format(words(text))


def _table(text: str) -> Markup:
    """A table whose columns and head are marked by lines of equality signs."""
    ruler, head, _, *rows, _ = text.splitlines()
    spans = [found.span() for found in re.finditer("=+", ruler)]

    def line(row: str, cell: str) -> Markup:
        cells = (Markup(cell).format(words(row[a:b].strip())) for a, b in spans)
        return Markup("<tr>{}</tr>").format(Markup("").join(cells))

    body = Markup("").join(line(row, "<td>{}</td>") for row in rows)
    return Markup(
        "<div class='scroll' role='region' aria-label='Table' tabindex='0'><table class='plain'>"
        "<thead>{}</thead><tbody>{}</tbody></table></div>"
    ).format(line(head, "<th scope='col'>{}</th>"), body)


def words(text: str) -> Markup:
    """Running text with formulas, names in code and citations."""
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


def linked(reference: Reference) -> Markup:
    """A source, with a link to arXiv where it says its number there, else to a search by title."""
    text = str(reference)
    found = _ARXIV.search(text)
    if found is not None:
        link = Markup('<a href="https://arxiv.org/abs/{0}">arXiv:{0}</a>').format(found[1])
        return escape(text[: found.start()]) + link + escape(text[found.end() :])
    before, title, after = text.partition(reference.title)
    return Markup('{}<a href="https://scholar.google.com/scholar?q={}">{}</a>{}').format(
        before, quote_plus(f"{title} {reference.year}"), title, after
    )
