"""The command line: what a person sees, and the exit code."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from typer.main import get_command
from typer.testing import CliRunner

import ncbounds
from ncbounds.bounds import catalogue
from ncbounds.checkpoints.architectures.small import MODELS
from ncbounds.cli.app import app
from ncbounds.report import load_report

runner = CliRunner()


def invoke(*args, code=0):
    result = runner.invoke(app, [str(a) for a in args])
    assert result.exit_code == code, result.output
    return result.output


def test_list_shows_every_bound():
    text = invoke("list")
    for b in catalogue():
        assert b.id in text
    assert "binomial" not in invoke("list", "--family", "margin")
    assert "families:" in invoke("list", "--family", "nonsense", code=2)


@pytest.mark.parametrize("b", catalogue(), ids=lambda b: b.id)
def test_explain_every_bound(b):
    text = invoke("explain", b.id)
    assert text.startswith(b.id)
    assert "Source" in text
    assert ":math:" not in text
    latex = invoke("explain", b.id, "--latex")
    assert latex.count("\\begin{") == latex.count("\\end{") >= 1
    if b.references:
        assert invoke("explain", b.id, "--bibtex").count("@") >= len(b.references)


@pytest.mark.parametrize("command", ["evaluate", "extract", "evaluate-predictions", "inspect"])
def test_help_shows_every_option_whole_on_a_narrow_screen(command):
    text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "80"}).output
    words = text.split()
    options = [o for p in get_command(app).commands[command].params for o in p.opts]
    assert [o for o in options if o.startswith("--") and o not in words] == []


def test_unknown_bound_is_told_the_nearest_name():
    assert "did you mean 'binomial'" in invoke("explain", "binomail", code=2)


def test_the_catalogue_starts_without_heavy_imports():
    code = (
        "import sys, ncbounds.cli.app as c; from typer.testing import CliRunner;"
        "r = [CliRunner().invoke(c.app, a) for a in (['list'], ['explain', 'binomial'])];"
        "assert all(x.exit_code == 0 for x in r), r;"
        "heavy = {'torch', 'cvxpy', 'sklearn', 'pandas', 'scipy.stats'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def own_files(tmp_path):
    """A user's own checkpoint, model function and data function."""
    torch.manual_seed(0)
    torch.save(MODELS["mlp"](width=8, in_features=4, classes=3).state_dict(), tmp_path / "own.pt")
    (tmp_path / "user.py").write_text(
        "import numpy as np\n"
        "from ncbounds.checkpoints.architectures.small import MODELS\n"
        "def model():\n    return MODELS['mlp'](width=8, in_features=4, classes=3)\n"
        "def data():\n"
        "    rng = np.random.default_rng(0)\n"
        "    x = rng.normal(size=(300, 4)).astype('float32'); y = rng.integers(0, 3, 300)\n"
        "    return {'holdout': (x[:150], y[:150]), 'test': (x[150:], y[150:])}\n"
        "def wrong():\n    return 3\n"
    )
    return tmp_path


def test_own_checkpoint_without_a_manifest(own_files):
    user = own_files / "user.py"
    common = ["--model", f"{user}:model", "--out", own_files / "run", "--bounds", "binomial"]
    args = ["evaluate", own_files / "own.pt", "--data", f"{user}:data", *common]
    undeclared = invoke(*args)
    assert "✓ ." not in undeclared
    assert "--sampling iid" in undeclared
    assert "NC1" not in undeclared  # there is no training sample
    assert "own.pt hoeffding [holdout, saved]" in invoke(*args, "--bounds", "hoeffding")
    assert "~" in undeclared
    text = invoke(*args, "--sampling", "iid")
    assert "✓ " in text.replace("✓ certificate", "")
    assert "found done" not in text
    assert "found done: 1 checkpoint" in invoke(*args, "--sampling", "iid")
    assert (own_files / "run" / "table.csv").exists()
    assert (own_files / "run" / "store").is_dir()
    wrong = ["evaluate", own_files / "own.pt", "--data", f"{user}:wrong", *common]
    assert "needed a dict" in " ".join(invoke(*wrong, code=1).split())


