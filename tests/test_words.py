"""Words that code compares are typed values; prose is made at the end and never looked into."""

import ast
from pathlib import Path

import pytest

import ncbounds

ROOT = Path(ncbounds.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

#: Names that hold prose: what a reader is told.
PROSE = {"reason", "reasons", "message", "notes", "note", "problem", "said"}
LOOKS_INTO = {"startswith", "endswith", "find", "index", "count", "partition", "split"}


def is_prose(node: ast.AST) -> bool:
    """Whether an expression is prose, an element of it, or the text of an error."""
    if isinstance(node, ast.Name):
        return node.id in PROSE
    if isinstance(node, ast.Attribute):
        return node.attr in PROSE
    if isinstance(node, ast.Subscript):
        return is_prose(node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str":
        return any("error" in n.id for n in ast.walk(node) if isinstance(n, ast.Name))
    return False


def searches(tree: ast.AST) -> list[int]:
    """Lines in which prose is compared with a text, or searched for one."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = (node.left, *node.comparators)
            texts = [s for s in sides if isinstance(s, ast.Constant) and isinstance(s.value, str)]
            if any(t.value for t in texts) and any(is_prose(s) for s in sides):
                found.append(node.lineno)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in LOOKS_INTO and is_prose(node.func.value):
                found.append(node.lineno)
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "re":
                found += [node.lineno for a in node.args if is_prose(a)]
    return found


def test_no_reason_or_message_is_searched_in():
    lines = {p: searches(ast.parse(p.read_text(encoding="utf-8"))) for p in FILES}
    found = {str(p.relative_to(ROOT)): at for p, at in lines.items() if at}
    assert not found, f"prose is looked into at these lines: {found}"


@pytest.mark.parametrize(
    "code",
    [
        "'is not declared' in reason",
        "any('x' in r for r in row.reasons) and row.reasons[0] == 'x'",
        "message.startswith('no')",
        "'unknown' in str(error)",
        "re.search('a', note)",
    ],
)
def test_a_search_is_found(code):
    assert searches(ast.parse(code))
