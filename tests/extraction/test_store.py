"""A folder of the store is complete or absent, whatever happens to the writer."""

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
from ncbounds.extraction.store import StoreWriter, read_stored, store_key, store_size

FEATURES = np.arange(12, dtype=np.float32).reshape(6, 2)
LABELS = np.arange(6)
HASHES = np.arange(6, dtype=np.uint64)


def write(store: Path, key: str = "k", scale: float = 1.0) -> None:
    with StoreWriter(store) as writer:
        for part in (FEATURES[:4], FEATURES[4:5], FEATURES[5:]):
            writer.append(part * np.float32(scale))
        writer.commit(key, LABELS, HASHES, {"module_disagreements": 1})


def test_round_trip(tmp_path: Path) -> None:
    write(tmp_path)
    kept = read_stored(tmp_path, "k")
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
    np.testing.assert_array_equal(np.load(tmp_path / "k" / "features.npy"), FEATURES)
    assert [p.name for p in tmp_path.iterdir()] == ["k"]


def test_header_has_room_for_any_number_of_rows(tmp_path: Path) -> None:
    with StoreWriter(tmp_path) as writer:
        for _ in range(50):
            writer.append(np.zeros((2_500, 3), dtype=np.float16))
        n = 50 * 2_500
        writer.commit("k", np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.uint64), {})
    kept = read_stored(tmp_path, "k")
    assert kept is not None
    assert kept.features.shape == (125_000, 3)


def test_size(tmp_path: Path) -> None:
    assert store_size(tmp_path / "none") == 0
    write(tmp_path)
    files = list((tmp_path / "k").iterdir())
    assert len(files) == 4
    assert store_size(tmp_path) == sum(f.stat().st_size for f in files)


def test_absent(tmp_path: Path) -> None:
    assert read_stored(tmp_path, "k") is None
    (tmp_path / "k").mkdir()
    np.save(tmp_path / "k" / "features.npy", FEATURES)
    assert read_stored(tmp_path, "k") is None  # no meta.json: never complete
    write(tmp_path)
    assert read_stored(tmp_path, "k") is not None


def test_nothing_is_left_without_commit(tmp_path: Path) -> None:
    def interrupted() -> None:
        with StoreWriter(tmp_path) as writer:
            writer.append(FEATURES)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_second_writer_keeps_the_first(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, scale=5.0)
    kept = read_stored(tmp_path, "k")
    assert kept is not None
    np.testing.assert_array_equal(kept.features, FEATURES)
    assert [p.name for p in tmp_path.iterdir()] == ["k"]


@pytest.mark.parametrize("name", ["features.npy", "labels.npy", "input_hash.npy"])
def test_damage_is_an_error(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    file = tmp_path / "k" / name
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(StoreError, match=f"{name}: {len(whole)} bytes, found {len(whole) - 1}"):
        read_stored(tmp_path, "k")
    file.unlink()
    with pytest.raises(StoreError, match=r"delete it and run again"):
        read_stored(tmp_path, "k")


def test_unreadable_meta(tmp_path: Path) -> None:
    write(tmp_path)
    meta = tmp_path / "k" / "meta.json"
    for bad in ("{", "[" * 100_000, "{}", meta.read_text().replace("labels", "label")):
        meta.write_text(bad)
        with pytest.raises(StoreError, match=r"meta\.json is not what was written"):
            read_stored(tmp_path, "k")


@pytest.mark.parametrize("name", ["labels.npy", "input_hash.npy"])
def test_other_labels_of_the_same_size_are_found(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    file = tmp_path / "k" / name
    np.save(file, np.roll(np.load(file), 1))
    with pytest.raises(StoreError, match=f"{name} is not what was written"):
        read_stored(tmp_path, "k")


def test_batches_must_fit(tmp_path: Path) -> None:
    with StoreWriter(tmp_path) as writer:
        writer.append(FEATURES)
        for other in (FEATURES.astype(np.float64), FEATURES[:, :1]):
            with pytest.raises(StoreError, match="between two batches"):
                writer.append(other)
    with StoreWriter(tmp_path) as writer, pytest.raises(StoreError, match="no rows"):
        writer.commit("k", LABELS, HASHES, {})


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
        writer.commit(f"k{i}", np.full(1000, i), np.full(1000, i, dtype=np.uint64), {"i": i})
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
        for folder in tmp_path.glob("k*"):
            kept = read_stored(tmp_path, folder.name)
            assert kept is not None
            assert kept.features.shape == (1000, 64)
            assert (kept.features == kept.meta["i"]).all()
            assert (kept.labels == kept.meta["i"]).all()
            seen += 1
    assert seen > 0
    write(tmp_path)
    assert list(tmp_path.glob(".unfinished*")) == []


@pytest.mark.parametrize("stop", ["features.npy", "labels.npy", "meta.json", "replace"])
def test_interrupted_at_each_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    def broken(*args: object) -> None:
        raise OSError("no space left on device")

    if stop == "replace":
        monkeypatch.setattr(module.os, "replace", broken)
    else:
        calls = {"features.npy": 0, "labels.npy": 1, "meta.json": 3}[stop]
        count = iter(range(10))
        real = os.fsync
        monkeypatch.setattr(os, "fsync", lambda f: broken() if next(count) == calls else real(f))
    with pytest.raises(OSError, match="no space"):
        write(tmp_path)
    monkeypatch.undo()
    assert read_stored(tmp_path, "k") is None
    assert list(tmp_path.iterdir()) == []
    write(tmp_path)
    assert read_stored(tmp_path, "k") is not None


def test_meta_names_sizes(tmp_path: Path) -> None:
    write(tmp_path)
    sizes = json.loads((tmp_path / "k" / "meta.json").read_text())["sizes"]
    assert sizes == {
        n: (tmp_path / "k" / n).stat().st_size
        for n in ("features.npy", "labels.npy", "input_hash.npy")
    }
