"""A given head and files of features give the rows of the arrays in them."""

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import ncbounds as nb
from ncbounds.cli.app import app
from ncbounds.errors import NcboundsError
from ncbounds.runs.feature_files import evidence_of_features, read_head


@pytest.fixture
def world(tmp_path):
    """Files of one linear world, its head, and its arrays."""
    rng = np.random.default_rng(0)
    w, b = rng.normal(size=(3, 4)), rng.normal(size=3)
    f = rng.normal(size=(300, 4))
    y = np.where(rng.random(300) < 0.2, 0, (f @ w.T + b).argmax(1))
    np.savez(tmp_path / "head.npz", weight=w, bias=b)
    np.savez(tmp_path / "all.npz", features=f, labels=y)
    np.savez(tmp_path / "holdout.npz", embeddings=f[:200], y=y[:200])
    np.savez(tmp_path / "test.npz", X=f[200:], target=y[200:])
    return tmp_path, w, b, f, y


def rows(report):
    return {(r.bound, r.role, str(r.params)): (r.kind, r.n, r.value, r.test.error) for r in report}


def run(*words, code=0):
    done = CliRunner().invoke(app, ["evaluate-features", *map(str, words)])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


def test_files_and_rows_of_a_file_give_the_rows_of_the_arrays(world):
    folder, w, b, f, y = world

    def sample(part, role):
        return nb.Sample.from_arrays(f[part], y[part], role=role, sampling="iid")

    wanted = rows(
        nb.evaluate(
            nb.Evidence(
                head=nb.LinearHead(w, b),
                holdout=sample(slice(200), "holdout"),
                test=sample(slice(200, 300), "test"),
            ),
            bounds="binomial,hoeffding",
        )
    )
    assert {kind for kind, *_ in wanted.values()} == {"certificate"}
    common = (f"--head={folder}/head.npz", "--sampling=iid", f"--out={folder}/o")
    common = (*common, "--bounds=binomial,hoeffding")
    (folder / "test.npz").rename(folder / "later.npz")
    for typed in (
        (folder / "holdout.npz", folder / "later.npz", "--roles=later=test"),
        (folder / "all.npz", "--role=holdout=0:200", "--role=test=200:300"),
    ):
        text = run(*typed, *common)
        assert "head.npz" in text
        assert rows(nb.load_report(folder / "o")) == wanted
    divided = run(folder / "holdout.npz", *common, "--selected-among=5", "--best-of=4")
    assert "✓" in divided
    row = nb.load_report(folder / "o").rows[0]
    assert any("divided by 20 candidates" in reason for reason in row.reasons)


def test_a_training_sample_is_counted_on_the_screen(world):
    folder, *_ = world
    np.savez(folder / "fit.npz", **np.load(folder / "all.npz"))
    files = [folder / name for name in ("fit.npz", "holdout.npz")]
    said = run(*files, "--head", folder / "head.npz", "--bounds", "binomial", "--sampling", "iid")
    assert "n NC1" in said
    assert "Training sample: n, NC1." in said
    assert "NC1" not in run(files[1], "--head", folder / "head.npz", "--bounds", "binomial")


def test_tables(world):
    folder, _, _, f, y = world
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(f, columns=list("abcd")).assign(label=y)
    frame.to_csv(folder / "t.csv", index=False, float_format="%.17g")
    forms = [folder / "t.csv"]
    try:
        frame.to_parquet(folder / "t.parquet")
        nested = pandas.DataFrame({"embedding": [list(row) for row in f], "labels": y})
        nested.to_parquet(folder / "nested.parquet")
        forms += [folder / "t.parquet", folder / "nested.parquet"]
    except ImportError:
        (folder / "t.parquet").write_bytes(b"PAR1")
        with pytest.raises(NcboundsError, match="pip install pyarrow"):
            evidence_of_features([folder / "t.parquet"], folder / "head.npz", roles={"test": "all"})
    for path in forms:
        found = evidence_of_features([path], folder / "head.npz", roles={"holdout": "all"})
        np.testing.assert_array_equal(found.holdout.features, f)
        np.testing.assert_array_equal(found.holdout.labels, y)
    np.save(folder / "unlabelled.npy", f)
    both = [folder / "holdout.npz", folder / "unlabelled.npy"]
    assert evidence_of_features(both, folder / "head.npz").unlabelled.n == 300


