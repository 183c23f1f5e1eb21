"""Data files that ask for more than they hold."""

import gzip
import io
import os
import resource
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ncbounds.data import unpacking
from ncbounds.data.idx import read_idx
from ncbounds.data.npz import load_npz
from ncbounds.errors import DataError, InvalidSample
from ncbounds.evidence.sample import Sample


def npy(shape: tuple[int, ...], descr: str = "<f8", data: bytes = b"") -> bytes:
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def archive(file: Path, member: bytes, method: int, name: str = "labels.npy") -> Path:
    with zipfile.ZipFile(file, "w", method) as target:
        target.writestr(name, member)
    return file


def refused(file: Path, words: str, read=load_npz) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=words):
        read(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    "member",
    [
        npy((800_000_000,)),
        npy((1, 100_000, 8_000)),
        npy((2,), "<U90000000"),
        npy((10**9,), "|u1", bytes(5)),
        npy((3,), "<f8", bytes(23)),
        npy((3,), "<f8", bytes(25)),
    ],
)
def test_an_array_that_declares_what_it_does_not_have(
    tmp_path: Path, member: bytes, method: int
) -> None:
    refused(archive(tmp_path / "d.npz", member, method), r"declares \d+ bytes, the file holds \d+")


def test_a_small_file_that_unpacks_into_gigabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here megabytes stand for gigabytes; both limits and the numbers are said."""
    monkeypatch.setattr(unpacking, "ARRAY_BYTES", 1 << 20)
    member = npy((1 << 25,), "|u1", bytes(1 << 25))
    file = archive(tmp_path / "d.npz", member, zipfile.ZIP_DEFLATED)
    size, allowed = file.stat().st_size, 100 * file.stat().st_size
    refused(file, rf"has {size} bytes and asks for {len(member)} when .* at most {allowed} are")
    monkeypatch.setattr(unpacking, "ARRAY_BYTES", 1 << 26)
    assert len(load_npz(file, ("labels",))["labels"]) == 1 << 25


def test_a_directory_that_declares_too_little(tmp_path: Path) -> None:
    """The member unpacks into more than its entry says: only what was bounded is read."""
    file = archive(tmp_path / "d.npz", npy((9,), "|u1", bytes(9)), zipfile.ZIP_DEFLATED)
    data = bytearray(file.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", struct.unpack_from("<I", data, at)[0] - 1)
    file.write_bytes(bytes(data))
    refused(file, "declares")


def test_arrays_that_pack_well_stay_readable(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "d.npz", images=np.zeros((2000, 28, 28)), labels=np.zeros(2000))
    assert (tmp_path / "d.npz").stat().st_size < 50_000
    assert load_npz(tmp_path / "d.npz")["images"].nbytes > 10_000_000


def test_every_kind_of_array_that_numpy_saves(tmp_path: Path) -> None:
    arrays = {
        "labels": np.arange(3),
        "zero_d": np.float32(3),
        "empty": np.zeros((0, 5)),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "text": np.array(["a", "größer"]),
        "complex": np.array([1j]),
        "structured": np.array([(1, 2.0)], dtype=[("größe", "i4"), ("b", "f8")]),
        "big": np.arange(3, dtype=">i2"),
        "folder/name": np.ones(2),
    }
    np.savez(tmp_path / "d.npz", **arrays)
    found = load_npz(tmp_path / "d.npz", ("labels",))
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_file_that_declares_gigabytes(tmp_path: Path, packed: bool) -> None:
    head = b"\0\0\x0e\x03" + struct.pack(">3I", 10_000, 1000, 1000)
    (tmp_path / "idx").write_bytes(gzip.compress(head) if packed else head)
    words = "when it is unpacked; at most 1073741824" if packed else "is truncated"
    refused(tmp_path / "idx", words, read_idx)


def test_a_packed_idx_file_with_megabytes_behind_its_end(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as stream:
        stream.write(b"\0\0\x08\x01" + struct.pack(">I", 4))
        for _ in range(48):
            stream.write(bytes(1 << 23))
    (tmp_path / "idx").write_bytes(buffer.getvalue())
    refused(tmp_path / "idx", "bytes left over", read_idx)


@pytest.mark.parametrize("read", [load_npz, read_idx])
def test_pipes_and_devices(tmp_path: Path, read) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "named pipe, needed is a regular file", read)
    refused(Path("/dev/zero"), "character device", read)
    refused(tmp_path, "directory", read)


@pytest.mark.parametrize("label", [10**9, 2**40, 1_000_000])
def test_labels_without_end(label: int) -> None:
    """A table of classes has a row for every number below the largest."""
    with pytest.raises(InvalidSample, match=f"a label is {label}, .* below 1000000"):
        Sample.from_arrays(np.ones((2, 3)), np.array([0, label]), role="holdout", sampling="iid")
    Sample.from_arrays(np.ones((2, 3)), np.array([0, 999]), role="holdout", sampling="iid")
