"""`ncbounds which`: its commands work as they are typed, and give the rows that it names."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ncbounds.bounds.which import which
from ncbounds.cli import which as command
from ncbounds.cli.app import app
from ncbounds.report import load_report

DATA = Path(__file__).parents[2] / "data"
MODEL = """
import numpy as np
from ncbounds.checkpoints.architectures.small import MODELS
def build():
    return MODELS["mlp"](width=128, depth=2)
def load():
    with np.load("{data}") as found:
        x, y = found["images"], found["labels"]
    rows = {{"fit": slice(0, 300), "holdout": slice(8000, 8200)}}
    return {{role: ({scaled}, y[at]) for role, at in rows.items()}}
"""


def invoke(*args, code=0, **more):
    result = CliRunner().invoke(app, [str(a) for a in args], **more)
    assert result.exit_code == code, result.output
    return result.output


def commands(*have):
    text = invoke("which", *(w for word in have for w in ("--have", word)))
    return re.findall(r"^  ncbounds (.*?)(?:  #.*)?$", text, re.MULTILINE)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Files of the names that the commands have, made of what is shipped."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(DATA / "zoo" / "mlp128x2-n500-z0.pt", "model.pt")
    shutil.copy(DATA / "zoo" / "code_words" / "mlp128x2-n4k-z100.ncz", "network.ncz")
    return tmp_path


def write_code(scaled):
    for name in ("net.py", "data.py"):
        Path(name).write_text(MODEL.format(data=DATA / "fashion14.npz", scaled=scaled))


def promised(*have):
    return {r.bound.id: r.kind for r in which(have).guarantees}


def test_a_checkpoint_with_its_training_rows(folder):
    write_code("x[at].astype('float32') / 255")
    (typed,) = commands("train")
    invoke(*typed.split(), "--workers", 0)
    rows = load_report("runs/mine").rows
    assert {r.bound: r.kind for r in rows} == promised("train")
    assert {r.role for r in rows} == {"fit"}


def test_a_code_word_is_recounted_by_its_command(folder):
    write_code("x[at]")
    _, typed = commands("train", "code-word")
    assert "with probability 0.95" in invoke(*typed.split())


def test_features_and_a_rule(folder):
    rng = np.random.default_rng(0)
    means = np.eye(3, 6) * 6
    np.savez("head.npz", weight=means, bias=np.zeros(3))
    labels = rng.integers(0, 3, 90)
    features = means[labels] + rng.normal(size=(90, 6))
    np.savez("frozen.npz", features=features, labels=labels)
    np.savez("unlabelled.npz", features=means[labels] + rng.normal(size=(90, 6)))
    have = ("features", "frozen", "unlabelled", "rule")
    evaluated, certified = commands(*have)
    invoke(*evaluated.split())
    found = {r.bound: r.kind for r in load_report("runs/mine").rows}
    found |= dict.fromkeys(re.findall(r"\w+_head", invoke(*certified.split())), "certificate")
    assert found.items() >= promised(*have).items()


@pytest.mark.parametrize("have", [("holdout",), ("holdout", "train")])
@pytest.mark.parametrize("form", ["predictions", "losses"])
def test_a_table(folder, form, have):
    (typed,) = commands(form, *have)
    y = np.arange(60) % 3
    table = pd.DataFrame({"label": y, "predicted": np.where(np.arange(60) % 7, y, 0)})
    table["loss"] = (np.arange(60) % 5) / 8
    if len(have) > 1:
        table["role"] = np.where(np.arange(60) < 30, "fit", "holdout")
    table.to_csv(typed.split()[1], index=False)
    invoke(*typed.split(), "--out", "runs/table")
    rows = [r for r in load_report("runs/table").rows if r.role == "holdout"]
    best = {r.bound: r.kind for r in rows if r.params.get("per") is None}
    assert best == promised(form, *have)


def test_a_table_of_several_labels(folder):
    (typed,) = commands("predictions", "holdout", "several-labels")
    one = np.arange(60) % 2
    columns = {"label_a": one, "label_b": 1 - one, "predicted_a": one, "predicted_b": one}
    pd.DataFrame(columns).to_csv(typed.split()[1], index=False)
    invoke(*typed.split(), "--out", "run")
    found = {r.bound: r.kind for r in load_report("run").rows}
    assert found == promised("predictions", "holdout", "several-labels")


def test_a_zoo_needs_no_declarations():
    text = invoke("which", DATA / "zoo", "--have", "holdout", "--have", "code-word")
    assert f"ncbounds evaluate {DATA / 'zoo'} --bounds binomial" in text
    assert "--data" not in text


def test_questions_are_asked_and_answered_with_the_same_rows(monkeypatch):
    monkeypatch.setattr(command, "_answers", lambda: True)
    said = invoke("which", input="nothing\npredictions\n\n\n\n")
    assert "one of checkpoint, features" in said
    have = ("--have", "predictions", "--have", "holdout")
    assert said.endswith(invoke("which", *have))
    several = invoke("which", input="predictions\ny\n\n\n")
    assert several.endswith(invoke("which", *have, "--have", "several-labels"))
    assert "--decision multi-label" in several
    assert "several labels" not in invoke("which", input="losses\n\n\n\n\n")


def test_without_a_keyboard_the_flags_are_told_and_work():
    said = invoke("which", code=2, input="")
    (told,) = re.findall(r"`ncbounds (which .*?)`", said)
    assert "binomial" in invoke(*told.split())
    assert "did you mean" in invoke("which", "--have", "holdut", code=2)


def test_nothing_is_promised_for_nothing():
    assert "No guarantee" in invoke("which", "--have", "features", "--have", "train")
