"""Nothing that a file declares is set aside, looped over or opened before it is bounded."""

import io
import json
import os
import resource
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from test_one_layout import parts, saved, zipped
from torch import nn

from ncbounds import budgets
from ncbounds.checkpoints.formats import pickles
from ncbounds.checkpoints.formats.torch_file import LEGACY_MAGIC
from ncbounds.checkpoints.inspect import inspect_checkpoint
from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.errors import CheckpointMismatch, CheckpointUnreadable, NcboundsError

SECONDS, MEBIBYTES = 30, 600


@contextmanager
def small() -> Iterator[None]:
    """What is in here ends soon and takes little memory."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    yield
    assert time.monotonic() - start < SECONDS
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < MEBIBYTES * 1024


def refused(file: Path, words: str, error: type[NcboundsError] = CheckpointUnreadable) -> None:
    with small(), pytest.raises(error, match=words):
        load_checkpoint(file)


def safetensors_bytes(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


# -- a small assembler of pickles ----------------------------------------------------------------


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def tuple_of(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def name(path: str) -> bytes:
    module, _, last = path.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def storage(count: int = 4, key: str = "0", kind: str = "torch.FloatStorage") -> bytes:
    return tuple_of(text("storage"), name(kind), text(key), text("cpu"), number(count)) + b"Q"


OLD = b"NtQ"  # the old layout has a sixth part, of views


def tensor(
    described: bytes, shape: tuple[int, ...] = (4,), strides: tuple[int, ...] = (1,)
) -> bytes:
    hooks = name("collections.OrderedDict") + b")R"
    sizes = [tuple_of(*map(number, values)) for values in (shape, strides)]
    return (
        name("torch._utils._rebuild_tensor_v2")
        + tuple_of(described, number(0), *sizes, b"\x89", hooks)
        + b"R"
    )


def keep(index: int) -> bytes:
    return b"r" + struct.pack("<I", index)


def again(index: int) -> bytes:
    return b"j" + struct.pack("<I", index)


def dict_of(*items: bytes) -> bytes:
    return b"}(" + b"".join(items) + b"u"


def write(file: Path, *items: bytes, legacy: bool = False, data: bytes = bytes(16)) -> Path:
    """A file of torch.save whose content is a dictionary of one tensor and ``items``."""
    content = b"\x80\x02" + dict_of(text("w"), tensor(storage()), *items) + b"."
    return write_pickle(file, content, legacy, data)


def write_pickle(file: Path, content: bytes, legacy: bool, data: bytes = bytes(16)) -> Path:
    if not legacy:
        file.write_bytes(zipped({**parts(saved()), "archive/data.pkl": content}))
        return file
    buffer = io.BytesIO()
    for value in (LEGACY_MAGIC, 1001, {"little_endian": True}):
        buffer.write(pickle_of(value))
    buffer.write(content.replace(b"tQ", OLD) + pickle_of(["0"]) + struct.pack("<Q", 4) + data)
    file.write_bytes(buffer.getvalue())
    return file


def pickle_of(value: object) -> bytes:
    import pickle

    return pickle.dumps(value, protocol=2)


@pytest.mark.parametrize("legacy", [False, True])
def test_the_assembler_writes_what_torch_reads(tmp_path: Path, legacy: bool) -> None:
    file = write(tmp_path / "c.pt", text("epoch"), number(3), legacy=legacy)
    assert torch.load(file, weights_only=True)["epoch"] == 3
    assert load_checkpoint(file).tensors["w"].shape == (4,)


# -- loops over names ----------------------------------------------------------------------------


def test_an_empty_safetensors_file_ends(tmp_path: Path) -> None:
    for header in (b"{}", b'{"__metadata__":{"a":"b"}}', b"{}      "):
        (tmp_path / "c.safetensors").write_bytes(safetensors_bytes(header))
        refused(tmp_path / "c.safetensors", "holds no tensors")


@pytest.mark.parametrize("key", ["state_dict_ema", "model_ema", "ema"])
def test_only_averaged_weights_are_read(tmp_path: Path, key: str) -> None:
    torch.save({key: {"head.weight": torch.ones(3, 2)}, "epoch": 9}, tmp_path / "c.pt")
    with small():
        found = load_checkpoint(tmp_path / "c.pt")
    assert list(found.tensors) == ["head.weight"]
    assert any("averaged" in note for note in found.notes)


def test_a_folder_without_a_tensor(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(b"{}"))
    refused(tmp_path, "holds no tensors")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["module." * 100_000 + "w"], "700001 characters .* at most 4096"),
        (["_orig_mod.module." * 40 + "w"], "more than 16 prefixes"),
        (["x" * 5000, "w"], "5000 characters"),
    ],
)
def test_names_without_end(tmp_path: Path, names: list[str], words: str) -> None:
    torch.save(dict.fromkeys(names, torch.zeros(2)), tmp_path / "c.pt")
    refused(tmp_path / "c.pt", words)


def test_as_many_prefixes_as_are_usual(tmp_path: Path) -> None:
    torch.save({"module._orig_mod.module.w": torch.zeros(2)}, tmp_path / "c.pt")
    assert list(load_checkpoint(tmp_path / "c.pt").tensors) == ["w"]


def test_one_container_under_many_names(tmp_path: Path) -> None:
    """Looking through it for each name would take 10^8 steps."""
    shared = {f"x{i}": 1 for i in range(10_000)}
    torch.save(
        {"model": {"w": torch.ones(2)}, **{f"k{i}": shared for i in range(10_000)}},
        tmp_path / "c.pt",
    )
    with small():
        assert list(load_checkpoint(tmp_path / "c.pt").tensors) == ["w"]


# -- memory --------------------------------------------------------------------------------------


def layers(count: int, width: int, copy: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, Any]:
    weight = torch.zeros(width, width)
    return {f"{i}.weight": copy(weight) for i in range(count)}


@pytest.mark.parametrize(
    "copy", [lambda t: t, lambda t: t.T, lambda t: t[:, :].view(-1), lambda t: t[1:]]
)
def test_tensors_that_share_a_storage(
    tmp_path: Path, copy: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    torch.save(layers(800, 700, copy), tmp_path / "c.pt")
    assert (tmp_path / "c.pt").stat().st_size < 3_000_000
    refused(tmp_path / "c.pt", r"share storage so that they claim \d+ bytes; .* at most 67108864")


def test_tied_weights_stay_readable(tmp_path: Path) -> None:
    torch.save(layers(12, 300, lambda t: t), tmp_path / "c.pt")
    assert len(load_checkpoint(tmp_path / "c.pt").tensors) == 12


@pytest.mark.parametrize("legacy", [False, True])
def test_a_tensor_beyond_its_storage(tmp_path: Path, legacy: bool) -> None:
    """torch would make the storage larger: 4 GB from 16 bytes, with whatever is in them."""
    for shape, strides in (((10**9,), (1,)), ((2, 2), (10**9, 1)), ((5,), (1,))):
        content = b"\x80\x02" + dict_of(text("w"), tensor(storage(), shape, strides)) + b"."
        write_pickle(tmp_path / "c.pt", content, legacy)
        refused(tmp_path / "c.pt", r"a call of torch\._utils\._rebuild", NcboundsError)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_storage_with_two_sizes(tmp_path: Path, legacy: bool) -> None:
    file = tmp_path / "c.pt"
    write(file, text("v"), tensor(storage(2**31)), legacy=legacy)
    refused(file, "declared with two sizes")


def test_a_tensor_whose_storage_is_replaced(tmp_path: Path) -> None:
    state = tuple_of(storage(), number(0), tuple_of(number(10**9)), tuple_of(number(1)))
    write(tmp_path / "c.pt", text("v"), tensor(storage()) + state + b"b")
    refused(tmp_path / "c.pt", "tensor of 4000000000 bytes in a storage of 16")


def repeated(what: bytes, call: str, wrap: Callable[[bytes], bytes]) -> bytes:
    """A value that is stored once, and copied by each of 3,000 calls."""
    first = what + keep(7)
    calls = b"".join(name(call) + wrap(again(7)) + b"R" for _ in range(3000))
    return text("copies") + b"](" + first + calls + b"e"


@pytest.mark.parametrize(
    ("call", "what", "wrap"),
    [
        ("_codecs.encode", text("x" * 1_000_000), lambda v: tuple_of(v, text("latin1"))),
        ("builtins.bytearray", b"B" + struct.pack("<I", 10**6) + bytes(10**6), tuple_of),
        ("builtins.set", b"](" + b"".join(map(number, range(20_000))) + b"e", tuple_of),
        ("torch.Size", tuple_of(*map(number, range(20_000))), tuple_of),
    ],
)
def test_calls_that_copy_one_value_over_and_over(
    tmp_path: Path, call: str, what: bytes, wrap: Callable[[bytes], bytes]
) -> None:
    write(tmp_path / "c.pt", repeated(what, call, wrap))
    assert (tmp_path / "c.pt").stat().st_size < 2_000_000
    refused(tmp_path / "c.pt", r"calls and keys read more than \d+ values")


# -- depth ---------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    return b")" + b"\x85" * depth


@pytest.mark.parametrize(
    "item",
    [
        nested(400_000) + b"N",
        b"(" * 50_000 + b"t" * 50_000 + b"N",
        text("k") + dict_of(nested(100) + b"N"),
        text("k") + name("builtins.set") + tuple_of(b"](" + nested(100_000) + b"e") + b"R",
    ],
)
def test_keys_nested_without_end(tmp_path: Path, item: bytes) -> None:
    """Hashing them recurses in C: 400 kB ended the process."""
    write(tmp_path / "c.pt", item)
    refused(tmp_path / "c.pt", "keys nested deeper than 64")


def test_a_key_that_doubles(tmp_path: Path) -> None:
    """(((x, x), (x, x)), ...): 40 instructions, 10^12 values to hash."""
    key = b")" + b"".join(keep(i) + again(i) + b"\x86" for i in range(40))
    write(tmp_path / "c.pt", key + b"N")
    refused(tmp_path / "c.pt", "calls and keys read more than")


def test_a_long_key_used_over_and_over(tmp_path: Path) -> None:
    key = tuple_of(*map(number, range(20_000))) + keep(3)
    uses = b"".join(b"}" + again(3) + b"Ns" for _ in range(20_000))
    write(tmp_path / "c.pt", key + b"N" + text("uses") + b"](" + uses + b"e")
    refused(tmp_path / "c.pt", "calls and keys read more than")


def test_plain_values_nested_deeply_are_cut_and_not_refused(tmp_path: Path) -> None:
    write(tmp_path / "c.pt", text("deep") + b"]" * 30_000 + b"a" * 29_999)
    with small():
        assert load_checkpoint(tmp_path / "c.pt").hints["deep"] is not None


def test_instructions_and_seconds_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "c.pt", text("n") + b"](" + b"N" * 60_000 + b"e")
    assert "w" in load_checkpoint(tmp_path / "c.pt").tensors
    monkeypatch.setattr(pickles, "PICKLE_SECONDS", -1.0)
    refused(tmp_path / "c.pt", "takes longer than")
    monkeypatch.setattr(pickles, "PICKLE_SECONDS", 100.0)
    monkeypatch.setattr(pickles, "PICKLE_STEPS", 50_000)
    refused(tmp_path / "c.pt", "more than 50000 instructions")


def test_a_key_that_is_a_huge_number(tmp_path: Path) -> None:
    """Python refuses to write a number of that many digits."""
    big = b"\x8b" + struct.pack("<i", 5000) + b"\x01" * 5000
    write(tmp_path / "c.pt", number(2**2000) + b"N", text("n") + number(2**2000))
    found = load_checkpoint(tmp_path / "c.pt")
    assert found.hints["n"] == "a whole number of 2001 bits"
    write(tmp_path / "c.pt", big + b"N")
    with small(), pytest.raises(NcboundsError):
        load_checkpoint(tmp_path / "c.pt")


@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_json_nested_without_end(tmp_path: Path, opening: str) -> None:
    closing = {"[": "]"}.get(opening, "}")
    for depth in (100, 900, 200_000):
        body = opening * depth + "1" + closing * depth
        (tmp_path / "config.json").write_text('{"x":' + body + "}")
        header = b'{"x":' + body.encode() + b"}"
        (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(header))
        refused(tmp_path, "nested deeper than 64|is not JSON")
        refused(tmp_path / "model.safetensors", "no complete safetensors file")


# -- what a network is built of ------------------------------------------------------------------


def mlp(**args: object) -> dict[str, object]:
    tensors = {
        "features.1.weight": torch.zeros(8, 196),
        "features.1.bias": torch.zeros(8),
        "head.weight": torch.zeros(10, 8),
        "head.bias": torch.zeros(10),
    }
    return {"state_dict": tensors, "arch": "mlp", "args": {"width": 8, "depth": 1, **args}}


@pytest.mark.parametrize("depth", [10**9, 9_000, -(10**9)])
def test_a_depth_that_the_file_has_no_tensors_for(tmp_path: Path, depth: int) -> None:
    torch.save(mlp(depth=depth), tmp_path / "c.pt")
    with small(), pytest.raises(CheckpointMismatch, match=r"pass the args|Pass the args"):
        load_checkpoint(tmp_path / "c.pt").build()


def test_a_depth_in_the_metadata_of_safetensors(tmp_path: Path) -> None:
    import safetensors.torch

    said = {"arch": "mlp", "args": json.dumps({"width": 8, "depth": 10**9})}
    tensors: Any = mlp()["state_dict"]
    safetensors.torch.save_file(tensors, tmp_path / "c.safetensors", said)
    with small(), pytest.raises(CheckpointMismatch, match=r"depth = 1000000000; .* allow 10000"):
        load_checkpoint(tmp_path / "c.safetensors").build()


def test_a_plain_depth_is_built(tmp_path: Path) -> None:
    torch.save(mlp(), tmp_path / "c.pt")
    assert load_checkpoint(tmp_path / "c.pt").build() is not None


@pytest.mark.parametrize("key", ["num_hidden_layers", "num_labels", "num_attention_heads"])
def test_a_config_that_asks_for_a_billion(tmp_path: Path, key: str) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, num_labels=3
    )
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    load_checkpoint(tmp_path).build()
    said = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**said, key: 10**9}))
    with small(), pytest.raises(CheckpointMismatch, match=f"{key} = 1000000000"):
        load_checkpoint(tmp_path).build()


class Wide(nn.Module):
    """Its first layer would need random inputs of 25 GB at the largest side."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(8000, 1, 1)
        self.last = nn.Linear(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise AssertionError("never the right size")


def test_guessed_inputs_are_bounded(tmp_path: Path) -> None:
    torch.save(Wide().state_dict(), tmp_path / "c.pt")
    with small():
        found = inspect_checkpoint(tmp_path / "c.pt", Wide)
    assert "never the right size" in str(found.unverified)


# -- what is opened ------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["file", "config.json", "model.safetensors", "index"])
def test_pipes_are_not_waited_for(tmp_path: Path, place: str) -> None:
    if place == "file":
        os.mkfifo(tmp_path / "c.pt")
        refused(tmp_path / "c.pt", "named pipe, needed is a regular file")
        return
    torch.save({"w": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    names = {"index": "model.safetensors.index.json"}
    os.mkfifo(tmp_path / names.get(place, place))
    with small():
        assert list(load_checkpoint(tmp_path).tensors) == ["w"]


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_devices_are_not_read(tmp_path: Path, device: str) -> None:
    (tmp_path / "c.pt").symlink_to(device)
    refused(tmp_path / "c.pt", "character device, needed is a regular file")


def test_a_file_larger_than_memory(tmp_path: Path) -> None:
    with (tmp_path / "c.pt").open("wb") as stream:
        stream.truncate(1 << 43)
    refused(tmp_path / "c.pt", "it has 8796093022208 bytes, at most")


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    for bad in ("a\0b", "a" * 5000):
        with pytest.raises(CheckpointUnreadable, match=r"no file can have|too long"):
            load_checkpoint(tmp_path / bad)


def test_budgets_say_why() -> None:
    """Every constant has a reason beneath it."""
    source = Path(budgets.__file__).read_text()
    constants = [n for n in vars(budgets) if n.isupper()]
    assert len(constants) > 15
    for constant in constants:
        assert f"\n{constant} = " in source
        assert source.split(f"\n{constant} = ")[1].partition("\n")[2].startswith('"""')
