"""What a stored row knows of the code that builds its network, and of the files that this reads."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from ncbounds.data.manifest import Entry, Task
from ncbounds.data.task import task_arrays
from ncbounds.data.user import UserCode, user_function
from ncbounds.extraction.store import store_key
from ncbounds.files import file_hash, known_hash
from ncbounds.runs.builders import builder_key, code_key
from ncbounds.runs.keys import entry_key

NET = """
from pathlib import Path
from net_parts import SCALE

def build(config="small.json"):
    return Path(__file__).with_name("net.json").read_text(), SCALE
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "net_parts.py").write_text("SCALE = 1\n")
    (tmp_path / "net.json").write_text("{}")
    yield tmp_path
    sys.modules.pop("net_parts", None)


def entry(model, **args):
    return Entry(name="a", file=Path("a.pt"), task="t", model=model, args=args)


def test_a_file_that_the_code_names_is_part_of_the_key(folder):
    before = code_key(entry(UserCode("net.py:build")))
    (folder / "unnamed.json").write_text("1")
    assert code_key(entry(UserCode("net.py:build"))) == before
    (folder / "net.json").write_text("[]")
    assert code_key(entry(UserCode("net.py:build"))) != before


def test_a_file_that_arguments_name_is_part_of_the_key(folder):
    named = entry(UserCode("net.py:build"), configs=["conf/large.json"])
    before = code_key(named)
    (folder / "conf").mkdir()
    (folder / "conf" / "large.json").write_text("[]")
    assert code_key(named) != before


def test_a_neighbour_that_was_changed_is_imported_again(folder):
    assert user_function("net.py:build")() == ("{}", 1)
    (folder / "net_parts.py").write_text("SCALE = 22\n")
    assert user_function("net.py:build")() == ("{}", 22)


def test_a_function_whose_file_was_changed_has_no_key_that_a_later_run_finds(folder):
    sys.path.insert(0, str(folder))
    import net

    try:
        before = builder_key(entry(net.build))
        assert builder_key(entry(net.build)) == before == code_key(entry(UserCode("net.py:build")))
        (folder / "net_parts.py").write_text("SCALE = 22\n")
        now = builder_key(entry(net.build))
        assert now not in (before, code_key(entry(UserCode("net.py:build"))))
        assert now != builder_key(entry(net.build))
    finally:
        del sys.modules["net"]


def test_a_file_with_its_old_time_and_size_is_read_and_hashed_again(tmp_path):
    path = tmp_path / "data.npz"

    def write(label):
        np.savez(tmp_path / "new.npz", inputs=np.zeros((2, 1)), labels=np.full(2, label))
        os.utime(tmp_path / "new.npz", ns=(10**18, 10**18))
        os.replace(tmp_path / "new.npz", path)

    write(1)
    task = Task(name="t", data=path)
    size, before, first = path.stat().st_size, known_hash(path), task_arrays(task).labels.tolist()
    write(2)
    assert path.stat().st_size == size
    assert known_hash(path) == file_hash(path) != before
    assert (first, task_arrays(task).labels.tolist()) == ([1, 1], [2, 2])


def test_every_number_of_an_array_is_part_of_the_key(folder):
    """Their texts leave out the middle of long ones, and digits."""
    (folder / "a.pt").write_bytes(b"")
    long = np.arange(2000.0)
    other = np.where(long == 1000, 7, long)
    assert str(long) == str(other)

    def key(priors=None, **args):
        return entry_key(entry(None, **args), Task(name="t", data=Path("a.pt"), priors=priors))

    assert key(mask=long) == key(mask=long.copy()) != key(mask=other)
    assert key(priors=long) != key(priors=other)
    assert key(at=np.float32(1.00001)) != key(at=np.float32(1.00002))
    assert store_key({"rows": long}) != store_key({"rows": other})
    assert key(mask=long) != key(mask=long.astype(np.float32))
    assert key(mask=long) != key(mask=long.reshape(2, 1000))
    assert key(mask=np.array(["a", None])) != key(mask=np.array(["b", None]))
