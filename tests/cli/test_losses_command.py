"""``ncbounds evaluate-losses``, and claims that are asked for on the command line."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import ncbounds as nb
from ncbounds.cli.app import app

X = np.random.default_rng(0).beta(1, 5, 300).round(3)


def run(command, *words):
    return CliRunner().invoke(app, [command, *map(str, words)])


def test_a_column_of_losses(tmp_path):
    path = tmp_path / "a.csv"
    split = np.where(np.arange(300) < 200, "val", "test")
    pd.DataFrame({"brier": X, "split": split}).to_csv(path, index=False)
    words = ("--roles", "val=holdout", "--sampling", "iid", "--out", tmp_path / "out")
    refused = run("evaluate-losses", path, *words)
    assert refused.exit_code == 2
    assert "--column brier" in refused.output
    done = run("evaluate-losses", path, "--column", "brier", *words)
    assert done.exit_code == 0, done.output
    row = nb.load_report(tmp_path / "out").rows[0]
    same = nb.Evidence.from_losses(X[:200], role="holdout", sampling="iid", name="brier")
    assert row.value == nb.evaluate(same).rows[0].value
    assert row.test.error == pytest.approx(X[200:].mean())
    assert (row.kind, row.qualifier) == ("certificate", "brier")


def test_a_column_of_truth_values(tmp_path):
    pd.DataFrame({"loss": X > 0.3}).to_csv(path := tmp_path / "a.csv", index=False)
    words = ("--role", "holdout", "--sampling", "iid", "--out", tmp_path / "out")
    assert run("evaluate-losses", path, *words).exit_code == 0
    row = nb.load_report(tmp_path / "out").rows[0]
    assert row.value == nb.formulas.binomial(int((X > 0.3).sum()), 300, 0.05)
    pd.DataFrame({"loss": 2 * X}).to_csv(path, index=False)
    refused = run("evaluate-losses", path, *words)
    assert refused.exit_code == 2
    assert "divide by the largest value" in refused.output


def test_claims_of_predictions(tmp_path):
    rng = np.random.default_rng(1)
    y = rng.choice(4, 300, p=[0.6, 0.2, 0.1, 0.1])
    logits = rng.normal(size=(300, 4)) + 2.0 * np.eye(4)[y]
    np.savez(path := tmp_path / "a.npz", logits=logits, labels=y)
    words = ("--role", "holdout", "--sampling", "iid", "--bounds", "binomial")
    asked = ("--claim", "balanced,rare=2+3", "--claim", "top-2")
    done = run("evaluate-predictions", path, *words, *asked, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    rows = {tuple(r.params.values()): r for r in nb.load_report(tmp_path / "out")}
    wrong = logits.argmax(1) != y
    k, n = np.bincount(y[wrong], minlength=4), np.bincount(y)
    expected = nb.numerics.weighted_error_upper(k, n, np.full(4, 0.25), 0.05)
    assert rows["balanced",].value == expected
    assert rows["rare",].value == nb.numerics.weighted_error_upper(k, n, [0, 0, 0.5, 0.5], 0.05)
    assert rows["top-2 error",].value < rows[()].value
    refused = run("evaluate-predictions", path, *words, "--claim", "balancd")
    assert refused.exit_code == 2
    assert "did you mean 'balanced'" in refused.output
