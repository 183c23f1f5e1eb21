"""Files with a model and data of one's own go the same road as a manifest."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

import ncbounds as nb
from ncbounds.checkpoints.architectures.small import MODELS
from ncbounds.errors import DataError, InvalidSample
from ncbounds.evaluation.plan import folder_name
from ncbounds.runs import engine
from ncbounds.runs.paths import find_checkpoints

USER = """
import sys
import numpy as np
import torch
from ncbounds.checkpoints.architectures.small import MODELS

def build(width=8):
    return MODELS["mlp"](width=width, depth=1, in_features=4, classes=3)

def data():
    with open(__file__ + ".calls", "a") as stream:
        stream.write("call ")
    a = np.load(__file__.replace("user.py", "data.npz"))
    x, y = a["inputs"], a["labels"]
    rows = {"fit": slice(200), "holdout": slice(200, 400), "test": slice(400, 600)}
    return {role: (x[r], y[r]) for role, r in rows.items()}

def batches():
    return {
        role: [tuple(torch.from_numpy(a[i : i + 50]) for a in pair) for i in range(0, 200, 50)]
        for role, pair in data().items()
    }

def once():
    return {role: iter(b) for role, b in batches().items()}

class Augmented(list):
    def __iter__(self):
        return ((x + torch.rand(()), y) for x, y in super().__iter__())

def augmented():
    return {**batches(), "fit": Augmented(batches()["fit"])}

def leaves():
    sys.exit("no data today")

def leaving_model():
    sys.exit("no model today")
"""
BOUNDS = "binomial,frobenius_peeling"


@pytest.fixture
def own(tmp_path):
    """Two untrained networks of one file name, with a data function and the same data as a file."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4)).astype(np.float32)
    np.savez(
        tmp_path / "data.npz", inputs=x, labels=rng.integers(0, 3, 600), groups=np.arange(600) // 2
    )
    (tmp_path / "user.py").write_text(USER)
    for seed, folder in enumerate(("a", "b")):
        torch.manual_seed(seed)
        (tmp_path / folder).mkdir()
        module = MODELS["mlp"](width=8, depth=1, in_features=4, classes=3)
        torch.save(module.state_dict(), tmp_path / folder / "best.pt")
    return tmp_path


def run(own, data="data", model="build", paths=("a/best.pt", "b/best.pt"), **options):
    data, model = (f"{own}/user.py:{x}" if isinstance(x, str) else x for x in (data, model))
    options = {"bounds": BOUNDS, "sampling": "iid", "workers": 0, "out": own / "run", **options}
    return nb.evaluate_files([own / p for p in paths], data=data, model=model, **options)


def values(report):
    return {
        (r.checkpoint, r.bound, r.role, str(r.params)): getattr(r, "value", None) for r in report
    }


def test_it_is_the_road_of_a_manifest(own):
    text = '[tasks.t]\ndata = "data.npz"\nsampling = "iid"\n'
    for name in ("a", "b"):
        text += f"""
[checkpoints."{name}/best.pt"]
file = "{name}/best.pt"
task = "t"
model = "mlp"
args = {{width = 8, depth = 1, in_features = 4, classes = 3}}
selected_among = {{holdout = 20}}
roles = {{fit = "0:200", holdout = "200:400", test = "400:600"}}
"""
    plain = text.replace("selected_among = {holdout = 20}\n", "")
    np.savez(
        own / "data.npz", **{k: v for k, v in np.load(own / "data.npz").items() if k != "groups"}
    )
    for toml, chosen in ((plain, 1), (text, {"holdout": 20})):
        (own / "zoo.toml").write_text(toml)
        zoo = nb.sweep(own, own / "zoo", bounds=BOUNDS, workers=0)
        for data in ("data", "batches"):
            found = run(own, data, selected_among=chosen)
            assert values(found) == values(zoo)
            assert not found.failures
    rows = {"fit": "0:200", "holdout": "200:400", "test": "400:600"}
    found = run(own, data=own / "data.npz", roles=rows, selected_among={"holdout": 20})
    assert values(found) == values(zoo)
    assert {r.bound for r in found} == {"binomial", "frobenius_peeling"}


