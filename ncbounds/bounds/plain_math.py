r"""Formulas as signs, for a terminal: ``\frac1n \sum_i x_i`` as ``1/n ∑_i x_i``.

They are read as the page reads them, into MathML, and its tree is written out.
"""

import re
from functools import cache
from typing import NamedTuple
from unicodedata import normalize
from xml.etree import ElementTree

#: Words that LaTeX sets upright and the converter does not know.
_OPERATORS = (("\\arg\\max", "\\operatorname{argmax}"), ("\\arg\\min", "\\operatorname{argmin}"))
_OPEN, _CLOSE, _BARS, _BIG = "([{⟨⌊⌈", ")]}⟩⌋⌉", "|‖", "∑∏"
_RELATIONS = "=<>≤≥≠≈≲∈∼~≻+−·×∣:"
_SIGNS = {"−": "-", "∣": "|", "⋯": "…", "∼": "~"}
_FUNCTIONS = ("ln", "log", "exp")
#: Brackets of a size that was asked for, which the converter leaves as commands.
_SIZED = {"\\{": "{", "\\}": "}", "\\|": "‖", "\\langle": "⟨", "\\rangle": "⟩"}
#: What stands above a letter, as signs that join it.
_ABOVE = {"¯": "\u0304", "^": "\u0302", "~": "\u0303", "ˆ": "\u0302", "˜": "\u0303"}
_RAISED = str.maketrans("0123456789-+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺")
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_BRACE = "⏟"


class _Piece(NamedTuple):
    """A part of a line, and what its ends are to a neighbour: see :func:`_gap`."""

    text: str
    left: str
    right: str


def mathml_of(latex: str, display: str = "inline") -> str:
    """MathML of a formula."""
    from latex2mathml.converter import convert

    for command, known in _OPERATORS:
        latex = latex.replace(command, known)
    if "&" in latex and "\\begin" not in latex:  # lines that are aligned
        latex = f"\\begin{{split}} {latex} \\end{{split}}"
    found = str(convert(" ".join(latex.split()), display=display))
    for command, sign in _SIZED.items():
        found = found.replace(f">{command}<", f">{sign}<")
    return found


@cache
def plain_math(latex: str, *, displayed: bool = False) -> str:
    """A formula as text, without a command; on several lines if it is displayed so.

    What the converter cannot read stays as it is.
    """
    try:
        tree = ElementTree.fromstring(mathml_of(latex))
    except Exception:  # whatever a formula of one's own makes the converter stumble over
        return latex
    for element in tree.iter():
        element.tag = element.tag.rpartition("}")[2]
    text = re.sub(r" *\n *", "\n", _row(list(tree))).strip()
    return text if displayed else " ".join(text.split())


def _row(elements: list[ElementTree.Element]) -> str:
    return _joined(_pieces(elements))


def _joined(pieces: list[_Piece]) -> str:
    out, before = "", _Piece("", "open", "open")
    for piece in pieces:
        if before.text in _FUNCTIONS and piece.left == "apart":  # of the fraction as a whole
            piece = _Piece(f"({piece.text})", "open", piece.right)
        if piece.text == "-" and before.right in ("open", "relation", "comma", "sign"):
            piece = _Piece("-", piece.left, "sign")
        out += _gap(before.right, piece.left) + piece.text
        before = piece
    return out


def _gap(left: str, right: str) -> str:
    """What stands between two neighbours, by the ends that meet."""
    if left in ("open", "sign", "space") or right in ("close", "comma", "space"):
        return ""
    if "tight" in (left, right):
        return ""
    if "relation" in (left, right) or left in ("comma", "apart") or right == "apart":
        return " "
    if right == "open":
        return ""
    return " " if "word" in (left, right) or left == "close" else ""


def _pieces(elements: list[ElementTree.Element]) -> list[_Piece]:
    """Pieces of a row, in which a bar opens and closes in turn, and divides where it is alone."""
    flat = [inner for e in elements for inner in _unpacked(e)]
    bars = sum(_core(e) in _BARS for e in flat)
    found, seen = [], 0
    for element in flat:
        if (sign := _core(element)) in _BARS:
            seen += 1
            ends = (
                ("relation", "relation") if bars % 2 else
                ("letter", "open") if seen % 2 else ("close", "letter")
            )  # fmt: skip
            found.append(_scripted(element, _Piece(sign, *ends)))
        else:
            found += _WRITTEN.get(element.tag, _group)(element)
    return found


def _unpacked(element: ElementTree.Element) -> list[ElementTree.Element]:
    """Elements of nested rows, but for words of several letters."""
    if element.tag in ("mrow", "mstyle") and not _is_word(element):
        return [inner for e in element for inner in _unpacked(e)]
    return [element]


def _is_word(element: ElementTree.Element) -> bool:
    """Whether a row is a name set upright, letter by letter."""
    return len(element) > 0 and all(e.get("mathvariant") == "normal" for e in element)


