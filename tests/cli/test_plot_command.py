"""``ncbounds plot``: from a run's files to a figure."""

from dataclasses import replace

import pytest
from fixtures.project import make_project, save
from typer.testing import CliRunner

from ncbounds.cli.app import app
from ncbounds.cli.evaluate import _drawn
from ncbounds.report import Report, load_report

FIT = '    return {"fit": (x[:100], y[:100]), "holdout": (x[100:150], y[100:150]),'


def invoke(*typed):
    return CliRunner().invoke(app, [*map(str, typed)])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = make_project(tmp_path_factory.mktemp("project"))
    text = (folder / "data.py").read_text()
    (folder / "data.py").write_text(text.replace('    return {"holdout": (x[:150], y[:150]),', FIT))
    for step in (1, 2):
        save(folder / "r1" / f"epoch-{step}.pt", step)
    code = ("--model", f"{folder}/net.py:build", "--data", f"{folder}/data.py:load")
    typed = ("evaluate", folder / "r1", *code, "--sampling", "iid", "--bounds", "binomial")
    done = invoke(*typed, "--workers", 0, "--out", folder / "out", "--layers", "all")
    assert done.exit_code == 0, done.output
    assert f"`ncbounds plot {folder / 'out'} --what series` draws it" in done.output
    assert "depth" in done.output.split("step by step")[1]
    again = invoke(*typed, "--workers", 0, "--out", folder / "out")
    assert again.exit_code == 0, again.output
    return folder


def test_layers_of_the_same_evidence_stay_in_the_table_along_steps(run):
    table = load_report(run / "out").series()
    assert table.places.tolist() == [2, 2]
    assert (run / "out" / "series.csv").read_text().count("\n") == 3


def test_the_hint_names_a_series_where_a_run_has_several(run, tmp_path):
    """Typed as it stands it has to draw something."""
    one = load_report(run / "out")
    both = Report([*one.rows, *(replace(r, series="r2") for r in one.rows)])
    assert "--series" not in _drawn(one, one, tmp_path)
    assert f"`ncbounds plot {tmp_path} --what series --series r1` draws r1" == _drawn(
        both, one, tmp_path
    )
    assert _drawn(both, Report(()), tmp_path) == ""


@pytest.mark.parametrize(
    ("what", "more"), [("series", ()), ("layers", ("--checkpoint", "epoch-2.pt"))]
)
def test_figures_are_written(run, what, more):
    for ending, magic in ((".pdf", b"%PDF"), (".svg", b"<?xml"), (".png", b"\x89PNG")):
        path = run / "figures" / f"{what}{ending}"
        done = invoke("plot", run / "out", "--what", what, *more, "--out", path)
        assert done.exit_code == 0, done.output
        assert path.read_bytes().startswith(magic)


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        (("margins", "--checkpoint", "epoch-2.pt"), "holdout, error"),
        (("pairs", "--checkpoint", "epoch-1.pt", "--of", "means"), "cosines of class means"),
        (("bounds", "--checkpoint", "epoch-1.pt"), "binomial [holdout]"),
    ],
)
def test_what_is_kept_of_a_checkpoint_is_drawn_with_words_that_can_be_searched(run, typed, word):
    path = run / "figures" / f"{typed[0]}.svg"
    done = invoke("plot", run / "out", "--what", *typed, "--out", path)
    assert done.exit_code == 0, done.output
    assert word in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("out", "--out", "fig.jpg"), "--out ends in .pdf, .svg, .png"),
        (("out", "--what", "layers"), "--checkpoint epoch-1.pt"),
        (("out", "--what", "margins"), "--checkpoint epoch-1.pt"),
        (("out", "--what", "pairs", "--checkpoint", "epoch-1.pt", "--role", "fit"), "no answers"),
        (("out", "--what", "ranking"), "no ranking to draw"),
        (("out", "--series", "r2"), "did you mean 'r1'"),
        (("r1",), "no stored report"),
    ],
)
def test_what_cannot_be_drawn_is_said(run, typed, said):
    done = invoke("plot", run / typed[0], *typed[1:])
    assert done.exit_code == 2
    assert said in done.output