def test_groups_reach_the_bounds(own):
    rows = {"holdout": "200:400", "test": "400:600"}
    found = run(own, data=own / "data.npz", roles=rows)
    assert not [r for r in found if r.kind == "certificate"]
    a = np.load(own / "data.npz")
    pairs = {"holdout": tuple(a[k][200:400] for k in ("inputs", "labels", "groups"))}
    alone = nb.evaluate_files(
        own / "a/best.pt", data=pairs, model=f"{own}/user.py:build", sampling="iid",
        bounds="binomial", out=own / "run",
    )  # fmt: skip
    assert alone.rows
    assert not [r for r in alone if r.kind == "certificate"]


def test_finished_work_is_found_again_until_something_changes(own, monkeypatch):
    first = values(run(own))
    with monkeypatch.context() as patch:
        patch.setattr(engine, "evaluate_entry", None)
        assert values(run(own)) == first
        with pytest.raises(TypeError):
            run(own, fresh=True)
        arrays = dict(np.load(own / "data.npz"))
        np.savez(own / "data.npz", **{**arrays, "labels": arrays["labels"][::-1]})
        with pytest.raises(TypeError):  # the data changed
            run(own)
        np.savez(own / "data.npz", **arrays)
        run(own)
        (own / "user.py").write_text(USER + "\n# another model, for all we know\n")
        with pytest.raises(TypeError):
            run(own)


def test_the_data_function_is_called_once_a_process(own):
    run(own)
    assert (own / "user.py.calls").read_text().split() == ["call"]
    run(own, "once", out=own / "again", paths=["a/best.pt", "b/best.pt"])
    assert (own / "user.py.calls").read_text().split() == ["call", "call"]


def test_workers_give_the_same_rows(own):
    assert values(run(own, workers=2, out=own / "processes")) == values(run(own))
    with ThreadPoolExecutor(2) as pool:
        found = run(own, workers=None, executor=pool, out=own / "threads")
    assert values(found) == values(run(own))


def test_objects_stay_in_this_process(own):
    sys.path.insert(0, str(own))
    module = MODELS["mlp"](width=8, depth=1, in_features=4, classes=3)
    a = np.load(own / "data.npz")
    x, y = a["inputs"], a["labels"]
    samples = {
        "fit": (x[:200], y[:200]),
        "holdout": (x[200:400], y[200:400]),
        "test": (x[400:], y[400:]),
    }
    named = values(run(own))
    threads = torch.get_num_threads()
    for model in (module, lambda: module):
        for data in (samples, lambda: samples):
            found = run(own, data=data, model=model, workers=None, out=own / "objects")
            assert values(found) == named
    assert torch.get_num_threads() == threads
    with pytest.raises(DataError, match=r"FILE\.py:FUNCTION"):
        run(own, data=samples, workers=2)


def test_a_function_that_closes_over_something_else_gives_other_rows(own):
    def build(act):
        return lambda: nn.Sequential(nn.Linear(4, 8), act, nn.Linear(8, 3))

    torch.save(build(nn.ReLU())().state_dict(), own / "closed.pt")
    found = [
        values(run(own, model=build(act), out=own / "closure", workers=0, paths=["closed.pt"]))
        for act in (nn.ReLU(), nn.Tanh())
    ]
    assert found[0]
    assert found[0] != found[1]


@pytest.mark.parametrize(("data", "model"), [("leaves", "build"), ("data", "leaving_model")])
def test_whatever_a_users_code_raises_is_a_row_with_a_traceback(own, data, model):
    report = run(own, data, model)
    assert [f.checkpoint for f in report.failures] == ["a/best.pt", "b/best.pt"]
    assert "today" in report.failures[0].reason
    path = own / "run" / re.search(r"see (.*) of the run\)", report.failures[0].reason)[1]
    assert "sys.exit" in path.read_text()


def test_one_broken_file_leaves_the_others(own):
    (own / "b/best.pt").write_bytes(b"")
    report = run(own)
    assert {r.checkpoint for r in report} == {"a/best.pt"}
    assert [f.checkpoint for f in report.failures] == ["b/best.pt"]


