"""Whatever bytes a file has: a Checkpoint, arrays, or an NcboundsError, soon, and nothing else."""

import io
import json
import pickle
import pickletools
import resource
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from test_one_layout import parts, saved, zipped

from ncbounds.checkpoints.formats.stored_zip import NotPlain, members
from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.data.idx import read_idx
from ncbounds.data.npz import load_npz
from ncbounds.errors import NcboundsError

quick = settings(
    max_examples=80,
    deadline=10_000,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def within_memory() -> Any:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600 * 1024
    assert time.monotonic() - start < 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def survives(file: Path, data: bytes, read: Any = load_checkpoint) -> bool:
    """Whether it was read; raises for any error but our own, or a message that is no plain line."""
    file.write_bytes(data)
    try:
        read(file)
    except NcboundsError as error:
        said = str(error)
    else:
        return True
    assert said.isprintable()
    return False


def edited(draw: st.DrawFn, data: bytes) -> bytes:
    """A few bytes overwritten, removed, doubled or replaced by numbers at the ends."""
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(found) - 1)))
        length = draw(st.sampled_from([0, 1, 2, 4, 8]))
        new = draw(
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from([b"\xff" * 4, b"\x00" * 4, b"\xff" * 8, b"\x7f" + b"\xff" * 7]),
            )
        )
        found[at : at + length] = new
    return bytes(found)


def legacy() -> bytes:
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(3, 2), "n": [1, 2]}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def tensors_file() -> bytes:
    return bytes(
        safetensors.torch.save({"a.b": torch.ones(2, 3), "c": torch.arange(4)}, {"k": "v"})
    )


SEEDS = {
    "zip": saved({"model": {"a.w": torch.ones(2, 3)}, "args": {"depth": 2}, "t": (1, "x")}),
    "legacy": legacy(),
    "safetensors": tensors_file(),
    "random": b"",
}


@pytest.mark.parametrize("kind", list(SEEDS))
def test_damaged_files(folder: Path, kind: str) -> None:
    @quick
    @given(st.data())
    def check(data: st.DataObject) -> None:
        if kind == "random":
            survives(folder / "c.pt", data.draw(st.binary(max_size=300)))
        else:
            survives(folder / "c.pt", data.draw(st.composite(edited)(SEEDS[kind])))

    check()


OPCODES = [o.code.encode("latin1") for o in pickletools.opcodes]
PIECES = st.one_of(
    st.sampled_from(OPCODES),
    st.sampled_from(
        [
            b"ctorch._utils\n_rebuild_tensor_v2\n",
            b"ctorch\nFloatStorage\n",
            b"ccollections\nOrderedDict\n)R",
            b"ccollections\ndefaultdict\n",
            b"cargparse\nNamespace\n)R",
            b"cbuiltins\nset\n",
            b"cbuiltins\nbytearray\n",
            b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ",
            b"K\x00(K\x04t(K\x01t\x89",
            b"}(",
            b"](",
            b"X\x01\x00\x00\x00w",
            b"\x8a\x04\xff\xff\xff\x7f",
            b"r\x01\x00\x00\x00",
            b"j\x01\x00\x00\x00",
        ]
    ),
    st.binary(max_size=4),
)


def test_pickles_of_any_instructions(folder: Path) -> None:
    shape = parts(saved())

    @quick
    @given(st.lists(PIECES, max_size=25))
    def check(pieces: list[bytes]) -> None:
        content = b"\x80\x02" + b"".join(pieces) + b"."
        survives(folder / "c.pt", zipped({**shape, "archive/data.pkl": content}))
        survives(folder / "c.pkl", content)

    check()


PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(2**15000, 2**15000 + 1),
        st.floats(),
        st.text(max_size=5),
        st.binary(max_size=5),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers()), inner, max_size=3),
        st.tuples(inner, inner),
    ),
    max_leaves=12,
)


def test_values_beside_the_weights(folder: Path) -> None:
    """Any plain values are read or refused, and their hints can be written as JSON."""
    read = 0

    @quick
    @given(st.dictionaries(st.text(max_size=6), PLAIN, max_size=4))
    def check(beside: dict[str, Any]) -> None:
        nonlocal read
        if survives(folder / "c.pt", saved({"state_dict": {"w": torch.ones(2)}, **beside})):
            read += 1
            json.dumps(load_checkpoint(folder / "c.pt").hints)

    check()
    assert read > 25


HEADERS = st.dictionaries(
    st.text(max_size=4),
    st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["F32", "F64", "BOOL", "U8", "F8_E4M3", "F4", "x", 3]),
            "shape": st.lists(
                st.one_of(st.integers(0, 3), st.sampled_from([-1, 2**62, 2**64, 1.0, True])),
                max_size=3,
            ),
            "data_offsets": st.lists(
                st.one_of(st.integers(0, 24), st.sampled_from([-1, 2**64])), min_size=1, max_size=3
            ),
        }
    ),
    max_size=3,
)


