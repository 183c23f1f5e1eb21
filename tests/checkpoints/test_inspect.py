from pathlib import Path

import pytest
import torch
from torch import nn

from ncbounds.checkpoints.inspect import inspect_checkpoint, render
from ncbounds.errors import CheckpointUnreadable


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 3))


def saved(tmp_path: Path, model: nn.Module) -> Path:
    torch.save({"state_dict": model.state_dict(), "optimizer": {}}, tmp_path / "c.pt")
    return tmp_path / "c.pt"


def test_everything_is_shown(tmp_path: Path) -> None:
    found = inspect_checkpoint(saved(tmp_path, network()), network)
    assert found.problem is None
    assert (found.classes, found.dim, found.has_bias) == (3, 9, True)
    assert found.parameters == 7 * 9 + 9 + 9 * 3 + 3
    assert found.tensors[0] == ("0.weight", (9, 7), "float32")
    text = render(found)
    for part in (
        "PyTorch training checkpoint",
        "without running code",
        "0.weight 9x7 float32",
        "linear layers 7x9, 9x3: likely an mlp",
        "head       2 (direct): 3 classes, 9 features, with bias",
        "max|logits - (W f + b)| =",
        "random inputs 16x7",
        "optimizer state ignored",
        "rounding   decides about the prediction of 0 of 16 rows",
    ):
        assert part in text


def test_without_an_architecture_the_file_is_still_described(tmp_path: Path) -> None:
    found = inspect_checkpoint(saved(tmp_path, network()))
    assert found.head is None
    assert found.problem is not None
    assert "--model" in found.problem
    assert "problem" in render(found)


def test_convolution_sides_are_tried(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 5, stride=4), nn.Flatten(), nn.Linear(2 * 49, 4))
    found = inspect_checkpoint(saved(tmp_path, model), model)
    assert found.inputs == "random inputs 16x3x32x32" or found.problem is None
    given = inspect_checkpoint(saved(tmp_path, model), model, batch=torch.randn(3, 3, 32, 32))
    assert given.inputs == "the given inputs"


def test_registered_name_in_the_file(tmp_path: Path) -> None:
    zoo = pytest.importorskip("ncbounds.checkpoints.architectures.small")
    model = zoo.MODELS["cnn"](channels=4)
    torch.save(
        {"state_dict": model.state_dict(), "arch": "cnn", "args": {"channels": 4}}, tmp_path / "c"
    )
    found = inspect_checkpoint(tmp_path / "c")
    assert found.problem is None
    assert found.model == "cnn"
    assert found.inputs == "random inputs 16x1x14x14"


def test_folder_of_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, num_labels=3
    )
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path / "m")
    found = inspect_checkpoint(tmp_path / "m")
    assert found.problem is None
    assert found.model == "BertForSequenceClassification"
    assert "random inputs 16x8" in render(found)


def test_long_lists_are_cut(tmp_path: Path) -> None:
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(20)))
    assert "28 more" in render(inspect_checkpoint(saved(tmp_path, model), model))


def test_unreadable_files_raise(tmp_path: Path) -> None:
    (tmp_path / "c.pt").write_bytes(b"")
    with pytest.raises(CheckpointUnreadable, match="empty"):
        inspect_checkpoint(tmp_path / "c.pt")
