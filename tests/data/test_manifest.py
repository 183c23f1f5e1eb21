"""Manifests: what is accepted, and what each mistake is told."""

import os
import string
import tomllib
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.data.manifest import Entry, Task, load_manifest, row_ids
from ncbounds.data.task import task_arrays
from ncbounds.errors import ManifestError
from ncbounds.files import file_hash

GOOD = """
[tasks.t]
data = "d.npz"
label_noise = 0.1
noise_seed = 3
priors = "balanced"
sampling = "iid"
[checkpoints.a]
file = "a.pt"
task = "t"
model = "mlp"
args = {width = 16}
roles = {fit = "0:10", test = "10:20,30:40"}
group = {block = "first"}
"""


def write(folder, text):
    path = folder / "zoo.toml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_manifest(tmp_path):
    book = load_manifest(write(tmp_path, GOOD))
    assert book.tasks["t"].data == tmp_path / "d.npz"
    assert book.checkpoints["a"].file == tmp_path / "a.pt"
    assert book.checkpoints["a"].args == {"width": 16}
    assert load_manifest(tmp_path).path == book.path


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('data = "d.npz"', "", "data = 'file.npz' is missing"),
        ('task = "t"', 'task = "tt"', "did you mean 't'"),
        ('sampling = "iid"', 'sampling = "random"', "one of iid"),
        ("label_noise = 0.1", "label_noise = 1.5", "a probability"),
        ("label_noise = 0.1", 'label_noise = "a"', "needs int or float"),
        ('test = "10', 'tset = "10', "did you mean 'test'"),
        ("args = {width", "arsg = {width", "did you mean 'args'"),
        ('roles = {fit = "0:10", test = "10:20,30:40"}', "", "roles is missing"),
        ('sampling = "iid"', "classes = 3", "classes: needs list"),
        ('sampling = "iid"', 'classes = ["a", 1]', "classes: needs str, found 1"),
        ('sampling = "iid"', 'classes = ["a", "a"]', "name of its own"),
        ('sampling = "iid"', 'classes = ["a", " "]', "name of its own"),
        ("[tasks.t]", "[tasks.t", "is not TOML"),
        ('file = "a.pt"', 'file = ["a.pt"]', "needs str"),
        ("[tasks.t]", "[oops]\nx = 1\n[tasks.t]", "unknown key 'oops'"),
        ('model = "mlp"', 'import = "evil.py"', "unknown key 'import'"),
        ("group =", "selected_among = {hold = 100}\ngroup =", "did you mean 'holdout'"),
        ("group =", "selected_among = {holdout = 1.9}\ngroup =", "a whole number from 1 on"),
        ("group =", "selected_among = {holdout = true}\ngroup =", "a whole number from 1 on"),
        ("group =", "selected_among = {holdout = 0}\ngroup =", "a whole number from 1 on"),
        ("group =", "selected_amogn = {holdout = 2}\ngroup =", "did you mean 'selected_among'"),
        ("group =", "procedure = {name = 'rigde'}\ngroup =", "did you mean 'ridge'"),
        ("group =", "procedure = {name = 'ridge', penalty = nan}\ngroup =", "number >= 0"),
        ("group =", "procedure = {name = 'ridge', penalti = 1}\ngroup =", "found 'penalti'"),
        ("group =", "classes = {fit = [0.5]}\ngroup =", "needs int"),
        ("group =", "classes = {fti = [0]}\ngroup =", "did you mean 'fit'"),
        ("group =", "loss = 'msee'\ngroup =", "loss: no loss 'msee'; did you mean 'mse'"),
        ("group =", "loss = 'label_smoothing:1.5'\ngroup =", "share in"),
        ("group =", "loss = 3\ngroup =", "loss: needs str"),
        ("group =", "output = 1.5\ngroup =", "needs str or int"),
        ('priors = "balanced"', 'priors = "balancd"', "'balanced' or one probability"),
        ('priors = "balanced"', "priors = [0.5, 0.6]", "sum to 1"),
        ('priors = "balanced"', "priors = [nan, 1.0]", "one probability for each class"),
        ('priors = "balanced"', "priors = 0.5", "one probability for each class"),
        ("noise_seed = 3", "noise_seed = -1", "0 to 2"),
        ("label_noise = 0.1", "label_noise = nan", "a probability"),
        ('file = "a.pt"', 'file = "a\\u0000.pt"', "no file can be called"),
        ("[tasks.t]", f"x = {'[' * 5000}\n[tasks.t]", "is not TOML"),
        ("[tasks.t]", f"x = {'9' * 5000}\n[tasks.t]", "is not TOML"),
    ],
)
def test_mistakes_are_named(tmp_path, old, new, says):
    assert old in GOOD
    with pytest.raises(ManifestError, match=says):
        load_manifest(write(tmp_path, GOOD.replace(old, new, 1)))


