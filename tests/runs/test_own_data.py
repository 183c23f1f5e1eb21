"""What people have as data reaches the rows, by every way that it is named."""

import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from typer.testing import CliRunner

import ncbounds as nb
from ncbounds.cli.app import app
from ncbounds.errors import DataError, NcboundsError, RoleError

CODE = """
import numpy as np
import torch
from torch import nn

def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))

class ByKeyword(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.fc = nn.Linear(12, 8), nn.Linear(8, 3)
    def forward(self, pixels, mask=None):
        return self.fc(torch.relu(self.body(pixels) if mask is None else self.body(pixels * mask)))

def tensor(image):
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).permute(2, 0, 1)

def load(rows=60):
    from .numbers_of_mine import x, y
    return {"train": (x[:rows], y[:rows]), "val": (x[rows:], y[rows:])}
"""
NUMBERS = """
import numpy as np
rng = np.random.default_rng(0)
x, y = rng.random((160, 12), dtype=np.float32), rng.integers(0, 3, 160)
"""


@pytest.fixture
def project(tmp_path):
    """A package with a network and data, a checkpoint, and the data in arrays."""
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "code.py").write_text(CODE)
    (package / "numbers_of_mine.py").write_text(NUMBERS)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))
    torch.save(net.state_dict(), tmp_path / "m.pt")
    yield tmp_path
    for name in [n for n in sys.modules if n.partition(".")[0] == "mine"]:
        del sys.modules[name]


def numbers():
    rng = np.random.default_rng(0)
    return rng.random((160, 12), dtype=np.float32), rng.integers(0, 3, 160)


def evaluated(project, data, model="build", **options):
    report = nb.evaluate_files(
        project / "m.pt",
        data=data,
        model=f"{project}/mine/code.py:{model}",
        **{"bounds": "binomial", "sampling": "iid", "workers": 0, "out": project / "o", **options},
    )
    assert not report.failures, report.failures
    return report


def values(report):
    return {(r.role, r.n, str(r.params), r.kind): r.value for r in report}


@pytest.fixture
def wanted(project):
    x, y = numbers()
    rows = values(evaluated(project, {"holdout": (x, y)}, out=project / "wanted"))
    assert {kind for *_, kind in rows} == {"certificate"}
    return rows


def points(report):
    """Numbers of points by role; a row for the worst class has fewer."""
    found = {}
    for r in report:
        found[r.role] = max(r.n, found.get(r.role, 0))
    return found


def frame(x, y):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(x, columns=[f"pixel{j}" for j in range(12)]).assign(label=y)


def test_one_sample_in_every_form_gives_the_same_rows(project, wanted):
    x, y = numbers()
    tensors = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    forms = {
        "arrays": (x, y),
        "labels in a list": (x, y.tolist()),
        "tensors": (torch.from_numpy(x), torch.from_numpy(y)),
        "frames": (frame(x, y).drop(columns="label"), frame(x, y)["label"]),
        "a frame with labels": frame(x, y),
        "data set": tensors,
        "loader": DataLoader(tensors, batch_size=32),
        "batches": [(x[i : i + 40], y[i : i + 40]) for i in range(0, 160, 40)],
        "a mapping of lists": {"input": x.tolist(), "labels": y.tolist()},
        "a mapping": {"input": x, "labels": y},
        "one entry of another name": [{"x": x[i::2], "labels": y[i::2]} for i in range(2)],
    }
    for k, (form, sample) in enumerate(forms.items()):
        alone = {"data": sample, "roles": "holdout"} if k % 2 else {"data": {"holdout": sample}}
        assert values(evaluated(project, **alone)) == wanted, form


def test_a_mapping_with_labels_inside_calls_the_network_by_keyword(project):
    x, y = numbers()
    torch.manual_seed(1)
    sys.path.insert(0, str(project))
    from mine.code import ByKeyword

    torch.save(ByKeyword().state_dict(), project / "m.pt")
    masked = np.where(np.arange(12) % 3, x, 0)
    by_hand = values(evaluated(project, {"holdout": (masked, y)}, "ByKeyword"))
    mask = np.broadcast_to((np.arange(12) % 3 > 0).astype(np.float32), x.shape).copy()
    rows = [{"pixels": a, "mask": m, "label": int(c)} for a, m, c in zip(x, mask, y)]
    batches = [{"pixels": x, "mask": mask, "labels": torch.from_numpy(y)}]
    for sample in (rows, batches, batches[0]):
        assert values(evaluated(project, {"holdout": sample}, "ByKeyword")) == by_hand


