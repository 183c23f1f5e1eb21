"""A checkpoint without a linear head is evaluated by what it predicts; the run goes on."""

import sys

import pytest
import torch
from typer.testing import CliRunner

import ncbounds as nb
from ncbounds.checkpoints.inspect import inspect_checkpoint
from ncbounds.cli.app import app

OWN = """
import torch
from torch import nn

def net(classes=3):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, classes))

class Ensemble(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = net(), net()

    def forward(self, x):
        return (self.a(x).softmax(1) + self.b(-x).softmax(1)) / 2

def softmax():
    return nn.Sequential(*net(), nn.Softmax(1))

def one():
    return net(1)

def embedding():
    return nn.Sequential(*net(8), nn.ReLU())

def data(classes=3):
    x = torch.randn(600, 4, generator=torch.Generator().manual_seed(0))
    y = torch.arange(600) % classes
    rows = {"fit": slice(200), "holdout": slice(200, 400), "test": slice(400, 600)}
    return {role: (x[r], y[r]) for role, r in rows.items()}

def two():
    return data(2)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with code and a checkpoint of each of its networks, and how to evaluate one."""
    (tmp_path / "own_nets.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    import own_nets

    for name in ("Ensemble", "softmax", "one", "embedding"):
        torch.save(getattr(own_nets, name)().state_dict(), f"{name}.pt")

    def evaluate(name, data="data", **more):
        settings = {"workers": 0, "sampling": "iid", "bounds": "binomial,gaussian_head", **more}
        code = {"model": f"own_nets.py:{name}", "data": f"own_nets.py:{data}"}
        return nb.evaluate_files(f"{name}.pt", out=f"run-{name}-{data}", **code, **settings)

    yield evaluate, own_nets
    sys.modules.pop("own_nets", None)


def test_an_ensemble_of_probabilities_is_counted(own):
    evaluate, nets = own
    report = evaluate("Ensemble")
    assert not report.failures
    row = report["binomial"].rows[0]
    x, y = nets.data()["holdout"]
    wrong = int((nets.Ensemble()(x).argmax(1) != y).sum())
    assert (row.kind, row.role, row.details["errors"]) == ("certificate", "holdout", wrong)
    assert row.test is not None
    # its probabilities are never rounded to be kept: a tie hangs on them
    [again] = [r for r in evaluate("Ensemble", store_dtype="float16") if r.bound == "binomial"][:1]
    assert (again.kind, again.details["errors"]) == ("certificate", wrong)
    head = report["gaussian_head"].rows[0]
    assert head.reasons[0].endswith("no affine map reproduces the 3 logits")
    assert "gaussian_head" not in {r.bound for r in evaluate("Ensemble", bounds=None).rows}
    screen = evaluate("Ensemble").to_screen()
    assert "the others need a linear head (no affine map reproduces the 3 logits)" in screen


@pytest.mark.parametrize(("name", "data"), [("softmax", "data"), ("one", "two")])
def test_softmax_and_one_logit_have_every_row(own, name, data):
    report = own[0](name, data, repeats="by chance")  # of dead features
    assert [r.kind for r in report.rows if r.role == "holdout"] == ["certificate"] * 3
    assert all(r.value == r.value for r in report.rows)


def test_what_is_no_classifier_of_these_labels_is_still_a_reason(own):
    evaluate, _ = own
    [failure] = evaluate("one").failures
    assert "one number per row, and the data have 3 classes" in failure.reason
    [failure] = evaluate("embedding").failures
    assert "8 numbers per row where the labels name 3 classes" in failure.reason
    [failure] = evaluate("Ensemble", head="a.2").failures
    assert "in the layer 'a.2'" in failure.reason


def test_inspect_says_that_there_is_no_head_and_that_this_is_no_problem(own):
    found = inspect_checkpoint("Ensemble.pt", own[1].Ensemble, batch=torch.randn(9, 4))
    assert found.problem is None
    assert found.head is None
    assert any("errors are counted among predictions" in note for note in found.notes)


def test_the_command_ends_well(own):
    words = ["--model", "own_nets.py:Ensemble", "--data", "own_nets.py:data", "--out", "run"]
    done = CliRunner().invoke(app, ["evaluate", "Ensemble.pt", "--workers", "0", *words])
    assert done.exit_code == 0
    assert "Rows that count errors only" in done.output
