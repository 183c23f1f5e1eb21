"""What is in a store and whose it is; what is pruned is what nobody needs."""

import os
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ncbounds.cli.app import app
from ncbounds.errors import StoreError
from ncbounds.extraction import inventory as module
from ncbounds.extraction.inventory import freed, inventory, prune
from ncbounds.extraction.store import StoreWriter, locked, read_stored, store_size

HASHES = np.arange(50, dtype=np.uint64)
LABELS = np.zeros(50, np.int64)


def write(store: Path, network: str, value: float, user: str = "", role: str = "test") -> None:
    with StoreWriter(store) as writer:
        writer.append(np.full((50, 4), value, np.float32))
        use = {"checkpoint": user, "role": role, "tap": "head"} if user else None
        writer.commit(network, "data", LABELS, HASHES, {}, use)


def names(store: Path) -> set[str]:
    return {p.parent.name for p in store.glob("*/*.json")}


def arrays(store: Path) -> int:
    return len(list((store / "arrays").iterdir()))


def test_what_no_checkpoint_of_the_manifest_uses_goes(tmp_path: Path) -> None:
    write(tmp_path, "one", 1.0, "a")
    write(tmp_path, "two", 1.0, "b")  # the same arrays
    write(tmp_path, "three", 3.0, "c")
    items = {i.path.parent.name: i for i in inventory(tmp_path, {"a"})}
    assert items["one"].used_by == ("a (test)",)
    assert [bool(items[n].goes) for n in ("one", "two", "three")] == [False, True, True]
    assert not any(i.goes for i in inventory(tmp_path))
    wanted = freed(tmp_path, items.values())
    gone, size = prune(tmp_path, {"a"})
    assert {i.path.parent.name for i in gone} == {"two", "three"}
    assert wanted <= size < wanted + 5_000  # and the entries themselves
    assert names(tmp_path) == {"one"}
    assert arrays(tmp_path) == 3
    kept = read_stored(tmp_path, "one", "data")
    assert kept is not None
    assert (kept.features == 1.0).all()
    assert prune(tmp_path, {"a"})[0] == []


def test_what_a_checkpoint_used_before_it_changed_goes(tmp_path: Path) -> None:
    write(tmp_path, "old", 1.0, "a")
    os.utime(next((tmp_path / "old/data.used").iterdir()), (1.0, 1.0))
    write(tmp_path, "other role", 2.0, "a", role="fit")
    write(tmp_path, "unsaid", 5.0)
    write(tmp_path, "new", 3.0, "a")
    prune(tmp_path)
    assert names(tmp_path) == {"other role", "unsaid", "new"}


def test_older_versions_and_arrays_without_a_name_go(tmp_path: Path) -> None:
    write(tmp_path, "one", 1.0, "a")
    older = tmp_path / ("f" * 64)
    older.mkdir()
    (older / "meta.json").write_text("{}")
    (older / "features.npy").write_bytes(b"x" * 10_000)
    (tmp_path / "arrays" / "0123.npy").write_bytes(b"x" * 1_000)  # its writer was killed
    before = store_size(tmp_path)
    result = CliRunner().invoke(app, ["store", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "a (test)" in result.output
    assert "older version" in result.output
    assert f"`ncbounds store {tmp_path} --prune` would free" in result.output.replace("\n", "")
    assert store_size(tmp_path) == before
    result = CliRunner().invoke(app, ["store", str(tmp_path), "--prune"])
    assert "removed 1 entries" in result.output
    assert not older.exists()
    assert before - store_size(tmp_path) == 11_002
    assert arrays(tmp_path) == 3
    result = CliRunner().invoke(app, ["store", str(tmp_path / "arrays")])
    assert result.exit_code == 2
    assert "holds no store of features" in result.output


def held(store: Path, seconds: float) -> None:
    with locked(store):
        time.sleep(seconds)


def test_pruning_waits_for_who_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "one", 1.0)
    process = get_context("fork").Process(target=held, args=(tmp_path, 0.5))
    process.start()
    time.sleep(0.1)
    start = time.monotonic()
    prune(tmp_path)
    assert time.monotonic() - start > 0.2
    process.join()

    def no_locks(*args: object) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    write(tmp_path, "two", 2.0)  # goes on
    with pytest.raises(StoreError, match="has no locks"):
        prune(tmp_path)


def test_writers_and_pruning_at_once(tmp_path: Path) -> None:
    """Whatever the order, an entry that is there can be read."""
    context = get_context("fork")
    workers = [context.Process(target=_write_many, args=(tmp_path, k)) for k in range(2)]
    for process in workers:
        process.start()
    while any(process.is_alive() for process in workers):
        if (tmp_path / module.ARRAYS).exists():
            prune(tmp_path, {"kept0", "kept1"})
    assert [process.exitcode for process in workers] == [0, 0]
    prune(tmp_path, {"kept0", "kept1"})
    assert names(tmp_path) == {"kept0", "kept1"}
    assert arrays(tmp_path) == 4
    for k in range(2):
        assert read_stored(tmp_path, f"kept{k}", "data") is not None


def _write_many(store: Path, number: int) -> None:
    for k in range(8):
        write(store, f"net{number}-{k}", float(k))  # the same arrays in both
    write(store, f"kept{number}", 100.0 + number, f"kept{number}")
