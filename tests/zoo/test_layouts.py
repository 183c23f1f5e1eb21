import argparse
from pathlib import Path

import pytest
import safetensors.torch
import torch

from ncbounds.checkpoints.architectures.small import build_model
from ncbounds.zoo.layouts import LAYOUTS, halve, read, write

MODEL = build_model("bn_mlp", {"width": 6, "depth": 1})
STATE = MODEL.state_dict()
LAST = {name: tensor + 1 for name, tensor in STATE.items()}
FACTS = {
    "model": "bn_mlp",
    "args": {"width": 6, "depth": 1},
    "epoch": 7,
    "steps": 70,
    "lr": 0.05,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "last": LAST,
}


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_round_trip_is_fp16(tmp_path: Path, name: str) -> None:
    layout = LAYOUTS[name]
    path = tmp_path / f"x{layout.suffix}"
    write(STATE, path, layout, FACTS)
    found = read(path, layout)
    assert list(tmp_path.iterdir()) == [path], "no unfinished file is left"
    assert found.keys() == STATE.keys()
    for key, tensor in found.items():
        whole = STATE[key].dtype == torch.int64
        assert tensor.dtype == (torch.int64 if whole else torch.float16)
        assert torch.equal(tensor, STATE[key].to(tensor.dtype))


def raw(tmp_path: Path, name: str) -> dict[str, object]:
    path = tmp_path / f"x{LAYOUTS[name].suffix}"
    write(STATE, path, LAYOUTS[name], FACTS)
    if name == "safetensors":
        return dict(safetensors.torch.load_file(path))
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, weights_only=True)


def test_what_stands_where(tmp_path: Path) -> None:
    key = "head.weight"
    assert key in raw(tmp_path, "safetensors")
    assert key in raw(tmp_path, "state_dict")
    assert f"_orig_mod.{key}" in raw(tmp_path, "compiled")
    training = raw(tmp_path, "training")
    assert training.keys() == {"model", "optimizer", "epoch"}
    assert training["optimizer"]["param_groups"][0]["lr"] == 0.05
    assert key in raw(tmp_path, "model_state_dict")["model_state_dict"]
    assert f"module.{key}" in raw(tmp_path, "data_parallel")["state_dict"]
    namespace = raw(tmp_path, "namespace")
    assert namespace["args"].width == 6
    assert f"module.{key}" in namespace["state_dict"]
    lightning = raw(tmp_path, "lightning")
    assert f"model.{key}" in lightning["state_dict"]
    assert lightning["hyper_parameters"] == {"model": "bn_mlp", "width": 6, "depth": 1}


def test_ema_holds_both_weights(tmp_path: Path) -> None:
    found = raw(tmp_path, "ema")
    assert torch.equal(found["state_dict_ema"]["head.bias"], halve(STATE)["head.bias"])
    assert torch.equal(found["state_dict"]["head.bias"], halve(LAST)["head.bias"])


def test_namespace_is_blocked_without_an_allow_list(tmp_path: Path) -> None:
    path = tmp_path / "x.pth.tar"
    write(STATE, path, LAYOUTS["namespace"], FACTS)
    with pytest.raises(Exception, match=r"argparse\.Namespace"):
        torch.load(path, weights_only=True)
