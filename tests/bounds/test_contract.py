"""Every bound of the catalogue keeps the contract; the catalogue lists every bound."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ncbounds.bounds
from ncbounds.bounds import catalogue
from ncbounds.bounds.bibliography import REFERENCES, cited
from ncbounds.testing import check_bound

FOLDER = Path(ncbounds.bounds.__file__).parent
#: Every folder but the one that families share.
FAMILIES = sorted({p.parent.name for p in FOLDER.glob("*/__init__.py")} - {"homogeneous"})
NUMERICAL = ("bounds", "numerics", "geometry")


@pytest.mark.parametrize("bound", catalogue(), ids=lambda b: b.id)
def test_contract(bound, monkeypatch):
    # seeded partitions, which are most of a row's time and nothing that the contract speaks of
    monkeypatch.setattr(sys.modules["ncbounds.bounds.collapse.unseen_classes"], "REPLICATES", 20)
    check_bound(bound, worlds=())  # test_coverage.py simulates all rows on the same draws


@pytest.mark.parametrize("family", FAMILIES)
def test_family_lists_its_files(family):
    listed = [b.id for b in importlib.import_module(f"ncbounds.bounds.{family}").BOUNDS]
    files = sorted(p.stem for p in (FOLDER / family).glob("*.py") if p.stem[0] != "_")
    for name in files:
        assert name in listed, (
            f"{family}/{name}.py is not in the catalogue: in ncbounds/bounds/{family}/__init__.py "
            f"write\n    from ncbounds.bounds.{family}.{name} import {name}\n"
            f"and put {name} in BOUNDS"
        )
    for name in listed:
        assert name in files, f"BOUNDS of {family} has {name}, but there is no {family}/{name}.py"
    assert len(listed) == len(set(listed)), f"BOUNDS of {family} lists a bound twice"


def test_ids_and_families():
    ids = [b.id for b in catalogue()]
    assert len(ids) == len(set(ids))
    for b in catalogue():
        module = b.function.__module__.split(".")
        assert module[-2:] == [b.family, b.id], f"{b.id} is in {module}, its family is {b.family}"


def test_references_are_all_cited():
    used = {r.key for b in catalogue() for r in cited(b.references)}
    unused = sorted(set(REFERENCES.shipped) - used)
    assert not unused, f"no bound cites {unused}; remove them from bibliography.py"
    for key, reference in REFERENCES.shipped.items():
        assert re.fullmatch(r"[a-z]+\d{4}[a-z]?", key), key
        assert str(reference.year) in key
        assert all((reference.author, reference.title, reference.published))


def bare_epsilons(source):
    """Lines where a name like eps, or a constant below 1e-6, is added to something computed."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            sides = (node.left, node.right)
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
            sides = (node.target, node.value)
        else:
            continue
        if any(isinstance(side, ast.Constant) and side.value == 1 for side in sides):
            continue  # a relative margin, 1 + 1e-12
        for side in sides:
            name = getattr(side, "id", getattr(side, "attr", ""))
            tiny = isinstance(getattr(side, "value", None), float) and 0 < side.value < 1e-6
            if tiny and "rounding:" in source.splitlines()[node.end_lineno - 1]:
                continue  # an error bound that is added on purpose says so
            if tiny or name.lower().strip("_") in ("eps", "epsilon"):
                yield node.lineno


@pytest.mark.parametrize("package", NUMERICAL)
def test_no_bare_epsilon(package):
    for path in (FOLDER.parent / package).rglob("*.py"):
        for line in bare_epsilons(path.read_text()):
            pytest.fail(f"{path}:{line}: a bare + eps; handle the degenerate case instead")


def test_bare_epsilons_are_found():
    lines = ["x = a / (b + 1e-8)", "y = c + eps", "z = 1.0 + 1e-12", "d += 1e-9"]
    found = list(bare_epsilons("\n".join([*lines, "e = f + 1e-9  # rounding: up"])))
    assert sorted(found) == [1, 2, 4]


def test_numerical_packages_do_not_import_torch():
    modules = [
        ".".join(p.relative_to(FOLDER.parent.parent).with_suffix("").parts)
        for package in NUMERICAL
        for p in sorted((FOLDER.parent / package).rglob("*.py"))
        if p.name != "__init__.py"
    ]
    code = (
        "import sys, importlib\n"
        f"for m in {modules!r}: importlib.import_module(m)\n"
        "import ncbounds.testing\n"
        "bad = [m for m in ('torch', 'cvxpy', 'sklearn', 'pandas') if m in sys.modules]\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_command_line_starts_light():
    code = (
        "import sys\n"
        "from ncbounds.cli.app import main\n"
        "for command in (['list'], ['explain', 'binomial']):\n"
        "    sys.argv = ['ncbounds', *command]\n"
        "    try: main()\n"
        "    except SystemExit as end: assert not end.code, end.code\n"
        "    bad = [m for m in ('torch', 'cvxpy', 'sklearn') if m in sys.modules]\n"
        "    assert not bad, (command, bad)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert found.returncode == 0, found.stderr
    assert {"kl_holdout", "Assumptions:"} <= set(found.stdout.split())


@pytest.mark.parametrize("name", NUMERICAL)
def test_no_vague_file_names(name):
    for path in (FOLDER.parent / name).rglob("*.py"):
        assert path.stem.strip("_") not in ("utils", "helpers", "common", "misc"), path
