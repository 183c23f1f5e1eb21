"""Tensors fit an architecture completely, or nothing is loaded and the error names them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ncbounds.checkpoints.architectures.guess import guess_architecture
from ncbounds.checkpoints.architectures.small import MODELS
from ncbounds.checkpoints.checkpoint import Checkpoint
from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.errors import CheckpointMismatch, UnknownArchitecture


class Small(nn.Module):
    def __init__(self, width: int = 6, classes: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU())
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.drop(self.body(x)))
        return out


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.second(self.first(x).relu()).relu())
        return out


def saved(path: Path, content: Any) -> Checkpoint:
    torch.save(content, path / "c.pt")
    return load_checkpoint(path / "c.pt")


def test_build_equals_the_original(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Small().eval()
    x = torch.randn(5, 4)
    for content in (
        model.state_dict(),
        {"state_dict": {f"model.{n}": t for n, t in model.state_dict().items()}},
        {"state_dict": {f"net._orig_mod.{n}": t for n, t in model.state_dict().items()}},
    ):
        for architecture in (Small, Small(), lambda: Small()):
            classifier = saved(tmp_path, content).build(architecture)
            assert torch.equal(classifier.features_and_logits(x)[1], model(x))
            assert not classifier.module.training
            assert not any(p.requires_grad for p in classifier.module.parameters())


def test_attribute_prefix_is_noted(tmp_path: Path) -> None:
    content = {f"net.{n}": t for n, t in Small().state_dict().items()}
    assert "prefix net. stripped" in saved(tmp_path, content).build(Small).notes
    wrapped = nn.Module()
    wrapped.net = Small()
    assert saved(tmp_path, content).build(wrapped).notes == ()


def test_a_module_given_is_copied(tmp_path: Path) -> None:
    model = Small()
    before = model.head.weight.detach().clone()
    classifier = saved(tmp_path, Small().state_dict()).build(model)
    assert torch.equal(model.head.weight, before)
    assert model.training
    assert classifier.module is not model


def test_random_state_is_left_alone(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path, Small().state_dict())
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    checkpoint.build(Small)
    assert torch.equal(torch.rand(1), wanted)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_stored_numbers_are_the_model(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    stored = {
        n: t.to(dtype) if t.is_floating_point() else t for n, t in Small().state_dict().items()
    }
    classifier = saved(tmp_path, stored).build(Small)
    for name, tensor in classifier.module.state_dict().items():
        assert torch.equal(tensor.double(), stored[name].double()), name
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert classifier.module.head.weight.dtype == wide
    if dtype != torch.float64:
        assert any("(exact)" in note for note in classifier.notes)
    assert classifier.features_and_logits(torch.randn(3, 4))[1].dtype == wide


def test_missing_and_extra_names(tmp_path: Path) -> None:
    state = dict(Small().state_dict())
    state["extra.weight"] = state.pop("head.bias")
    model = Small()
    before = {n: t.clone() for n, t in model.state_dict().items()}
    with pytest.raises(CheckpointMismatch, match=r"needs head\.bias.*file has extra\.weight"):
        saved(tmp_path, state).build(model)
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())


def test_missing_batch_counters_are_harmless(tmp_path: Path) -> None:
    state = {n: t for n, t in Small().state_dict().items() if "num_batches" not in n}
    assert any("batch counters" in n for n in saved(tmp_path, state).build(Small).notes)
    del state["body.1.running_mean"]
    with pytest.raises(CheckpointMismatch, match=r"body\.1\.running_mean"):
        saved(tmp_path, state).build(Small)


def test_shared_parameters_may_be_stored_once(tmp_path: Path) -> None:
    torch.manual_seed(2)
    model = Tied().eval()
    state = {n: t for n, t in model.state_dict().items() if n != "second.weight"}
    classifier = saved(tmp_path, state).build(Tied)
    x = torch.randn(3, 4)
    assert torch.equal(classifier.features_and_logits(x)[1], model(x))


def test_shared_parameters_that_differ_in_the_file(tmp_path: Path) -> None:
    state = {n: t.clone() for n, t in Tied().state_dict().items()}
    state["second.weight"] += 1
    with pytest.raises(CheckpointMismatch, match="share one parameter"):
        saved(tmp_path, state).build(Tied)


def test_wrong_shapes_and_class_count(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match=r"shapes differ: body\.0\.weight: file \(8, 4\)"):
        saved(tmp_path, Small(width=8).state_dict()).build(Small)
    with pytest.raises(CheckpointMismatch, match=r"has 5 classes .* built with 3"):
        saved(tmp_path, Small(classes=5).state_dict()).build(Small)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite(tmp_path: Path, value: float) -> None:
    state = Small().state_dict()
    state["head.weight"][1, 2] = value
    with pytest.raises(CheckpointMismatch, match=r"NaN or infinite.*head\.weight \(1 of 18\)"):
        saved(tmp_path, state).build(Small)


def test_integers_for_numbers(tmp_path: Path) -> None:
    state = {**Small().state_dict(), "head.bias": torch.zeros(3, dtype=torch.int64)}
    with pytest.raises(CheckpointMismatch, match=r"integers where numbers.*head\.bias"):
        saved(tmp_path, state).build(Small)


def test_no_architecture(tmp_path: Path) -> None:
    with pytest.raises(UnknownArchitecture, match=r"linear layers 4x6, 6x3.*--model"):
        saved(tmp_path, Small().state_dict()).build()
    with pytest.raises(UnknownArchitecture, match="'resnet18', not registered"):
        saved(tmp_path, {"state_dict": Small().state_dict(), "arch": "resnet18"}).build()
    with pytest.raises(UnknownArchitecture, match="returned dict"):
        saved(tmp_path, Small().state_dict()).build(dict)


def test_registered_names(tmp_path: Path) -> None:
    zoo = pytest.importorskip("ncbounds.checkpoints.architectures.small")
    torch.manual_seed(0)
    model = zoo.MODELS["mlp"](width=16, depth=2, in_features=9, classes=4).eval()
    args = {"width": 16, "depth": 2, "in_features": 9, "classes": 4}
    x = torch.randn(6, 9)
    classifier = saved(tmp_path, model.state_dict()).build("mlp", args=args)
    assert torch.equal(classifier.features_and_logits(x)[1], model(x))
    lightning = {
        "pytorch-lightning_version": "2.5.0",
        "state_dict": {f"model.{n}": t for n, t in model.state_dict().items()},
        "hyper_parameters": {"model": "mlp", "lr": 0.1, **args},
    }
    named = saved(tmp_path, lightning).build()
    assert torch.equal(named.features_and_logits(x)[1], model(x))
    with pytest.raises(UnknownArchitecture, match="did you mean 'mlp'"):
        saved(tmp_path, model.state_dict()).build("mpl")
    with pytest.raises(UnknownArchitecture, match="unexpected keyword argument 'depht'"):
        saved(tmp_path, model.state_dict()).build("mlp", args={"depht": 2})
    with pytest.raises(CheckpointMismatch, match="the model would need"):
        saved(tmp_path, model.state_dict()).build("mlp", args={"width": 10**6, "depth": 3})


def test_guess() -> None:
    assert guess_architecture(Small().state_dict()) == (
        "linear layers 4x6, 6x3; 1 batch norms: likely an mlp with batch norm (bn_mlp)"
    )
    assert "likely linear" in guess_architecture({"weight": torch.ones(2, 3)})
    convolution = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
    assert guess_architecture(convolution.state_dict()).startswith("1 convolutions (1 of 3x3)")


@pytest.mark.parametrize("written", [repr, json.dumps])
@pytest.mark.parametrize("model", [None, "mlp"])
def test_safetensors_metadata_name_model_and_args(
    tmp_path: Path, written: Callable[[Any], str], model: str | None
) -> None:
    args = {"width": 5, "depth": 1, "in_features": 7, "classes": 3}
    state = MODELS["mlp"](**args).state_dict()
    metadata = {"model": "mlp", "args": written(args)}
    save_file(state, tmp_path / "m.safetensors", metadata=metadata)
    checkpoint = load_checkpoint(tmp_path / "m.safetensors")
    assert checkpoint.build(model).module.get_parameter("head.weight").shape == (3, 5)
    with pytest.raises(CheckpointMismatch, match="--args width=64"):
        checkpoint.build("mlp", args={**args, "width": 6})


@pytest.mark.parametrize(
    "text",
    [
        "{'width': __import__('pathlib').Path('RAN').touch()}",
        "{" * 1900,
        "{'a': " + "-" * 1900 + "1}",
        '{"a": ' + "[" * 1900 + "}",
        "{'width': 5}" + " " * 3000,
        "[1, 2]",
        "{'width': '5'}",
        "{1: 2, 'width': [5]}",
    ],
)
def test_text_in_metadata_is_never_run(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state = MODELS["mlp"](width=5, depth=1, in_features=7, classes=3).state_dict()
    save_file(state, tmp_path / "m.safetensors", metadata={"model": "mlp", "args": text})
    with pytest.raises(CheckpointMismatch):
        load_checkpoint(tmp_path / "m.safetensors").build()
    assert not (tmp_path / "RAN").exists()
    save_file(state, tmp_path / "m.safetensors", metadata={"model": "os.system", "args": text})
    with pytest.raises(UnknownArchitecture, match="not registered"):
        load_checkpoint(tmp_path / "m.safetensors").build()


@pytest.mark.parametrize(
    ("beside", "named"),
    [
        ({"criterion.weight": torch.ones(5)}, "criterion.weight"),
        (
            {"metric.total": torch.ones(1), "loss.weight": torch.ones(2)},
            "metric.total, loss.weight",
        ),
        ({f"ema.{n}": t for n, t in Small().state_dict().items()}, "ema.*"),
    ],
)
def test_what_stands_beside_the_network_is_named(
    tmp_path: Path, beside: dict[str, torch.Tensor], named: str
) -> None:
    state = {f"model.{n}": t for n, t in Small().state_dict().items()}
    with pytest.raises(CheckpointMismatch) as error:
        saved(tmp_path, {**state, **beside}).build(Small)
    message = str(error.value)
    assert f"under model.* and beside it {named}, which the model has not" in message
    assert "key='model.'" in message
    torch.save({**state, **beside}, tmp_path / "d.pt")
    classifier = load_checkpoint(tmp_path / "d.pt", key="model.").build(Small)
    for name, tensor in classifier.module.state_dict().items():
        assert torch.equal(tensor, state[f"model.{name}"])
