"""README names what there is, and notebooks stay small enough to be looked at."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

import ncbounds as nb
from ncbounds.bounds import catalogue
from ncbounds.cli.app import app

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: Bytes that a stored notebook has at most, with what it shows.
LARGEST = 500_000


def test_links_and_paths_are_there():
    links = re.findall(r"\]\((?!http)([^)]+)\)", TEXT)
    paths = re.findall(r"`((?:data|tests|notebooks)/[\w./-]+)`", TEXT)
    assert len(links) > 5
    assert len(paths) > 5
    assert [p for p in (*links, *paths) if not (ROOT / p).exists()] == []
    assert {p.name for p in NOTEBOOKS} <= {Path(link).name for link in links}


def test_commands_options_and_targets_are_there():
    commands = get_command(app).commands
    code = re.findall(r"`([^`\n]*(?:\n[^`\n]+)?)`", TEXT) + TEXT.split("```")[1::2]
    typed = [w for text in code for w in re.findall(r"ncbounds ((?:[a-z]+-)?[a-z]+)\b", text)]
    assert len({*typed}) > 15
    assert {*typed} - {"as"} <= {*commands}  # import ncbounds as nb
    known = {o for c in commands.values() for p in c.params for o in p.opts}
    options = {o for text in code if "make" not in text for o in re.findall(r"--[a-z-]+", text)}
    assert options - known <= {"--index-url", "--traceback", "--help"}
    made = {t for text in code for t in re.findall(r"\bmake ([a-z-]+)", text)}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= made <= targets


def test_public_names_are_there():
    names = set(re.findall(r"\bnb\.(\w+)", TEXT))
    assert names
    assert [n for n in names if not hasattr(nb, n)] == []


def test_rows_of_its_tables_are_bounds():
    named = set(re.findall(r"^\| `(\w+)`", TEXT, re.MULTILINE))
    known = {b.id for b in catalogue()} | {"fit", "head", "holdout", "unlabelled", "target", "test"}
    assert named <= known


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_small(path):
    assert path.stat().st_size < LARGEST