def test_headers_of_safetensors(folder: Path) -> None:
    """What its library reads is read with the same values; what it refuses is refused."""
    agreed = {True: 0, False: 0}

    @settings(quick, max_examples=250)
    @given(HEADERS, st.integers(0, 24), st.booleans())
    def check(header: dict[str, Any], size: int, tidy: bool) -> None:
        if tidy:  # places that follow each other, so that some headers are whole
            size = 0
            for entry in header.values():
                entry["dtype"] = "U8"
                entry["shape"] = [2, 1]
                entry["data_offsets"] = [size, size + 2]
                size += 2
        text = json.dumps(header).encode()
        data = struct.pack("<Q", len(text)) + text + bytes(range(size))
        try:
            wanted = safetensors.torch.load(data)
        except Exception:  # of whatever kind
            wanted = {}
        found = survives(folder / "c.safetensors", data)
        assert found == bool(wanted)
        agreed[found] += 1
        if found:
            ours = load_checkpoint(folder / "c.safetensors").tensors
            assert all(torch.equal(ours[n].float(), t.float()) for n, t in wanted.items())

    check()
    assert min(agreed.values()) > 20


def test_archives_are_seen_as_torch_sees_them(folder: Path) -> None:
    """Where the layout is accepted, torch's reader finds the same bytes for every member."""
    seen = [0]

    @settings(quick, max_examples=200)
    @given(st.data(), st.booleans())
    def check(draw: st.DataObject, own: bool) -> None:
        seed = SEEDS["zip"] if own else zipped(parts(SEEDS["zip"]))
        start = seed.index(b"PK\x01\x02") if draw.draw(st.booleans()) else 0
        data = seed[:start] + draw.draw(st.composite(edited)(seed[start:]))
        try:
            found = members(memoryview(data))
            reader = torch._C.PyTorchFileReader(io.BytesIO(data))
        except (NotPlain, RuntimeError):
            return
        for name, member in found.items():
            record = name.partition("/")[2]
            if not record or member.packed:
                continue
            try:
                theirs = reader.get_record(record)
            except RuntimeError:  # a checksum that does not fit, or another folder
                continue
            assert theirs == data[member.start : member.start + member.size]
            seen[0] += 1

    check()
    assert seen[0] > 25


def npz(compressed: bool) -> bytes:
    buffer = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(buffer, images=np.zeros((3, 2, 2), np.uint8), labels=np.arange(3))
    return buffer.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_npz_files(folder: Path, compressed: bool) -> None:
    @quick
    @given(st.composite(edited)(npz(compressed)))
    def check(data: bytes) -> None:
        survives(folder / "d.npz", data, load_npz)

    check()


def test_npy_headers_of_any_text(folder: Path) -> None:
    @quick
    @given(
        st.one_of(
            st.text(max_size=60),
            st.builds(
                "{{'descr': {!r}, 'fortran_order': {}, 'shape': {}}}".format,
                st.sampled_from(["<f8", "|O", "<U9999999", "V1", [("a", "<f8", (10**6,))], "x"]),
                st.sampled_from(["False", "True", "3"]),
                st.sampled_from(["()", "(3,)", "(10**9,)", "(1000000000, 9)", "(-1,)", "(((", "x"]),
            ),
        ),
        st.sampled_from([(1, 0), (2, 0), (3, 0), (9, 9)]),
    )
    def check(text: str, version: tuple[int, int]) -> None:
        raw = text.encode("utf-8")
        form = "<H" if version == (1, 0) else "<I"
        member = b"\x93NUMPY" + bytes(version) + struct.pack(form, len(raw)) + raw + bytes(24)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("labels.npy", member)
        survives(folder / "d.npz", buffer.getvalue(), lambda f: load_npz(f, ("labels",)))

    check()


def test_idx_files_of_any_bytes(folder: Path) -> None:
    import gzip

    good = b"\0\0\x08\x02\0\0\0\x02\0\0\0\x03" + bytes(6)

    @quick
    @given(st.composite(edited)(good), st.booleans())
    def check(data: bytes, packed: bool) -> None:
        survives(folder / "idx", gzip.compress(data, 1) if packed else data, read_idx)

    check()


def test_the_fuzzer_finds_what_is_there(folder: Path) -> None:
    """The control: whole files are read, so the edits above start from something."""
    for kind, data in SEEDS.items():
        assert survives(folder / "c.pt", data) == (kind != "random")
    assert not survives(folder / "c.pt", pickle.dumps({"a": 1}))
    assert survives(folder / "d.npz", npz(True), load_npz)
