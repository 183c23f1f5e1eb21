"""Code words from a manifest, or from Python, to rows: counted on raw images, damaged, replaced."""

import json

import numpy as np
import pytest
import torch

import ncbounds as nb
from ncbounds.checkpoints.architectures.small import MODELS
from ncbounds.code_words import Architecture, CodeWordError, Layer, Network, encode, predictions
from ncbounds.data.manifest import load_manifest
from ncbounds.errors import DataError, InvalidSample, ManifestError, RoleError
from ncbounds.evaluation.plan import listed
from ncbounds.numerics import occam_upper
from ncbounds.runs.subject import evidence_of

SHAPE, CLASSES = (1, 8, 8), 3
BOUNDS = "compressed_network,unlabelled_network,binomial"
RNG = np.random.default_rng(4)
IMAGES = RNG.integers(0, 256, (900, 8, 8), dtype=np.uint8)
ROWS = {"fit": slice(0, 300), "unlabelled": slice(300, 500), "test": slice(600, 900)}


def random_network(seed):
    rng = np.random.default_rng(seed)
    architecture = Architecture((Layer(3), Layer(4)), reduction=1)
    sizes = architecture.shapes(1, CLASSES)
    codes = tuple(rng.integers(-3, 4, size) for size in sizes)
    biases = tuple(rng.integers(-2, 3, size[0]) for size in sizes)
    return Network(architecture, codes, biases, SHAPE, CLASSES)


WORD, OTHER = encode(random_network(0)), encode(random_network(1))
PREDICTED = predictions(random_network(0), IMAGES)
#: One label in five differs from what the network of ``WORD`` predicts; ties never agree.
LABELS = np.where(RNG.random(900) < 0.2, (PREDICTED + 1) % CLASSES, np.maximum(PREDICTED, 0))


@pytest.fixture
def zoo(tmp_path):
    """Two checkpoints, one of which names a code word."""
    np.savez(tmp_path / "data.npz", images=IMAGES, labels=LABELS.astype(np.uint8))
    (tmp_path / "words").mkdir()
    (tmp_path / "words/one.ncz").write_bytes(WORD)
    text = '[tasks.t]\ndata = "data.npz"\nsampling = "iid"\n'
    for seed, name in enumerate(("one", "two")):
        torch.manual_seed(seed)
        module = MODELS["mlp"](width=8, depth=1, in_features=64, classes=CLASSES)
        torch.save(module.state_dict(), tmp_path / f"{name}.pt")
        text += f"""
[checkpoints.{name}]
file = "{name}.pt"
task = "t"
model = "mlp"
args = {{width = 8, depth = 1, in_features = 64, classes = {CLASSES}}}
roles = {{fit = "0:300", unlabelled = "300:500", holdout = "500:600", test = "600:900"}}
"""
        text += 'code_word = "words/one.ncz"\ntried = 1\n' if name == "one" else ""
    (tmp_path / "zoo.toml").write_text(text)
    return tmp_path


def edit(zoo, old, new):
    path = zoo / "zoo.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def run(zoo, bounds=BOUNDS):
    return nb.sweep(zoo, zoo / "run", bounds=bounds, workers=0)


def row(report, bound, checkpoint="one"):
    (found,) = [r for r in report if r.bound == bound and r.checkpoint == checkpoint]
    return found


def test_rows_by_hand(zoo):
    report = run(zoo)
    errors = int((PREDICTED != LABELS)[ROWS["fit"]].sum())
    assert errors > 0
    own = row(report, "compressed_network")
    assert own.kind == "certificate"
    assert (own.role, own.target, own.n) == ("fit", "compressed", 300)
    assert own.details["errors"] == errors
    assert own.value == occam_upper(errors, 300, 8 * len(WORD), 0.05)
    # the error of the decoded network, not of the saved one
    assert own.test.error == (PREDICTED != LABELS)[ROWS["test"]].mean()
    saved = row(report, "unlabelled_network")
    assert saved.kind == "certificate"
    assert saved.target == "saved"
    book = load_manifest(zoo)
    evidence = evidence_of(book.checkpoints["one"], book.tasks["t"])
    chosen = evidence.unlabelled.logits(evidence.head).argmax(axis=1)
    assert saved.details["differences"] == int((chosen != PREDICTED[ROWS["unlabelled"]]).sum())
    assert saved.test.error == (~(evidence.test.margins(evidence.head) > 0)).mean()


def test_the_kind_follows_from_the_evidence(zoo):
    edit(zoo, "tried = 1\n", "")
    unknown = run(zoo)
    assert row(unknown, "unlabelled_network").kind == "plug-in"
    assert row(unknown, "compressed_network").kind == "certificate"
    edit(zoo, 'sampling = "iid"\n', "")
    undeclared = run(zoo)
    assert row(undeclared, "compressed_network").kind == "plug-in"
    edit(zoo, "code_word = ", 'kind = "certificate"\ncode_word = ')
    with pytest.raises(ManifestError, match="unknown key 'kind'"):
        run(zoo)


def test_where_none_is_given(zoo):
    asked = row(run(zoo), "compressed_network", "two")
    assert np.isnan(asked.value)
    assert "ncbounds compress" in asked.reasons[-1]
    assert asked.test is None
    # nobody asked: no row
    found = [r for r in run(zoo, None) if r.bound in ("compressed_network", "unlabelled_network")]
    assert {r.checkpoint for r in found} == {"one"}
    assert len(listed(found, None)) == len(listed(found, "compressed_network")) == 2


