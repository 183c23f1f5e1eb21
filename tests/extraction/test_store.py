"""An entry of the store is complete or absent, whatever happens to the writer."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import ncbounds.extraction.store as module
from ncbounds.errors import StoreError
from ncbounds.extraction import content
from ncbounds.extraction.content import ContentHash, content_hash
from ncbounds.extraction.packing import pack, unpack
from ncbounds.extraction.store import (
    StoreWriter,
    array_path,
    entry_path,
    read_stored,
    store_key,
    store_size,
)

FEATURES = np.arange(12, dtype=np.float32).reshape(6, 2)
LABELS = np.arange(6)
HASHES = np.arange(6, dtype=np.uint64)


def write(store: Path, key: str = "k", scale: float = 1.0) -> None:
    with StoreWriter(store) as writer:
        for part in (FEATURES[:4], FEATURES[4:5], FEATURES[5:]):
            writer.append(part * np.float32(scale))
        writer.commit("net", key, LABELS, HASHES, {"module_disagreements": 1})


def array(store: Path, name: str, key: str = "k") -> Path:
    """Where an array of an entry stands."""
    entry = json.loads(entry_path(store, "net", key).read_text())
    return array_path(store, entry["arrays"][name])


def test_round_trip(tmp_path: Path) -> None:
    write(tmp_path)
    kept = read_stored(tmp_path, "net", "k")
    assert kept is not None
    for found, wanted in (
        (kept.features, FEATURES),
        (kept.labels, LABELS),
        (kept.input_hashes, HASHES),
    ):
        assert isinstance(found, np.memmap)
        assert not found.flags.writeable
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    assert kept.meta["module_disagreements"] == 1
    np.testing.assert_array_equal(np.load(array(tmp_path, "features")), FEATURES)
    assert not list(tmp_path.glob(".unfinished*"))


def test_header_has_room_for_any_number_of_rows(tmp_path: Path) -> None:
    with StoreWriter(tmp_path) as writer:
        for _ in range(50):
            writer.append(np.zeros((2_500, 3), dtype=np.float16))
        n = 50 * 2_500
        writer.commit("net", "k", np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.uint64), {})
    kept = read_stored(tmp_path, "net", "k")
    assert kept is not None
    assert kept.features.shape == (125_000, 3)


def test_size(tmp_path: Path) -> None:
    assert store_size(tmp_path / "none") == 0
    write(tmp_path)
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(files) == 1 + 3 + 1  # lock, arrays, entry
    assert store_size(tmp_path) == sum(f.stat().st_size for f in files)


def test_absent(tmp_path: Path) -> None:
    assert read_stored(tmp_path, "net", "k") is None
    (tmp_path / "arrays").mkdir()
    np.save(array_path(tmp_path, content_hash(FEATURES)), FEATURES)
    assert read_stored(tmp_path, "net", "k") is None  # no entry: never complete
    write(tmp_path)
    assert read_stored(tmp_path, "net", "k") is not None


def test_nothing_is_left_without_commit(tmp_path: Path) -> None:
    def interrupted() -> None:
        with StoreWriter(tmp_path) as writer:
            writer.append(FEATURES)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [p.name for p in tmp_path.iterdir()] == ["arrays"]


def test_second_writer_keeps_the_first(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, scale=5.0)
    kept = read_stored(tmp_path, "net", "k")
    assert kept is not None
    np.testing.assert_array_equal(kept.features, FEATURES)
    assert [p.stem for p in tmp_path.glob("net/*")] == ["k"]


@pytest.mark.parametrize("name", ["features", "labels", "input_hashes"])
def test_damage_is_an_error(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    file = array(tmp_path, name)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(StoreError, match=f"{name} had {len(whole)} bytes, found {len(whole) - 1}"):
        read_stored(tmp_path, "net", "k")
    file.unlink()
    with pytest.raises(StoreError, match=r"delete it and run again"):
        read_stored(tmp_path, "net", "k")
    entry_path(tmp_path, "net", "k").unlink()
    write(tmp_path)
    assert read_stored(tmp_path, "net", "k") is not None


def test_unreadable_entry(tmp_path: Path) -> None:
    write(tmp_path)
    entry = entry_path(tmp_path, "net", "k")
    for bad in ("{", "[" * 100_000, "{}", entry.read_text().replace("labels", "label")):
        entry.write_text(bad)
        with pytest.raises(StoreError, match=r"k\.json is damaged: it is not what was written"):
            read_stored(tmp_path, "net", "k")


@pytest.mark.parametrize("name", ["labels", "input_hashes"])
def test_other_labels_of_the_same_size_are_found(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    file = array(tmp_path, name)
    whole = np.load(file)
    np.save(file, np.roll(whole, 1))
    with pytest.raises(StoreError, match=f"{name} are not what was written"):
        read_stored(tmp_path, "net", "k")
    write(tmp_path, "other")  # which has the same labels: they are written anew
    assert read_stored(tmp_path, "net", "k") is not None


def rectified(rows: int = 3_000, dtype: type = np.float32) -> np.ndarray:
    found = np.random.default_rng(0).standard_normal((rows, 40)).clip(0.0).astype(dtype)
    found[:9, 0] = (-0.0, np.nan, np.inf, -np.inf, 1e-41, 5.0, -7.0, 1e-30, 3e38)
    return found


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_packing_loses_nothing(dtype: type) -> None:
    with np.errstate(over="ignore"):
        array = rectified(dtype=dtype)
    packed = pack(array)
    assert packed is not None
    assert len(packed) < 0.7 * array.nbytes
    found = unpack(packed)
    assert found.dtype == array.dtype
    assert found.tobytes() == array.tobytes()
    for damaged in (packed[:-30], packed[: len(packed) // 2], b"{}\n", b"", packed[5:]):
        with pytest.raises(ValueError):
            unpack(damaged)
    assert pack(array[:2]) is None  # few
    noise = np.random.default_rng(0).integers(0, 256, array.nbytes, dtype=np.uint8)
    assert pack(noise.view(dtype)) is None


def test_rectified_features_are_packed(tmp_path: Path) -> None:
    features = rectified()
    n = len(features)
    with StoreWriter(tmp_path) as writer:
        writer.append(features)
        writer.commit("net", "k", np.zeros(n, int), np.arange(n, dtype=np.uint64), {})
    kept = read_stored(tmp_path, "net", "k")
    assert kept is not None
    assert not kept.features.flags.writeable
    assert kept.features.tobytes() == features.tobytes()
    (file,) = tmp_path.glob("arrays/*.packed")
    assert file.stat().st_size < 0.7 * features.nbytes
    whole = bytearray(file.read_bytes())
    whole[20_000] ^= 1
    file.write_bytes(whole)
    with pytest.raises(StoreError, match="features are not what was written"):
        read_stored(tmp_path, "net", "k")


def test_equal_arrays_are_one_file(tmp_path: Path) -> None:
    write(tmp_path)
    before = store_size(tmp_path / "arrays")
    write(tmp_path, "other")
    assert store_size(tmp_path / "arrays") == before
    write(tmp_path, "third", scale=2.0)
    assert len(list((tmp_path / "arrays").iterdir())) == 3 + 1


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_the_hash_does_not_know_of_batches(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(content, "CHUNK", 100)
    rows = np.arange(999, dtype=np.float32).reshape(333, 3)
    hashed = ContentHash()
    for start in range(0, len(rows), size):
        hashed.update(rows[start : start + size])
    assert hashed.hexdigest(rows.dtype, rows.shape) == content_hash(rows)
    others = (rows[::-1], rows.reshape(111, 9), rows.view(np.int32), rows[:-1], rows + 1)
    assert content_hash(rows) not in {content_hash(other) for other in others}


def test_batches_must_fit(tmp_path: Path) -> None:
    with StoreWriter(tmp_path) as writer:
        writer.append(FEATURES)
        for other in (FEATURES.astype(np.float64), FEATURES[:, :1]):
            with pytest.raises(StoreError, match="between two batches"):
                writer.append(other)
    with StoreWriter(tmp_path) as writer, pytest.raises(StoreError, match="no rows"):
        writer.commit("net", "k", LABELS, HASHES, {})


def test_key_sees_every_part_and_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    first = store_key({"a": 1, "b": {"c": [1, 2]}})
    assert first == store_key({"b": {"c": [1, 2]}, "a": 1})
    assert first != store_key({"a": 1, "b": {"c": [2, 1]}})
    monkeypatch.setattr(module, "STORE_VERSION", 0)
    assert first != store_key({"a": 1, "b": {"c": [1, 2]}})


WRITER = """
import sys, numpy as np
from ncbounds.extraction.store import StoreWriter
print("ready", flush=True)
for i in range(10_000):
    with StoreWriter(sys.argv[1]) as writer:
        for _ in range(20):
            writer.append(np.full((50, 64), i, dtype=np.float32))
        writer.commit("net", f"k{i}", np.full(1000, i), np.full(1000, i, dtype=np.uint64), {"i": i})