def test_augmented_training_inputs_get_no_norm_bound(own):
    rows = [r for r in run(own, "augmented") if r.bound == "frobenius_peeling"]
    assert rows
    assert all(np.isnan(r.value) for r in rows)
    assert any("augmentation" in reason for r in rows for reason in r.reasons)


def test_names(own):
    files = find_checkpoints([own / "a/best.pt", own / "b/best.pt"])
    assert list(files) == ["a/best.pt", "b/best.pt"]
    assert list(find_checkpoints([own / "a/best.pt"])) == ["best.pt"]
    assert list(find_checkpoints([own])) == ["a/best.pt", "b/best.pt"]
    assert list(find_checkpoints([own / "*" / "best.pt"])) == ["a/best.pt", "b/best.pt"]
    assert list(find_checkpoints([own / "a" / "*.pt"])) == ["best.pt"]
    assert list(find_checkpoints([own / "a", own / "a/best.pt"])) == ["best.pt"]
    (own / "b/config.json").write_text("{}")
    assert list(find_checkpoints([own])) == ["a/best.pt", "b"]
    report = run(own, names=["x", "x_y"], paths=["a/best.pt", "b/best.pt"])
    assert {r.checkpoint for r in report} == {"x", "x_y"}
    for names in (["x"], ["x", "x"], ["x", ""]):
        with pytest.raises(DataError, match="--name"):
            run(own, names=names)
    for path in ("none.pt", "*.none"):
        with pytest.raises(DataError, match=r"does not exist|matches nothing"):
            run(own, paths=[path])


def test_names_that_differ_have_folders_that_differ():
    names = [
        "x/y",
        "x_y",
        "x%2Fy",
        "..",
        ".",
        "",
        "%2E",
        "a" * 300,
        "a" * 301,
        "a b",
        "a:b",
        "a\\b",
    ]
    folders = [folder_name(name) for name in names]
    assert len({*folders}) == len(names)
    for folder in folders:
        assert "/" not in folder
        assert folder not in ("", ".", "..")
        assert len(folder) < 200
    assert [folder_name(n) for n in ("mlp-z0", "x_y", "best.pt", "a b")] == [
        "mlp-z0", "x_y", "best.pt", "a b",
    ]  # fmt: skip


def test_options_that_do_not_reach_are_errors(own):
    with pytest.raises(DataError, match="--role gives rows"):
        run(own, roles={"holdout": "0:10"})
    with pytest.raises(DataError, match="needs the rows of each role"):
        run(own, data=own / "data.npz")
    with pytest.raises(InvalidSample, match="from 1 on"):
        run(own, selected_among=0)
    with pytest.raises(InvalidSample, match="one of iid"):
        run(own, sampling="IID")
    with pytest.raises(DataError, match=r"needed FILE\.py"):
        nb.evaluate_files(own / "a/best.pt", data=own / "user.py", out=own / "run")
    assert not (own / "run").exists()


# ---------------------------------------------------------------- data that contradict themselves


def of(own, data, **more):
    return nb.evaluate_files(
        own / "a", model=f"{own}/user.py:build", data=data, sampling="iid", bounds="binomial",
        workers=0, out=own / "out-contradictions", **more,
    )  # fmt: skip


def arrays_of(own):
    a = np.load(own / "data.npz")
    return a["inputs"].astype(np.float32), a["labels"].copy()


def test_half_of_the_holdout_points_were_trained_on(own):
    x, y = arrays_of(own)
    data = {"fit": (x[:200], y[:200]), "holdout": (x[100:300], y[100:300])}
    row = of(own, data).rows[0]
    assert row.kind == "plug-in"
    assert "100 of 200 holdout points stand in the fit sample too" in row.reasons[0]
    once = of(own, data, repeats="copies").rows[0]
    apart = of(own, {"fit": (x[:200], y[:200]), "holdout": (x[200:300], y[200:300])}).rows[0]
    assert (once.kind, once.n, once.value) == ("certificate", 100, apart.value)


