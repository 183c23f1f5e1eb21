"""Files that hold one network together: backbone and head, shards, a base and its adapter."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from ncbounds.checkpoints.formats.lora import merged
from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.cli.app import app
from ncbounds.errors import CheckpointMismatch, CheckpointUnreadable, ManifestError


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone, self.head = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.backbone(x).relu())


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Net().eval()


def split(network, folder):
    """Save a network in two files, and return them."""
    folder.mkdir(exist_ok=True)
    for part in ("backbone", "head"):
        held = {n: t for n, t in network.state_dict().items() if n.startswith(part)}
        save_file(held, folder / f"{part}.safetensors")
    return folder / "backbone.safetensors", folder / "head.safetensors"


def test_a_backbone_and_its_head_are_joined(tmp_path, network):
    backbone, head = split(network, tmp_path / "two")
    x = torch.randn(8, 4)
    for found in (load_checkpoint(backbone, parts=[head]), load_checkpoint(tmp_path / "two")):
        assert found.tensors.keys() == network.state_dict().keys()
        assert any("head.safetensors" in note for note in found.notes)
        assert torch.equal(found.build(Net).module(x), network(x))
    again = load_checkpoint(backbone, parts=[head]).sha256
    save_file({n: t + 1 for n, t in network.head.state_dict(prefix="head.").items()}, head)
    assert load_checkpoint(backbone, parts=[head]).sha256 != again


def test_names_that_stand_twice_need_the_same_values(tmp_path, network):
    backbone, head = split(network, tmp_path)
    save_file(network.state_dict(), head)
    assert load_checkpoint(backbone, parts=[head]).tensors.keys() == network.state_dict().keys()
    save_file({**network.state_dict(), "backbone.bias": torch.ones(3)}, head)
    for path, parts in ((backbone, [head]), (tmp_path, [])):
        with pytest.raises(CheckpointMismatch, match=r"backbone\.bias with other values"):
            load_checkpoint(path, parts=parts)


def test_a_shard_that_is_missing_is_noticed_without_an_index(tmp_path, network):
    for i, name in enumerate(("backbone", "head")):
        held = {n: t for n, t in network.state_dict().items() if n.startswith(name)}
        save_file(held, tmp_path / f"model-0000{i + 1}-of-00002.safetensors")
    assert load_checkpoint(tmp_path).tensors.keys() == network.state_dict().keys()
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointUnreadable, match="has 1 of the 2 shards"):
        load_checkpoint(tmp_path)


CONFIG = {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "modules_to_save": ["head"]}


def adapter(folder, tensors, **config):
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, **config}))
    named = {f"base_model.model.{n}": t for n, t in tensors.items()}
    save_file(named, folder / "adapter_model.safetensors")
    return folder


def low_rank():
    a = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]])
    b = torch.tensor([[1.0, 0], [0, 2], [0, 0]])
    return {"backbone.lora_A.weight": a, "backbone.lora_B.weight": b}


def test_an_adapter_is_merged_into_its_base(tmp_path, network):
    """By hand: alpha / r = 3 times B A, which is diag(1, 2) in the corner."""
    torch.save(network.state_dict(), tmp_path / "base.pt")
    whole = {"head.weight": torch.ones(5, 3), "head.bias": torch.zeros(5)}
    folder = adapter(tmp_path / "adapter", {**low_rank(), **whole})
    wanted = network.backbone.weight.detach().double().clone()
    wanted[0, 0] += 3
    wanted[1, 1] += 6
    for path, part in ((folder, tmp_path / "base.pt"), (tmp_path / "base.pt", folder)):
        found = load_checkpoint(path, parts=[part])
        assert torch.equal(found.tensors["backbone.weight"], wanted.float())
        assert torch.equal(found.tensors["head.weight"], torch.ones(5, 3))
        assert torch.equal(found.tensors["backbone.bias"], network.backbone.bias)
        assert "computed in float64" in found.notes[0]
        assert "taken whole from the adapter: head.bias, head.weight" in found.notes[1]


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"use_rslora": True}, 6 / 2**0.5),
        ({"alpha_pattern": {"other": 1, "backbone": 8}}, 4.0),
        ({"alpha_pattern": {"one": 8}}, 3.0),
    ],
)
def test_the_scale_of_an_adapter(config, scale):
    base = {"backbone.weight": torch.zeros(3, 4, dtype=torch.float64)}
    tensors, _ = merged(base, low_rank(), {**CONFIG, **config}, "a")
    assert tensors["backbone.weight"][0, 0] == scale


def test_embeddings_convolutions_and_transposed_matrices():
    a, b = torch.randn(2, 4), torch.randn(3, 2)
    pair = {"x.lora_embedding_A": a, "x.lora_embedding_B": b}
    product = 3 * (b.double() @ a.double())
    zero = {"x.weight": torch.zeros(4, 3, dtype=torch.float64)}
    assert torch.allclose(merged(zero, pair, CONFIG, "a")[0]["x.weight"], product.T)
    pair = {"x.lora_A.weight": a, "x.lora_B.weight": b}
    flipped = merged(zero, pair, {**CONFIG, "fan_in_fan_out": True}, "a")[0]["x.weight"]
    assert torch.allclose(flipped, product.T)
    a = torch.randn(2, 4, 3, 3)
    pair = {"x.lora_A.weight": a, "x.lora_B.weight": b[:, :, None, None]}
    zero = {"x.weight": torch.zeros(3, 4, 3, 3, dtype=torch.float64)}
    wanted = 3 * torch.einsum("or,rihw->oihw", b.double(), a.double())
    assert torch.allclose(merged(zero, pair, CONFIG, "a")[0]["x.weight"], wanted)


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        ({"use_dora": True}, {}, "merge_and_unload"),
        ({"peft_type": "IA3"}, {}, "merge_and_unload"),
        ({"init_lora_weights": "pissa_niter_4"}, {}, "which changes the base"),
        ({"alpha_pattern": {"(a+)+$": 3}}, {}, "plain names"),
        ({"r": 4}, {}, "of rank 4"),
        ({"lora_alpha": "x"}, {}, "a number"),
        ({}, {"other.lora_A.weight": torch.ones(2, 4)}, "which the base has not"),
        ({}, {"backbone.lora_B.weight": torch.ones(7, 2)}, "for one of"),
        ({}, {"backbone.lora_magnitude_vector": torch.ones(3)}, "which the base has not"),
        ({}, {"strange.weight": torch.ones(3)}, "which the base has not"),
    ],
)
def test_adapters_that_are_not_merged(network, config, change, message):
    with pytest.raises(CheckpointMismatch, match=message):
        merged(network.state_dict(), {**low_rank(), **change}, {**CONFIG, **config}, "a")


def test_an_adapter_alone_says_what_to_give_and_that_works(tmp_path, network):
    torch.save(network.state_dict(), tmp_path / "base.pt")
    folder = adapter(tmp_path / "adapter", low_rank(), base_model_name_or_path="org/base")
    with pytest.raises(CheckpointMismatch, match=r"org/base.*--part BASE"):
        load_checkpoint(folder)
    with pytest.raises(CheckpointMismatch, match="name its folder"):
        load_checkpoint(folder / "adapter_model.safetensors")
    with pytest.raises(CheckpointMismatch, match="two adapters"):
        load_checkpoint(folder, parts=[folder])
    typed = ["inspect", str(folder), "--part", str(tmp_path / "base.pt")]
    said = CliRunner().invoke(app, typed)
    assert said.exit_code == 0
    assert "merged into 1 matrices" in said.output


def test_parts_in_a_manifest_are_read_and_belong_to_the_key(tmp_path, network):
    from ncbounds.data.manifest import load_manifest
    from ncbounds.runs.keys import entry_key

    split(network, tmp_path)
    np.savez(tmp_path / "d.npz", images=np.zeros((4, 4), np.float32), labels=np.zeros(4, int))
    text = (
        '[tasks.t]\ndata = "d.npz"\n[checkpoints.a]\nfile = "backbone.safetensors"\ntask = "t"\n'
        'parts = ["head.safetensors"]\nroles = {holdout = "0:4"}\n'
    )
    (tmp_path / "zoo.toml").write_text(text)
    book = load_manifest(tmp_path)
    entry = book.checkpoints["a"]
    assert entry.parts == ((tmp_path / "head.safetensors").resolve(),)
    before = entry_key(entry, book.tasks["t"])
    changed = {n: t + 1 for n, t in network.head.state_dict(prefix="head.").items()}
    save_file(changed, tmp_path / "head.safetensors")
    assert entry_key(entry, book.tasks["t"]) != before
    (tmp_path / "zoo.toml").write_text(text.replace('["head.safetensors"]', "[3]"))
    with pytest.raises(ManifestError, match="parts"):
        load_manifest(tmp_path)
