"""The two commands, from a checkpoint on disk to a recounted code word."""

import json
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures.words import random_network
from safetensors.torch import save_file
from typer.testing import CliRunner

from ncbounds.checkpoints.architectures.small import mlp
from ncbounds.cli.app import app
from ncbounds.cli.code_words import DRAWN, seconds_of, sentence
from ncbounds.code_words import Certificate, encode, predictions
from ncbounds.code_words.compress import _another_word, _unsound, compress_checkpoint
from ncbounds.code_words.recount import word_images
from ncbounds.data.noise import noisy_labels
from ncbounds.data.task import Images, task_images
from ncbounds.errors import DataError, NcboundsError
from ncbounds.numerics import occam_upper
from ncbounds.report.cells import number

DATA = """
import numpy as np
from sklearn.datasets import load_digits

def load():
    d = load_digits()
    x = np.kron(np.minimum(16 * d.images, 255), np.ones((2, 2))).astype(np.uint8)
    return {
        "fit": (x[:1200], d.target[:1200]),
        "unlabelled": (x[1200:1500], None),
        "test": (x[1500:], d.target[1500:]),
    }
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data.py").write_text(DATA)
    torch.manual_seed(0)
    model = mlp(width=16, depth=1, in_features=256)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_compress_then_verify(folder):
    spec, out = f"{folder / 'data.py'}:load", folder / "out"
    made = run(
        "compress", folder / "model.safetensors", "--data", spec, "--unlabelled", spec,
        "--model", "mlp", "--args", '{"width": 16, "depth": 1, "in_features": 256}',
        "--budget", "1s", "--out", out,
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "error of the decoded network <=" in made.output
    pair = json.loads((out / "unlabelled_network.json").read_text())
    assert pair["unlabelled"] == 300
    assert pair["value"] >= pair["differences"] / 300
    assert pair["kind"] == "certificate"
    seen = run("verify", out / "network.ncz", "--data", spec)
    assert seen.exit_code == 0, seen.output
    assert seen.output.splitlines()[0] == made.output.splitlines()[-1]
    assert "measured on 297 test images" in seen.output
    word = (out / "network.ncz").read_bytes()
    (out / "network.ncz").write_bytes(word[:-1])
    broken = run("verify", out / "network.ncz", "--data", spec)
    assert broken.exit_code == 2
    assert "Traceback" not in broken.output


def test_a_second_word_on_the_unlabelled_images_is_no_certificate(tmp_path):
    path = tmp_path / "unlabelled_network.json"
    assert not _another_word(path, "a")
    for sha256, kind, found in [
        ("a", "certificate", False),
        ("a", "conditional", False),
        ("b", "certificate", True),
        ("a", "plug-in", True),
        ("a", None, True),
    ]:
        path.write_text(json.dumps({"sha256": sha256, "kind": kind}))
        assert _another_word(path, "a") is found
    path.write_text("{")
    assert _another_word(path, "a")


def test_compress_finds_the_architecture(folder):
    spec = f"{folder / 'data.py'}:load"
    args = {"width": 16, "depth": 1, "in_features": 256}
    path = folder / "model.safetensors"
    unnamed = run("compress", path, "--data", spec, "--budget", "1s", "--out", folder / "none")
    assert unnamed.exit_code == 2
    assert "needs an architecture" in unnamed.output
    (folder / "zoo.toml").write_text(
        '[tasks.t]\ndata = "x.npz"\n[checkpoints.m]\nfile = "model.safetensors"\ntask = "t"\n'
        'model = "mlp"\nargs = {width = 16, depth = 1, in_features = 256}\nroles = {fit = "0:1"}\n'
    )
    listed = run("compress", path, "--data", spec, "--budget", "1s", "--out", folder / "listed")
    assert listed.exit_code == 0, listed.output
    (folder / "zoo.toml").unlink()
    state = mlp(**args).state_dict()
    save_file(state, path, metadata={"model": "mlp", "args": str(args)})
    named = run("compress", path, "--data", spec, "--budget", "1s", "--out", folder / "named")
    assert named.exit_code == 0, named.output


def test_an_early_interrupt_ends_both_searches_with_a_clear_error(folder):
    spec, out = f"{folder / 'data.py'}:load", folder / "early"
    samples = task_images(spec)
    lines = []

    def report(text):
        lines.append(text)
        if len(lines) == 1:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(NcboundsError, match="stopped before there was a code word"):
        compress_checkpoint(
            folder / "model.safetensors",
            samples,
            out,
            seconds=60.0,
            model="mlp",
            args={"width": 16, "depth": 1, "in_features": 256},
            report=report,
        )
    assert len(lines) == 2
    assert not (out / "likeness").exists()


@pytest.fixture
def listed(tmp_path):
    """A folder with a manifest that names a code word for noisy 12x12 images of five classes."""
    images = np.random.default_rng(2).integers(0, 256, (500, 12, 12), dtype=np.uint8)
    network = random_network(0, None)
    labels = np.maximum(predictions(network, images), 0)
    labels[0] = 4
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    (tmp_path / "words").mkdir()
    (tmp_path / "words/a.ncz").write_bytes(encode(network))
    (tmp_path / "zoo.toml").write_text(
        '[tasks.t]\ndata = "data.npz"\nlabel_noise = 0.5\nnoise_seed = 3\n'
        '[checkpoints.a]\nfile = "a.pt"\ntask = "t"\ncode_word = "words/a.ncz"\n'
        'roles = {fit = "100:400", test = "400:500"}\n'
    )
    return tmp_path


def test_the_manifest_says_what_to_recount_a_word_on(listed):
    word = listed / "words/a.ncz"
    samples, classes = word_images(word, None)
    assert classes == 5
    assert {role: len(s.labels) for role, s in samples.items()} == {"fit": 300, "test": 100}
    arrays = np.load(listed / "data.npz")
    noisy = noisy_labels(arrays["labels"], 0.5, 3, 5)
    assert np.array_equal(samples["fit"].labels, noisy[100:400])
    assert np.array_equal(samples["fit"].images[:, 0], arrays["images"][100:400])
    seen = run("verify", word)
    assert seen.exit_code == 0, seen.output
    errors = int((predictions(random_network(0, None), arrays["images"]) != noisy)[100:400].sum())
    assert f"{errors} errors on 300 training images" in seen.output
    assert "measured on 100 test images" in seen.output
    assert "--rows goes with --data" in run("verify", word, "--rows", "0:10").output
    (listed / "zoo.toml").unlink()
    alone = run("verify", word)
    assert alone.exit_code == 2
    assert "pass --data" in alone.output


def test_without_the_images_a_claim_is_called_one(listed, monkeypatch):
    monkeypatch.setenv("NCBOUNDS_FASHION_MNIST", str(listed / "nowhere"))
    text = (listed / "zoo.toml").read_text()
    (listed / "zoo.toml").write_text(text.replace("data.npz", "fashion-mnist"))
    word = listed / "words/a.ncz"
    bare = run("verify", word)
    assert bare.exit_code == 1
    assert "not recounted" in bare.output
    assert "apt install dataset-fashion-mnist" in bare.output
    facts = {"errors": 30, "n": 300, "delta": 0.05, "value": 0.001, "bits": 1}
    (listed / "words/certificate.json").write_text(json.dumps(facts))
    claimed = run("verify", word)
    assert claimed.exit_code == 1
    # only the errors are taken from the file
    value = occam_upper(30, 300, 8 * len(word.read_bytes()), 0.05)
    assert "claims 30 errors on 300 training images" in claimed.output
    assert f"<= {number(value, 4, up=True)} with" in claimed.output
    assert f"if {DRAWN}, and its version of the code was fixed before these" in claimed.output
    (listed / "words/certificate.json").write_text('{"errors": "many"}')
    assert "not recounted\n" in run("verify", word).output


@pytest.mark.parametrize(("value", "shown"), [(0.19821, ".1983"), (0.25, ".2500"), (1.0, "1.000")])
def test_what_is_promised_is_rounded_up(value, shown):
    found = Certificate(value, 8, 1, 10, 0.05, "", "", 2)
    assert f"error of the decoded network <= {shown} with probability 0.95" in sentence(found)
    assert sentence(found).startswith(f"if {DRAWN}, error")
    assert f"if {DRAWN}, and so, error" in sentence(replace(found, assumption="so"))


def test_unlabelled_images_that_the_code_word_was_trained_on_are_no_evidence():
    images = np.random.default_rng(0).integers(0, 256, (120, 1, 4, 4), dtype=np.uint8)
    fit, pool = Images(images[:60], np.zeros(60, np.int64)), Images(images[60:], None)
    again, copies = np.concatenate([images[60:], images[60:70]]), np.repeat(images[:60], 2, axis=0)
    sound = Certificate(0.5, 8, 1, 60, 0.05, "", "", 2)
    assert _unsound(sound, fit, pool) == ""
    assert "5 of 60 unlabelled images are" in _unsound(sound, fit, Images(images[55:115], None))
    assert "10 of 70 unlabelled images repeat" in _unsound(sound, fit, Images(again, None))
    plug_in = replace(sound, kind="plug-in")
    assert "60 training images repeat" in _unsound(plug_in, Images(copies, None), pool)


def test_wrong_words_are_explained(folder):
    spec = f"{folder / 'data.py'}:load"
    missing = run("verify", folder / "none.ncz", "--data", spec)
    assert missing.exit_code == 2
    with pytest.raises(NcboundsError, match="90s"):
        seconds_of("soon")
    assert [seconds_of(text) for text in ("90s", "30m", "1.5h")] == [90, 1800, 5400]
    with pytest.raises(DataError, match="npz"):
        task_images("nothing.csv")
