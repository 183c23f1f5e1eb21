import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncbounds.data.idx import read_idx
from ncbounds.data.images import standardise
from ncbounds.data.noise import noisy_labels
from ncbounds.data.npz import load_npz
from ncbounds.data.user import user_data, user_function
from ncbounds.errors import DataError


def idx_bytes(array: np.ndarray, code: int, big_endian: str) -> bytes:
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(big_endian).tobytes()


IDX_TYPES = [
    (0x08, "u1"),
    (0x09, "i1"),
    (0x0B, ">i2"),
    (0x0C, ">i4"),
    (0x0D, ">f4"),
    (0x0E, ">f8"),
]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("code", "dtype"), IDX_TYPES)
def test_idx_round_trip(tmp_path: Path, code: int, dtype: str, compressed: bool) -> None:
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    raw = idx_bytes(array, code, dtype)
    path = tmp_path / "numbers"  # the name says nothing: gzip is told by content
    path.write_bytes(gzip.compress(raw, mtime=0) if compressed else raw)
    found = read_idx(path)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    assert found.dtype.isnative
    assert found.flags.writeable


GOOD = idx_bytes(np.arange(6).reshape(2, 3), 0x08, "u1")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "starts with nothing"),
        (b"\0\0\x08", "not an idx file"),
        (b"\0\0\x07\x01\0\0\0\x01\0", "not an idx file"),
        (b"PK\x03\x04" + GOOD, "not an idx file: it starts with 50 4b"),
        (GOOD[:9], "truncated: 9 bytes, its header needs 12"),
        (GOOD[:-1], r"truncated: 17 bytes, shape \(2, 3\) needs 18"),
        (GOOD + b"!", "bytes left over"),
        (b"\0\0\x08\x03" + b"\xff" * 12 + b"\0" * 9, "truncated"),
        (gzip.compress(GOOD, mtime=0)[:-9], "cannot be read"),
        (gzip.compress(GOOD[:-1], mtime=0), "truncated"),
        (b"\x1f\x8b" + b"\0" * 30, "cannot be read"),
    ],
)
def test_bad_idx_files_are_named(tmp_path: Path, raw: bytes, message: str) -> None:
    path = tmp_path / "bad-idx"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert "bad-idx" in str(caught.value)


def test_missing_idx_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_idx(tmp_path / "nowhere")


def test_npz_round_trip(tmp_path: Path) -> None:
    arrays = {"images": np.zeros((3, 2, 2), np.uint8), "labels": np.arange(3), "more": np.ones(7)}
    np.savez_compressed(tmp_path / "d.npz", **arrays)
    found = load_npz(tmp_path / "d.npz")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


class Marks:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_npz_with_objects_is_refused_and_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    np.savez(tmp_path / "d.npz", images=np.array([Marks(marker)], object), labels=np.zeros(1))
    with pytest.raises(DataError, match="plain arrays"):
        load_npz(tmp_path / "d.npz")
    (tmp_path / "p.npz").write_bytes(pickle.dumps(Marks(marker)))
    with pytest.raises(DataError, match="plain arrays"):
        load_npz(tmp_path / "p.npz")
    assert not marker.exists()
    pickle.loads((tmp_path / "p.npz").read_bytes())
    assert marker.exists(), "the trap itself must work"


def test_bad_npz_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_npz(tmp_path / "none.npz")
    np.savez(tmp_path / "d.npz", images=np.zeros((3, 2, 2)))
    with pytest.raises(DataError, match=r"holds \['images'\], needed also \['labels'\]"):
        load_npz(tmp_path / "d.npz")
    np.savez(tmp_path / "d.npz", images=np.zeros((3, 2, 2)), labels=np.zeros(4))
    with pytest.raises(DataError, match="differ in length"):
        load_npz(tmp_path / "d.npz")
    (tmp_path / "short.npz").write_bytes((tmp_path / "d.npz").read_bytes()[:-30])
    with pytest.raises(DataError, match="not a readable npz"):
        load_npz(tmp_path / "short.npz")
    (tmp_path / "empty.npz").write_bytes(b"")
    with pytest.raises(DataError, match="not a readable npz"):
        load_npz(tmp_path / "empty.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(DataError, match="single array"):
        load_npz(tmp_path / "one.npy")


def test_standardise_by_hand() -> None:
    images = np.array([[[0, 255]], [[51, 102]]], np.uint8)
    inputs = standardise(images)
    assert inputs.shape == (2, 1, 1, 2)
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs.ravel(), [-0.286, 0.714, -0.086, 0.114], atol=1e-6)


