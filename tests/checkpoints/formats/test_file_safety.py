"""Files that would run code leave no trace, and the refusal names what blocks them."""

import argparse
import collections
import contextlib
import io
import os
import pickle
import struct
import threading
import zipfile
from pathlib import Path

import pytest
import torch

from ncbounds.checkpoints.formats.torch_file import LEGACY_MAGIC
from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.errors import CheckpointRefused, CheckpointUnreadable


class Payload:
    """Touches a marker file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


class PayloadDict(dict):  # type: ignore[type-arg]
    def __init__(self, marker: Path) -> None:
        super().__init__()
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({str(self.marker)!r}, 'w').close()",)


def weights() -> dict[str, torch.Tensor]:
    return {"weight": torch.ones(3, 2), "bias": torch.zeros(3)}


def contents(marker: Path) -> dict[str, object]:
    bomb = Payload(marker)
    return {
        "top": bomb,
        "value": {**weights(), "extra": bomb},
        "optimizer": {
            "model": weights(),
            "optimizer": {"state": {0: {"momentum": bomb}}, "param_groups": []},
        },
        "lightning": {
            "pytorch-lightning_version": "2.5.0",
            "state_dict": weights(),
            "hyper_parameters": {"model": PayloadDict(marker)},
        },
        "namespace": {"state_dict": weights(), "args": argparse.Namespace(model=bomb)},
        "ordered": collections.OrderedDict(weight=torch.ones(2, 2), x=bomb),
        "factory": {"state_dict": weights(), "x": collections.defaultdict(list, {1: bomb})},
    }


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("place", list(contents(Path())))
def test_payload_is_named_and_not_run(tmp_path: Path, place: str, legacy: bool) -> None:
    marker, file = tmp_path / "marker", tmp_path / "c.pt"
    torch.save(contents(marker)[place], file, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointRefused, match=r"posix\.system|builtins\.exec") as error:
        load_checkpoint(file)
    assert not marker.exists()
    assert "weights.pt" in str(error.value)
    # the control: the same file does run its payload in an unsafe reader
    torch.load(file, weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_plain_pickle_of_any_protocol(tmp_path: Path, protocol: int) -> None:
    marker, file = tmp_path / "marker", tmp_path / "c.pkl"
    file.write_bytes(pickle.dumps({"a": Payload(marker)}, protocol=protocol))
    with pytest.raises(CheckpointRefused, match=r"posix\.system"):
        load_checkpoint(file)
    assert not marker.exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_torch_refuses_where_the_audit_would_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, legacy: bool
) -> None:
    """Two locks: without the audit the restricted unpickler still runs nothing."""
    import ncbounds.checkpoints.formats.torch_file as archives

    monkeypatch.setattr(archives, "_check_zip", lambda path: None)
    monkeypatch.setattr(archives, "_check_legacy", lambda path: None)
    marker, file = tmp_path / "marker", tmp_path / "c.pt"
    torch.save(contents(marker)["optimizer"], file, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointRefused, match="posix"):
        load_checkpoint(file)
    assert not marker.exists()


def test_legacy_sizes_are_checked_before_memory_is_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "c.pt"
    torch.save({"w": torch.zeros(7)}, file, _use_new_zipfile_serialization=False)
    data = file.read_bytes()
    file.write_bytes(data.replace(b"K\x07", b"J\xff\xff\xff\x0f"))
    with pytest.raises(CheckpointUnreadable, match=r"declare 1073741828 bytes, the file has 36"):
        load_checkpoint(file)


def storage_payload(marker: Path) -> bytes:
    """A data.pkl whose tensor storage is described by a call."""
    call = f"cposix\nsystem\n(X{_text(f'touch {marker}')}tR".encode("latin1")
    return b"\x80\x02}X\x01\x00\x00\x00w" + call + b"Qs."


def _text(text: str) -> str:
    return (struct.pack("<I", len(text)) + text.encode()).decode("latin1")


def write_zip(file: Path, data: bytes, members: dict[str, bytes] | None = None) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        for name, content in {"version": b"3\n", **(members or {})}.items():
            archive.writestr(f"archive/{name}", content)


def test_payload_in_a_tensor_storage(tmp_path: Path) -> None:
    marker, file = tmp_path / "marker", tmp_path / "c.pt"
    write_zip(file, storage_payload(marker))
    with pytest.raises(CheckpointRefused, match=r"posix\.system"):
        load_checkpoint(file)
    assert not marker.exists()


@pytest.mark.parametrize("place", range(5))
def test_payload_in_any_pickle_of_a_legacy_file(tmp_path: Path, place: int) -> None:
    marker, file = tmp_path / "marker", tmp_path / "c.pt"
    parts: list[object] = [LEGACY_MAGIC, 1001, {"little_endian": True}, {}, []]
    parts[place] = Payload(marker)
    file.write_bytes(b"".join(pickle.dumps(p, protocol=2) for p in parts))
    with pytest.raises(CheckpointRefused, match=r"posix\.system"):
        load_checkpoint(file)
    assert not marker.exists()


def test_whole_module_is_refused_with_its_class(tmp_path: Path) -> None:
    file = tmp_path / "c.pt"
    torch.save(torch.nn.Linear(2, 2), file)
    with pytest.raises(CheckpointRefused, match=r"torch\.nn\.modules\.linear\.Linear"):
        load_checkpoint(file)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.pt"
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), str(file))
    with pytest.raises(CheckpointRefused, match="TorchScript"):
        load_checkpoint(file)


def test_names_allowed_elsewhere_in_the_process_do_not_count(tmp_path: Path) -> None:
    marker, file = tmp_path / "marker", tmp_path / "c.pt"
    torch.save({**weights(), "x": Payload(marker)}, file)
    with (
        torch.serialization.safe_globals([os.system]),
        pytest.raises(CheckpointRefused, match=r"posix\.system"),
    ):
        load_checkpoint(file)
    assert not marker.exists()


def plain_values() -> dict[str, object]:
    return {
        "state_dict": weights(),
        "args": argparse.Namespace(lr=0.1, layers=[1, 2], name="x"),
        "counts": collections.Counter("aab"),
        "lists": collections.defaultdict(list, {1: [2]}),
        "nested": collections.defaultdict(dict, {"a": {"b": 1}}),
        "set": {1, 2},
        "bytes": b"abc",
        "array": bytearray(b"abc"),
        "dtype": torch.float16,
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "large": 2**70,
    }


def test_plain_values_are_read_and_nothing_is_left_allowed(tmp_path: Path) -> None:
    file = tmp_path / "c.pth.tar"
    torch.save(plain_values(), file)
    before = set(torch.serialization.get_safe_globals())
    checkpoint = load_checkpoint(file)
    assert set(torch.serialization.get_safe_globals()) == before
    assert checkpoint.hints["args"] == {"lr": 0.1, "layers": [1, 2], "name": "x"}
    assert checkpoint.hints["counts"] == {"a": 2, "b": 1}


def test_allowances_of_the_user_survive(tmp_path: Path) -> None:
    file = tmp_path / "c.pt"
    torch.save(plain_values(), file)
    with torch.serialization.safe_globals([argparse.Namespace, collections.Counter]):
        load_checkpoint(file)
        assert argparse.Namespace in torch.serialization.get_safe_globals()


def test_many_threads(tmp_path: Path) -> None:
    file = tmp_path / "c.pt"
    torch.save(plain_values(), file)
    failures: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(5):
                load_checkpoint(file)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def call(name: str, *numbers: int) -> bytes:
    """A data.pkl that calls ``name`` with integers."""
    module, _, short = name.rpartition(".")
    args = b"".join(b"J" + struct.pack("<i", n) for n in numbers)
    return b"\x80\x02" + f"c{module}\n{short}\n".encode() + b"(" + args + b"tR."


@pytest.mark.parametrize(
    "name", ["builtins.bytearray", "torch.Tensor", "torch.FloatStorage", "builtins.list"]
)
def test_calls_that_would_set_memory_aside(tmp_path: Path, name: str) -> None:
    file = tmp_path / "c.pt"
    write_zip(file, call(name, 2**31 - 1))
    with pytest.raises(CheckpointRefused, match=f"a call of {name}"):
        load_checkpoint(file)


def test_compressed_members_are_not_opened(tmp_path: Path) -> None:
    file = tmp_path / "c.pt"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))
    assert file.stat().st_size < 100_000
    with pytest.raises(CheckpointUnreadable, match="unpacks from"):
        load_checkpoint(file)


def test_declared_sizes_beyond_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.pt"
    torch.save(weights(), file)
    data = bytearray(file.read_bytes())
    directory = data.index(b"PK\x01\x02")
    for offset in (20, 24):  # packed and unpacked size of the first member
        data[directory + offset : directory + offset + 4] = struct.pack("<I", 2**31)
    file.write_bytes(bytes(data))
    with pytest.raises(CheckpointUnreadable, match="its members declare"):
        load_checkpoint(file)


def test_storage_larger_than_its_member(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"w": torch.zeros(7)}, buffer)
    with zipfile.ZipFile(buffer) as archive:
        members = {n.partition("/")[2]: archive.read(n) for n in archive.namelist()}
    data = members.pop("data.pkl")
    assert data.count(b"K\x07") == 2  # elements of the storage, and the tensor's shape
    file = tmp_path / "c.pt"
    write_zip(file, data.replace(b"K\x07", b"J\xff\xff\xff\x0f"), members)
    with pytest.raises(CheckpointUnreadable, match=r"declares 1073741820 bytes, .* holds 28"):
        load_checkpoint(file)


def test_repeated_view_larger_than_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.pt"
    torch.save({"w": torch.zeros(1).expand(10**6, 10**6)}, file)
    with pytest.raises(CheckpointUnreadable, match="claims more than"):
        load_checkpoint(file)


def test_hints_that_multiply_are_cut(tmp_path: Path) -> None:
    level: list[object] = ["x"] * 10
    for _ in range(12):
        level = [level] * 10
    file = tmp_path / "c.pt"
    torch.save({"state_dict": weights(), "config": level}, file)
    assert len(str(load_checkpoint(file).hints)) < 100_000


@pytest.mark.parametrize("legacy", [False, True])
def test_truncated_anywhere(tmp_path: Path, legacy: bool) -> None:
    whole, file = tmp_path / "whole.pt", tmp_path / "cut.pt"
    torch.save({"state_dict": weights()}, whole, _use_new_zipfile_serialization=not legacy)
    data = whole.read_bytes()
    for length in [1, 2, 10, *range(50, len(data) - 1, 37), len(data) - 1]:
        file.write_bytes(data[:length])
        with pytest.raises(CheckpointUnreadable):
            load_checkpoint(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5"),
        (b"<!DOCTYPE html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"random text", "unknown format"),
        (bytes(100), "unknown format"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "c.pt"
    file.write_bytes(content)
    with pytest.raises(CheckpointUnreadable, match=message):
        load_checkpoint(file)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable, match="No such file"):
        load_checkpoint(tmp_path / "none.pt")


def test_damaged_bytes_never_crash(tmp_path: Path) -> None:
    """One byte of the description changed: read, refused or unreadable, never anything else."""
    buffer = io.BytesIO()
    torch.save({"state_dict": weights(), "args": argparse.Namespace(a=1)}, buffer)
    data = buffer.getvalue()
    start = data.index(b"\x80\x02")
    file = tmp_path / "c.pt"
    for position in range(start, start + 400, 3):
        for value in (0, 0x28, 0x52, 0x63, 0x71, 0xFF):
            file.write_bytes(data[:position] + bytes([value]) + data[position + 1 :])
            with contextlib.suppress(CheckpointRefused, CheckpointUnreadable):
                load_checkpoint(file)