def test_labels_that_start_at_one_and_labels_to_ignore(own):
    x, y = arrays_of(own)
    shifted = of(own, {"holdout": (x, y + 1)}).rows[0]
    assert shifted.kind == "plug-in"
    assert "look shifted by one" in shifted.reasons[0]
    y[::6] = 255
    ignored = {"fit": (x[:300], y[:300]), "holdout": (x[300:], y[300:])}
    said = of(own, {"holdout": ignored["holdout"]}).rows[0]
    assert "ignore_label=255 leaves its rows out" in said.reasons[0]
    row = of(own, ignored, ignore_label=255).rows[0]
    assert (row.kind, row.n) == ("certificate", 250)
    assert "50 holdout rows left out: labelled 255" in row.reasons


def test_options_of_the_command_line_that_declare_them(own):
    from typer.testing import CliRunner

    from ncbounds.cli.app import app

    command = ["evaluate", str(own / "a"), f"--model={own}/user.py:build", f"--out={own}/cli"]
    command += [f"--data={own}/user.py:data", "--bounds=binomial"]
    command += ["--sampling=iid", "--workers=0"]
    for options, says in (
        (["--best-of=20"], "delta divided by 20 candidates"),
        (["--best-of=4", "--selected-among=holdout=5"], "delta divided by 20 candidates"),
        (["--ignore-label=2"], "rows left out: labelled 2"),
    ):
        result = CliRunner().invoke(app, [*command, *options])
        assert result.exit_code == 0, result.output
        row = nb.load_report(own / "cli").rows[0]
        assert any(says in r for r in row.reasons)
    for wrong in (["--repeats=often"], ["--best-of=0"]):
        assert CliRunner().invoke(app, [*command, *wrong]).exit_code == 2


def test_the_declared_loss_reaches_rows_and_facts(own):
    from typer.testing import CliRunner

    from ncbounds.cli.app import app

    bounds = "collapse_efficiency,margin_efficiency"
    for loss, shown in (("mse", "mse"), (None, "cross-entropy")):
        found = run(own, paths=["a/best.pt"], bounds=bounds, loss=loss)
        assert [r.bound for r in found] == ["collapse_efficiency", *["margin_efficiency"] * 2]
        assert found.rows[0].details["loss"] == shown
        assert found.rows[0].role == "fit"
        said = [r["normalisation"] for r in found.facts["best.pt"]["collapse"]["fit"]]
        assert any(f"the {shown} needs" in text for text in said)
    command = ["evaluate", str(own / "a"), f"--model={own}/user.py:build", f"--out={own}/cli"]
    command += [f"--data={own}/user.py:data", f"--bounds={bounds}", "--workers=0"]
    result = CliRunner().invoke(app, [*command, "--loss=label_smoothing:0.1"])
    assert result.exit_code == 0, result.output
    row = nb.load_report(own / "cli").rows[0]
    assert row.details["loss"] == "cross-entropy with label smoothing 0.1"
    result = CliRunner().invoke(app, [*command, "--loss=msee"])
    assert result.exit_code == 2
    assert "did you mean 'mse'" in " ".join(result.output.split())


def test_equal_weights_under_two_names_and_a_choice_are_said_under_the_table(own):
    import shutil

    x, y = arrays_of(own)
    (file,) = (f for f in (own / "a").iterdir() if f.is_file())
    (own / "c").mkdir()
    shutil.copy(file, own / "c" / "other.pt")
    report = nb.evaluate_files(
        [own / "a", own / "b", own / "c"], model=f"{own}/user.py:build",
        data={"holdout": (x, y)}, sampling="iid", bounds="binomial", workers=0,
        out=own / "out-equal",
    )  # fmt: skip
    text = report.to_screen()
    names = [r.checkpoint for r in report["binomial"].rows]
    assert text.count("Equal weights: ") == 1
    assert len(set(names)) == 3
    assert "choice among 3 checkpoints" in text
    assert report.planned == 6
    assert f"{0.05 / 6:.2g}" in text
    assert "Equal weights" in report.to_html()
