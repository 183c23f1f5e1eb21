"""What a person or a file can do wrong: one clear line, and an exit code by kind."""

import os
import re

import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from ncbounds.cli import console
from ncbounds.cli.app import app
from ncbounds.errors import NcboundsError
from ncbounds.files import sealed, write_json

DATA = """
import os, signal
import numpy as np
from ncbounds.checkpoints.architectures.small import MODELS

def model():
    return MODELS['mlp'](width=4, in_features=4, classes=3)

def load():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype('float32'); y = rng.integers(0, 3, 60)
    return {'holdout': (x[:30], y[:30]), 'test': (x[30:], y[30:])}

def terminated():
    os.kill(os.getpid(), signal.SIGTERM)

def interrupted():
    raise KeyboardInterrupt
"""


def invoke(*args, code, **options):
    result = CliRunner().invoke(app, [str(a) for a in args], **options)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture
def own(tmp_path):
    from ncbounds.checkpoints.architectures.small import MODELS

    torch.manual_seed(0)
    torch.save(MODELS["mlp"](width=4, in_features=4, classes=3).state_dict(), tmp_path / "m.pt")
    (tmp_path / "own.py").write_text(DATA)
    return tmp_path


def evaluate(own, data="load", path=None, out="out"):
    return (
        *("evaluate", path or own / "m.pt", "--model", f"{own}/own.py:model", "--workers", "0"),
        *("--data", f"{own}/own.py:{data}", "--out", own / out, "--bounds", "binomial"),
    )


@pytest.mark.parametrize(("data", "code"), [("interrupted", 130), ("terminated", 143)])
def test_a_signal_has_the_exit_code_of_a_shell(own, data, code):
    assert "the same command goes on from there" in invoke(*evaluate(own, data), code=code)


def test_a_folder_that_cannot_be_written_is_one_line(own):
    (own / "out").write_text("a file")
    said = invoke(*evaluate(own), code=2)
    assert said.startswith("ncbounds: ")
    assert said.count("\n") == 1


def test_a_traceback_is_shown_where_it_is_asked_for(own, monkeypatch):
    def broken(*_):
        raise RuntimeError("a bug\x1b[2J\nin two lines")

    monkeypatch.setattr("ncbounds.report.load_report", broken)
    said = invoke("report", own, code=2)
    assert said.startswith("ncbounds: RuntimeError: a bug\\x1b[2J")
    assert "--traceback" in said
    assert said.count("\n") == 1
    result = CliRunner().invoke(app, ["--traceback", "report", str(own)])
    assert result.exit_code == 2
    assert "in broken" in result.output
    assert invoke("report", own, code=2) == said  # asked for once, not for ever


def test_help_lists_the_exit_codes():
    said = " ".join(invoke("--help", code=0).split())
    for code in ("0 done", "1 nothing", "2 an option", "130 interrupted", "143 terminated"):
        assert code in said


def test_pipes_and_devices_are_named_and_never_waited_for(own):
    os.mkfifo(own / "pipe")
    for args in (
        ("certify-head", own / "pipe"),
        ("inspect", own / "pipe"),
        ("inspect", "/dev/zero"),
        ("evaluate", own / "m.pt", "--manifest", own / "pipe"),
        ("report", own / "pipe"),
        ("verify", own / "pipe", "--data", f"{own}/own.py:images"),
    ):
        (own / "own.py").write_text(
            f"{DATA}\ndef images():\n"
            "    return {'fit': (np.zeros((9, 8, 8), 'uint8'), np.arange(9) % 3)}\n"
        )
        assert invoke(*args, code=2).startswith("ncbounds: ")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rows": []}', '{"rows": 3, "sha256": "x"}'])
def test_a_damaged_report_says_what_to_type(own, text):
    (own / "report.json").write_text(text)
    assert "run `ncbounds evaluate` again" in invoke("report", own, code=2)
    write_json(own / "report.json", sealed({"rows": [{}], "failures": []}))
    assert "run `ncbounds evaluate` again" in invoke("report", own, code=2)


def test_names_reach_the_screen_as_they_are(own):
    folder = own / "run[a]"
    folder.mkdir()
    torch.save({"a[/x]": torch.zeros(2), "\x1b[2J :warning:": torch.zeros(2)}, folder / "best.pt")
    said = invoke("inspect", folder / "best.pt", code=0)
    for name in ("run[a]/best.pt", "a[/x] 2 float32", "\\x1b[2J :warning: 2 float32"):
        assert name in said
    (own / "m.pt").rename(own / "[red]=1[-x] :warning:.pt")
    long = own / f"{'n' * 200}.pt"
    long.write_bytes(b"")
    said = invoke(*evaluate(own, path=own), code=0)
    assert "\n[red]=1[-x] :warning:.pt " in said
    assert f"{long.name}: CheckpointUnreadable: " in said  # a pipe gets lines whole
    assert max(map(len, said.splitlines())) > 200
    assert ",[red]" not in (own / "out" / "table.csv").read_text()


def test_colour_is_for_screens_that_want_it(own, monkeypatch):
    assert "\x1b" not in invoke(*evaluate(own), code=0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert re.search("\x1b\\[[0-9;]*3[0-9]m", invoke(*evaluate(own), code=0))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search("\x1b\\[[0-9;]*3[0-9]m", invoke(*evaluate(own), code=0))


def test_the_progress_bar_parses_no_name(monkeypatch):
    screen = Console(force_terminal=True, width=200, stderr=True)
    monkeypatch.setattr("rich.console.Console", lambda **_: screen)
    with screen.capture() as capture, console.progress_bar() as report:
        report(1, 2, "run[/x]\x1b[2J")
    assert "run[/x]\\x1b[2J" in capture.get()


def test_an_npz_of_odd_arrays_is_one_line(tmp_path):
    for features in (np.ones((20, 2)) + 0j, np.full((20, 2), "a"), np.ones(()), np.ones((0, 2))):
        labels = np.arange(len(np.atleast_1d(features)))
        np.savez(tmp_path / "f.npz", features=features, labels=labels)
        assert invoke("certify-head", tmp_path / "f.npz", code=2).startswith("ncbounds: ")


def test_errors_of_our_own_hold_one_line():
    assert str(NcboundsError("a\nb\x1b[0m")) == "a b\\x1b[0m"
