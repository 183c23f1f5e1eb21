"""The page in a real browser: sorted, filtered, opened, narrow, dark, and read by axe."""

from pathlib import Path

import numpy as np
import pytest
from fixtures.browser import assert_looks_as_before, axe, in_browser, run, show, until
from fixtures.taps import rows, world

import ncbounds as nb
from ncbounds.choosing.choose import choose_among
from ncbounds.report import Failure, Report
from ncbounds.results import BoundResult, Measured

pytestmark = in_browser

SHOTS = Path(__file__).parent / "screenshots"


def evidence(seed):
    rng = np.random.default_rng(seed)
    means = np.eye(3, 8) * (2.0 + seed)

    def sample(role, n):
        labels = rng.integers(0, 3, n)
        features = means[labels] + rng.normal(size=(n, 8))
        return nb.Sample.from_arrays(features, labels, role=role, sampling="iid")

    return nb.Evidence(
        head=nb.LinearHead(means),
        holdout=sample("holdout", 400),
        test=sample("test", 1000),
        decision=nb.MultiClass(("cat", "dog", "<eel>")),
        checkpoint=f"net-{seed}",
    )


@pytest.fixture(scope="module")
def report():
    bounds = "binomial,hoeffding,gaussian_head,cantelli_union,margin_quantiles"
    made = [nb.evaluate(evidence(seed), bounds=bounds) for seed in range(3)]
    rows = [r for one in made for r in one.rows]
    facts = {name: known for one in made for name, known in one.facts.items()}
    rows.append(
        BoundResult(
            bound="spectral_margin", family="network", kind="certificate", target="saved",
            role="fit", n=400, delta=0.05, value=7.2e3, checkpoint="net-0",
            terms={"empirical": 0.4, "complexity": 7.2e3}, test=Measured(0.2, 0.1, 0.3),
        )
    )  # fmt: skip
    return Report(rows, [Failure("net-3", "CheckpointUnreadable: truncated")], facts)


