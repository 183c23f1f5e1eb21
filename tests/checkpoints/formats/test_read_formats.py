"""Every layout that people's checkpoints come in gives the same tensors."""

import argparse
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.errors import (
    CheckpointMismatch,
    CheckpointRefused,
    CheckpointUnreadable,
    NcboundsError,
)


def weights(value: float = 1.0) -> dict[str, torch.Tensor]:
    return {"body.weight": torch.full((3, 2), value), "head.bias": torch.arange(3.0)}


def prefixed(prefix: str, value: float = 1.0) -> dict[str, torch.Tensor]:
    return {prefix + name: t for name, t in weights(value).items()}


def same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[n], wanted[n]) for n in wanted)


CONTENTS: dict[str, Any] = {
    "plain": weights(),
    "state_dict": {"state_dict": weights(), "epoch": 3},
    "model": {"model": weights(), "optimizer": {"state": {0: {"m": torch.ones(2)}}}},
    "model_state_dict": {"model_state_dict": weights()},
    "net": {"net": weights(), "loss": torch.tensor(0.1)},
    "one group under any name": {"classifier_v3": weights(), "epoch": 1},
    "ema": {"state_dict": weights(7.0), "state_dict_ema": weights()},
    "ema nested": {"model": weights(7.0), "model_ema": {"module": weights(), "decay": 0.9}},
    "ema module": {"model": weights(7.0), "ema": prefixed("module.")},
    "parallel": prefixed("module."),
    "compiled": {"state_dict": prefixed("_orig_mod.")},
    "both": {"state_dict": prefixed("module._orig_mod.")},
    "namespace": {"state_dict": weights(), "args": argparse.Namespace(model="mlp", width=2)},
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("layout", list(CONTENTS))
def test_torch_layouts(tmp_path: Path, layout: str, legacy: bool) -> None:
    file = tmp_path / "c.pt"
    torch.save(CONTENTS[layout], file, _use_new_zipfile_serialization=not legacy)
    checkpoint = load_checkpoint(file)
    same(checkpoint.tensors, weights())
    assert checkpoint.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert ("before 1.6" in checkpoint.format) == legacy


def notes(tmp_path: Path, content: Any) -> str:
    torch.save(content, tmp_path / "n.pt")
    return "; ".join(load_checkpoint(tmp_path / "n.pt").notes)


def test_notes_say_what_was_done(tmp_path: Path) -> None:
    assert "averaged (EMA) weights used, from 'state_dict_ema'" in notes(tmp_path, CONTENTS["ema"])
    assert "optimizer state ignored: optimizer" in notes(tmp_path, CONTENTS["model"])
    assert "prefix module. stripped; prefix _orig_mod. stripped" in notes(
        tmp_path, CONTENTS["both"]
    )


def test_prefix_stays_unless_all_names_share_it(tmp_path: Path) -> None:
    mixed = {"module.weight": torch.ones(2, 2), "bias": torch.ones(2)}
    torch.save(mixed, tmp_path / "c.pt")
    same(load_checkpoint(tmp_path / "c.pt").tensors, mixed)


def test_averaged_model_of_torch(tmp_path: Path) -> None:
    averaged = AveragedModel(torch.nn.Linear(2, 3))
    torch.save(
        {"model": averaged.module.state_dict(), "ema": averaged.state_dict()}, tmp_path / "c"
    )
    checkpoint = load_checkpoint(tmp_path / "c")
    same(checkpoint.tensors, dict(averaged.module.state_dict()))
    assert any("n_averaged" in note for note in checkpoint.notes)


def test_averages_of_parameters_take_statistics_from_the_model(tmp_path: Path) -> None:
    statistics = {"norm.running_mean": torch.ones(2), "norm.num_batches_tracked": torch.tensor(3)}
    torch.save({"model": {**weights(7.0), **statistics}, "ema": weights()}, tmp_path / "c.pt")
    checkpoint = load_checkpoint(tmp_path / "c.pt")
    same(checkpoint.tensors, {**weights(), **statistics})
    assert any("statistics taken from 'model'" in note for note in checkpoint.notes)


def test_lightning_without_lightning(tmp_path: Path) -> None:
    content = {
        "pytorch-lightning_version": "2.5.0",
        "state_dict": prefixed("model."),
        "hyper_parameters": {"model": "mlp", "width": 8},
        "optimizer_states": [{"state": {}}],
        "callbacks": {},
    }
    file = tmp_path / "c.ckpt"
    torch.save(content, file)
    code = (
        "import sys; from ncbounds.checkpoints.read import load_checkpoint as load\n"
        f"c = load({str(file)!r})\n"
        "assert not any('lightning' in m for m in sys.modules), 'imported'\n"
        "print(c.format, '|', c.hints['hyper_parameters'], '|', *c.tensors)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == (
        "Lightning checkpoint | {'model': 'mlp', 'width': 8} | model.body.weight model.head.bias"
    )


def test_safetensors_whatever_it_is_called(tmp_path: Path) -> None:
    for name in ("c.safetensors", "c.bin"):
        safetensors.torch.save_file(prefixed("module."), tmp_path / name, {"model": "mlp"})
        checkpoint = load_checkpoint(tmp_path / name)
        same(checkpoint.tensors, weights())
        assert checkpoint.format == "safetensors"
        assert checkpoint.hints == {"metadata": {"model": "mlp"}}


def test_truncated_safetensors(tmp_path: Path) -> None:
    file = tmp_path / "c.safetensors"
    safetensors.torch.save_file(weights(), file)
    data = file.read_bytes()
    for length in (1, 7, 9, 40, len(data) - 1):
        file.write_bytes(data[:length])
        with pytest.raises(CheckpointUnreadable, match="no complete safetensors"):
            load_checkpoint(file)


def test_several_groups_need_a_choice(tmp_path: Path) -> None:
    file = tmp_path / "c.pt"
    torch.save({"generator": weights(), "discriminator": weights(2.0)}, file)
    with pytest.raises(CheckpointUnreadable, match="generator, discriminator; choose one"):
        load_checkpoint(file)
    same(load_checkpoint(file, key="discriminator").tensors, weights(2.0))
    with pytest.raises(CheckpointUnreadable, match="it has generator, discriminator"):
        load_checkpoint(file, key="teacher")


@pytest.mark.parametrize("content", [{}, [1, 2], {"epoch": 1}, torch.ones(2)])
def test_no_named_tensors(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "c.pt")
    with pytest.raises(CheckpointUnreadable, match="named tensors"):
        load_checkpoint(tmp_path / "c.pt")


def test_meta_tensors_hold_nothing(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2, 2, device="meta")}, tmp_path / "c.pt")
    with pytest.raises(CheckpointRefused, match="_rebuild_meta_tensor_no_storage"):
        load_checkpoint(tmp_path / "c.pt")