def test_names_that_are_no_roles_are_answered_with_what_to_type(project):
    command = ["evaluate", f"{project}/m.pt", f"--model={project}/mine/code.py:build"]
    command += [f"--data={project}/mine/code.py:load", "--sampling=iid", "--bounds=binomial"]
    command += ["--workers=0", f"--out={project}/o"]
    asked = CliRunner().invoke(app, command)
    says = " ".join(asked.output.split())
    assert "'train', 'val'" in says
    typed = "train=fit,val=holdout"
    assert f"--roles {typed} " in says
    found = CliRunner().invoke(app, [*command, "--roles", typed, "--data-args", "rows=100"])
    assert found.exit_code == 0, found.output
    assert points(nb.load_report(project / "o")) == {"holdout": 60, "fit": 100}
    only = evaluated(
        project, f"{project}/mine/code.py:load", role_names={"train": "none", "val": "holdout"}
    )
    assert points(only) == {"holdout": 100}


def test_candidates_go_by_the_names_of_the_parts(project):
    x, y = numbers()
    said = evaluated(
        project, {"val": (x, y)}, role_names={"val": "holdout"}, selected_among={"val": 20}
    ).rows[0]
    assert any("divided by 20 candidates" in reason for reason in said.reasons)


def saved(folder, form, parts):
    """Write parts of the data in one form of files."""
    folder.mkdir()
    for name, (x, y) in parts.items():
        if form == "npz":
            np.savez(folder / f"{name}.npz", inputs=x, labels=y)
        elif form == "csv":
            frame(x, y).to_csv(folder / f"{name}.csv", index=False)
        elif form == "parquet":
            pytest.importorskip("pyarrow")
            frame(x, y).to_parquet(folder / f"{name}.parquet")
        else:
            (folder / name).mkdir()
            np.save(folder / name / "inputs.npy", x)
            np.save(folder / name / "labels.npy", y)
    return folder


@pytest.mark.parametrize("form", ["npz", "csv", "parquet", "npy"])
def test_files_and_folders_of_them(project, wanted, form):
    x, y = numbers()
    folder = saved(project / "d", form, {"train": (x[:40] + 1, y[:40]), "val": (x, y)})
    names = {"train": "none", "val": "holdout"}
    assert values(evaluated(project, folder, role_names=names)) == wanted
    if form in ("npz", "csv", "parquet"):
        alone = folder / f"val.{form}"
        assert values(evaluated(project, alone, roles="holdout")) == wanted
        half = evaluated(project, alone, roles={"holdout": "0:80", "test": "80:160"})
        assert points(half) == {"holdout": 80}
    (project / "zoo.toml").write_text(
        '[tasks.t]\ndata = "d"\nsampling = "iid"\n'
        'role_names = { train = "none", val = "holdout" }\n'
        '[checkpoints.m]\nfile = "m.pt"\ntask = "t"\nselected_among = { val = 3 }\n'
    )
    command = ["evaluate", str(project / "zoo.toml"), f"--model={project}/mine/code.py:build"]
    command += ["--bounds=binomial", "--workers=0", f"--out={project}/zoo"]
    assert CliRunner().invoke(app, command).exit_code == 0
    row = nb.load_report(project / "zoo").rows[0]
    assert (row.role, row.n) == ("holdout", 160)
    assert any("divided by 3 candidates" in reason for reason in row.reasons)


