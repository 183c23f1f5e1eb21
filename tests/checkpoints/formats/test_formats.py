"""Formats by registry: what is read, what is named with its way out, and one of one's own."""

import io
import zipfile

import numpy as np
import pytest
import torch

import ncbounds as nb
from ncbounds.checkpoints.formats import FORMATS, Flat, Format
from ncbounds.checkpoints.formats.format import starts_with
from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.errors import CheckpointUnreadable

WEIGHTS = {"1.weight": np.arange(6.0, dtype=np.float32).reshape(3, 2), "1.bias": np.zeros(3)}


def keras_archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n")
    return buffer.getvalue()


FOREIGN = {
    "model.keras": (keras_archive(), "Keras archive"),
    "model.h5": (b"\x89HDF\r\n\x1a\n" + bytes(60), "HDF5"),
    "model.onnx": (b"\x08\x07\x12\x07pytorch" + bytes(60), "ONNX"),
    "model.tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(60), "TFLite"),
    "model.gguf": (b"GGUF\x03" + bytes(60), "GGUF"),
    "model.msgpack": (b"\x81\xa6params\x80" + bytes(60), "flax"),
    "__0_0.distcp": (b"\x80\x02" + bytes(60), "name that folder"),
    "model.npy": (b"\x93NUMPY\x01\x00" + bytes(60), "NumPy array"),
    "model.pt.gz": (b"\x1f\x8b\x08" + bytes(60), "unpack it first"),
    "model.pt": (b"<!DOCTYPE html><html>" + bytes(60), "error page"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_formats_are_named_with_a_way_out(tmp_path, name):
    content, word = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointUnreadable, match=word):
        load_checkpoint(tmp_path / name)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_weights_in_an_npz_file(tmp_path, save):
    """The way out that the messages name: save the arrays with np.savez."""
    save(tmp_path / "weights.npz", **WEIGHTS)
    checkpoint = load_checkpoint(tmp_path / "weights.npz")
    assert checkpoint.format == "npz"
    model = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(2, 3))
    classifier = checkpoint.build(model)
    x = np.array([[1.0, 2.0], [3.0, 1.0]], dtype=np.float32)
    sample = nb.extract(classifier, (x, np.array([0, 1])), "test")
    assert np.array_equal(classifier.head.weight, WEIGHTS["1.weight"])
    assert np.array_equal(sample.features, x)


@pytest.mark.parametrize(
    ("arrays", "word"),
    [({"w": np.array(["a", "b"])}, "needed are numbers"), ({"w": np.array([None])}, "npz file")],
)
def test_npz_files_that_hold_no_weights(tmp_path, arrays, word):
    np.savez(tmp_path / "weights.npz", **arrays)
    with pytest.raises(CheckpointUnreadable, match=word):
        load_checkpoint(tmp_path / "weights.npz")


def test_a_format_of_ones_own_is_one_registration(tmp_path, monkeypatch):
    def load(content):
        w = torch.from_numpy(content.data[4:].copy()).double()
        return Flat({"w": w}, {}, unpacked=w.nbytes)

    monkeypatch.setattr(FORMATS, "_own", {})
    nb.register(Format(name="mine", recognises=lambda c: starts_with(c, b"MINE"), load=load))
    (tmp_path / "w.bin").write_bytes(b"MINE\x01\x02")
    checkpoint = load_checkpoint(tmp_path / "w.bin")
    assert checkpoint.format == "mine"
    assert checkpoint.tensors["w"].tolist() == [1.0, 2.0]