@pytest.fixture(scope="module")
def stored(report, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    report.to_html(path)
    return path.as_uri()


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    """Page of a choice between the layers of two networks."""
    taps, y = world(levels=(0.4, 1.6, 0.2))
    found = choose_among([*taps, *world(seed=1, name="b")[0][1:]], rows(y))
    folder = tmp_path_factory.mktemp("choice")
    found.write(folder)
    return (folder / "choice.html").as_uri()


@pytest.fixture
def page(browser, stored):
    def opened(width=1280, height=900, scheme="light", media="", file=stored):
        show(browser, file, width, height, scheme, media)
        until(browser, "return document.documentElement.dataset.ready === 'yes'")
        return browser

    yield opened
    assert [e for e in browser.get_log("browser") if e["level"] == "SEVERE"] == []


def column(browser, name):
    return browser.execute_script(
        "const at = [...document.querySelectorAll('#rows thead th')].findIndex("
        "  th => th.textContent.trim() === arguments[0]);"
        "return [...document.querySelectorAll('#rows tbody tr')].map("
        "  tr => tr.cells[at].innerText);",
        name,
    )


def test_rows_are_sorted_filtered_and_opened(page, report):
    browser = page()
    guaranteed = [r for r in report.rows if r.kind == "certificate"]
    assert len(column(browser, "value")) == len(guaranteed)  # plug-ins wait to be asked for
    click = "[...document.querySelectorAll('#rows th')].find(t => t.innerText.trim() === 'value')"
    run(browser, f"{click}.querySelector('.dt-column-order').click()")
    shown = [float(v) for v in column(browser, "value")]
    assert shown == sorted(shown)
    assert shown[-1] == 7200  # by the number, not as a text
    run(browser, "document.querySelector('[name=kind][value=plug-in]').click()")
    assert any("plug-in" in kind for kind in column(browser, "kind"))
    run(
        browser,
        "const s = document.querySelector('select[name=bound]');"
        "s.value = [...s.options].find(o => o.text === 'gaussian_head').value;"
        "s.dispatchEvent(new Event('change'))",
    )
    assert set(column(browser, "bound")) == {"gaussian_head"}
    browser.find_element("css selector", "input[type=search]").send_keys("net-1")
    assert {name.strip() for name in column(browser, "checkpoint")} == {"net-1"}
    opener = browser.find_element("css selector", ".opener")
    opener.send_keys("\ue007")  # Enter
    assert opener.get_attribute("aria-expanded") == "true"
    assert run(browser, "return document.querySelectorAll('.opened math').length") > 5
    assert "complexity" in run(browser, "return document.querySelector('.parts').innerText")
    opener.send_keys("\ue007")
    assert run(browser, "return document.querySelectorAll('.opened').length") == 0


def test_a_vacuous_certificate_is_never_green(page):
    for scheme in ("light", "dark"):
        browser = page(scheme=scheme)
        green, colours = run(
            browser,
            "const colour = e => getComputedStyle(e).color;"
            "return [colour(document.querySelector('label.certificate')),"
            "  [...document.querySelectorAll('#rows tbody tr')].filter("
            "    tr => tr.innerText.includes('spectral_margin')).flatMap("
            "    tr => [...tr.cells].map(colour))]",
        )
        assert colours
        assert green not in colours


def test_what_is_copied_is_a_table_that_a_spreadsheet_and_latex_read(page):
    browser = page()
    run(
        browser,
        "window.copied = []; document.addEventListener('copy',"
        "  () => copied.push(document.activeElement.value ?? getSelection().toString()));",
    )
    for button in browser.find_elements("css selector", ".dt-button.buttons-copy"):
        button.send_keys("\ue007")
        until(browser, "return copied.length && !document.querySelector('.dt-button.processing')")
    csv, latex = run(browser, "return copied")
    header, first = csv.splitlines()[:2]
    assert header.startswith("checkpoint,bound,params,kind")
    assert first.startswith("net-0,binomial,,✓ certificate,saved,holdout,400,0.")
    assert latex.count(r"\\") == len(csv.splitlines())
    assert r"$\checkmark$ certificate" in latex


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (400, "light")])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(page, width, scheme):
    browser = page(width, scheme=scheme)
    run(browser, "document.querySelector('.opener').click()")
    run(browser, "document.querySelectorAll('[role=tabpanel]').forEach(p => { p.hidden = false; })")
    run(browser, "document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert axe(browser) == []
    assert run(browser, "return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (400, "light")])
def test_the_page_of_a_choice_is_read_by_axe_and_walked_by_arrows(page, chosen, width, scheme):
    browser = page(width, scheme=scheme, file=chosen)
    assert axe(browser) == []
    assert run(browser, "return document.documentElement.scrollWidth") <= width
    layers, shortlist = browser.find_elements("css selector", "[role=tab]")
    layers.send_keys("\ue014")  # right
    assert shortlist.get_attribute("aria-selected") == "true"
    shown = browser.find_element("id", "panel-1")
    assert "<- chosen" in shown.text
    assert not browser.find_element("id", "panel-0").is_displayed()
    assert axe(browser) == []


def choose(browser, tab):
    """Open a tab by its title."""
    browser.execute_script(
        "[...document.querySelectorAll('[role=tab]')].find("
        "  t => t.textContent.trim() === arguments[0]).click()",
        tab,
    )


def test_pairs_of_classes_are_a_map_that_is_a_table_with_names_and_limits(page, report):
    browser = page()
    choose(browser, "Class pairs")
    heads, rows, limits = run(
        browser,
        "const panel = [...document.querySelectorAll('[role=tabpanel]')].find("
        "  p => p.querySelector('.heat'));"
        "const text = e => e.textContent.trim();"
        "const [map, list] = [panel.querySelector('.heat'), panel.querySelector('.plain')];"
        "return [[...map.tHead.rows[0].cells].map(text),"
        "  [...map.tBodies[0].rows].map(r => [...r.cells].map(text)),"
        "  [...list.tBodies[0].rows].map(r => [...r.cells].map(text))]",
    )
    assert heads == ["", "cat", "dog", "<eel>"]
    frame = nb.confusion(evidence(0))
    worst = frame[frame["class"] != frame.answer].sort_values("count").iloc[-1]
    first = limits[0]
    assert first[:3] == [worst["name"], worst.answer_name, f"{worst['count']} of {worst.n}"]
    low, high = (float(x) for x in first[4].split(" to "))
    assert low == pytest.approx(worst.low, abs=5e-4)
    assert 0 <= high - worst.high < 1e-3
    shown = {row[0]: row[1:] for row in rows}[worst["name"]]
    assert shown[heads.index(worst.answer_name) - 1] == f"{100 * worst.share:.0f}"


def test_margins_are_curves_in_the_ink_of_the_page_beside_their_table(page):
    browser = page(scheme="dark")
    choose(browser, "Margins")
    ink, words, table = run(
        browser,
        "const figure = document.querySelector('[role=tabpanel]:not([hidden]) figure');"
        "const text = figure.querySelector('svg text');"
        "return [[getComputedStyle(text).fill, getComputedStyle(document.body).color],"
        "  figure.textContent, figure.parentElement.querySelector('table').innerText]",
    )
    assert ink[0] == ink[1]
    assert "holdout, error" in words
    assert "test" in table


def test_print_has_white_ground_all_tabs_and_no_column_beyond_the_paper(page):
    browser = page(720, 1000, scheme="dark", media="print")
    ground, ink, wide, hidden = run(
        browser,
        "const style = getComputedStyle(document.body);"
        "const right = e => e.getBoundingClientRect().right;"
        "return [style.backgroundColor, style.color,"
        "  [...document.querySelectorAll('th, td, figure')].filter(e => right(e) > 720).length,"
        "  [...document.querySelectorAll('[role=tabpanel]')].filter(p => !p.offsetHeight).length]",
    )
    assert ground == "rgb(255, 255, 255)"
    assert ink == "rgb(27, 31, 36)"
    assert (wide, hidden) == (0, 0)


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (400, 1200)])
def test_the_first_screen_looks_as_it_did(page, width, height, tmp_path):
    name = f"page-{width}.png"
    assert_looks_as_before(page(width, height), SHOTS / name, tmp_path)


def test_tabs_are_walked_by_arrows(page):
    browser = page()
    first, second = browser.find_elements("css selector", "[role=tab]")[:2]
    first.send_keys("\ue014")  # right
    assert second.get_attribute("aria-selected") == "true"
    assert browser.find_element("id", "panel-1").is_displayed()
    assert not browser.find_element("id", "panel-0").is_displayed()