def _core(element: ElementTree.Element) -> str:
    """The sign that an element is, with or without something below or above it."""
    scripted = element.tag in ("msub", "msup", "msubsup")
    return (element[0] if scripted else element).text or " "


def _group(element: ElementTree.Element) -> list[_Piece]:
    if _is_word(element):
        word = "".join(e.text or "" for e in element)
        return [_Piece(word, "word", "word" if len(word) > 1 else "letter")]
    return _pieces(list(element))


def _atom(element: ElementTree.Element) -> list[_Piece]:
    sign = (element.text or "").strip()
    text = _SIGNS.get(sign, sign)
    if not sign:
        return []
    for signs, ends in (
        (_OPEN, ("open", "open")),
        (_CLOSE, ("close", "close")),
        (_RELATIONS, ("relation", "relation")),
        (",.;", ("comma", "comma")),
        ("/", ("tight", "tight")),
        (_BIG, ("word", "apart")),
    ):
        if sign in signs:
            return [_Piece(text, *ends)]
    word = len(sign) > 1 and not sign.replace(".", "").isdecimal()
    return [_Piece(text, *(("word", "word") if word else ("letter", "letter")))]


def _space(element: ElementTree.Element) -> list[_Piece]:
    wide = float(str(element.get("width", "0em")).removesuffix("em")) >= 2
    return [_Piece("\n" if wide else " ", "space", "space")]


def _outside_brackets(text: str) -> str:
    while text != (text := re.sub(r"\([^()]*\)|\[[^][]*\]|\{[^{}]*\}", "", text)):
        pass
    return text


def _as_one(pieces: list[_Piece]) -> str:
    """Pieces as one operand: in brackets if there are several of them."""
    text = _joined(pieces).strip()
    return text if len(pieces) == 1 and not {*" /"} & {*_outside_brackets(text)} else f"({text})"


def _fraction(element: ElementTree.Element) -> list[_Piece]:
    above, below = _row([element[0]]).strip(), _as_one(_pieces([element[1]]))
    above = f"({above})" if {*" /"} & {*_outside_brackets(above)} else above
    return [_Piece(f"{above}/{below}", "apart", "apart")]


def _root(element: ElementTree.Element) -> list[_Piece]:
    return [_Piece(f"√{_as_one(_pieces(list(element)))}", "word", "apart")]


def _script(element: ElementTree.Element) -> list[_Piece]:
    base = element[0]
    if base.tag == "munder" and base[1].text == _BRACE:
        label = _row(list(element)[1:])
        return [_Piece(f"{_row([base[0]])} [{label}]", "apart", "apart")]
    if element.tag == "munder" and element[1].text == _BRACE:
        return _pieces([base])
    before = _pieces([base])
    if len(before) != 1:
        before = [_Piece(_joined(before), "word", "word")]
    return [_scripted(element, before[0])]


def _scripted(element: ElementTree.Element, base: _Piece) -> _Piece:
    """A piece with what stands below and above it."""
    if element.tag not in _SIDES:
        return base
    text, right = base.text, base.right
    for side, script in zip(_SIDES[element.tag], list(element)[1:], strict=True):
        pieces = _pieces([script])
        said = _joined(pieces)
        table = _RAISED if side == "^" else _LOWERED
        if side == "^" and set(said) == {"′"}:
            text += "'" * len(said)
        elif all(ord(c) in table for c in said):
            text += said.translate(table)
        else:
            alone = len(said) == 1 or (said.isalnum() and (side == "_" or len(pieces) == 1))
            text += side + (said if alone else f"({said})")
            right = "word" if right in ("letter", "close") else right
    limited = base.text in _BIG or element.tag.startswith("munder")
    return _Piece(text, base.left, "apart" if limited else right)


def _over(element: ElementTree.Element) -> list[_Piece]:
    base, above = _row([element[0]]), element[1].text or ""
    text = base + _ABOVE[above] if above in _ABOVE else f"{base}^{above}"
    return [_Piece(normalize("NFC", text), "letter", "letter")]


def _table(element: ElementTree.Element) -> list[_Piece]:
    """Lines that are aligned stand below each other, cases behind each other."""
    aligned = element.get("displaystyle") == "true"
    within, between = (" ", "\n") if aligned else (" if ", "; ")
    rows = [within.join(filter(None, (_row(list(cell)) for cell in row))) for row in element]
    return [_Piece(between.join(rows), "word", "word")]


#: Where scripts of an element stand.
_SIDES = {
    **{"msub": "_", "msup": "^", "msubsup": "_^"},
    **{"munder": "_", "munderover": "_^"},
}
_WRITTEN = {
    **dict.fromkeys(("mi", "mn", "mo", "mtext"), _atom),
    **dict.fromkeys(_SIDES, _script),
    **{"mspace": _space, "mfrac": _fraction, "msqrt": _root, "mover": _over, "mtable": _table},
}