def test_sparse_tensors(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2, 2).to_sparse()}, tmp_path / "c.pt")
    with pytest.raises((CheckpointRefused, CheckpointMismatch), match=r"sparse"):
        load_checkpoint(tmp_path / "c.pt")


def folder(path: Path, config: dict[str, Any], shards: int = 1) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    items = list(weights().items())
    if shards == 1:
        safetensors.torch.save_file(dict(items), path / "model.safetensors")
        return path
    names = [f"model-{i + 1:05d}-of-00002.safetensors" for i in range(2)]
    for name, item in zip(names, items, strict=True):
        safetensors.torch.save_file(dict([item]), path / name)
    index = {"weight_map": {n: name for (n, _), name in zip(items, names, strict=True)}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    return path


@pytest.mark.parametrize("shards", [1, 2])
def test_folders(tmp_path: Path, shards: int) -> None:
    config = {"model_type": "bert", "auto_map": {"AutoModel": "evil.Model"}}
    checkpoint = load_checkpoint(folder(tmp_path / "f", config, shards))
    same(checkpoint.tensors, weights())
    assert checkpoint.format == "transformers folder"
    assert len(checkpoint.files) == 1 + shards
    assert any("auto_map of config.json ignored" in note for note in checkpoint.notes)


def test_folder_hash_sees_every_file(tmp_path: Path) -> None:
    path = folder(tmp_path / "f", {"architecture": "resnet18"})
    first = load_checkpoint(path)
    assert first.format == "timm folder"
    (path / "config.json").write_text(json.dumps({"architecture": "resnet34"}))
    second = load_checkpoint(path)
    safetensors.torch.save_file(weights(2.0), path / "model.safetensors")
    assert len({first.sha256, second.sha256, load_checkpoint(path).sha256}) == 3
    (path / "README.md").write_text("not read")
    assert load_checkpoint(path).sha256 == load_checkpoint(path).sha256


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "missing.safetensors"])
def test_index_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    safetensors.torch.save_file(weights(), tmp_path / "secret.safetensors")
    path = folder(tmp_path / "f", {}, shards=2)
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": name}}))
    with pytest.raises(CheckpointUnreadable, match=r"not in this folder|is missing"):
        load_checkpoint(path)


def test_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable, match=r"config\.json with one of"):
        load_checkpoint(tmp_path)


