"""Tables of LaTeX are set by a real LaTeX: no error, and no line wider than the page."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from ncbounds.report import Report
from ncbounds.report.compact import columns
from ncbounds.report.tabulated import tabulated
from ncbounds.results import BoundResult, Measured
from ncbounds.tables.tex import ROOM
from ncbounds.tables.tex_layout import SIZES, layout
from ncbounds.tables.tex_width import _WIDTH, points

LATEX = shutil.which("pdflatex")
KINDS = ("certificate", "conditional", "plug-in")
NAMES = [f"refit-bn128x4-wd5e-3-z10-h4k-{i}" for i in range(40)]
LONG = "runs/2024-06-01_" + "a_very-long.name" * 8 + "0123456789" * 6


def rows_of(name, bounds):
    for i, (bound, params, on_fit) in enumerate(bounds):
        yield BoundResult(
            bound=bound, family="margin", kind=KINDS[i % 3],
            target="restricted-head" if i else "saved",
            role="fit" if on_fit else "holdout", n=4000, delta=0.05, value=0.123 * 9**i,
            params=params, checkpoint=name, test=Measured(0.291, 0.282, 0.3),
            reasons=(f"is reason {i} of layer_{'norm_' * 12}", "shared by all_of_them"),
        )  # fmt: skip


def of_screen():
    """All bounds that have a column, as of a whole zoo."""
    return [(b, dict(c.params), c.on_fit) for column in columns() for b, c in column.of]


def report(names=NAMES, bounds=None, blocks=("size-noise", "x" * 200)):
    rows = [r for name in names for r in rows_of(name, bounds or of_screen())]
    facts = {n: {"group": {"block": blocks[i % 2]}, "n": {}} for i, n in enumerate(names)}
    return Report(rows, facts=facts)


HOSTILE = [r"50%&_#{}$^~\x[1]*|<>`", "a--b", "10^9", "?`!`", "ÄÖß é", LONG]
TABLES = {
    "many lines, all columns": report().to_latex(),
    "every row": report(NAMES[:12]).table("row", kinds="all", format="latex"),
    "a column": report(NAMES[:3]).table(kinds="all", format="latex", width="column"),
    "hostile and long names": report(HOSTILE, blocks=HOSTILE).table(kinds="all", format="latex"),
    "long names, every row": report(HOSTILE[:4]).table("row", kinds="all", format="latex"),
    "long names of many bounds": report(
        [LONG, LONG + "1"], [(f"bound_of_ones_own_{i}", {"m": i}, False) for i in range(9)]
    ).table(kinds="all", format="latex"),
    "means": report(NAMES[:4]).table(over="-[0-9]+$", format="latex", caption=LONG, label="tab:m"),
    "nothing": Report([]).to_latex(),
}


def compiled(folder, body, options=""):
    """The log of two runs."""
    document = (
        rf"\documentclass{options}{{article}}\usepackage{{booktabs,longtable,amssymb}}"
        rf"\begin{{document}}{body}\end{{document}}"
    )
    (folder / "t.tex").write_text(document, encoding="utf-8")
    for _ in range(2):
        run = subprocess.run(
            [LATEX, "-interaction=nonstopmode", "-halt-on-error", "t"], cwd=folder,
            capture_output=True, check=False,
        )  # fmt: skip
    log = (folder / "t.log").read_text(encoding="utf-8", errors="replace")
    assert run.returncode == 0, log[-2000:]
    return log


@pytest.mark.skipif(LATEX is None, reason="no pdflatex: tables are not set")
def test_tables_are_set_without_an_error_and_no_line_is_too_wide(tmp_path):
    whole = [text for name, text in TABLES.items() if name != "a column"]
    log = compiled(tmp_path, "\n\\clearpage\n".join(whole))
    assert [line for line in log.splitlines() if "Overfull" in line or line.startswith("!")] == []
    log = compiled(tmp_path, TABLES["a column"], "[twocolumn]")
    assert "Overfull" not in log


@pytest.mark.skipif(LATEX is None, reason="no pdflatex: letters are not measured")
def test_no_text_is_wider_than_it_is_taken_for(tmp_path):
    texts = ["".join(c for c in _WIDTH if c.isalnum()), ".235 [.227, .243]", "refit-bn128x4-wd5e-3"]
    measured = "".join(
        rf"\setbox0\hbox{{{font} {text}}}\typeout{{WIDTH \the\wd0}}"
        for text in texts
        for font in (r"\bfseries\relax", *(rf"{size.command}\relax" for size in SIZES))
    )
    log = compiled(tmp_path, f"{measured} x")
    found = iter(map(float, re.findall(r"WIDTH ([\d.]+)pt", log)))
    for text in texts:
        assert 0.9 * points(text, bold=True) <= next(found) <= points(text, bold=True)
        for size in SIZES:
            assert 0.96 * size.scale * points(text) <= next(found) <= size.scale * points(text)


@pytest.mark.parametrize("name", [n for n in TABLES if n != "nothing"])
def test_a_table_says_how_wide_it_is(name):
    wide, room = re.search(r"% (\d+)pt wide, for (\d+)pt\n", TABLES[name]).groups()
    assert int(wide) <= int(room) == (200 if name == "a column" else 345)


def test_what_is_too_wide_in_every_way_says_so():
    text = report(NAMES[:2]).table(format="latex", width=60)
    assert "for 60pt: too wide; name fewer columns, or turn the page" in text


def test_letters_shrink_before_a_table_is_broken():
    few, more = (tabulated(report(NAMES[:2]), columns=c) for c in (["test_error"], None))
    assert layout(few, ROOM["text"]).size.command == r"\normalsize"
    small = layout(more, ROOM["text"])
    assert small.size.command != r"\normalsize"
    assert len(small.parts) == 1
    broken = layout(tabulated(report(NAMES[:2]), kinds="all"), 200.0)
    assert len(broken.parts) > 1
    assert all(part[:2] == [0, 1] for part in broken.parts)  # name and measured error in each
    shown = np.unique(np.concatenate(broken.parts))
    assert list(shown) == list(range(9))