def test_standardise_ignores_the_rest_of_the_sample() -> None:
    images = np.random.RandomState(0).randint(0, 256, (20, 4, 4)).astype(np.uint8)
    np.testing.assert_array_equal(standardise(images)[3:5], standardise(images[3:5]))


def test_standardise_other_inputs() -> None:
    floats = np.random.RandomState(0).randn(5, 7)
    np.testing.assert_array_equal(standardise(floats), floats.astype(np.float32))
    for wrong in (np.zeros((2, 3), np.uint8), np.zeros((2, 3, 3), np.int64)):
        with pytest.raises(DataError, match="needed uint8 of shape"):
            standardise(wrong)


@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
def test_noise_rate(rate: float) -> None:
    n, classes = 200_000, 10
    labels = np.random.RandomState(5).randint(0, classes, n)
    noisy = noisy_labels(labels, rate, seed=1)
    changed = rate * (1 - 1 / classes)
    share = np.mean(noisy != labels)
    assert abs(share - changed) < 5 * np.sqrt(changed * (1 - changed) / n)
    # The drawn label is uniform over all classes, whatever the true one was.
    given_three = np.bincount(noisy[labels == 3], minlength=classes)
    others = np.delete(given_three, 3)
    expected = rate / classes * given_three.sum()
    assert np.all(np.abs(others - expected) < 6 * np.sqrt(expected))
    assert abs(given_three[3] - (given_three.sum() - 9 * expected)) < 6 * np.sqrt(10 * expected)


def test_noise_is_deterministic_and_leaves_its_input_alone() -> None:
    labels = np.arange(1000, dtype=np.uint8) % 10
    before = labels.copy()
    first = noisy_labels(labels, 0.5, seed=7)
    np.testing.assert_array_equal(first, noisy_labels(labels, 0.5, seed=7))
    assert (first != noisy_labels(labels, 0.5, seed=8)).any()
    np.testing.assert_array_equal(labels, before)
    np.testing.assert_array_equal(noisy_labels(labels, 0.0, seed=7), labels)
    assert first.dtype == np.int64


@given(st.integers(2, 30), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_noisy_labels_are_labels(classes: int, rate: float, seed: int) -> None:
    noisy = noisy_labels(np.arange(50) % classes, rate, seed, classes)
    assert noisy.min() >= 0
    assert noisy.max() < classes


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_impossible_noise(rate: float) -> None:
    with pytest.raises(DataError, match="probability"):
        noisy_labels(np.zeros(3, int), rate, 0)


def test_user_data_and_neighbour_import(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_mine.py").write_text("VALUE = 41\n")
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from neighbour_of_mine import VALUE\n"
        "@dataclass\nclass Box:\n    value: int\n"
        "def load():\n    return {'holdout': Box(VALUE + 1)}\n"
        "def build(width=3):\n    return width\n"
    )
    box = user_data(f"{tmp_path}/mine.py:load")["holdout"]
    assert box.value == 42
    assert pickle.loads(pickle.dumps(box)) == box
    assert user_function(f"{tmp_path}/mine.py:build")(width=5) == 5


def test_bad_user_functions_are_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def load():\n    return 1\nNUMBER = 3\n")
    (tmp_path / "broken.py").write_text("import no_such_module_at_all\n")
    for spec, message in [
        ("mine.py", "needed FILE.py:FUNCTION"),
        ("mine.py:", "needed FILE.py:FUNCTION"),
        (f"{tmp_path}/mine.txt:load", "needed FILE.py:FUNCTION"),
        (f"{tmp_path}/none.py:load", "does not exist"),
        (f"{tmp_path}/mine.py:laod", "did you mean 'load'"),
        (f"{tmp_path}/mine.py:NUMBER", "no function 'NUMBER'"),
        (f"{tmp_path}/broken.py:load", "ModuleNotFoundError: No module named 'no_such_module"),
    ]:
        with pytest.raises(DataError, match=message):
            user_function(spec)