def test_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ncbounds.checkpoints.read as reader

    file = tmp_path / "c.pt"
    torch.save(weights(), file)
    real = reader.load_torch

    def slow(path: Path) -> Any:
        result = real(path)
        torch.save({**weights(), "more": torch.ones(50)}, tmp_path / "new.pt")
        (tmp_path / "new.pt").rename(file)
        return result

    monkeypatch.setattr(reader, "load_torch", slow)
    with pytest.raises(CheckpointUnreadable, match="changed while it was read"):
        load_checkpoint(file)


@pytest.mark.parametrize("kind", ["zip", "safetensors"])
def test_tensors_are_views_of_the_bytes_that_were_hashed(tmp_path: Path, kind: str) -> None:
    """One copy in memory, which no later write to the file reaches."""
    large = torch.arange(2_000_000.0)
    file = tmp_path / "c"
    save = torch.save if kind == "zip" else safetensors.torch.save_file
    save({"w": large.reshape(2, -1), "half": large[:7].clone()}, file)
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    checkpoint = load_checkpoint(file)
    distance = checkpoint.tensors["w"].data_ptr() - checkpoint.tensors["half"].data_ptr()
    assert abs(distance) < file.stat().st_size
    with file.open("r+b") as stream:
        stream.write(bytes(file.stat().st_size // 2))
        stream.truncate()
    assert torch.equal(checkpoint.tensors["w"].flatten(), large)
    assert checkpoint.sha256 == before


CHOICES: dict[str, tuple[Any, dict[str, str], str]] = {
    "averaged by default": (
        {"model": weights(7.0), "model_ema": weights(), "teacher": weights(8.0)},
        {},
        "passed over: 'model' (2 tensors), 'teacher' (2 tensors)",
    ),
    "raw": (
        {"model": weights(), "model_ema": weights(7.0)},
        {"weights": "raw"},
        "passed over: 'model_ema' (2 tensors)",
    ),
    "teacher": (
        {"model": weights(), "teacher": weights(7.0), "optimizer": {"m": torch.ones(2)}},
        {},
        "passed over: 'teacher' (2 tensors)",
    ),
    "stochastic weight averaging": (
        {"state_dict": weights(), "swa_state_dict": weights(7.0)},
        {},
        "passed over: 'swa_state_dict' (2 tensors)",
    ),
    "stochastic weight averaging, asked for": (
        {"state_dict": weights(7.0), "swa_state_dict": prefixed("module.")},
        {"weights": "ema"},
        "averaged (EMA) weights used, from 'swa_state_dict'",
    ),
    "averages of a callback": (
        {"state_dict": weights(), "callbacks": {"EMA": {"ema_weights": weights(7.0), "decay": 1}}},
        {},
        "passed over: 'callbacks.EMA.ema_weights' (2 tensors)",
    ),
    "averages of a callback, asked for": (
        {"state_dict": weights(7.0), "callbacks": {"EMA": {"ema_weights": weights()}}},
        {"weights": "ema"},
        "passed over: 'state_dict' (2 tensors)",
    ),
    "in a list": (
        {"state_dict": weights(), "loops": [{"best": weights(7.0)}]},
        {},
        "passed over: 'loops.0.best' (2 tensors)",
    ),
    "beside plain tensors": (
        {**weights(), "teacher": weights(7.0)},
        {},
        "passed over: 'teacher' (2 tensors)",
    ),
    "a path": (
        {"nets": {"student": weights(7.0), "teacher": weights()}},
        {"key": "nets.teacher"},
        "weights taken from 'nets.teacher'; passed over: 'nets.student' (2 tensors)",
    ),
    "a prefix": (
        {"state_dict": {**prefixed("model."), "criterion.weight": torch.ones(3)}},
        {"key": "model."},
        "names under model. taken; passed over: criterion.",
    ),
    "prefix of an average": (
        {"state_dict": {**prefixed("online.", 7.0), **prefixed("ema_model.")}},
        {"key": "ema_model."},
        "names under ema_model. taken; passed over: online.",
    ),
}


@pytest.mark.parametrize("case", list(CHOICES))
def test_weights_that_were_chosen_and_all_others_by_name(tmp_path: Path, case: str) -> None:
    content, options, note = CHOICES[case]
    torch.save(content, tmp_path / "c.pt")
    checkpoint = load_checkpoint(tmp_path / "c.pt", **options)
    same(checkpoint.tensors, weights())
    assert note in "; ".join(checkpoint.notes)
    if "passed over: '" in note:
        assert checkpoint.others
        assert all(f"'{path}' (" in "; ".join(checkpoint.notes) for path in checkpoint.others)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ({"model": weights()}, {"weights": "ema"}, "has no averaged weights; it has model"),
        (
            {"model": weights(), "swa": weights(), "cb": {"ema": weights()}},
            {"weights": "ema"},
            "several averaged weights; it has model, swa, cb.ema; choose one with .*--key",
        ),
        ({"model": weights()}, {"weights": "best"}, "weights is 'ema' or 'raw', found 'best'"),
        ({"model": weights()}, {"key": "x."}, r"begin with 'x\.'; they begin with body\."),
        ({"nets": {"a": weights(), "b": weights()}}, {}, r"several groups.*nets\.a, nets\.b"),
    ],
)
def test_weights_that_are_not_there(
    tmp_path: Path, content: Any, options: dict[str, str], message: str
) -> None:
    torch.save(content, tmp_path / "c.pt")
    with pytest.raises(CheckpointUnreadable, match=message):
        load_checkpoint(tmp_path / "c.pt", **options)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.classifier = nn.Linear(6, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.classifier(self.backbone(x).relu())
        return out


@pytest.mark.parametrize("places", ["model,classifier", "best.feat,best.classifier", "net,fc"])
def test_groups_of_one_network_are_joined_as_the_message_says(tmp_path: Path, places: str) -> None:
    two = Two()
    content: dict[str, Any] = {"epoch": 3, "optimizer": {"state": {}}}
    parts = {"module.": two.backbone.state_dict(), "": two.classifier.state_dict()}
    for place, (wrapper, tensors) in zip(places.split(","), parts.items(), strict=True):
        *outer, last = place.split(".")
        inside = content.setdefault(outer[0], {}) if outer else content
        inside[last] = {f"{wrapper}{n}": t for n, t in tensors.items()}
    torch.save(content, tmp_path / "c.pt")
    with pytest.raises(NcboundsError) as said:
        load_checkpoint(tmp_path / "c.pt").build(Two)
    (key,) = re.findall(r"--key (\w+=\S+?,\S+?)(?:\)| joins)", str(said.value))
    first, second = places.split(",")
    wanted = f"backbone={first},classifier={second}"
    assert key == wanted.replace("backbone=best.feat", "feat=best.feat")
    checkpoint = load_checkpoint(tmp_path / "c.pt", key=wanted)
    same(checkpoint.tensors, two.state_dict())
    assert checkpoint.others == ()
    assert checkpoint.hints["epoch"] == 3
    checkpoint.build(Two)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("backbone=model,classifier=head", "no tensors under 'head'; it has model, classifier"),
        ("backbone=model,classifier", "each prefix once, as in backbone=model,"),
        ("a=model,a=classifier", "each prefix once"),
        ("a=", "PREFIX=PLACE"),
        ("a=model,=model,a.=model", "each prefix once"),
        ("=model,=classifier", "each prefix once"),
        ("a=model,a.b=inner", "a.b.weight stand in several"),
    ],
)
def test_groups_that_cannot_be_joined(tmp_path: Path, key: str, message: str) -> None:
    a, b = nn.Linear(6, 4).state_dict(), nn.Linear(4, 3).state_dict()
    model = {**a, "b.weight": torch.ones(2)}
    torch.save({"model": model, "classifier": b, "inner": a}, tmp_path / "c.pt")
    with pytest.raises(CheckpointUnreadable, match=message):
        load_checkpoint(tmp_path / "c.pt", key=key)