def test_heads_in_files_of_several_kinds(world):
    folder, w, b, *_ = world
    np.savez(folder / "sk.npz", coef_=w, intercept_=b, classes_=np.arange(3))
    np.savez(folder / "own.npz", what=w, bias=b, others=np.arange(3))
    np.savez(folder / "no_bias.npz", weight=w)
    torch.save({"fc.weight": torch.from_numpy(w), "fc.bias": torch.from_numpy(b)}, folder / "h.pt")
    for name, bias in (("sk.npz", b), ("own.npz", b), ("no_bias.npz", 0 * b), ("h.pt", b)):
        head, _ = read_head(folder / name)
        np.testing.assert_array_equal(head.weight, w)
        np.testing.assert_array_equal(head.bias, bias)
    np.savez(folder / "binary.npz", coef_=w[:1], intercept_=b[:1])
    head, _ = read_head(folder / "binary.npz")
    points = np.random.default_rng(1).normal(size=(50, 4))
    np.testing.assert_array_equal(
        head.logits(points).argmax(1), (points @ w[0] + b[0] > 0).astype(int)
    )


def test_what_does_not_fit_says_what_is_needed(world):
    folder, w, b, f, _ = world
    np.savez(folder / "two.npz", a=w, b2=w)
    np.savez(folder / "perhaps.npz", weight=w, temperatures=b)
    np.savez(folder / "short.npz", weight=w, bias=b[:1])
    np.savez(folder / "flat.npz", a=b)
    np.savez(folder / "turned.npz", weight=w.T)
    np.savez(folder / "lone.npz", features=f)
    head = f"--head={folder}/head.npz"
    for typed, message in (
        ((folder / "all.npz", head), "--roles all=holdout"),
        ((folder / "all.npz", folder / "test.npz", head, "--role=holdout"), "rows of one file"),
        ((folder / "all.npz", head, "--role=holdout=0:301"), "do not fit data of 300 rows"),
        ((folder / "holdout.npz", f"--head={folder}/two.npz"), "several arrays"),
        ((folder / "holdout.npz", f"--head={folder}/flat.npz"), "no weight (C, d)"),
        ((folder / "holdout.npz", f"--head={folder}/perhaps.npz"), "may have one"),
        ((folder / "holdout.npz", f"--head={folder}/short.npz"), "no bias of shape (3,)"),
        ((folder / "holdout.npz", f"--head={folder}/turned.npz"), "takes 3 features"),
        ((folder / "lone.npz", head, "--role=holdout"), "needs labels"),
        ((folder / "none.npz", head, "--role=holdout"), "does not exist"),
        ((folder / "head.npz", head, "--role=holdout"), "needed inputs under one of"),
    ):
        assert message in run(*typed, code=2)
    assert "✓" in run(folder / "all.npz", head, "--roles", "all=holdout", "--sampling=iid")


def test_features_with_several_labels_are_decided_by_their_thresholds(tmp_path):
    rng = np.random.default_rng(5)
    x, w = rng.normal(size=(200, 4)), rng.normal(size=(3, 4))
    y = (x @ w.T + rng.normal(size=(200, 3)) > 0.5).astype(int)
    np.savez(tmp_path / "head.npz", weight=w)
    np.savez(tmp_path / "holdout.npz", features=x, labels=y)
    columns = {f"x{k}": x[:, k] for k in range(4)} | {f"label_{k}": y[:, k] for k in (2, 0, 1)}
    (tmp_path / "csv").mkdir()
    pd.DataFrame(columns).to_csv(tmp_path / "csv" / "holdout.csv", index=False)
    wrong = int(((x @ w.T > 0.5) != y).any(axis=1).sum())
    for file in ("holdout.npz", "csv/holdout.csv"):
        typed = (tmp_path / file, "--head", tmp_path / "head.npz", "--threshold", "0.5")
        run(*typed, "--sampling=iid", f"--out={tmp_path / 'out'}", "--bounds=binomial")
        [row] = [r for r in nb.load_report(tmp_path / "out").rows if not r.params]
        assert row.kind == "certificate"
        assert row.value == nb.formulas.binomial(wrong, 200, 0.05)
    odd = run(*typed, "--decision=multi-class", code=2)
    assert "type --decision multi-label" in odd