def test_a_bad_own_checkpoint_is_a_row(own_files):
    (own_files / "empty.pt").write_bytes(b"")
    user = own_files / "user.py"
    text = invoke(
        "evaluate",
        own_files / "own.pt",
        own_files / "empty.pt",
        *("--data", f"{user}:data", "--model", f"{user}:model", "--out", own_files / "run"),
        *("--bounds", "binomial"),
    )
    assert "not evaluated: empty.pt" in text
    assert "own.pt" in text


def test_what_stops_every_checkpoint_alike_is_said_once(own_files):
    (own_files / "also.pt").write_bytes((own_files / "own.pt").read_bytes())
    user = own_files / "user.py"
    text = invoke(
        *("evaluate", own_files / "own.pt", own_files / "also.pt", "--workers", "0"),
        *("--data", f"{user}:wrong", "--model", f"{user}:model", "--out", own_files / "run"),
        code=1,
    )
    assert "not evaluated: own.pt, also.pt: " in text
    assert text.count("needed a dict") == 1


def test_an_impossible_option_is_refused_before_anything_is_written(own_files):
    user = own_files / "user.py"
    args = ["evaluate", own_files / "own.pt", "--model", f"{user}:model", "--out", own_files / "r"]
    data = ["--data", f"{user}:data"]
    assert "in (0, 1)" in invoke(*args, *data, "--delta", "2", code=2)
    assert "one of iid" in invoke(*args, *data, "--sampling", "IID", code=2)
    assert "--data file.py:function" in invoke(*args, code=2)
    missing = [own_files / "none.pt" if a == own_files / "own.pt" else a for a in args]
    assert "does not exist" in invoke(*missing, *data, code=2)
    assert not (own_files / "r").exists()


def test_a_run_without_any_row_fails(own_files):
    user = own_files / "user.py"
    (own_files / "user.py").write_text(
        user.read_text() + "def only_test():\n    return {'test': data()['test']}\n"
    )
    text = invoke(
        *("evaluate", own_files / "own.pt", "--model", f"{user}:model"),
        *("--data", f"{user}:only_test", "--out", own_files / "run"),
        code=1,
    )
    assert "not evaluated: own.pt" in text
    assert "the evidence has test" in " ".join(text.split())


def test_no_option_is_passed_over(own_files):
    """Every option works beside what it is typed with, or says what to type."""
    user = own_files / "user.py"
    np.savez(own_files / "d.npz", inputs=np.zeros((60, 4), "float32"), labels=np.arange(60) % 3)
    (own_files / "zoo.toml").write_text(
        '[tasks.t]\ndata = "d.npz"\n[checkpoints.own]\nfile = "own.pt"\ntask = "t"\n'
        f'model = "{user}:model"\nroles = {{holdout = "0:30", test = "30:60"}}\n'
    )
    zoo = ["evaluate", own_files, "--bounds", "binomial", "--out", own_files / "run"]
    named = ["--model", f"{user}:model"]
    assert f"--model {user}:model" in " ".join(invoke(*zoo, code=2).split())
    assert "own" in invoke(*zoo, *named, "--workers", "0")
    for option, value in [
        ("--role", "fit=0:1"), ("--sampling", "iid"), ("--selected-among", "2"),
        ("--priors", "balanced"), ("--name", "a"),
    ]:  # fmt: skip
        assert f"{option} goes with --data" in invoke(*zoo, option, value, code=2)
    assert "--args goes with --model" in invoke(*zoo, "--args", "width=8", code=2)
    data = ["--data", f"{user}:data"]
    assert "leave --data out" in invoke(*zoo, *data, code=2)
    files = ["evaluate", own_files / "own.pt", *zoo[2:], *named]
    manifest = ["--manifest", own_files / "zoo.toml"]
    assert "leave --data out" in invoke(*files, *data, *manifest, code=2)
    npz = ["--data", own_files / "d.npz"]
    assert "--role holdout=0:4000" in invoke(*files, *npz, code=2)
    rows = ["--role", "holdout=0:30", "--role", "test=30:60", "--workers", "0"]
    assert "mine" in invoke(*files, *npz, *rows, "--name", "mine", "--priors", "balanced")
    for option, value in [
        ("--role", "val=0:30"), ("--selected-among", "many"), ("--selected-among", "²"),
        ("--selected-among", "holdout=0"),
        ("--priors", "half"),
    ]:  # fmt: skip
        source = npz if option == "--role" else data
        assert option in invoke(*files, *source, option, value, code=2)