def test_a_safetensors_file_has_prefixes_only(tmp_path: Path) -> None:
    file = tmp_path / "c.safetensors"
    safetensors.torch.save_file({**prefixed("student."), **prefixed("teacher.", 7.0)}, file)
    same(load_checkpoint(file, key="student.").tensors, weights())
    same(load_checkpoint(file, weights="raw", key="student.").tensors, weights())
    with pytest.raises(CheckpointUnreadable, match=r"no entry 'student'.*leave key="):
        load_checkpoint(file, key="student")
    with pytest.raises(CheckpointUnreadable, match="one group of weights, no average"):
        load_checkpoint(file, weights="ema")


def test_weights_of_one_file_are_told_apart(tmp_path: Path) -> None:
    """Features are stored under an identity: two networks of one file must not share it."""
    model = torch.nn.Linear(2, 3)
    other = torch.nn.Linear(2, 3)
    torch.save({"model": model.state_dict(), "ema": other.state_dict()}, tmp_path / "c.pt")
    found = {
        load_checkpoint(tmp_path / "c.pt", **options).build(model).identity
        for options in ({}, {"weights": "raw"})
    }
    assert len(found) == 2


def test_a_file_cannot_make_the_search_long(tmp_path: Path) -> None:
    deep: Any = weights(7.0)
    for _ in range(40):
        deep = {"x": deep}
    wide = {f"g{i}": {"y": 1} for i in range(50_000)}
    torch.save({"model": weights(), "deep": deep, "wide": wide}, tmp_path / "c.pt")
    same(load_checkpoint(tmp_path / "c.pt").tensors, weights())
