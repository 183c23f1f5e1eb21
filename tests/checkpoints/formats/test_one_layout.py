"""What is audited is what is loaded: a zip archive that readers can take differently is refused."""

import io
import os
import struct
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import ncbounds.checkpoints.formats.torch_file as torch_file
from ncbounds.checkpoints.formats.stored_zip import members
from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.errors import CheckpointRefused, CheckpointUnreadable

END = b"PK\x05\x06"


def saved(value: object = None) -> bytes:
    buffer = io.BytesIO()
    torch.save({"w": torch.arange(4.0)} if value is None else value, buffer)
    return buffer.getvalue()


def zipped(parts: dict[str, bytes]) -> bytes:
    """The parts of a file of torch.save, laid out by another program."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def parts(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def split(data: bytes) -> tuple[bytes, bytes, int]:
    """Members, directory and number of entries of an archive."""
    _, size, start = struct.unpack_from("<HII", data, data.rindex(END) + 10)
    return data[:start], data[start : start + size], data.count(b"PK\x01\x02")


def other_directory(data: bytes) -> bytes:
    """Two archives in one: torch reads the first, zipfile corrects the offset to the second."""
    zeros = parts(saved({"w": torch.zeros(4)}))
    first, listed, count = split(zipped({**zeros, "archive/.pad": bytes(20_000)}))
    second, also, _ = split(zipped({**parts(data), "archive/.pad": b""}))
    directory, at = bytearray(also), 0
    while (at := directory.find(b"PK\x01\x02", at)) >= 0:
        place = struct.unpack_from("<I", directory, at + 42)[0] + len(first) - len(second)
        struct.pack_into("<I", directory, at + 42, place)
        at += 4
    end = END + struct.pack("<4H2IH", 0, 0, count, count, len(listed), len(first), 0)
    return first + listed + second + bytes(directory) + end


def twin_by_case(data: bytes) -> bytes:
    """torch's reader does not tell upper from lower case."""
    found = parts(data)
    return zipped({**found, "archive/DATA.PKL": found["archive/data.pkl"]})


def twin_after_nul(data: bytes) -> bytes:
    """Some readers end a name at a NUL."""
    found = parts(data)
    mixed = zipped({**found, "archive/data.pkl_x": found["archive/data.pkl"]})
    return mixed.replace(b"data.pkl_x", b"data.pkl\0x")


def comment(data: bytes) -> bytes:
    return data[:-2] + struct.pack("<H", 4) + b"PK\x05\x06"


def prefix(data: bytes) -> bytes:
    return b"PK\x03\x04" + bytes(60) + data


def gap_before_the_end(data: bytes) -> bytes:
    at = data.rindex(b"PK\x06\x06")
    return data[:at] + bytes(16) + data[at:]


def second_end_elsewhere(data: bytes) -> bytes:
    """A locator that leads to another end record than the one before it."""
    at = data.rindex(b"PK\x06\x07")
    place = struct.unpack_from("<Q", data, at + 8)[0]
    return data[: at + 8] + struct.pack("<Q", place - 1) + data[at + 16 :]


def ends_that_disagree(data: bytes) -> bytes:
    at = data.rindex(END)
    return data[: at + 16] + struct.pack("<I", 7) + data[at + 20 :]


def name_beside_the_member(data: bytes) -> bytes:
    """The header before a member calls it something else than the directory does."""
    at = data.index(b"archive/data.pkl")
    return data[:at] + b"archive/data.pkm" + data[at + 16 :]


def overlapping(data: bytes) -> bytes:
    """Two entries of the directory for one place."""
    found = bytearray(data)
    entries, at = [], 0
    while (at := data.find(b"PK\x01\x02", at)) >= 0:
        entries.append(at)
        at += 4
    found[entries[1] + 42 : entries[1] + 46] = found[entries[0] + 42 : entries[0] + 46]
    return bytes(found)


def fewer_entries(data: bytes) -> bytes:
    at = data.rindex(b"PK\x06\x06")
    found = bytearray(data)
    for place, form, count in ((at + 24, "<2Q", 3), (data.rindex(END) + 8, "<2H", 3)):
        struct.pack_into(form, found, place, count, count)
    return bytes(found)


DIFFERENTIALS: list[Callable[[bytes], bytes]] = [
    other_directory,
    twin_by_case,
    twin_after_nul,
    comment,
    prefix,
    gap_before_the_end,
    second_end_elsewhere,
    ends_that_disagree,
    name_beside_the_member,
    overlapping,
    fewer_entries,
]


