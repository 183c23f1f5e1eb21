"""Row keys: touching a source file changes the keys of what imports it, and no others."""

import shutil
from pathlib import Path

import pytest

import ncbounds
from ncbounds.bounds import catalogue
from ncbounds.data.sources import sources
from ncbounds.runs import keys


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """Touch a file of a fresh copy of the package; give the root of the copy."""

    def touched(*files):
        root = tmp_path_factory.mktemp("copy")
        shutil.copytree(
            Path(ncbounds.__file__).parent,
            root / "ncbounds",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        for file in files:
            path = root / "ncbounds" / file
            path.write_text(path.read_text() + "\n# touched\n")
        return root

    return touched


@pytest.fixture(scope="module")
def before(copies):
    return hashes(copies())


def hashes(root):
    """Code that each bound's rows, the facts and the evidence depend on."""
    found = {b.id: keys.bound_code(b, root) for b in catalogue()}
    return found | {name: keys._code(name, root=root) for name in (keys.EVIDENCE, keys.FACTS)}


def changed(copies, before, *files):
    after = hashes(copies(*files))
    return {name for name, value in after.items() if value != before[name]}


def test_recipes_pages_battery_and_commands_recompute_nothing(copies, before):
    files = ["zoo/recipes.py", "report/report.py", "report/views/html.py", "testing/contract.py"]
    assert not changed(copies, before, *files, "cli/evaluate.py", "runs/engine.py")


def test_the_binomial_recomputes_what_stands_beside_a_counted_error_and_nothing_else(
    copies, before
):
    found = changed(copies, before, "numerics/binomial.py")
    assert found == {b.id for b in catalogue() if b.kind != "measure"}


def test_a_function_that_few_bounds_use_recomputes_these(copies, before):
    found = changed(copies, before, "numerics/noncentral_t.py")
    assert "gaussian_tolerance" in found
    assert len(found) < 4
    assert changed(copies, before, "bounds/holdout/hoeffding.py") == {"hoeffding"}


def test_what_makes_evidence_recomputes_everything(copies, before):
    for file in ("extraction/extract.py", "network/reading/layers.py", "data/noise.py"):
        assert keys.EVIDENCE in changed(copies, before, file)


def test_names_are_followed_through_a_face_to_where_they_are_defined(tmp_path):
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("from pack.a import one\nfrom .b import two as deux\n")
    (package / "a.py").write_text("one = 1\n")
    (package / "b.py").write_text("def two():\n    import pack.c\n")
    (package / "c.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pack.a\n"
    )
    (package / "uses.py").write_text("from pack import deux\n")
    assert {*sources(["pack.uses"], tmp_path, "pack")} == {"pack.uses", "pack.b", "pack.c"}
    (package / "all.py").write_text("from . import a, b\n")
    assert {*sources(["pack.all"], tmp_path, "pack")} == {"pack.all", "pack.a", "pack.b", "pack.c"}
    (tmp_path / "script.py").write_text("import numpy\nimport pack.all\n")
    assert {"script", "pack.all", "pack.c"} <= {*sources(["script"], tmp_path, "")}
    assert not [m for m in sources(["script"], tmp_path, "") if m.startswith("numpy")]
