"""Pictures of two items: no image in two rows, labels as they are drawn, three small networks."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

import ncbounds as nb
from ncbounds.data.images import standardise
from ncbounds.data.manifest import load_manifest
from ncbounds.data.points import entry_points
from ncbounds.data.side_by_side import side_by_side
from ncbounds.errors import DataError, ManifestError
from ncbounds.report.cells import number
from ncbounds.runs.subject import evidence_of
from ncbounds.zoo import tags

SHIPPED = Path(__file__).parents[2] / "data" / "tags"


def test_every_row_shows_its_own_two_images_or_one_of_them_beside_black():
    rng = np.random.default_rng(0)
    n = 2001
    images = rng.integers(1, 256, (n, 2, 3)).astype(np.uint8)
    labels = rng.integers(0, 4, n)
    found = side_by_side(images, labels, 0.7, 3, 4)
    assert found.images.shape == (1000, 2, 6)
    assert found.indicators.shape == (1000, 4)
    both = 0
    for i, (picture, classes) in enumerate(zip(*found)):
        halves = picture[:, :3], picture[:, 3:]
        there = [half.any() for half in halves]
        for side in range(2):
            if there[side]:
                np.testing.assert_array_equal(halves[side], images[2 * i + side])
        expected = {labels[2 * i + side] for side in range(2) if there[side]}
        assert {*np.flatnonzero(classes)} == expected
        assert any(there)
        both += all(there)
    assert both == pytest.approx(700, abs=60)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((4, 2, 2)), np.zeros(4, dtype=int)),
        (np.zeros((4, 4), dtype=np.uint8), np.zeros(4, dtype=int)),
        (np.zeros((4, 2, 2), dtype=np.uint8), np.full(4, 3)),
    ],
)
def test_what_makes_no_pairs_is_refused(images, labels):
    with pytest.raises(DataError, match="pairs"):
        side_by_side(images, labels, 0.5, 0, 3)


def test_the_manifest_is_the_shipped_one_and_its_samples_share_no_image():
    assert tags.manifest() == (SHIPPED / "zoo.toml").read_text(encoding="utf-8")
    assert sum(p.stat().st_size for p in SHIPPED.iterdir()) < 1e6
    book = load_manifest(SHIPPED)
    entry, task = book.checkpoints["binary"], book.tasks[tags.TASK]
    points = entry_points(entry, task)
    with np.load(SHIPPED.parent / "fashion14.npz") as source:
        images, labels = source["images"], source["labels"]
    for role, text in tags.ROLES.items():
        start, stop = map(int, text.split(":"))
        inputs, sets = points[role].loader
        assert inputs.shape == (stop - start, 1, 14, 28)
        assert sets.shape == (stop - start, 10)
        both = np.concatenate((images[2 * start], images[2 * start + 1]), axis=1)
        assert {*np.flatnonzero(sets[0])} <= {labels[2 * start], labels[2 * start + 1]}
        shown = np.isclose(inputs[0, 0], standardise(both[None])[0, 0])
        assert shown[:, :14].all() or shown[:, 14:].all()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("pairs = 2", "pairs: a probability"),
        ("decision = 'multilabel'", "decision: one of multi-class, multi-label"),
        ("pairs = 0.5\ndecision = 'multi-class'", "decision = 'multi-label'"),
        ("pairs = 0.5\nlabel_noise = 0.1", "label_noise: is about points of one label"),
        ("decision = 'multi-label'\nimbalance = 10", "imbalance: is about points of one label"),
    ],
)
def test_a_task_that_contradicts_its_several_labels(line, says, tmp_path):
    (tmp_path / "zoo.toml").write_text(f"[tasks.t]\ndata = 'a.npz'\n{line}\n")
    with pytest.raises(ManifestError, match=says):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("thresholds = 'x'", "thresholds: needs"),
        ("thresholds = 0.5\nranked = true", "keep one of them"),
        ("probability_thresholds = [0.5, 1]", "between 0 and 1, found 1"),
        ("ranked = 1", "ranked: needs bool"),
    ],
)
def test_a_checkpoint_that_contradicts_its_thresholds(line, says, tmp_path):
    text = "[tasks.t]\ndata = 'a.npz'\n[checkpoints.c]\nfile = 'c'\ntask = 't'\nroles = {}\n"
    (tmp_path / "zoo.toml").write_text(f"{text}{line}\n")
    with pytest.raises(ManifestError, match=says):
        load_manifest(tmp_path)


def test_the_losses_are_what_their_names_say():
    logits = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]], dtype=torch.float64)
    sets = torch.tensor([[1.0, 0, 1], [0, 1, 0]], dtype=torch.float64)
    p = torch.sigmoid(logits)
    binary = -(sets * p.log() + (1 - sets) * (1 - p).log()).sum(1).mean()
    assert tags.training_loss("binary", logits, sets) == pytest.approx(float(binary))
    each = [functional.cross_entropy(logits[[i]], torch.tensor([j])) for i, j in [(0, 0), (0, 2)]]
    alone = functional.cross_entropy(logits[[1]], torch.tensor([1]))
    expected = (sum(each) + alone) / 2
    assert tags.training_loss("pick-all-label", logits, sets) == pytest.approx(float(expected))


#: Names of the networks by how README's table calls what they were trained with.
TABLE = {
    "a binary loss a label": "binary",
    "the same, decay .005": "binary-decay",
    "pick-all-label": "pick-all",
}


def test_readme_has_what_the_shipped_networks_show():
    text = (SHIPPED.parents[1] / "README.md").read_text(encoding="utf-8")
    book = load_manifest(SHIPPED)
    for called, name in TABLE.items():
        [cells] = re.findall(rf"^\| {called} \|(.*)\|$", text, re.MULTILINE)
        entry = book.checkpoints[name]
        evidence = evidence_of(entry, book.tasks[entry.task])
        asked = "ranking" if entry.ranked else "hamming,one-error,ranking"
        found = nb.evaluate(evidence, ["binomial", "mean_loss"], claims=asked)
        rows = {r.qualifier: r for r in found if r.role == "holdout" and "form" not in r.params}
        assert all(r.kind == "certificate" and r.test.low <= r.value for r in rows.values())
        order = ("subset error", "hamming", "one-error", "ranking loss")
        expected = [
            [number(rows[q].value, up=True), number(rows[q].test.error)] if q in rows else []
            for q in order
        ]
        assert [re.findall(r"\.\d+", cell) for cell in cells.split("|")] == expected
        if name == "binary":
            labels = nb.label_errors(evidence).set_index("name")
            said = re.search(
                r"at most (\.\d+) of the times that they are there \((\.\d+)\), trousers "
                r"(\.\d+) \((\.\d+)\)",
                " ".join(text.split()),
            )
            shown = [
                labels.loc[n, c]
                for n in ("shirt", "trouser")
                for c in ("miss_limit", "test_miss_rate")
            ]
            assert [float(x) for x in said.groups()] == pytest.approx(shown, abs=0.005)
