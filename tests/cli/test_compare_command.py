"""``ncbounds compare``, ``watch``, ``rank`` and ``shift``, as they are typed."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import ncbounds as nb
from ncbounds.cli.app import app
from ncbounds.evidence.error_bits import ErrorBits
from ncbounds.report.write import write_report

N = 300
Y = np.arange(N) % 3


def run(*words):
    return CliRunner().invoke(app, [str(w) for w in words])


def table(path, wrong, **columns):
    answers = np.where(np.arange(N) < wrong, (Y + 1) % 3, Y)
    frame = pd.DataFrame({"id": np.arange(N), "predicted": answers, **columns})
    frame.to_csv(path, index=False)
    return path


def stored(folder, **errors):
    facts = {
        name: {
            "errors": {
                role: ErrorBits(role, role, np.arange(N) < k, "iid", 1, kind).to_dict()
                for role, kind in (("holdout", "certificate"), ("test", "measure"))
            },
            "n": {"fit": k, "test": N},
            "provenance": {"label_noise": 0.0},
        }
        for name, k in errors.items()
    }
    write_report(nb.Report([], facts=facts), folder)
    return folder


def test_tables_without_labels_take_them_from_a_file_in_any_order(tmp_path):
    a = table(tmp_path / "a.csv", 10)
    b = table(tmp_path / "b.csv", 80)
    labels = tmp_path / "labels.csv"
    pd.DataFrame({"id": np.arange(N), "label": Y}).sample(frac=1, random_state=0).to_csv(labels)
    declared = ("--role", "holdout", "--sampling", "iid", "--classes", 3)
    refused = run("compare", a, b, *declared)
    assert refused.exit_code == 2
    assert "needed is a column 'label'" in refused.output
    done = run("compare", a, b, "--labels", labels, *declared, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "✓ a beats b by at least" in done.output
    pairs = pd.read_csv(tmp_path / "out" / "pairs.csv")
    assert pairs[["only_worse", "kind"]].values.tolist()[0] == [70, "certificate"]
    short = tmp_path / "short.csv"
    pd.DataFrame({"id": [0], "label": [0]}).to_csv(short)
    lacking = run("compare", a, b, "--labels", short, *declared)
    assert "299 rows have no label, such as 1" in lacking.output


def test_several_labels_are_judged_as_typed(tmp_path):
    """Every point has the first label, which a scores .4 and b .2 wherever they err; none else."""
    declared = ("--role", "holdout", "--sampling", "iid")
    files = []
    for name, errs, score in (("a", 10, 0.4), ("b", 80, 0.2)):
        first = np.where(np.arange(N) < errs, score, 0.9)
        files.append(tmp_path / f"{name}.npz")
        held = np.tile([True, False], (N, 1))
        np.savez(files[-1], probabilities=np.column_stack([first, np.full(N, 0.1)]), labels=held)

    def errors(*words):
        out = tmp_path / "out"
        done = run("compare", *files, *declared, *words, "--out", out)
        assert done.exit_code == 0, done.output
        return pd.read_csv(out / "candidates.csv")["errors"].tolist()

    assert errors() == [10, 80]
    assert errors("--threshold", "0.3") == [0, 80]
    assert errors("--threshold", "0.15,0.3") == [0, 0]
    assert errors("--ranked") == [0, 0]
    texts = [tmp_path / f"{name}-texts.csv" for name in "ab"]
    for path in texts:
        pd.DataFrame({"label": ["x|y", "x"] * 20, "predicted": ["x|y", "y"] * 20}).to_csv(path)
    asked = run("compare", *texts, *declared)
    assert "type --decision multi-label" in asked.output
    done = run("compare", *texts, *declared, "--decision", "multi-label", "--classes", 2)
    assert done.exit_code == 0, done.output
    one = table(tmp_path / "one.csv", 10, label=Y)
    assert "are of rows with several labels" in run("compare", one, *declared, "--ranked").output
    kept = run("compare", stored(tmp_path / "run", a=10, b=80), "--ranked", "--sampling", "iid")
    assert kept.exit_code == 2
    assert "go with tables and checkpoints" in kept.output


def test_undeclared_tables_show_no_certificate(tmp_path):
    a, b = (table(tmp_path / f"{k}.csv", k, label=Y) for k in (10, 80))
    done = run("compare", a, b, "--role", "holdout")
    assert done.exit_code == 0
    assert "~ 10 beats 80" in done.output
    assert "not declared" in done.output


def test_stored_runs_are_compared_and_other_rows_refused(tmp_path):
    one = stored(tmp_path / "one", a=10, b=80)
    done = run("compare", one, "--requirement", 0.1)
    assert done.exit_code == 0, done.output
    assert "✓ a beats b" in done.output
    assert "): a\n" in done.output
    three = stored(tmp_path / "three", a=10, b=20, c=80)
    named = ("--only", "a", "--only", "b")
    assert "delta 0.0083 for each of 6 ordered pairs" in run("compare", three, *named).output
    before = run("compare", three, *named, "--among", 2).output
    assert "delta 0.025 for each of 2 ordered pairs" in before
    assert "named before the rows were looked at, beside 1 more" in before
    two = stored(tmp_path / "two", c=40)
    both = run("compare", one, two, "--chosen", "two/c")
    assert both.exit_code == 0, both.output
    assert "regret: two/c errs at most" in both.output
    other = table(tmp_path / "x.csv", 3, label=Y)
    mixed = run("compare", one, other, "--role", "holdout", "--sampling", "iid")
    assert mixed.exit_code == 2
    assert "cannot be compared: they were judged on different rows" in mixed.output


def test_checkpoints_are_evaluated_and_compared(tmp_path):
    x = np.random.default_rng(0).normal(size=(N, 4)).astype(np.float32)
    data = tmp_path / "data.npz"
    np.savez(data, images=x, labels=(x[:, 0] > 0).astype(np.int64))
    files = []
    for name, sign in (("good", 1.0), ("bad", -1.0), ("left out", 1.0)):
        weight = np.zeros((2, 4), dtype=np.float32)
        weight[1, 0] = sign
        files.append(tmp_path / f"{name}.npz")
        np.savez(files[-1], **{"0.weight": weight, "0.bias": np.zeros(2, dtype=np.float32)})
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\ndef build():\n    return nn.Sequential(nn.Linear(4, 2))\n"
    )
    done = run(
        *("compare", *files, "--name", "good", "--name", "bad", "--name", "other", "--data", data),
        *("--only", "good", "--only", "bad"),
        *("--role", "holdout=0:300", "--model", f"{tmp_path / 'net.py'}:build"),
        *("--sampling", "iid", "--device", "cpu", "--workers", 0, "--out", tmp_path / "run"),
    )
    assert done.exit_code == 0, done.output
    assert "✓ good beats bad by at least" in done.output
    assert "for each of 6 ordered pairs" in done.output
    assert "beside 1 more" in done.output
    assert nb.load_report(tmp_path / "run").compare("good", "bad").errors.tolist() == [0, N]
    for file in files:
        np.savez(file, other=np.zeros(3, dtype=np.float32))
    again = ("compare", *files[:2], "--data", data, "--role", "holdout=0:300", "--workers", 0)
    again += ("--model", f"{tmp_path / 'net.py'}:build", "--device", "cpu", "--out")
    failed = run(*again, tmp_path / "run")  # which keeps what was evaluated before
    assert failed.exit_code == 2
    assert "none of 2 checkpoints could be evaluated" in failed.output
    assert "beats" not in failed.output
    unknown = run(*again, tmp_path / "run", "--only", "goood")
    assert "no checkpoint 'goood'" in unknown.output


def test_watching_labels(tmp_path):
    path = tmp_path / "labels.csv"
    frame = pd.DataFrame({"label": Y.astype(object), "predicted": Y, "other": (Y + 1) % 3})
    frame.loc[200:, "label"] = None
    frame.to_csv(path, index=False)
    words = ("--sampling", "iid", "--goal", 0.05, "--against", "other")
    done = run("watch", path, *words, "--follow", 0.01, "--out", tmp_path / "looks.csv")
    assert done.exit_code == 0, done.output
    assert "✓ error at most .0" in done.output
    assert "✓ at most 0.05: shown after" in done.output
    undeclared = run("watch", path, "--goal", 0.05)
    assert "~ at most 0.05: shown after" in undeclared.output
    assert len(pd.read_csv(tmp_path / "looks.csv")) == 200
    waits = run("watch", path, "--goal", 0.001)
    assert "not shown yet; 100 rows wait" in waits.output
    assert run("watch", path, "--follow", 0).exit_code == 2
    frame.assign(id=np.arange(N)).to_csv(path, index=False)
    picked = run("watch", path, "--sampling", "iid", "--selected-among", 4)
    assert "delta is divided by 4" in picked.output
    assert "✓ error at most .0" in picked.output
    frame.assign(id=np.arange(N) // 2).to_csv(path, index=False)
    again = run("watch", path, "--sampling", "iid")
    assert "~ error at most .0" in again.output
    assert "100 rows of the holdout sample occur more than once" in again.output


def test_ranking_a_run(tmp_path):
    folder = stored(tmp_path / "run", **{f"c{k}": k for k in (10, 60, 110, 160, 210, 260)})
    done = run("rank", folder, "--out", tmp_path / "rank.csv")
    assert done.exit_code == 0, done.output
    frame = pd.read_csv(tmp_path / "rank.csv").set_index("name")
    assert frame.loc["labels used", ["resolved", "sign_error"]].tolist() == [15, 1.0]
    for command in ("rank", "compare"):  # one table and nothing else
        lines = run(command, folder, "--format", "jsonl").stdout.splitlines()
        assert {json.loads(line)["kind" if command == "compare" else "name"] for line in lines}
        text = run(command, folder, "--format", "markdown").stdout
        assert sum(line.startswith("| ---") for line in text.splitlines()) == 1
    assert run("rank", tmp_path).exit_code == 2


def test_a_shifted_target(tmp_path):
    role = np.where(np.arange(N) % 3 == 0, "target", "holdout")
    y = np.arange(N) // 7 % 3
    answers = np.where(np.arange(N) % 10 == 0, (y + 1) % 3, y)
    path = tmp_path / "a.csv"
    pd.DataFrame({"label": y, "predicted": answers, "role": role}).to_csv(path, index=False)
    words = ("shift", path, "--sampling", "iid", "--classes", 3)
    nothing = run(*words)
    assert nothing.exit_code == 2
    assert "--new-priors" in nothing.output
    done = run(*words, "--new-priors", ".2,.3,.5", "--label-shift", "--out", tmp_path / "s.csv")
    assert done.exit_code == 0, done.output
    kinds = pd.read_csv(tmp_path / "s.csv").set_index("statement").kind
    assert kinds.to_dict() == {
        "source": "certificate",
        "new_priors": "certificate",
        "prior_ball 0.1": "certificate",
        "label_shift": "conditional",
    }
    assert "covariate shift" in done.output


@pytest.mark.parametrize("command", ["compare", "watch", "rank", "shift"])
def test_help(command):
    assert run(command, "--help").exit_code == 0
