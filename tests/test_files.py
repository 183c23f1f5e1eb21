"""Regular files only, read once, and names that cannot steer a terminal."""

import hashlib
import os
from pathlib import Path

import pytest
import torch

from ncbounds import files
from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.errors import DataError, NcboundsError, few, printable, shown
from ncbounds.files import open_regular, read_bounded, read_content, read_sealed, write_sealed

HOSTILE = [
    "w\x1b[2J\x1b[32m safe \x1b[0m",
    "line\nsafety  fine",
    "back\rward",
    "title\x1b]0;x\x07",
    "right\u202eleft",
    "c1\x9b31m",
    "\u2028separator",
    "lone \ud83d surrogate",
    "nul\0",
]


@pytest.mark.parametrize("size", [0, 1, 1000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_500_000])
def test_content_is_what_is_hashed(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    found = read_content(tmp_path / "f")
    assert found.data.tobytes() == data
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    found.check()
    (tmp_path / "f").write_bytes(data + b"!")
    with pytest.raises(OSError, match="changed while it was read"):
        found.check()


@pytest.mark.parametrize("what", ["grown", "shrunk", "rewritten"])
def test_a_change_during_reading_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    file = tmp_path / "f"
    file.write_bytes(bytes(5_000_000))
    real = files._read_hashed

    def slow(stream, size):
        found = real(stream, size)
        with file.open("r+b") as other:
            if what == "shrunk":
                other.truncate(10)
            else:
                other.seek(0, 2 if what == "grown" else 0)
                other.write(b"new")
        if what == "rewritten":  # as where the clock of the file system is too coarse to show it
            stamp = before.st_mtime_ns
            os.utime(file, ns=(stamp, stamp))
        return found

    before = file.stat()
    monkeypatch.setattr(files, "_read_hashed", slow)
    monkeypatch.setattr(files, "SETTLED_SECONDS", 1e9)
    with pytest.raises(OSError, match="changed while it was read"):
        read_content(file)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for bad, words in ((tmp_path / "pipe", "named pipe"), ("/dev/zero", "character device")):
        for read in (open_regular, read_content, lambda p: read_bounded(p, 9)):
            with pytest.raises(OSError, match=words):
                read(bad)
    for read in (open_regular, read_content):
        with pytest.raises(IsADirectoryError):
            read(tmp_path)
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "none")


def test_small_files_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(10))
    assert read_bounded(tmp_path / "f", 10) == bytes(10)
    with pytest.raises(OSError, match="more than 9 bytes"):
        read_bounded(tmp_path / "f", 9)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a":' * 900 + "1" + "}" * 900, "\udc80",
    "1" * 5000, "[]", "3", "null", '{"a": 1}', '{"a": 1, "sha256": "0"}'])  # fmt: skip
def test_results_that_are_not_whole_are_absent(tmp_path: Path, text: str) -> None:
    (tmp_path / "f.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_sealed(tmp_path / "f.json") is None
    assert read_sealed(tmp_path / "none.json") is None
    write_sealed(tmp_path / "f.json", {"a": 1})
    assert read_sealed(tmp_path / "f.json") == {"a": 1}


def test_results_that_were_changed_are_absent(tmp_path: Path) -> None:
    content = {"value": 0.2, "name": "lone \ud83d surrogate", "n": None}
    write_sealed(tmp_path / "f.json", content)
    assert read_sealed(tmp_path / "f.json") == content
    text = (tmp_path / "f.json").read_text()
    (tmp_path / "f.json").write_text(text.replace("0.2", "0.1"))
    assert read_sealed(tmp_path / "f.json") is None
    (tmp_path / "f.json").write_text(text[:-9])
    assert read_sealed(tmp_path / "f.json") is None
    (tmp_path / "f.json").unlink()
    os.mkfifo(tmp_path / "f.json")
    assert read_sealed(tmp_path / "f.json") is None
    write_sealed(tmp_path / "f.json", content)
    assert read_sealed(tmp_path / "f.json") == content


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_written_so_that_they_stay_names(name: str) -> None:
    assert printable(name).isprintable()
    assert shown(name).isprintable()
    assert str(DataError(f"found {name}")).isprintable()


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("layer1.0.weight", "Größe", "层.weight", "a b", "x" * 200):
        assert shown(name) == name
    assert shown("x" * 201) == "x" * 197 + "..."
    assert shown(2**100) == "a whole number of 101 bits"
    assert shown(10**9) == "1000000000"
    assert few(range(20)) == "0, 1, 2, 3, 4, 5, 6, 7 and 12 more"
    assert str(DataError("one:\n\ttwo")) == "one: two"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_in_every_message_of_the_reader(tmp_path: Path, name: str) -> None:
    """As a tensor's name, as a key beside it, as a class, as a file's name."""
    contents: list[object] = [
        {name: torch.zeros(1).expand(10**9)},
        {name: {"a": torch.ones(2)}, name + "2": {"a": torch.ones(2)}},
        {name: 1},
        {"state_dict": {"w": torch.ones(2)}, name + "optim": {}},
    ]
    for content in contents:
        torch.save(content, tmp_path / "c.pt")
        try:
            said = "; ".join(load_checkpoint(tmp_path / "c.pt").notes)
        except NcboundsError as error:
            said = str(error)
        assert said.isprintable()
    if "\0" in name or "\ud83d" in name:
        return
    (tmp_path / name).write_bytes(b"random")
    with pytest.raises(NcboundsError) as caught:
        load_checkpoint(tmp_path / name)
    assert str(caught.value).isprintable()
