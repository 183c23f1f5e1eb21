from pathlib import Path

import pytest
import torch
from torch import nn

from ncbounds.checkpoints.architectures.likely_head import likely_heads
from ncbounds.checkpoints.inspect import inspect_checkpoint
from ncbounds.checkpoints.inspection import render
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


def test_without_an_architecture_likely_heads_are_named_and_not_verified(tmp_path: Path) -> None:
    found = inspect_checkpoint(saved(tmp_path, network()))
    assert (found.head, found.problem) == (None, None)
    assert found.unverified is not None
    assert "--model" in found.unverified
    text = render(found)
    assert "perhaps    head 2: 3 classes, 9 features, with bias (by shape, not verified)" in text
    assert "problem" not in text


def test_a_file_that_diverged_is_a_problem_without_an_architecture(tmp_path: Path) -> None:
    model = network()
    with torch.no_grad():
        model[0].weight[0, 0] = torch.nan
    found = inspect_checkpoint(saved(tmp_path, model))
    assert found.problem is not None
    assert "NaN" in found.problem


def test_an_input_shape_decides_where_a_guess_cannot(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 5, stride=4), nn.Flatten(), nn.Linear(2 * 25, 4))
    guess = inspect_checkpoint(saved(tmp_path, model), model)
    assert guess.problem is None
    assert "--input-shape 3x32x32" in str(guess.unverified)
    given = inspect_checkpoint(saved(tmp_path, model), model, input_shape=(3, 22, 22))
    assert given.inputs == "random inputs 16x3x22x22"
    wrong = inspect_checkpoint(saved(tmp_path, model), model, input_shape=(3, 8, 8))
    assert "cannot process" in str(wrong.problem)
    large = inspect_checkpoint(saved(tmp_path, model), model, input_shape=(3, 10**6, 10**6))
    assert "of at most" in str(large.problem)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ({"embed_tokens.weight": (50, 8), "h.0.mlp.up.weight": (32, 8), "score.weight": (3, 8)}, 1),
        ({"layer1.0.conv1.weight": (8, 3, 3, 3), "fc.weight": (10, 8), "fc.bias": (10,)}, 1),
        ({"features.weight": (64, 32, 1, 1), "classifier.1.weight": (10, 64, 1, 1)}, 1),
        ({"layer1.weight": (8, 4), "layer2.weight": (4, 8)}, 0),
        ({"weight": (3, 2)}, 1),
        ({"scale": (3,), "empty.weight": (0, 4), "fc.weight": (4, 0)}, 0),
    ],
)
def test_likely_heads(names: dict[str, tuple[int, ...]], wanted: int) -> None:
    found = likely_heads({name: torch.zeros(shape) for name, shape in names.items()})
    assert len(found) == wanted
    if found:
        last = [n for n in names if n.endswith("weight")][-1].removesuffix("weight")
        assert found[0].name == (last.removesuffix(".") or "the only layer")
        assert (found[0].classes, found[0].dim) == list(names.values())[-1 - found[0].has_bias][:2]


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
