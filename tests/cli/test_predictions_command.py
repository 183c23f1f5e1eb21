"""``ncbounds evaluate-predictions``: columns are found by name, and what is missing is said."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import ncbounds as nb
from ncbounds.cli.app import app

RNG = np.random.default_rng(0)
N = 300
NAMES = np.array(["cat", "dog", "eel"])
LABELS = RNG.integers(0, 3, N)
LOGITS = RNG.normal(size=(N, 3)) + 1.5 * np.eye(3)[LABELS]
SHARES = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
ANSWERS = LOGITS.argmax(1)
ERRORS = int((ANSWERS != LABELS).sum())


def frame(**columns):
    return pd.DataFrame(columns)


def by_class(values, prefix="", labels=LABELS):
    return pd.DataFrame(values, columns=[f"{prefix}{c}" for c in range(3)]).assign(label=labels)


FILES = {
    "numbers.csv": lambda p: frame(label=LABELS, predicted=ANSWERS).to_csv(p),
    "names.csv": lambda p: frame(y_true=NAMES[LABELS], y_pred=NAMES[ANSWERS]).to_csv(
        p, index=False
    ),
    "tabs.tsv": lambda p: frame(Label=LABELS, Prediction=ANSWERS).to_csv(p, sep="\t"),
    "by number.csv": lambda p: by_class(LOGITS, "logit_").to_csv(p),
    "by name.csv": lambda p: (
        pd.DataFrame(SHARES, columns=NAMES).assign(label=NAMES[LABELS]).to_csv(p)
    ),
    "plain numbers.csv": lambda p: by_class(LOGITS).to_csv(p),
    "logits.npz": lambda p: np.savez(p, logits=LOGITS, labels=LABELS),
    "shares.npz": lambda p: np.savez(p, probs=SHARES, y=LABELS),
}


def run(*words):
    return CliRunner().invoke(app, ["evaluate-predictions", *map(str, words)])


@pytest.mark.parametrize("name", list(FILES))
def test_the_same_answers_give_the_same_certificate_from_every_file(name, tmp_path):
    FILES[name](path := tmp_path / name)
    done = run(
        path,
        "--role",
        "holdout",
        "--sampling",
        "iid",
        "--out",
        tmp_path / "out",
        "--bounds",
        "binomial",
    )
    assert done.exit_code == 0, done.output
    row = nb.load_report(tmp_path / "out").rows[0]
    assert (row.details["errors"], row.n, row.kind) == (ERRORS, N, "certificate")
    assert row.checkpoint == path.stem
    assert "table.csv" in done.output


def test_roles_of_a_column_and_declarations(tmp_path):
    path = tmp_path / "a.csv"
    split = np.where(np.arange(N) < 200, "val", "test")
    ids = [f"row {i}" for i in range(N)]
    frame(label=LABELS, predicted=ANSWERS, split=split, id=ids).to_csv(path, index=False)
    refused = run(path, "--sampling", "iid")
    assert refused.exit_code == 2
    assert "--roles val=holdout" in refused.output
    words = ("--sampling", "iid", "--best-of", "5", "--priors", "balanced", "--delta", "0.1")
    done = run(path, "--roles", "val=holdout", *words, "--out", tmp_path / "out")
    assert done.exit_code == 0
    row = nb.load_report(tmp_path / "out")["binomial"].rows[0]
    assert row.n == 200
    assert row.value == nb.formulas.binomial(row.details["errors"], 200, 0.1 / 5)
    assert row.test.error == np.mean(ANSWERS[200:] != LABELS[200:])


def test_rows_of_roles_and_a_threshold(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, label=LABELS == 0, probability=SHARES[:, 0])
    words = ("--role", "holdout=0:200", "--role", "test=200:300", "--threshold", "0.7")
    assert run(path, *words, "--out", tmp_path / "out").exit_code == 0
    row = nb.load_report(tmp_path / "out").rows[0]
    wrong = (SHARES[:, 0] > 0.7) != (LABELS == 0)
    assert row.details["errors"] == wrong[:200].sum()
    assert row.test.error == wrong[200:].mean()
    assert row.kind == "plug-in"  # the draw was not declared


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("arrays", "words", "message"),
    [
        ({"y": LABELS, "x": LABELS}, (), "a.npz holds y (300,), x (300,); needed is a column"),
        ({"x": LABELS}, (), "holds x (300,); needed is a column 'label'"),
        ({"y": LABELS, "pred": ANSWERS, "probs": SHARES}, (), "may disagree: say which"),
        ({"y": LABELS, "label": LABELS, "pred": ANSWERS}, (), "could all be labels"),
        ({"y": LABELS, "pred": ANSWERS}, (), "--role holdout for all of them"),
        ({"y": LABELS, "pred": ANSWERS}, ("--role", "holdout=0:400"), "do not fit data of 300"),
        ({"y": LABELS, "pred": ANSWERS}, ("--role", "val"), "unknown role 'val'"),
        ({"y": LABELS, "pred": ANSWERS[:9]}, ("--role", "holdout"), "differ in length"),
        ({"y": LABELS, "pred": ANSWERS}, ("--use", "logits"), "there are no logits"),
        ({"y": NAMES[LABELS], "logits": LOGITS}, (), "do not say whose they are"),
        ({"y": np.array([{}])}, (), "it holds Python objects"),
    ],
)  # fmt: skip
def test_what_was_found_and_what_to_type(arrays, words, message, tmp_path):
    done = run(write(tmp_path / "a.npz", **arrays), *words)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_columns_whose_class_is_not_said(tmp_path):
    path = tmp_path / "a.csv"
    pd.DataFrame(LOGITS, columns=NAMES).assign(label=LABELS).to_csv(path, index=False)
    refused = run(path, "--role", "holdout")
    assert "call them logit_0" in refused.output
    by_class(LOGITS, "logit_").to_csv(path, index=False)
    assert run(path, "--role", "holdout").exit_code == 0
    for names in ([1, 2, 3], [0, 2, 3], NAMES):
        columns = [f"logit_{name}" for name in names]
        pd.DataFrame(LOGITS, columns=columns).assign(label=LABELS).to_csv(path, index=False)
        assert "call them logit_0" in run(path, "--role", "holdout").output
    by_class(SHARES, "prob_").assign(prob=SHARES.max(1)).to_csv(path, index=False)
    assert "could all be probabilities" in run(path, "--role", "holdout").output


def test_no_row_of_a_file_has_two_roles(tmp_path):
    path = write(tmp_path / "a.npz", label=LABELS, predicted=ANSWERS)
    words = ("--role", "fit=0:200", "--role")
    assert "have two roles" in run(path, *words, "holdout=150:300").output
    assert run(path, *words, "holdout=200:300").exit_code == 0


def test_the_words_of_the_message_on_two_kinds_work(tmp_path):
    path = write(tmp_path / "a.npz", y=LABELS, pred=ANSWERS, probs=SHARES)
    assert "--use predicted" in run(path, "--role", "holdout").output
    assert run(path, "--role", "holdout", "--use", "predicted").exit_code == 0


def test_files_of_other_kinds(tmp_path):
    (tmp_path / "a.txt").write_text("")
    assert "needed is .csv, .tsv, .parquet or .npz" in run(tmp_path / "a.txt").output
    assert "does not exist" in run(tmp_path / "a.csv").output
    (tmp_path / "b.csv").write_text("")
    assert "cannot be read as csv" in run(tmp_path / "b.csv").output


def test_several_labels_give_the_same_rows_from_every_file(tmp_path):
    rng = np.random.default_rng(3)
    y = rng.random((N, 3)) < 0.4
    scores = np.round(np.where(y, 1.0, -1.0) + rng.normal(size=y.shape), 3)
    texts = ["|".join(NAMES[row]) for row in y]
    logits = {f"logit_{name}": scores[:, k] for k, name in enumerate(NAMES)}
    marks = {f"label_{name}": y[:, k].astype(int) for k, name in enumerate(NAMES)}
    frame(label=texts, **logits).to_csv(tmp_path / "texts.csv")
    frame(**marks, **logits).to_csv(tmp_path / "marks.csv")
    np.savez(tmp_path / "arrays.npz", labels=y, logits=scores)
    frame(label=texts, predicted=["|".join(NAMES[row]) for row in scores > 0.25]).to_csv(
        tmp_path / "sets.csv"
    )
    wrong = int(((scores > 0.25) != y).any(axis=1).sum())
    limit = nb.formulas.binomial(wrong, N, 0.05)
    means = set()
    for name, more in {
        "texts.csv": ("--decision", "multi-label"),
        "marks.csv": (),
        "arrays.npz": (),
        "sets.csv": ("--decision", "multi-label", "--classes", "3"),
    }.items():
        at = () if name == "sets.csv" else ("--threshold", "0.25")
        own = ("--role", "holdout", "--sampling", "iid", "--out", tmp_path / "out")
        done = run(tmp_path / name, *more, *at, *own, "--claim", "hamming")
        assert done.exit_code == 0, done.output
        found = {
            r.bound: r for r in nb.load_report(tmp_path / "out").rows if "form" not in r.params
        }
        assert found["binomial"].value == limit
        assert found["binomial"].qualifier == "subset error"
        means.add(found["mean_loss"].value)
    assert len(means) == 1
    asked = run(tmp_path / "texts.csv", *own)
    assert asked.exit_code == 2
    assert "type --decision multi-label" in asked.output
