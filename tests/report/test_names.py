"""Names are data: whatever a checkpoint, a class or a block is called, tables stay tables."""

import csv
import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.report import Failure, Report
from ncbounds.report.page.assets import component
from ncbounds.report.views import VIEWS
from ncbounds.results import BoundResult, Measured
from ncbounds.tables import FORMATS

NAMES = [
    "=HYPERLINK(\"http://x\")", "+1", "-1", "@SUM(1)", "\t=1", " =1", "＝1", "\r=1",
    "a\nb", "esc\x1b[31m", "\u202eleft", "\u2028line", "<script>alert(1)</script>", "&lt;b&gt;",
    "[/bold]", "[red]x", ":warning:", "[x](javascript:alert(1))", "![i](http://x)",
    "`code`", "**b**",
    "a|b", "\\", "\\input{x}", "[1cm]", "*", "$x$", "~~gone~~", "_it_", "#1", "% end", "{", "}",
    "^^41",
    "✓ .001", "10^9", "http://x.y", "www.x.y", "'quoted'", 'a",b', "{{ 7 * 7 }}", "lone\ud83d",
]  # fmt: skip


def report_of(name):
    row = BoundResult(
        bound="binomial", family="holdout", kind="certificate", target="saved", role="holdout", n=9,
        delta=0.05, value=0.5, checkpoint=name, reasons=(name,), test=Measured(0.1, 0.05, 0.2),
    )  # fmt: skip
    facts = {name: {"group": {"block": name}, "n": {"fit": 3}}}
    return Report([row], [Failure(name, f"{name} failed")], facts)


ORDINARY = report_of("x" * 9)


def check(name):
    report = report_of(name)
    made = {v.name: v.render(report) for v in VIEWS}
    made["report.html"] = own(made["report.html"])
    for text in made.values():
        assert all(c.isprintable() for line in text.split("\n") for c in line)
    check_csv(made["table.csv"])
    check_markdown(made["table.md"])
    check_latex(made["table.tex"])
    check_html(made["report.html"])
    screen = made["screen"].splitlines()
    assert sum(line.startswith("───") for line in screen) == 1
    assert max(map(len, screen)) <= 120
    for kind in FORMATS:
        if kind.text:
            report.table("row", kinds="all", format=kind.name)


def own(page):
    """A page without the table component, which no name can reach."""
    for name in ("dt_bundle.js", "dt_bundle.css"):
        page = page.replace(component(name), "")
    return page


def check_csv(text):
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == 3
    assert len({len(row) for row in rows}) == 1
    for row in rows:
        for cell in row:
            assert not re.match(r"\s*[=+@＝＋＠]|\s+|-(?!\d*\.?\d+$)", cell)


def check_markdown(text):
    lines = text.split("\n")
    assert len(lines) == len(ORDINARY.to_markdown().split("\n"))
    columns = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines[2:6]}
    assert len(columns) == 1
    plain = re.sub(r"\\[!-/:-@\[-`{-~]", "", text)  # what is escaped is no markup
    for markup in (r"<\w", r"\]\(", r"`", r"\*", r"&\w+;", r"~~", r"://", r"www\.", r"\$"):
        assert not re.search(markup, plain), markup


#: What tables of LaTeX are made of, all of it written by this package.
COMMANDS = (
    r"\\addlinespace|\\makebox\[0pt\]\[l\]|\\emph|\\textbf|\\textsuperscript|\\allowbreak\{\}|\\footnotesize"
    r"|\\raggedright|\\noindent|\\par|\\textbackslash\{\}|\\text(less|greater|bar|asciigrave)\{\}"
    r"|\{[\[\]*]\}|\\\^\{\}|\\[_%&{}$#]|\$\\(checkmark|sim|pm)\$|\$10\^.\$|-\{\}-"
)


def check_latex(text):
    _, rest = text.split("\\midrule\n")
    body, below = rest.split("\\bottomrule\n\\end{tabular}\n\\par\\smallskip\n")
    assert body.count("\\\\\n") in (2, 3)  # a name that leaves no room stands above its line
    for line in [*body.splitlines(), *below.splitlines()[:-1]]:
        assert not line.lstrip().startswith(("[", "*"))
        bare = re.sub(COMMANDS, "", line.removesuffix("\\\\"))
        assert not re.search(r"[\\$%#_^\[\]*<>|`]", bare), bare
        assert bare.count("{") == bare.count("}")


def check_html(text):
    """The same elements, with the same attributes, as of an ordinary name."""
    assert elements(text) == elements(own(ORDINARY.to_html()))


def elements(text):
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append((tag, attrs))

    Reader().feed(text)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_in_every_view(name):
    check(name)


@given(st.text(min_size=1, max_size=30))
@settings(max_examples=20, deadline=None)
def test_any_name_in_every_view(name):
    check(name)


def test_ordinary_names_stay_as_they_are():
    report = report_of("runs/bn_128x4-wd5e-3")
    for view in ("table.csv", "table.md", "report.html", "screen"):
        assert "runs/bn_128x4-wd5e-3" in report.render(view)
    assert ".100 [.050, .200]" in report.to_markdown()
    assert r"runs/bn\_128x4-wd5e-3 &" in report.to_latex()