def test_the_number_of_candidates_is_paid_for(own_files):
    user = own_files / "user.py"
    args = ["evaluate", own_files / "own.pt", "--model", f"{user}:model", "--workers", "0"]
    args += ["--data", f"{user}:data", "--sampling", "iid", "--bounds", "binomial"]
    values = []
    for number, words in enumerate(([], ["20"], ["holdout=20"])):
        out = own_files / f"run{number}"
        invoke(*args, "--out", out, *[w for word in words for w in ("--selected-among", word)])
        rows = load_report(out)["binomial"]
        values.append(next(r.value for r in rows if r.kind == "certificate" and not r.params))
    assert values[0] < values[1] == values[2]


def test_names_of_bounds_may_have_blanks(own_files):
    user = own_files / "user.py"
    text = invoke(
        *("evaluate", own_files / "own.pt", "--model", f"{user}:model", "--data", f"{user}:data"),
        *("--bounds", "gaussian_head, holdout", "--out", own_files / "run"),
    )
    assert "binomial" in text


def test_evaluate_says_what_to_pass(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"x")
    text = invoke("evaluate", tmp_path / "a.pt", code=2)
    assert "zoo.toml" in text
    assert "--data" in text
    assert "does not exist" in invoke("evaluate", tmp_path / "none", code=2)
    assert "no stored report" in invoke("report", tmp_path, code=2)


def test_nothing_is_written_beside_the_data(own_files, monkeypatch, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    work = tmp_path_factory.mktemp("work")
    monkeypatch.chdir(work)
    before = sorted(p.name for p in own_files.iterdir())
    user = own_files / "user.py"
    invoke(
        *("evaluate", own_files / "own.pt", "--data", f"{user}:data"),
        *("--model", f"{user}:model", "--bounds", "binomial"),
    )
    after = sorted(p.name for p in own_files.iterdir() if p.name != "__pycache__")
    assert before == after
    assert not list(work.iterdir())
    assert list(cache.rglob("table.csv"))


def test_inspect(own_files):
    user = own_files / "user.py"
    text = invoke("inspect", own_files / "own.pt", "--model", f"{user}:model")
    assert "head" in text
    for wrong in ("{width", "width", "width=", "width=8,", "=3", "width={}"):
        assert "--args is width=128" in invoke(
            "inspect", own_files / "own.pt", "--args", wrong, code=2
        )
    for args in ("width=8,in_features=4,classes=3", '{"width": 8, "in_features": 4, "classes": 3}'):
        text = invoke("inspect", own_files / "own.pt", "--model", "mlp", "--args", args)
        assert "problem" not in text


def test_version():
    assert invoke("--version") == f"ncbounds {ncbounds.__version__}\n"


def test_inspect_takes_what_was_chosen(own_files):
    import torch

    saved = torch.load(own_files / "own.pt")
    state = saved.get("state_dict", saved)
    torch.save({"model": state, "model_ema": state, "teacher": state}, own_files / "three.pt")
    model = ("--model", f"{own_files / 'user.py'}:model")
    assert "averaged (EMA) weights used" in invoke("inspect", own_files / "three.pt", *model)
    raw = invoke("inspect", own_files / "three.pt", *model, "--raw")
    assert "weights found under 'model'" in raw
    assert "problem" not in raw
    named = invoke("inspect", own_files / "three.pt", *model, "--key", "teacher")
    assert "weights taken from 'teacher'" in named
    wrong = {("--head", "x"): "no layer 'x'", ("--output", "1"): "no output '1'"}
    for option, message in wrong.items():
        said = invoke("inspect", own_files / "three.pt", *model, *option, code=1)
        assert "problem    " in said
        assert message in said
