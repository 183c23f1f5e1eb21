"""The catalogue as a page: complete, self-contained, and read in a browser."""

import re
from pathlib import Path

import pytest
from fixtures.browser import assert_looks_as_before, axe, in_browser, run, show
from typer.testing import CliRunner

from ncbounds.bounds import catalogue
from ncbounds.bounds.which import FORMS, branches
from ncbounds.cli.app import app
from ncbounds.report.page import catalogue_page
from ncbounds.report.page.statements import statement

SHOTS = Path(__file__).parent / "screenshots"
#: Articles that axe reads; the others are more of the same.
FEW = ("binomial", "gaussian_tolerance")


@pytest.fixture(scope="module")
def text():
    return catalogue_page()


def article(text, b):
    (found,) = re.findall(rf'<article id="{b.id}".*?</article>', text, re.DOTALL)
    return found


def test_every_bound_has_its_article_with_formula_sources_and_what_it_is_confused_with(text):
    for b in catalogue():
        found = article(text, b)
        assert found.count('display="block"') >= 1, b.id
        assert found.count("<li>") >= len(b.references)
        assert len(re.findall(r'<a href="https://', found)) == len(b.references), b.id
        assert "often confused with" in found
        assert "<b>When vacuous.</b>" in found
        assert "=====" not in found
        assert ":math:" not in found


def test_the_tree_leads_to_every_guarantee(text):
    chapter, _, rest = text.partition('id="contents"')
    for form in FORMS:
        for _, bounds in branches(form):
            for b in bounds:
                assert f'<a href="#{b.id}">' in chapter
    ids = set(re.findall(r'\bid="([^"]+)"', text))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= ids
    plain = [b for b in catalogue() if not b.spends_delta]
    assert plain
    assert not any(f'href="#{b.id}"' in chapter for b in plain)
    assert all(f'href="#{b.id}"' in rest for b in plain)


def test_nothing_is_loaded_and_nothing_runs(text):
    assert "default-src 'none'" in text
    assert not re.search(r"<script|<link|<img|src=|@import|url\(", text)


def test_the_statement_of_a_row_holds_what_the_catalogue_has():
    for b in catalogue():
        if b.references:
            assert statement(b).count("<li>") >= len(b.references)
        assert ("<b>Notes</b>" in statement(b)) == ("Notes\n" in (b.function.__doc__ or ""))


def test_the_command_writes_a_file_or_into_a_folder(tmp_path, text):
    def explain(*args, code=0):
        result = CliRunner().invoke(app, ["explain", *map(str, args)])
        assert result.exit_code == code, result.output
        return result.output

    assert str(tmp_path / "new" / "index.html") in explain("--all", "--html", tmp_path / "new")
    assert (tmp_path / "new" / "index.html").read_text(encoding="utf-8") == text
    explain("binomial", "--html", tmp_path / "one.html")
    one = (tmp_path / "one.html").read_text(encoding="utf-8")
    assert one.count("<article") == 1
    assert "Which guarantee" not in one
    assert explain("--all").count("References\n") == len(catalogue())
    for typed in re.findall(r"`ncbounds explain (.*?)`", explain(code=2)):
        explain(*typed.replace("catalogue.html", str(tmp_path / "all.html")).split())


@pytest.fixture
def page(browser, text, tmp_path):
    def opened(*args, few=False, **more):
        shown = text
        for b in catalogue():
            if few and b.id not in FEW:
                shown = shown.replace(article(text, b), "")
        (tmp_path / "page.html").write_text(shown, encoding="utf-8")
        show(browser, (tmp_path / "page.html").as_uri(), *args, **more)
        return browser

    yield opened
    assert [e for e in browser.get_log("browser") if e["level"] == "SEVERE"] == []


@in_browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (400, "light")])
def test_axe_finds_nothing(page, width, scheme):
    seen = page(width, scheme=scheme, few=True)
    assert run(seen, "return document.querySelectorAll('article').length") == len(FEW)
    assert axe(seen) == []


@in_browser
def test_print_shows_the_proofs(page):
    height = "return document.querySelector('#binomial details').getBoundingClientRect().height"
    folded = run(page(few=True), height)
    assert run(page(few=True, media="print"), height) > 1.5 * folded


@in_browser
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (400, 1200)])
def test_the_first_screen_looks_as_it_did_and_nothing_is_wider(page, width, height, tmp_path):
    seen = page(width, height)
    assert run(seen, "return document.documentElement.scrollWidth") <= width
    assert_looks_as_before(seen, SHOTS / f"catalogue-{width}.png", tmp_path)