def test_images_by_class_with_a_transform(project):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(1)
    pixels, labels = rng.integers(0, 256, (30, 2, 2, 3), dtype=np.uint8), np.arange(30) % 3
    for k, (one, y) in enumerate(zip(pixels, labels)):
        part = "train" if k < 10 else "val"
        if part == "val" and y == 1:
            continue  # a class without an image in one part keeps its number
        folder = project / "images" / part / ("ape", "bee", "cat")[y]
        folder.mkdir(parents=True, exist_ok=True)
        image.fromarray(one).save(folder / f"{k:02}.png")
    with pytest.raises(DataError, match=r"--transform FILE\.py:FUNCTION"):
        raise_first(project, project / "images")
    command = ["evaluate", f"{project}/m.pt", f"--model={project}/mine/code.py:build"]
    command += [f"--data={project}/images", f"--transform={project}/mine/code.py:tensor"]
    command += ["--roles=train=fit,val=holdout", "--sampling=iid", "--bounds=binomial"]
    done = CliRunner().invoke(app, [*command, "--workers=0", f"--out={project}/o"])
    assert done.exit_code == 0, done.output
    found = nb.load_report(project / "o")
    (facts,) = found.facts.values()
    assert facts["classes"] == ["ape", "bee", "cat"]
    kept = {
        "fit": np.arange(30) < 10,
        "holdout": (np.arange(30) >= 10) & (labels != 1),
    }
    inputs = pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255
    order = np.argsort(labels, kind="stable")
    data = {r: (inputs[order][k[order]], labels[order][k[order]]) for r, k in kept.items()}
    assert values(found) == values(evaluated(project, data, out=project / "arrays"))


def raise_first(project, data, **options):
    """Evaluate, and raise what a failed checkpoint says."""
    report = nb.evaluate_files(
        project / "m.pt", data=data, model=f"{project}/mine/code.py:build", workers=0,
        out=project / "o", **options,
    )  # fmt: skip
    raise DataError(report.failures[0].reason)


def test_what_datasets_saved(project, wanted):
    datasets = pytest.importorskip("datasets")
    x, y = numbers()

    def split(x, y):
        columns = {"input": x.tolist(), "label": y.tolist(), "note": ["text"] * len(x)}
        features = datasets.Features(
            input=datasets.Sequence(datasets.Value("float32")),
            label=datasets.ClassLabel(names=["ape", "bee", "cat"]),
            note=datasets.Value("string"),
        )
        return datasets.Dataset.from_dict(columns, features=features)

    both = datasets.DatasetDict({"train": split(x[:9], y[:9]), "validation": split(x, y)})
    both.save_to_disk(str(project / "d"))
    names = {"train": "none", "validation": "holdout"}
    found = evaluated(project, project / "d", role_names=names)
    assert values(found) == wanted
    (facts,) = found.facts.values()
    assert facts["classes"] == ["ape", "bee", "cat"]
    both["validation"].save_to_disk(str(project / "alone"))
    assert values(evaluated(project, project / "alone", roles="holdout")) == wanted
    assert values(evaluated(project, both["validation"], roles="holdout")) == wanted


def test_a_library_that_is_missing_is_named(project, monkeypatch):
    (project / "d").mkdir()
    (project / "d" / "dataset_dict.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="pip install datasets"):
        raise_first(project, project / "d")


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (lambda x, y: (x, y), {}, DataError, r"has no role.*--role holdout"),
        (lambda x, y: {"holdout": x}, {}, DataError, r"one array.*without labels"),
        (lambda x, y: {"holdout": [(x, y, y)]}, {}, DataError, r"tuple of 3.*pairs"),
        (lambda x, y: {"holdout": [{"x": x}]}, {}, DataError, r"'x' has none of 'labels'"),
        (lambda x, y: {"holdout": [{"y": y, "label": y, "x": x}]}, {}, DataError, "several of"),
        (lambda x, y: {"dev": (x, y), "val": (x, y)}, {}, DataError, "dev=holdout,val=test"),
        (
            lambda x, y: {"dev": (x, y), "val": (x, y)},
            {"role_names": {"dev": "holdout", "val": "holdout"}},
            DataError,
            r"'dev', 'val' are all holdout.*--roles val=none",
        ),
        (
            lambda x, y: {"val": (x, y)},
            {"role_names": {"vla": "holdout"}},
            DataError,
            "no part 'vla'; did you mean 'val'",
        ),
        (lambda x, y: {"fit": (x, y)}, {"roles": "holdout"}, DataError, "leave --role"),
        (lambda x, y: 3, {}, DataError, "found int"),
        (lambda x, y: {"a": (x, y)}, {"role_names": {"a": "hold"}}, RoleError, "is no role"),
        (lambda x, y: {"fit": (x, y)}, {"data_args": {"n": 1}}, DataError, "FILE.py:FUNCTION"),
        (lambda x, y: {"fit": (x, y)}, {"transform": "a.py:f"}, DataError, "folder of images"),
    ],
)
def test_what_cannot_be_read_says_what_is_needed(project, data, options, error, message):
    with pytest.raises(error, match=message):
        raise_first(project, data(*numbers()), **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (",pixel0,label\n0,.1,1\n", "has no name.*index=False"),
        ("pixel0,label\na,1\n", "'pixel0' holds no numbers"),
        ("pixel0,label\n.1,cat\n", "'label' holds .*cat.* class numbers"),
        ("pixel0,label,y\n.1,1,1\n", "labels under one of"),
        ("label\n1\n", "no column of inputs"),
        ("", "cannot be read"),
    ],
)
def test_tables_that_cannot_be_read(project, text, message):
    (project / "d.csv").write_text(text)
    with pytest.raises(NcboundsError, match=message):
        raise_first(project, project / "d.csv", roles="holdout")


