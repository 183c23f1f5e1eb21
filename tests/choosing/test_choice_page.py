"""The page of a choice: what the screen says, a curve a network, nothing from outside."""

import re
import sys
from functools import cache
from html.parser import HTMLParser

import pytest
from fixtures.taps import rows, world

from ncbounds.choosing.choose import choose_among
from ncbounds.choosing.page import choice_page
from ncbounds.choosing.words import claims, guidance, small_print


class Seen(HTMLParser):
    """Text outside of styles and scripts, cells by table, and what would be loaded."""

    def __init__(self, page):
        super().__init__()
        self.text, self.tables, self.loaded, self.within = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.within.append(tag)
        self.loaded += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v[0] != "#"]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        while self.within and self.within.pop() != tag:
            pass

    def handle_data(self, data):
        if {"style", "script"} & {*self.within}:
            return
        self.text.append(data)
        if {"th", "td"} & {*self.within}:
            self.tables[-1][-1][-1] += data


@cache
def chosen(name="a", **given):
    taps, y = world(60, levels=(0.4, 1.6, 0.2), name=name)
    other = world(60, seed=1, name="b")[0]
    return choose_among([*taps, *other[1:]], rows(y, **given), heads=["ncm", "ridge"])


def test_the_page_says_what_the_screen_says_with_a_curve_for_each_network():
    pytest.importorskip("matplotlib")
    found = chosen()
    page = choice_page(found, "nb.load_chosen('out/head.npz')")
    seen = Seen(page)
    said = " ".join(" ".join(seen.text).split())
    for line in (*claims(found), *guidance(found), *small_print(found)):
        assert " ".join(line.split()) in said
    assert "nb.load_chosen('out/head.npz').predict(inputs)" in said
    raw, a, b, shortlist = seen.tables
    assert [row[0] for row in a] == ["", "l0", "l1", "l2"]
    assert a[0][1:] == ["dims", "# NC1", "# VCI", "# LogME", "~ ncm", "~ ridge"]
    assert (len(raw), len(b)) == (2, 4)
    assert [row[0] for row in shortlist[1:]] == [str(f.candidate) for f in found.finalists]
    assert [row[3] != "" for row in shortlist[1:]].index(True) == found.chosen
    assert re.findall(r"<figcaption>(.*?)</figcaption>", page) == ["Layers of a", "Layers of b"]
    assert page.index("Layers of a") < page.index('role="tablist"')  # the chosen one comes first


def test_nothing_is_loaded_and_names_are_no_markup():
    pytest.importorskip("matplotlib")
    odd = choice_page(chosen("<b>$\\x{$</b>\x1b"))
    assert "default-src 'none'" in odd
    assert Seen(odd).loaded == []
    assert "\x1b" not in odd
    assert "<b>" not in odd
    assert "&lt;b&gt;$\\x{$&lt;/b&gt;\\x1b" in odd
    assert [len(table) for table in Seen(odd).tables] == [2, 4, 4, 6]
    assert len(odd) < 300_000


def test_without_a_network_there_is_a_page_too():
    taps, y = world()
    page = choice_page(choose_among(taps[:1], rows(y), heads=["ncm"]))
    assert "nothing to transfer" in page
    assert "<figure" not in page


def test_undeclared_rows_are_no_certificate_on_the_page_either(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # as if it were not installed
    page = choice_page(chosen(sampling="unknown"))
    assert "~ error at most" in page
    assert "✓ error" not in page
    assert "is not declared" in page
    assert "<figure" not in page
