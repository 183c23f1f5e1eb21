"""Imports run one way: each part may import those above it, and nothing runs in a circle."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import ncbounds

ROOT = Path(ncbounds.__file__).parent

#: Parts from the ground up; a part may import itself and those before it.
ORDER = (
    "errors",
    "lines",
    "arrays",
    "budgets",
    "registry",
    "tables",
    "files",
    "results",
    "numerics",
    "statistics",
    "evidence",
    "geometry",
    "procedures",
    "depth",
    "network",
    "claims",
    "bounds",
    "formulas",
    "testing",
    "comparison",
    "report",
    "choosing",
    # torch may be imported from here on
    "network.reading",
    "data",
    "checkpoints",
    "extraction",
    "code_words",
    "evaluation",
    "certify",
    "runs",
    "cli",
    "zoo",
)
TORCH_FREE = ORDER[: ORDER.index("network.reading")]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(p): p for p in sorted(ROOT.rglob("*.py"))}


@cache
def imported(module: str) -> set[str]:
    """Modules of the package that a module imports, inside functions too."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ncbounds"):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in MODULES else str(node.module))
    return found - {module, "ncbounds"}


def part(module: str) -> str:
    parts = module.split(".")[1:]
    return "network.reading" if parts[:2] == ["network", "reading"] else parts[0]


def test_every_part_has_its_place():
    assert {part(m) for m in MODULES if m.count(".")} == {*ORDER, "__main__"}


def test_imports_point_to_the_ground():
    wrong = {}
    for module in MODULES:
        if module.count(".") and "__main__" not in module:
            allowed = {*ORDER[: ORDER.index(part(module)) + 1]}
            wrong[module] = sorted(m for m in imported(module) if part(m) not in allowed)
    assert not any(wrong.values()), {module: found for module, found in wrong.items() if found}


def test_no_circle():
    arrows = {m: imported(m) for m in MODULES}
    assert set(TopologicalSorter(arrows).static_order()) >= set(MODULES) - {"ncbounds"}


def test_what_stands_below_torch_does_not_import_it():
    below = [m for m in MODULES if m.count(".") and part(m) in TORCH_FREE]
    code = (
        "import importlib, sys\n"
        f"for m in {below!r}: importlib.import_module(m)\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not done.returncode, done.stderr