def test_a_damaged_picture_and_an_array_of_objects_are_refused(project):
    pytest.importorskip("PIL")
    (project / "i" / "holdout" / "ape").mkdir(parents=True)
    (project / "i" / "holdout" / "ape" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    with pytest.raises(DataError, match=r"0\.png is no image"):
        raise_first(project, project / "i", transform=f"{project}/mine/code.py:tensor")
    (project / "d" / "holdout").mkdir(parents=True)
    np.save(project / "d/holdout/inputs.npy", np.array([{}], object), allow_pickle=True)
    np.save(project / "d/holdout/labels.npy", np.zeros(1, int))
    with pytest.raises(DataError, match=r"inputs\.npy cannot be read"):
        raise_first(project, project / "d")


def test_a_loader_that_gives_other_rows_is_said_on_the_row_and_under_the_table(project):
    x, y = numbers()
    tensors = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    torch.manual_seed(3)
    shuffled = DataLoader(tensors, batch_size=80, shuffle=True)
    found = evaluated(project, {"holdout": shuffled})
    (row, *_) = found.rows
    assert any("other rows each time" in reason for reason in row.reasons)
    assert "loader of holdout gives other rows" in " ".join(found.to_screen().split())
    steady = evaluated(project, {"holdout": DataLoader(tensors, batch_size=80)})
    assert "other rows" not in steady.to_screen()


def test_names_of_a_checkpoint_that_differ_from_those_of_the_data_are_said():
    from types import SimpleNamespace

    from ncbounds.data.manifest import Task
    from ncbounds.data.points import Points
    from ncbounds.runs.subject import _names

    told = SimpleNamespace(hints={"config": {"id2label": {"0": "cat", "1": "dog"}}})
    task = Task(name="t", data=None)
    assert _names(task, told, [Points(None, classes=("cat", "dog"))], 2) == (("cat", "dog"), [])
    names, (said,) = _names(task, told, [Points(None, classes=("dog", "cat"))], 2)
    assert names == ("cat", "dog")
    assert "equal names in another order" in said
    names, (said,) = _names(task, told, [Points(None, classes=("ape", "bee"))], 2)
    assert "ape, bee" in said
    assert "another order" not in said


def test_two_data_sets_that_nobody_hashed_are_kept_apart():
    """Where rows are not stored under their hash, one process still reads each set once."""
    from ncbounds.data.given import UserData, user_samples
    from ncbounds.data.manifest import Manifest, Task
    from ncbounds.runs.own_data import kept_by_name

    x, y = np.zeros((2, 3)), np.arange(2)
    tasks = {name: Task(name, UserData({"fit": (x + i, y)})) for i, name in enumerate("ab")}
    book = kept_by_name(Manifest(None, tasks, {}))
    for _ in range(2):
        for i, name in enumerate("ab"):
            assert (user_samples(book.tasks[name].data)["fit"][0] == i).all()
