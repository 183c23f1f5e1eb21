"""What training loops save beside the weights is data: read past, and never run."""

import argparse
import datetime
import decimal
import io
import pathlib
import random
import uuid
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.errors import CheckpointRefused

WEIGHTS = {"head.weight": torch.ones(3, 2), "head.bias": torch.zeros(3)}
BESIDE: dict[str, Any] = {
    "best_acc": np.float64(0.75),
    "best_acc_big_endian": np.array(0.75, ">f4")[()],
    "epoch": np.int64(12),
    "better": np.bool_(True),
    "run": np.str_("a run"),
    "dtype": np.dtype("float32"),
    "type": np.float32,
    "confusion": np.arange(6).reshape(2, 3),
    "names": np.array(["a", "b"], dtype=object),
    "numpy_rng": np.random.RandomState(0).get_state(),
    "random_state": np.random.RandomState(0),
    "generator": np.random.default_rng(0),
    "python_rng": random.getstate(),
    "rng_state": torch.get_rng_state(),
    "torch_generator": torch.Generator(),
    "args": argparse.Namespace(out=pathlib.PosixPath("/runs/a"), width=8, betas=(0.9, 0.99)),
    "settings": SimpleNamespace(width=8),
    "when": datetime.datetime.now(datetime.UTC),
    "took": datetime.timedelta(hours=1),
    "windows": pathlib.PureWindowsPath("c:/runs"),
    "money": decimal.Decimal("1.5"),
    "id": uuid.UUID(int=5),
    "losses": deque([1.0, 2.0], maxlen=5),
    "history": defaultdict(list, {"loss": [1.0]}),
    "counts": Counter("aab"),
    "ordered": OrderedDict(a=1),
    "frozen": frozenset([1, 2]),
    "range": range(10**12),
    "slice": slice(1, 2),
    "torch_version": torch.__version__,
    "device": torch.device("cpu"),
}


@pytest.mark.parametrize("legacy", [False, True])
def test_what_stands_beside_the_weights_is_read_past(tmp_path, legacy):
    file = tmp_path / "c.pt"
    content = {"state_dict": WEIGHTS, **BESIDE}
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    checkpoint = load_checkpoint(file)
    assert all(torch.equal(checkpoint.tensors[n], t) for n, t in WEIGHTS.items())
    hints = checkpoint.hints
    assert (hints["best_acc"], hints["best_acc_big_endian"], hints["epoch"]) == (0.75, 0.75, 12)
    assert (hints["better"], hints["run"]) == (True, "a run")
    assert hints["args"] == {"out": "/runs/a", "width": 8, "betas": [0.9, 0.99]}
    assert hints["settings"] == {"width": 8}
    assert hints["losses"] == [1.0, 2.0]
    assert (hints["when"], hints["confusion"]) == ("datetime", "ndarray")


class Calls:
    """Pickles to a call of an allowed name with arguments that no such value has."""

    def __init__(self, call: Any, *args: Any) -> None:
        self.call = call, args

    def __reduce__(self) -> Any:
        return self.call


def test_nothing_with_an_allowed_name_is_called(tmp_path):
    """The real functions set memory aside or stumble over what they are handed here."""
    real = np._core.multiarray  # type: ignore[attr-defined]
    odd = {
        "array": Calls(real._reconstruct, np.ndarray, (1 << 40,), b"f"),
        "scalar": Calls(real.scalar, np.dtype("f8"), b"short"),
        "object": Calls(real.scalar, np.dtype("O"), [1]),
        "dtype": Calls(np.dtype, "f8" * 1000, False, True),
        "range": Calls(range, 1, 2, 3, 4),
    }
    torch.save({"state_dict": WEIGHTS, **odd}, tmp_path / "c.pt")
    assert {load_checkpoint(tmp_path / "c.pt").hints[n] for n in ("scalar", "object")} == {"Aside"}


def test_what_other_code_allowed_under_these_names_is_not_used_and_not_lost(tmp_path):
    real = np._core.multiarray.scalar  # type: ignore[attr-defined]
    torch.save({"state_dict": WEIGHTS, "acc": np.float64(0.5)}, tmp_path / "c.pt")
    before = set(torch.serialization.get_safe_globals())
    with torch.serialization.safe_globals([real, np.dtype]):
        assert load_checkpoint(tmp_path / "c.pt").hints["acc"] == 0.5
        assert {real, np.dtype} <= set(torch.serialization.get_safe_globals())
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize(
    "name", ["numpy.load", "numpy.core.multiarray.fromfile", "pathlib.Path.touch"]
)
def test_neighbours_of_allowed_names_are_refused(tmp_path, name):
    module, _, function = name.rpartition(".")
    call = b"c" + module.encode() + b"\n" + function.encode() + b"\nX\x01\x00\x00\x00x\x85R"
    buffer = io.BytesIO()
    torch.save({"state_dict": WEIGHTS, "x": "MARKER"}, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(tmp_path / "c.pt", "w") as new:
        for member in old.namelist():
            data = old.read(member)
            text = b"X\x06\x00\x00\x00MARKER"
            new.writestr(member, data.replace(text, call) if member.endswith("pkl") else data)
    with pytest.raises(CheckpointRefused, match=name.replace(".", r"\.")):
        load_checkpoint(tmp_path / "c.pt")
