"""What a user registers is a citizen of every table; what is shipped keeps its name."""

import json

import numpy as np
import pytest
from fixtures.own import FOLKLORE, own_markov

import ncbounds as nb
from ncbounds import registry
from ncbounds.bounds import Reference, bound
from ncbounds.bounds.bibliography import REFERENCES
from ncbounds.bounds.explain import as_bibtex, as_text
from ncbounds.bounds.selection import select
from ncbounds.errors import NameTaken, UnknownName
from ncbounds.report import Column, load_report, view
from ncbounds.report.write import write_report


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch):
    for known in registry._REGISTRIES:
        monkeypatch.setattr(known, "_own", {})


@pytest.fixture(scope="module")
def evidence():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=200)
    sample = nb.Sample.from_arrays(
        rng.normal(size=(200, 3)) + 3 * np.eye(3)[y], y, role="holdout", sampling="iid"
    )
    return nb.Evidence(head=nb.LinearHead(np.eye(3)), holdout=sample)


def test_a_registered_bound_appears_everywhere(evidence, tmp_path):
    nb.register(own_markov)
    assert nb.bounds.get("own_markov") is own_markov
    assert own_markov in select(None)
    assert select("own") == (own_markov,)
    report = nb.evaluate(evidence)
    assert "own_markov" in set(report.to_frame().bound)
    assert all("own_markov" in report.render(v) for v in ("table.md", "report.html"))
    headings, titles = report.to_screen().splitlines()[:2]
    assert headings.split() == ["measured", "own", "margin", "moments"]
    # after "held out" (order 10), before "Gauss" (order 20)
    assert titles.split("error")[1].split() == ["held", "out", "mine", "Gauss", "min-m", "G-tol"]
    assert "mine: own_markov" in report.to_screen()
    kept = {r.bound: r.value for r in report.whatif(delta=0.1)}
    rate = report["own_markov"].rows[0].terms["empirical"]
    assert kept["own_markov"] == rate / 0.1
    assert nb.formulas.own_markov(0.5, 0.1) == 5.0
    write_report(report, tmp_path)
    assert "own_markov" in load_report(tmp_path).to_screen()


def test_without_registration_a_bound_is_in_the_tables_but_has_no_column(evidence):
    report = nb.evaluate(evidence, [own_markov, "binomial"])
    assert "own_markov" in report.to_csv()
    assert "mine" not in report.to_screen()
    reasons = [f.reason for f in report.whatif().failures if "own_markov" in f.reason]
    assert len(reasons) == 1
    with pytest.raises(UnknownName, match="own_markov"):
        nb.bounds.get("own_markov")


def test_a_reference_of_ones_own_is_cited_like_any_other():
    text = as_text(own_markov)
    assert "[1] C. J. Clopper and E. S. Pearson. The use of confidence" in text
    assert "[2] A. Markov and B. Other. On Certain Applications. A Journal 1, 1884." in text
    entry = as_bibtex(own_markov).split("\n\n")[1].splitlines()
    assert entry == [
        "@misc{markov1884,",
        "  author = {A. Markov and B. Other},",
        "  title = {{On Certain Applications}},",
        "  howpublished = {A Journal 1, 1884},",
        "  year = {1884}",
        "}",
    ]
    nb.register(FOLKLORE)
    assert REFERENCES["markov1884"] is FOLKLORE


def test_the_year_of_an_entry_is_that_of_the_publication_not_of_its_preprint_number():
    entry = REFERENCES["golowich2018"].to_bibtex()
    assert "  year = {2018}" in entry
    assert "  author = {N. Golowich and A. Rakhlin and O. Shamir}," in entry


def test_a_registered_view_is_a_file_of_every_run_folder(evidence, tmp_path):
    @view("rows.jsonl")
    def rows(report):
        """One JSON object a line."""
        return "".join(json.dumps(r.to_dict()) + "\n" for r in report.rows)

    nb.register(rows)
    report = nb.evaluate(evidence, ["binomial", "hoeffding"])
    assert "rows.jsonl" in write_report(report, tmp_path)
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line)["bound"] for line in lines] == ["binomial", "binomial", "hoeffding"]
    assert report.render("rows.jsonl", tmp_path / "again.jsonl") == "\n".join([*lines, ""])
    assert (tmp_path / "again.jsonl").exists()
    with pytest.raises(UnknownName, match=r"no view 'rows.json'; did you mean 'rows.jsonl'"):
        report.render("rows.json")


def test_a_registered_column_is_in_every_table(evidence):
    plain = nb.evaluate(evidence, ["hoeffding"])
    before = plain.to_csv()
    nb.register(
        Column("gap", lambda r: r.value - r.terms["empirical"], lambda r: "wide", right=True),
        Column("silent", lambda r: 7),
    )
    frame = plain.to_frame()
    assert list(frame.columns)[-2:] == ["gap", "silent"]
    assert frame.gap[0] == plain.rows[0].value - plain.rows[0].terms["empirical"]
    assert plain.to_csv().splitlines()[1].startswith(before.splitlines()[1])
    written = {f: plain.table("row", kinds="all", format=f) for f in ("markdown", "latex")}
    assert written["markdown"].splitlines()[2].endswith("| test error | gap |")
    assert r"test error & gap \\" in written["latex"]
    assert '"title":"gap"' in plain.to_html()
    assert not any("silent" in plain.render(v) for v in ("table.md", "table.tex", "report.html"))


def test_names_of_what_is_shipped_stay_taken():
    for thing, what in (
        (bound(family="own", kind="measure", role="any", target="saved")(binomial), "bound"),
        (Reference("clopper1934", "A", "B", "C", 1934), "reference"),
        (Column("value", lambda r: 0), "column"),
        (view("table.tex")(lambda report: ""), "view"),
    ):
        with pytest.raises(NameTaken, match=f"there is a {what} '.*' already"):
            nb.register(thing)


def binomial(view, delta):
    """Take the name of another."""


def test_registering_again_replaces_and_strangers_are_refused():
    nb.register(Reference("a2000", "A", "B", "C", 2000))
    nb.register(Reference("a2000", "A", "B2", "C", 2000))
    assert REFERENCES["a2000"].title == "B2"
    with pytest.raises(TypeError, match=r"cannot register a str; needed one of: .*bound \(Bound\)"):
        nb.register("binomial")