"""


def test_kill_at_any_time(tmp_path: Path) -> None:
    """After a kill -9 every visible folder is whole, and the next writer clears the rest."""
    seen = 0
    for attempt in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05 + 0.037 * attempt)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        for entry in tmp_path.glob("net/k*.json"):
            kept = read_stored(tmp_path, "net", entry.stem)
            assert kept is not None
            assert kept.features.shape == (1000, 64)
            assert (kept.features == kept.meta["i"]).all()
            assert (kept.labels == kept.meta["i"]).all()
            seen += 1
    assert seen > 0
    write(tmp_path)
    assert list(tmp_path.glob(".unfinished*")) == []


@pytest.mark.parametrize("stop", ["features", "labels", "arrays", "entry", "replace"])
def test_interrupted_at_each_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    def broken(*args: object) -> None:
        raise OSError("no space left on device")

    if stop == "replace":
        monkeypatch.setattr(module.os, "replace", broken)
    else:
        calls = {"features": 0, "labels": 1, "arrays": 3, "entry": 4}[stop]
        count = iter(range(10))
        real = os.fsync
        monkeypatch.setattr(os, "fsync", lambda f: broken() if next(count) == calls else real(f))
    with pytest.raises(OSError, match="no space"):
        write(tmp_path)
    monkeypatch.undo()
    assert read_stored(tmp_path, "net", "k") is None
    assert not list(tmp_path.glob(".unfinished*"))
    write(tmp_path)
    assert read_stored(tmp_path, "net", "k") is not None
