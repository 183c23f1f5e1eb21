"""Files that people have: 8-bit floats, state beside tensors, sizes that are asserted, objects."""

import re
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from ncbounds.checkpoints.inspect import inspect_checkpoint
from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.errors import CheckpointMismatch, CheckpointRefused


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 5))


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize("both", [False, True])
def test_eight_bit_floats_are_kept_exactly(tmp_path: Path, dtype: torch.dtype, both: bool) -> None:
    state = {n: t.to(dtype) if t.ndim == 2 else t for n, t in network().state_dict().items()}
    if both:
        state["0.weight"] = state["0.weight"].float().to(torch.float8_e5m2)
    safetensors.torch.save_file(state, tmp_path / "c.safetensors")
    classifier = load_checkpoint(tmp_path / "c.safetensors").build(network)
    for name, tensor in classifier.module.state_dict().items():
        assert torch.equal(tensor, state[name].float())
    assert any("float8" in note and "computed in float32" in note for note in classifier.notes)


def test_eight_bit_floats_that_are_not_numbers(tmp_path: Path) -> None:
    state = network().state_dict()
    state["0.weight"][0, 0] = float("nan")
    state["0.weight"] = state["0.weight"].to(torch.float8_e4m3fn)
    torch.save(state, tmp_path / "c.pt")
    with pytest.raises(CheckpointMismatch, match=r"0\.weight \(1 of 192\)"):
        load_checkpoint(tmp_path / "c.pt").build(network)


class Stateful(nn.Linear):
    """Keeps a scale beside its weights; setting it is what must not happen."""

    calls = 0

    def __init__(self, scale: Any = 2.0) -> None:
        super().__init__(12, 5)
        self.scale = scale

    def get_extra_state(self) -> Any:
        return {"scale": self.scale}

    def set_extra_state(self, state: Any) -> None:
        Stateful.calls += 1


class Tensorial(Stateful):
    """Keeps it in a tensor, as libraries do that pickle their state into one."""

    def get_extra_state(self) -> Any:
        return torch.tensor([self.scale])


@pytest.mark.parametrize("kind", [Stateful, Tensorial])
@pytest.mark.parametrize("nested", [False, True])
def test_state_beside_tensors_is_compared_and_never_set(
    tmp_path: Path, kind: type[Stateful], nested: bool
) -> None:
    model = nn.Sequential(kind()) if nested else kind()
    state = {f"module.{n}": v for n, v in model.state_dict().items()}
    torch.save({"model": state, "epoch": 1} if nested else state, tmp_path / "c.pt")
    checkpoint = load_checkpoint(tmp_path / "c.pt")
    calls = Stateful.calls

    def build(scale: float) -> nn.Module:
        return nn.Sequential(kind(scale)) if nested else kind(scale)

    weight = "0.weight" if nested else "weight"
    built = checkpoint.build(lambda: build(2.0)).module.state_dict()
    assert torch.equal(built[weight], model.state_dict()[weight])
    with pytest.raises(CheckpointMismatch, match="state beside its tensors, and that of the file"):
        checkpoint.build(lambda: build(3.0))
    assert Stateful.calls == calls


def test_state_that_the_file_has_not(tmp_path: Path) -> None:
    torch.save(nn.Linear(12, 5).state_dict(), tmp_path / "c.pt")
    with pytest.raises(CheckpointMismatch, match=r"or missing \(_extra_state\)"):
        load_checkpoint(tmp_path / "c.pt").build(Stateful)


class Sized(nn.Module):
    """Asserts its image size, in one of the ways that people do."""

    def __init__(self, error: type[Exception] = AssertionError) -> None:
        super().__init__()
        self.patches, self.fc, self.error = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 5), error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[2] != 32:
            raise self.error(f"height {x.shape[2]} doesn't match 32")
        return self.fc(self.patches(x).flatten(2).mean(2))


@pytest.mark.parametrize("error", [AssertionError, KeyError, NotImplementedError, OSError])
def test_the_size_that_fits_is_tried(tmp_path: Path, error: type[Exception]) -> None:
    torch.save(Sized().state_dict(), tmp_path / "c.pt")
    found = inspect_checkpoint(tmp_path / "c.pt", lambda: Sized(error))
    assert found.problem is None
    assert found.inputs == "random inputs 16x3x32x32"


WHOLE = [
    {"model": None, "ema": nn.Linear(12, 5)},
    {"model": nn.Linear(12, 5).state_dict(), "args": {"out": nn.Identity()}},
    nn.Linear(12, 5),
    {**nn.Linear(12, 5).state_dict(), "path": nn.Identity()},
    {"ema": {"module": nn.Linear(12, 5).state_dict()}, "x": nn.Identity()},
    {"model": "linear", "weights": nn.Linear(12, 5).state_dict(), "x": nn.Identity()},
    {"net": nn.Linear(12, 5), "epoch": 3},
]


@pytest.mark.parametrize("legacy", [False, True])
def test_the_line_that_saves_weights_again_works_when_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, legacy: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    for i, content in enumerate(WHOLE):
        file = tmp_path / f"it's {i}.pt"
        torch.save(content, file, _use_new_zipfile_serialization=not legacy)
        with pytest.raises(CheckpointRefused) as caught:
            load_checkpoint(file)
        line = re.search(r"import torch; .*'weights\.pt'\)", str(caught.value))
        assert line is not None
        exec(line.group(), {})
        again = load_checkpoint(tmp_path / "weights.pt")
        assert {n: tuple(t.shape) for n, t in again.tensors.items()} == {
            "weight": (5, 12),
            "bias": (5,),
        }
        (tmp_path / "weights.pt").unlink()