def test_missing_and_empty_manifests(tmp_path):
    with pytest.raises(ManifestError, match="no manifest"):
        load_manifest(tmp_path)
    with pytest.raises(ManifestError, match="lists no checkpoint"):
        load_manifest(write(tmp_path, ""))


def test_row_ranges():
    np.testing.assert_array_equal(row_ids("0:2,5:7", 10), [0, 1, 5, 6])
    for text, says in [
        ("0:11", "do not fit"),
        ("3:3", "do not fit"),
        ("a", "ranges like"),
        ("-1:3", "ranges like"),
        ("0:3,2:4", "names a row twice"),
        (",".join(["0:10"] * 1000), "name a row twice"),
        (f"0:{'9' * 5000}", "ranges like"),
        ("٠:٣", "ranges like"),
    ]:
        with pytest.raises(ManifestError, match=says):
            row_ids(text, 10)


def test_a_folders_hash_depends_on_names_and_bytes(tmp_path):
    one = tmp_path / "one"
    one.mkdir()
    (one / "a").write_bytes(b"1")
    first = file_hash(one)
    (one / "b").write_bytes(b"")
    second = file_hash(one)
    (one / "a").write_bytes(b"2")
    assert len({first, second, file_hash(one)}) == 3


def test_only_fit_may_keep_some_classes(tmp_path):
    text = GOOD.replace("group =", "classes = {fit = [0, 1]}\ngroup =")
    assert load_manifest(write(tmp_path, text)).checkpoints["a"].classes == {"fit": [0, 1]}
    with pytest.raises(ManifestError, match="must follow the law"):
        load_manifest(write(tmp_path, text.replace("{fit = [0", "{test = [0")))


def test_repeats_and_a_label_to_ignore_are_declared_by_the_task(tmp_path):
    body = (
        '[tasks.t]\ndata = "d.npz"\n{}\n[checkpoints.a]\nfile = "a.pt"\ntask = "t"\nroles = {{}}\n'
    )
    path = tmp_path / "zoo.toml"
    path.write_text(body.format('repeats = "by chance"\nignore_label = 255'))
    task = load_manifest(path).tasks["t"]
    assert (task.repeats, task.ignore_label) == ("by chance", 255)
    for wrong, says in (
        ('repeats = "often"', "repeats: one of"),
        ('ignore_label = "x"', "ignore_"),
    ):
        path.write_text(body.format(wrong))
        with pytest.raises(ManifestError, match=says):
            load_manifest(path)


def test_noise_leaves_ignored_labels_alone_and_makes_no_class_of_them(tmp_path):
    labels = np.where(np.arange(300) % 5, np.arange(300) % 3, 255)
    np.savez(tmp_path / "d.npz", inputs=np.zeros((300, 2), np.float32), labels=labels)
    task = Task("t", tmp_path / "d.npz", label_noise=1.0, ignore_label=255)
    found = task_arrays(task)
    assert found.classes == 3
    assert np.array_equal(found.labels == 255, labels == 255)
    assert found.labels[labels != 255].max() == 2


def test_only_a_regular_file_of_bounded_size_is_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "zoo.toml")
    with pytest.raises(ManifestError, match="named pipe"):
        load_manifest(tmp_path)
    (tmp_path / "zoo.toml").unlink()
    (tmp_path / "zoo.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError, match="is not TOML"):
        load_manifest(tmp_path)
    monkeypatch.setattr("ncbounds.data.manifest.MANIFEST_BYTES", 10)
    with pytest.raises(ManifestError, match="more than 10 bytes"):
        load_manifest(write(tmp_path, GOOD))


VALUES = st.recursive(
    st.integers(-2, 3) | st.floats() | st.booleans() | st.text(max_size=6),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=6), x, max_size=3),
)
FIELDS = sorted({f.name for kind in (Task, Entry) for f in fields(kind)} | {"files", "unknown"})


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08X}" for c in value) + '"'
    return str(value).lower()


@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_any_manifest_is_one_or_one_clear_error(tmp_path_factory, data):
    table = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3)
    kind, file = data.draw(st.sampled_from([("checkpoints", "file"), ("series", "files")]))
    tasks = {"t": {"data": "d.npz", **data.draw(table)}}
    entry = {file: "a.pt", "task": "t", "roles": {"test": "0:1"}, **data.draw(table)}
    name = data.draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
    text = f"tasks = {toml(tasks)}\n{kind} = {toml({name: entry})}\n"
    text += data.draw(st.just("") | st.text(string.printable, max_size=4))
    path = tmp_path_factory.getbasetemp() / "zoo.toml"
    path.write_text(text, newline="")
    try:
        book = load_manifest(path)
    except ManifestError as error:
        said = str(error)
        assert said.isprintable()
        return
    assert [*tomllib.loads(text)[kind]] == [name]
    assert all(n == name or n.startswith(f"{name}/") for n in book.checkpoints)
