"""What an error is, and what the classes are called wherever a number stood."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.bounds import get
from ncbounds.checkpoints.class_names import class_names
from ncbounds.errors import InvalidSample
from ncbounds.evaluation.facts import facts_of
from ncbounds.evidence.decision import MultiClass
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample

HEAD = LinearHead(np.eye(3))
NAMES = ("sandal", "boot", "bag")


def sample(features, labels, role="holdout", **more):
    return Sample.from_arrays(features, labels, role=role, **{"sampling": "iid", **more})


def test_ties_non_finite_logits_and_unknown_labels_are_errors():
    nan, inf = np.nan, np.inf
    logits = np.array(
        [[3, 1, 2], [1, 3, 2], [2, 2, 1], [1, 1, 2], [nan, 1, 0], [inf, 0, 0], [0, -inf, 1.0]]
    )
    right = MultiClass()
    labels = np.array([0, 0, 0, 2, 1, 0, 2])
    points = sample(logits, labels)
    assert right.predicted(points, HEAD).tolist() == [0, 1, -1, 2, -1, -1, -1]
    wrong = [False, True, True, False, True, True, True]
    assert right.wrong(points, HEAD).tolist() == wrong
    assert right.wrong_logits(logits, labels).tolist() == wrong
    assert right.wrong(sample(logits[:1], [3]), HEAD).all()
    assert right.wrong_logits(logits[:1], np.array([3])).all()
    assert right.wrong_logits(logits[:1], np.array([-1])).all()


def test_predictions_and_logits_give_the_same_errors():
    rng = np.random.default_rng(0)
    logits = rng.integers(-2, 3, (4000, 4)).astype(float)
    logits[rng.random((4000, 4)) < 0.02] = np.nan
    labels = rng.integers(0, 6, 4000)
    points, head = sample(logits, labels), LinearHead(np.eye(4))
    found = MultiClass().wrong(points, head)
    predicted = MultiClass().predicted(points, head)
    assert np.array_equal(found, MultiClass().missed(predicted, labels))
    assert 0.1 < found.mean() < 0.95


def test_all_classes_have_names_or_none():
    assert [MultiClass(NAMES).name(c) for c in (0, 2, 3)] == ["sandal", "bag", "3"]
    assert MultiClass().name(1) == "1"
    with pytest.raises(InvalidSample, match=r"2 class names.*3 classes.*MultiClass\(names\)"):
        Evidence(head=HEAD, decision=MultiClass(NAMES[:2]))


@pytest.mark.parametrize(
    ("decision", "name"), [(MultiClass(), "1"), (nb.MultiClass(NAMES), "boot")]
)
def test_reasons_name_the_classes(decision, name):
    f, y = np.eye(3)[[0, 0, 1, 1, 2, 2]], [0, 0, 1, 2, 2, 2]
    held = Evidence(head=HEAD, holdout=sample(f, y), decision=decision)
    worst = get("binomial")(held, per="worst class")
    assert f"(here of class {decision.name(2)})" in worst.reasons[-1]
    drawn = sample(f[[0, 1, 4, 5]], [0, 0, 2, 2], sampling="stratified")
    absent = get("binomial")(Evidence(head=HEAD, holdout=drawn, decision=decision))
    assert f"class {name} has no point in a stratified sample" in absent.reasons
    single = get("kv_margin")(held)
    assert single.reasons == (f"class {name} has a single point",)
    twins = np.random.default_rng(0).standard_normal((6, 3))
    close = Evidence(
        head=HEAD,
        holdout=sample(np.tile(twins, (3, 1)), np.repeat([0, 1, 2], 6)),
        decision=decision,
    )
    pairs = get("ncm_few_shot")(close, m=5).reasons[-1]
    assert f"not separated: {decision.name(0)}-{name}, " in pairs
    assert facts_of(held)["classes"] == list(decision.names)


def test_names_in_a_configuration():
    def found(labels, classes=3):
        return class_names({"config": {"id2label": labels}}, classes)

    assert found({"0": "sandal", "2": "bag", "1": "boot"}) == NAMES
    assert found({0: "sandal", 1: "boot", 2: "bag"}) == NAMES
    assert found({"0": "crane", "1": "boot", "2": "crane"}) == ("crane (0)", "boot", "crane (2)")
    assert found({"0": "a\x1b[31m", "1": "b\n", "2": "c" * 99}) == ("a[31m", "b", "c" * 60)
    for other in (
        {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"},
        {"0": "sandal", "1": "boot"},
        {"0": "sandal", "1": "boot", "2": 5},
        {"0": "sandal", "1": "boot", "2": "\x00"},
        ["sandal", "boot", "bag"],
        None,
    ):
        assert found(other) == ()
    assert class_names({}, 3) == class_names({"config": "x"}, 3) == ()


def test_no_bound_compares_a_margin_with_zero_by_itself():
    """Margins are compared with 0 in evidence/, and where a formula's own threshold is 0."""
    root = Path(nb.__file__).parent
    formulas = {"bounds/margin/_transport.py"}  # candidates for gamma are the positive margins
    found = set()
    for path in [*root.glob("bounds/**/*.py"), *root.glob("claims/*.py"), *root.glob("certify/*")]:
        if path.suffix != ".py":
            continue
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if any(
            "margins" in ast.unparse(n.left) and ast.unparse(n.comparators[0]) in ("0", "0.0")
            for n in tree
            if isinstance(n, ast.Compare)
        ):
            found.add(path.relative_to(root).as_posix())
    assert found == formulas


def test_names_of_a_transformers_folder_and_of_a_manifest(tmp_path):
    transformers = pytest.importorskip("transformers")
    from ncbounds.data.manifest import load_manifest
    from ncbounds.runs.subject import evidence_of

    config = transformers.ResNetConfig(
        num_channels=1,
        embedding_size=4,
        hidden_sizes=[4],
        depths=[1],
        layer_type="basic",
        id2label=dict(enumerate(NAMES)),
        label2id={n: i for i, n in enumerate(NAMES)},
    )
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "net")
    assert json.loads((tmp_path / "net/config.json").read_text())["id2label"]["2"] == "bag"
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((12, 1, 32, 32)).astype(np.float32)
    np.savez(tmp_path / "d.npz", inputs=inputs, labels=np.arange(12) % 3)
    text = """
[tasks.t]
data = "d.npz"
[checkpoints.a]
file = "net"
task = "t"
roles = {holdout = "0:12"}
"""
    (tmp_path / "zoo.toml").write_text(text)

    def names():
        book = load_manifest(tmp_path)
        return evidence_of(book.checkpoints["a"], book.tasks["t"]).decision.names

    assert names() == NAMES
    own = 'data = "d.npz"\nclasses = ["x", "y", "z"]'
    (tmp_path / "zoo.toml").write_text(text.replace('data = "d.npz"', own))
    assert names() == ("x", "y", "z")
    (tmp_path / "zoo.toml").write_text(text.replace('data = "d.npz"', own.replace(', "z"', "")))
    with pytest.raises(InvalidSample, match=r"2 class names.*classes = \[...\] of the task"):
        names()
