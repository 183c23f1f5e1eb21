"""Runs on which something is wrong: killed workers, damaged results, names that are no names."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ncbounds as nb
from ncbounds.checkpoints.architectures.small import MODELS
from ncbounds.data.manifest import load_manifest
from ncbounds.data.user import UserCode
from ncbounds.errors import NcboundsError
from ncbounds.evaluation.plan import folder_name
from ncbounds.files import read_sealed, sealed
from ncbounds.report import load_report
from ncbounds.results import result_from_dict
from ncbounds.runs.files import changed

SIZES = {"width": 4, "depth": 1, "in_features": 4, "classes": 3}
MODEL = """
import os, pathlib, signal
from ncbounds.checkpoints.architectures.small import MODELS

def build(flag=""):
    if flag and pathlib.Path(flag, "kill").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return MODELS["mlp"](width=4, depth=1, in_features=4, classes=3)
"""
MLP = "model = 'mlp'\nargs = {width = 4, depth = 1, in_features = 4, classes = 3}"
HOSTILE = (
    *("x/y", "x_y", "X_Y", "..", ".", "../../up", "/tmp/abs", "a" * 300, "nul", "con.", "nan"),
    *("[/x]", "=1+1", "\u202eleft", "tab\there", "\x1b[2Jclear", "sp ", "sp", "%2F", "ss", "ß"),
)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    torch.save(MODELS["mlp"](**SIZES).state_dict(), tmp_path / "m.pt")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)).astype("float32"), rng.integers(0, 3, 60)
    np.savez(tmp_path / "d.npz", inputs=x, labels=y)
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def manifest(folder, entries):
    """A manifest of checkpoints that differ in their names and arguments."""
    text = '[tasks.t]\ndata = "d.npz"\nsampling = "iid"\n'
    for name, args in entries.items():
        text += f"[checkpoints.{json.dumps(name)}]\nfile = 'm.pt'\ntask = 't'\n{args}\n"
        text += "roles = {holdout = '0:30', test = '30:60'}\n"
    (folder / "zoo.toml").write_text(text)
    return load_manifest(folder / "zoo.toml")


def run(book, out, bounds="binomial", **options):
    return nb.sweep(book, out, **{"bounds": bounds, "workers": 0, **options})


def rows_of(report):
    return {(r.checkpoint, r.bound) for r in report}


def test_a_killed_worker_is_one_row_and_what_was_stored_is_shown(folder):
    flag = folder / "flags" / "kill"  # a file whose own name no argument has, as rows depend on it
    flag.parent.mkdir()
    names = {"a": "", "b": f"args = {{flag = '{flag.parent}'}}", "c": ""}
    book = changed(manifest(folder, names), model=UserCode(f"{folder}/model.py:build"))
    run(book, folder / "out")
    flag.touch()
    report = run(book, folder / "out", bounds="binomial,hoeffding", workers=1)
    assert [f.checkpoint for f in report.failures] == ["b"]
    assert "its worker was killed by SIGKILL" in report.failures[0].reason
    both = {(name, bound) for name in "ac" for bound in ("binomial", "hoeffding")}
    assert rows_of(report) == both | {("b", "binomial")}
    flag.unlink()
    assert not run(book, folder / "out", bounds="binomial,hoeffding").failures


def test_names_that_differ_are_kept_apart_and_in_their_folder(folder):
    report = run(manifest(folder, dict.fromkeys(HOSTILE, MLP)), folder / "runs" / "out")
    assert not report.failures
    assert {r.checkpoint for r in report} == {*HOSTILE}
    results = folder / "runs" / "out" / "results"
    assert len({p.name.lower() for p in results.iterdir()}) == len({*HOSTILE})
    assert {p.name for p in folder.iterdir()} == {"m.pt", "d.npz", "model.py", "zoo.toml", "runs"}
    assert [p.name for p in (folder / "runs").iterdir()] == ["out"]


@given(st.lists(st.text(max_size=200), min_size=2, max_size=6, unique=True))
@settings(max_examples=60, deadline=None)
def test_any_two_names_have_folders_of_their_own(names):
    folders = [folder_name(name) for name in names]
    assert len({f.lower() for f in folders}) == len(folders)
    for f in folders:
        assert f == Path(f).name
        assert len(f.encode()) < 255
        assert f not in (".", "..")


def damaged(data):
    """Whatever may stand where a result was stored."""
    yield b""
    yield data[: len(data) // 2]
    yield b"[" * 100_000
    yield b"\xff\xfe"
    yield data.replace(b'"value":', b'"valeu":')
    found = json.loads(data)
    wrong = {"value": None, "n": "30", "kind": "proved", "reasons": [1], "test": 3}
    for key, value in wrong.items():
        yield json.dumps(sealed({**found, "rows": [{**found["rows"][0], key: value}]})).encode()
    yield json.dumps(sealed({**found, "rows": 3})).encode()
    yield json.dumps(sealed({"key": found["key"]})).encode()


def test_a_damaged_result_is_computed_again(folder):
    book = manifest(folder, {"a": MLP})
    reference = [r.value for r in run(book, folder / "out")]
    path = folder / "out" / "results" / "a" / "binomial.json"
    whole = path.read_bytes()
    for data in damaged(whole):
        path.write_bytes(data)
        assert [r.value for r in run(book, folder / "out")] == reference
        assert read_sealed(path) is not None
    path.unlink()
    os.mkfifo(path)
    assert [r.value for r in run(book, folder / "out")] == reference
    # a smaller certificate, written by hand
    value = next(r["value"] for r in json.loads(whole)["rows"])
    path.write_bytes(whole.replace(repr(value).encode(), b"0.001"))
    assert [r.value for r in run(book, folder / "out")] == reference


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
TREES = st.recursive(
    LEAVES, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x, max_size=3)
)


@pytest.fixture(scope="module")
def row(tmp_path_factory):
    rng = np.random.default_rng(0)
    part = nb.Sample.from_arrays(rng.normal(size=(20, 3)), [0, 1] * 10, role="holdout")
    test = nb.Sample.from_arrays(rng.normal(size=(20, 3)), [0, 1] * 10, role="test")
    head = nb.LinearHead(rng.normal(size=(2, 3)))
    evidence = nb.Evidence(head=head, holdout=part, test=test)
    return nb.evaluate(evidence, "binomial").rows[0].to_dict()


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_stored_row_is_a_row_or_one_clear_error(row, data):
    spoilt = dict(row)
    for name in data.draw(st.lists(st.sampled_from(sorted(row)), max_size=3)):
        spoilt[name] = data.draw(TREES)
    if data.draw(st.booleans()):
        spoilt.pop(data.draw(st.sampled_from(sorted(spoilt))))
    try:
        found = result_from_dict(spoilt)
    except NcboundsError as error:
        said = str(error)
        assert said.isprintable()
        return
    assert found.to_dict().keys() == row.keys()
    report = nb.report.Report([found])
    for view in ("table.csv", "table.md", "table.tex", "report.html", "screen"):
        report.render(view)


@pytest.mark.parametrize("term", [None, True, "1", [1.0], {"": 1.0}])
def test_a_stored_term_is_a_number_or_one_clear_error(row, term):
    with pytest.raises(NcboundsError, match="term 'odd' of a stored row is of type"):
        result_from_dict({**row, "terms": {"empirical": 0.1, "odd": term}})
    found = result_from_dict({**row, "terms": {"whole": 1, "undefined": "nan"}})
    assert found.terms["whole"] == 1
    assert np.isnan(found.terms["undefined"])


@given(content=TREES | st.fixed_dictionaries({"rows": TREES, "failures": TREES, "facts": TREES,
                                              "simultaneous": TREES}))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_any_stored_report_is_a_report_or_one_clear_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "report.json"
    path.write_text(json.dumps(sealed(content) if isinstance(content, dict) else content))
    try:
        load_report(path)
    except NcboundsError as error:
        said = str(error)
        assert said.startswith(str(path))
