"""Device, precision, batch size and limit go with a run: to its rows, its keys and its workers."""

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import ncbounds as nb
from ncbounds.cli.app import app
from ncbounds.errors import DataError
from ncbounds.extraction.running import Running
from ncbounds.runs.executors import runs_here

USER = """
import numpy as np
import torch
from torch import nn

def build():
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))

def data():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(600, 4)).astype(np.float32), rng.integers(0, 3, 600)
    parts = {"fit": slice(200), "holdout": slice(200, 400), "test": slice(400, 600)}
    return {role: (x[part], y[part]) for role, part in parts.items()}
"""


@pytest.fixture
def own(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    torch.save(module.state_dict(), tmp_path / "net.pt")
    (tmp_path / "user.py").write_text(USER)
    return tmp_path


def run(own, **options):
    return nb.evaluate_files(
        own / "net.pt",
        model=f"{own}/user.py:build",
        data=f"{own}/user.py:data",
        sampling="iid",
        bounds="binomial",
        out=own / "run",
        workers=0,
        **options,
    )


def test_rows_of_another_precision_or_of_first_rows_are_other_rows(own):
    plain = run(own).rows[0]
    assert (plain.kind, plain.n) == ("certificate", 200)
    rounded = run(own, precision="bf16")
    assert not rounded.failures, rounded.failures
    assert rounded.rows[0].kind == "certificate"
    assert any("computed in bf16" in reason for reason in rounded.rows[0].reasons)
    facts = rounded.facts["net.pt"]["provenance"]
    assert facts["precision"] == "bf16"
    looked = run(own, limit=50, batch_size="auto", workers_per_loader=0).rows[0]
    assert (looked.kind, looked.n) == ("plug-in", 50)
    assert any("only the first 50 rows" in reason for reason in looked.reasons)
    half = run(own, store_dtype="float16").rows[0]
    assert (half.kind, half.n) == ("certificate", 200)
    assert half.value >= plain.value
    assert any("rounded to float16" in reason for reason in half.reasons)
    again = run(own).rows[0]
    assert (again.kind, again.n, again.value) == ("certificate", 200, plain.value)


def test_progress_tells_role_and_rate(own):
    told = []
    report = nb.evaluate_files(
        own / "net.pt",
        model=f"{own}/user.py:build",
        data=f"{own}/user.py:data",
        bounds="binomial",
        out=own / "run",
        workers=0,
        progress=lambda done, total, text: told.append((done, total, text)),
    )
    assert report.rows
    assert told[0][:2] == (0, 1)
    assert told[-1] == (1, 1, "net.pt")
    said = [text for _, _, text in told[1:-1]]
    assert [text.split()[:2] for text in said] == [
        ["net.pt:", r] for r in ("fit", "holdout", "test")
    ]
    assert all("200 of 200 images" in text and "/s, 0 s left" in text for text in said)


def test_the_command_line_names_the_device(own):
    words = ["evaluate", own / "net.pt", "--model", f"{own}/user.py:build"]
    words += ["--data", f"{own}/user.py:data", "--sampling", "iid", "--out", own / "run"]
    words += ["--bounds", "binomial", "--workers", "0", "--device", "cpu", "--limit", "40"]
    words += ["--precision", "bf16", "--batch-size", "16", "--workers-per-loader", "0"]
    found = CliRunner().invoke(app, [str(w) for w in words])
    assert found.exit_code == 0, found.output
    assert "device: cpu, bf16\n" in found.output
    assert nb.load_report(own / "run" / "report.json").rows[0].n == 40
    for option, value in (("--device", "gpu"), ("--precision", "int8"), ("--batch-size", "many")):
        wrong = CliRunner().invoke(app, [*map(str, words), option, value])
        assert wrong.exit_code == 2
        assert repr(value) in wrong.output


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_ends_a_command_before_anything_starts(own):
    code = ["--model", f"{own}/user.py:build", "--data", f"{own}/user.py:data"]
    for words in (["evaluate"], ["evaluate", "--engine", "threads"], ["layers"], ["extract"]):
        for device in ("cuda", "cuda:7", "mps"):
            typed = [*words, own / "net.pt", *code, "--out", own / "run", "--device", device]
            found = CliRunner().invoke(app, [*map(str, typed)])
            assert found.exit_code == 2
            (line,) = found.output.splitlines()
            assert line.startswith("ncbounds: torch")
            assert line.endswith("use device='cpu' (--device cpu)")
    assert not (own / "run").exists()
    with pytest.raises(DataError, match="cpu, cuda, cuda:0"):
        run(own, device="gpu")


def test_a_device_of_other_machines_is_looked_for_there():
    from concurrent.futures import Executor, ThreadPoolExecutor

    assert runs_here(None)
    assert runs_here("loky")
    assert runs_here(ThreadPoolExecutor(1))
    assert not runs_here("dask://127.0.0.1:8786")
    assert not runs_here(Executor())


def test_what_changes_a_row_is_in_its_key():
    plain = Running(device="cpu")
    assert plain.key == Running(device="cpu", batch_size=7, workers_per_loader=2).key == ""
    others = [Running(device="cuda:1"), Running("cpu", "bf16"), Running("cpu", limit=5)]
    assert len({plain.key, *(r.key for r in others)}) == 4
    assert Running(device="cuda").key == Running(device="cuda:1").key
    assert np.all([Running(device=r.device).resolved().device == r.device for r in others])