def test_a_bad_word_harms_no_other_row(zoo):
    kept = [r.value for r in run(zoo)["binomial"]]
    path = zoo / "words/one.ncz"
    for bad, says in (
        (b"", "this library reads"),
        (WORD + b"\0", "ends after"),
        (WORD[:-1], "truncated"),
        (None, "No such file"),
    ):
        path.unlink() if bad is None else path.write_bytes(bad)
        after = run(zoo, BOUNDS + ",parameter_cover")
        assert not after.failures
        for bound in ("compressed_network", "unlabelled_network"):
            broken = row(after, bound)
            assert np.isnan(broken.value)
            assert says in broken.reasons[-1]
            assert "one.ncz" in broken.reasons[-1]
        assert np.isfinite(row(after, "parameter_cover").value)
        assert [r.value for r in after["binomial"]] == kept
    # said in a default report too
    assert (
        row(run(zoo, None), "compressed_network").reasons
        == row(after, "compressed_network").reasons
    )


def test_another_word_is_another_row(zoo):
    first = row(run(zoo), "compressed_network")
    stored = json.loads((zoo / "run/results/one/compressed_network.json").read_text())
    (zoo / "words/one.ncz").write_bytes(OTHER)
    second = row(run(zoo), "compressed_network")
    again = json.loads((zoo / "run/results/one/compressed_network.json").read_text())
    assert stored["key"] != again["key"]
    assert first.details["sha256"] != second.details["sha256"]
    assert first.value != second.value
    # the name of the file is not part of the result
    (zoo / "words/one.ncz").rename(zoo / "words/renamed.ncz")
    edit(zoo, "words/one.ncz", "words/renamed.ncz")
    run(zoo)
    moved = json.loads((zoo / "run/results/one/compressed_network.json").read_text())
    assert moved["key"] == again["key"]


def test_data_without_images(zoo):
    inputs = IMAGES[:, None].astype(np.float32) / 255
    np.savez(zoo / "data.npz", inputs=inputs, labels=LABELS.astype(np.uint8))
    assert "8-bit images" in row(run(zoo), "compressed_network").reasons[-1]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("tried = 1", "tried = 0", "at least 1"),
        ("tried = 1", "tried = true", "needs int"),
        ('code_word = "words/one.ncz"', "code_word = 3", "needs str"),
        ('code_word = "words/one.ncz"\n', "", "goes with code_word"),
        ("code_word", "codeword", "did you mean 'code_word'"),
    ],
)
def test_mistakes_in_the_manifest(zoo, old, new, says):
    edit(zoo, old, new)
    with pytest.raises(ManifestError, match=says):
        load_manifest(zoo)


def arrays():
    """Evidence from arrays: features are pixels, as no bound here reads them."""
    features = IMAGES.reshape(len(IMAGES), -1) / 255.0
    samples = {
        role: nb.Sample.from_arrays(features[s], LABELS[s], role=role, sampling="iid")
        for role, s in ROWS.items()
    }
    head = nb.LinearHead(np.random.default_rng(0).normal(size=(CLASSES, 64)))
    return nb.Evidence(head=head, **samples)


def test_from_arrays_in_python(tmp_path):
    evidence = arrays()
    images = {role: IMAGES[s] for role, s in ROWS.items()}
    (tmp_path / "network.ncz").write_bytes(WORD)
    for word in (WORD, tmp_path / "network.ncz", str(tmp_path / "network.ncz")):
        report = nb.evaluate(nb.with_code_word(evidence, word, images, tried=1), bounds="network")
        found = {r.bound: r for r in report}
        assert set(found) == {"compressed_network", "unlabelled_network"}
        assert {r.kind for r in report} == {"certificate"}
        own = found["compressed_network"]
        assert own.value == occam_upper(own.details["errors"], 300, 8 * len(WORD), 0.05)
        assert own.test.error == (PREDICTED != LABELS)[ROWS["test"]].mean()
    assert evidence.code_word is None
    assert (
        "with_code_word" in nb.evaluate(evidence, bounds="compressed_network").rows[0].reasons[-1]
    )


def test_images_that_do_not_belong_are_refused():
    evidence = arrays()
    with pytest.raises(InvalidSample, match="299 images for the 300 rows of fit"):
        nb.with_code_word(evidence, WORD, {"fit": IMAGES[:299]})
    with pytest.raises(DataError, match="uint8"):
        nb.with_code_word(evidence, WORD, {"fit": IMAGES[:300] / 255.0})
    with pytest.raises(InvalidSample, match="one shape"):
        nb.with_code_word(evidence, WORD, {})
    with pytest.raises(RoleError, match="train"):
        nb.with_code_word(evidence, WORD, {"train": IMAGES[:300]})
    with pytest.raises(CodeWordError):
        nb.with_code_word(evidence, WORD[:-1], {"fit": IMAGES[:300]})
    only_fit = nb.with_code_word(evidence, WORD, {"fit": IMAGES[:300]})
    (undefined,) = nb.evaluate(only_fit, bounds="unlabelled_network")
    assert "no rows of unlabelled" in undefined.reasons[-1]


def test_no_bound_counts_the_test_images():
    evidence = nb.with_code_word(arrays(), WORD, {role: IMAGES[s] for role, s in ROWS.items()})

    def read():
        raise AssertionError("read")

    evidence.code_word.predict["test"] = read
    for b in nb.bounds.catalogue():
        for role, params in b.planned(evidence.without_test()):
            b(evidence.without_test(), role=role, **params)