@pytest.mark.parametrize("change", DIFFERENTIALS)
def test_any_other_layout_is_refused(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "c.pt"
    data = saved()
    file.write_bytes(data)
    assert torch.equal(load_checkpoint(file).tensors["w"], torch.arange(4.0))
    file.write_bytes(change(data))
    with pytest.raises(CheckpointUnreadable, match=r"no zip archive as torch|is truncated"):
        load_checkpoint(file)


def test_the_trap_works_on_readers_that_differ() -> None:
    """The control: the standard library and torch do see two different files in it."""
    mixed = other_directory(saved({"w": torch.arange(4.0)}))
    seen = parts(mixed)["archive/data/0"]
    reader = torch._C.PyTorchFileReader(io.BytesIO(mixed))
    assert (seen, reader.get_record("data/0")) == (saved_numbers(), bytes(16))


def saved_numbers() -> bytes:
    return np.arange(4, dtype="<f4").tobytes()


@pytest.mark.parametrize("size", [0, 1, 1000, 100_000])
@pytest.mark.parametrize("name", ["model", "a b.c", "data"])
def test_torch_sees_the_same_members(tmp_path: Path, size: int, name: str) -> None:
    file = tmp_path / f"{name}.pt"
    torch.save({"w": torch.arange(float(size)), "epoch": 3, "b": torch.ones(3, 2)}, file)
    data = file.read_bytes()
    reader = torch._C.PyTorchFileReader(str(file))
    found = members(memoryview(data))
    assert {n.partition("/")[2] for n in found} == set(reader.get_all_records())
    for full, member in found.items():
        record = full.partition("/")[2]
        assert data[member.start : member.start + member.size] == reader.get_record(record)
        if member.size:
            assert member.start == reader.get_record_offset(record)


def test_members_and_directories_beyond_four_bytes() -> None:
    """Sizes of four gigabytes and more stand in extra fields; here one byte is said that way."""
    extra = struct.pack("<2H2Q", 1, 16, 1, 1)
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 45, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"aX"
    full = 0xFFFFFFFF
    numbers = (45, 45, 0, 0, 0, 0, 0, full, full, 1, 20, 0, 0, 0, 0, 0)
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *numbers) + b"a" + extra
    start = len(local)
    end64 = struct.pack(
        "<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(entry), start
    ) + struct.pack("<4sIQI", b"PK\x06\x07", 0, start + len(entry), 1)
    end = END + struct.pack("<4H2IH", 0, 0, 0xFFFF, 0xFFFF, full, full, 0)
    found = members(memoryview(local + entry + end64 + end))
    assert (found["a"].start, found["a"].size) == (31, 1)


def test_a_file_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Audit and loader cannot be given two contents of one path: it is not opened a second time."""
    file = tmp_path / "c.pt"
    torch.save({"w": torch.arange(4.0)}, file)
    real = torch_file.audit

    def swapped(*args: object) -> object:
        torch.save({"w": torch.zeros(4)}, file)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(torch_file, "audit", swapped)
    with pytest.raises(CheckpointUnreadable, match="changed while it was read"):
        load_checkpoint(file)


def test_writes_during_reading_never_give_a_mixture(tmp_path: Path) -> None:
    """A file that is saved in place over and over: whole weights or an error."""
    file, stop = tmp_path / "c.pt", threading.Event()
    torch.save({"w": torch.zeros(300_000)}, file)

    def write() -> None:
        value = 0.0
        while not stop.is_set():
            value += 1
            torch.save({"w": torch.full((300_000,), value)}, file)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(60):
            try:
                found = load_checkpoint(file).tensors["w"]
            except CheckpointUnreadable:
                continue
            assert len(found.unique()) == 1
    finally:
        stop.set()
        writer.join()


def test_names_allowed_elsewhere_stay_blocked_in_a_mixed_archive(tmp_path: Path) -> None:
    marker, file = tmp_path / "marker", tmp_path / "c.pt"

    class Touch:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {marker}",)

    with torch.serialization.safe_globals([os.system]):
        for change in DIFFERENTIALS:
            file.write_bytes(change(saved({"w": torch.ones(2), "x": Touch()})))
            with pytest.raises((CheckpointRefused, CheckpointUnreadable)):
                load_checkpoint(file)
    assert not marker.exists()


@pytest.mark.parametrize("order", ["little", "big"])
def test_byte_order(tmp_path: Path, order: str) -> None:
    found = parts(saved())
    found["archive/byteorder"] = order.encode()
    kind = np.dtype("f4").newbyteorder(order)
    found["archive/data/0"] = np.arange(4).astype(kind).tobytes()
    (tmp_path / "c.pt").write_bytes(zipped(found))
    assert torch.equal(load_checkpoint(tmp_path / "c.pt").tensors["w"], torch.arange(4.0))
