"""Manifests: what is accepted, and what each mistake is told."""

import numpy as np
import pytest

from ncbounds.data.manifest import Task, load_manifest, row_ids
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
