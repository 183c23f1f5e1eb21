"""Heads of real architectures: two written by hand, six kinds of the transformers library."""

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.errors import CheckpointMismatch, MissingExtra, UnknownArchitecture

CLASSES = 5


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.shortcut(x))


class ResNet18(nn.Module):
    def __init__(self, width: int = 8, classes: int = CLASSES) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        blocks: list[nn.Module] = []
        inputs = width
        for stage in range(4):
            for i in range(2):
                outputs = width * 2**stage
                blocks.append(Block(inputs, outputs, 2 if stage and not i else 1))
                inputs = outputs
        self.layers = nn.Sequential(*blocks)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(F.relu(self.bn1(self.conv1(x))))
        out: Tensor = self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return out


class ViT(nn.Module):
    def __init__(self, dim: int = 24, distilled: bool = False) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, dim, 8, 8)
        self.tokens = nn.Parameter(torch.randn(1, 2, dim))
        self.position = nn.Parameter(torch.randn(1, 18, dim))
        layer = nn.TransformerEncoderLayer(dim, 4, 48, 0.1, "gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, CLASSES)
        self.head_dist = nn.Linear(dim, CLASSES) if distilled else None

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.tokens.expand(len(x), -1, -1), patches], 1) + self.position
        x = self.norm(self.encoder(tokens))
        first: Tensor = self.head(x[:, 0])
        return first if self.head_dist is None else (first + self.head_dist(x[:, 1])) / 2


def randomise(model: nn.Module) -> nn.Module:
    """Make norms and running statistics other than 0 and 1."""
    for name, tensor in model.state_dict().items():
        if "running_var" in name:
            tensor.uniform_(0.5, 2)
        elif "running_mean" in name:
            tensor.normal_(0, 0.1)
    return model


def check(classifier: Classifier, batch: Any, name: str, dim: int) -> None:
    report = classifier.verify(batch)
    assert report.name == name
    features, logits = classifier.features_and_logits(batch)
    assert features.shape == (len(logits), dim)
    difference = np.abs(classifier.head.logits(features.numpy()) - logits.numpy())
    assert difference.max() <= report.tolerance
    assert difference.max() < 1e-5 * max(1.0, float(logits.abs().max()))


def test_resnet18() -> None:
    torch.manual_seed(0)
    model = randomise(ResNet18())
    check(Classifier(model), torch.randn(40, 3, 32, 32), "fc", 64)


def test_vit() -> None:
    torch.manual_seed(0)
    check(Classifier(ViT()), torch.randn(40, 3, 32, 32), "head", 24)


def test_the_two_heads_of_a_distilled_vit_are_one_on_both_tokens() -> None:
    torch.manual_seed(0)
    classifier = Classifier(ViT(distilled=True))
    check(classifier, torch.randn(4, 3, 32, 32), "head, head_dist", 48)


def images(side: int = 32) -> dict[str, Tensor]:
    return {"pixel_values": torch.randn(10, 3, side, side)}


def texts(side: str = "right", end: int | None = None) -> dict[str, Tensor]:
    """Ten texts of 1 to 9 tokens; token 0 pads, 1 and 2 are special."""
    ids, mask = torch.zeros(10, 9, dtype=torch.int64), torch.zeros(10, 9, dtype=torch.int64)
    for row in range(10):
        length = 9 if row == 0 else int(torch.randint(2, 9, ()))
        words = torch.randint(3, 50, (length,))
        if end is not None:
            words[-1] = end
        place = slice(0, length) if side == "right" else slice(9 - length, 9)
        ids[row, place], mask[row, place] = words, 1
    return {"input_ids": ids, "attention_mask": mask}


SMALL_TEXT = {
    "vocab_size": 50,
    "num_labels": CLASSES,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
#: model, configuration, arguments, name of the head, feature dimension
KINDS: dict[str, tuple[str, dict[str, Any], str, int]] = {
    "encoder": (
        "Bert",
        {
            **SMALL_TEXT,
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
        },
        "classifier",
        16,
    ),
    "decoder gpt2": (
        "GPT2",
        {**SMALL_TEXT, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 16},
        "score",
        16,
    ),
    "decoder llama": ("Llama", {**SMALL_TEXT, **LLAMA}, "score", 16),
    "encoder-decoder": (
        "Bart",
        {
            **SMALL_TEXT,
            "d_model": 16,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "decoder_ffn_dim": 32,
            "decoder_start_token_id": 2,
            "max_position_embeddings": 32,
        },
        "classification_head.out_proj",
        16,
    ),
    "vit": (
        "ViT",
        {
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
            "num_labels": CLASSES,
        },
        "classifier",
        16,
    ),
    "hierarchical": (
        "Swin",
        {
            "embed_dim": 8,
            "depths": [1, 1],
            "num_heads": [1, 2],
            "window_size": 4,
            "image_size": 32,
            "patch_size": 4,
            "num_labels": CLASSES,
        },
        "classifier",
        16,
    ),
    "convnet": (
        "ConvNext",
        {
            "hidden_sizes": [8, 12, 16, 20],
            "depths": [1, 1, 1, 1],
            "image_size": 32,
            "num_labels": CLASSES,
        },
        "classifier",
        20,
    ),
    "convnet resnet": (
        "ResNet",
        {
            "embedding_size": 8,
            "hidden_sizes": [8, 16],
            "depths": [1, 1],
            "layer_type": "basic",
            "num_labels": CLASSES,
        },
        "classifier.1",
        16,
    ),
}


def make(kind: str) -> Any:
    transformers = pytest.importorskip("transformers")
    name, arguments, _, _ = KINDS[kind]
    task = "ForSequenceClassification" if "vocab_size" in arguments else "ForImageClassification"
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**arguments)
    return randomise(getattr(transformers, f"{name}{task}")(config)).eval()


def batch_for(kind: str, side: str = "right") -> dict[str, Tensor]:
    if "vocab_size" not in KINDS[kind][1]:
        return images()
    return texts(side, 2 if kind == "encoder-decoder" else None)


@pytest.mark.parametrize("kind", list(KINDS))
def test_transformers(kind: str) -> None:
    _, _, head, dim = KINDS[kind]
    check(Classifier(make(kind)), batch_for(kind), head, dim)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", ["decoder gpt2", "decoder llama"])
def test_decoder_takes_the_last_token_that_is_no_padding(kind: str, side: str) -> None:
    model, batch = make(kind), batch_for(kind, side)
    classifier = Classifier(model)
    assert classifier.verify(batch).kind == "one position per row"
    features, _ = classifier.features_and_logits(batch)
    states = model.model if hasattr(model, "model") else model.transformer
    hidden = states(**batch).last_hidden_state.detach()
    lengths = batch["attention_mask"].sum(1)
    places = lengths - 1 if side == "right" else torch.full((10,), 8)
    assert torch.equal(features, hidden[torch.arange(10), places])
    if side == "right":
        assert not torch.equal(features, hidden[:, -1])


@pytest.mark.parametrize("size", ["5GB", "8KB"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_saved_folder(tmp_path: Path, kind: str, size: str) -> None:
    model, batch = make(kind), batch_for(kind)
    model.save_pretrained(tmp_path / "m", max_shard_size=size)
    checkpoint = load_checkpoint(tmp_path / "m")
    assert (len(checkpoint.files) > 2) == (size == "8KB")
    classifier = checkpoint.build()
    with torch.no_grad():
        assert torch.equal(classifier.features_and_logits(batch)[1], model(**batch).logits)


def folder(tmp_path: Path, **changes: Any) -> Path:
    import json

    path = tmp_path / "m"
    make("encoder").save_pretrained(path)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, **changes}))
    return path


def test_code_of_a_folder_is_never_followed(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    path = folder(
        tmp_path,
        auto_map={"AutoModelForSequenceClassification": "evil.Model", "AutoConfig": "evil.Config"},
        _attn_implementation="someone/kernel",
        attn_implementation="someone/kernel",
    )
    (path / "evil.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    assert load_checkpoint(path).build().verify(texts()).name == "classifier"
    assert not marker.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"architectures": ["pipeline"]},
        {"architectures": ["EvilForSequenceClassification"]},
        {"architectures": ["BertModel"]},
        {"architectures": []},
        {"model_type": "evil"},
    ],
)
def test_names_outside_the_library(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(UnknownArchitecture, match="never run"):
        load_checkpoint(folder(tmp_path, **changes)).build()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("classifier.bias"), r"the model needs classifier\.bias"),
        (lambda t: t.update(extra=torch.ones(2)), "the file has extra too many"),
        (
            lambda t: t.update({"classifier.weight": torch.ones(7, 16)}),
            r"shapes differ: classifier\.weight: file \(7, 16\), model \(5, 16\)",
        ),
        (
            lambda t: t.update({"classifier.weight": torch.full((5, 16), float("nan"))}),
            r"NaN or infinite values in classifier\.weight \(80 of 80\)",
        ),
    ],
)
def test_tensors_fit_the_configuration_or_nothing_is_built(
    tmp_path: Path, change: Any, message: str
) -> None:
    from safetensors.torch import load_file, save_file

    path = folder(tmp_path)
    tensors = load_file(path / "model.safetensors")
    change(tensors)
    save_file(tensors, path / "model.safetensors")
    with pytest.raises(CheckpointMismatch, match=message):
        load_checkpoint(path).build()


def test_settings_that_fetch_code_are_dropped_at_any_depth() -> None:
    from ncbounds.checkpoints.architectures.transformers_folder import cleaned

    fetching = {"auto_map": {}, "_attn_implementation": "x/y", "use_pretrained_backbone": True}
    config = {**fetching, "hidden_size": 4, "parts": [{**fetching, "depth": 2}]}
    assert cleaned(config) == {"hidden_size": 4, "parts": [{"depth": 2}]}


def test_sizes_in_a_configuration_are_checked_first(tmp_path: Path) -> None:
    path = folder(tmp_path, hidden_size=2**16, intermediate_size=2**20)
    with pytest.raises(CheckpointMismatch, match="the model would need"):
        load_checkpoint(path).build()


def test_missing_extra_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = load_checkpoint(folder(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtra, match="pip install transformers"):
        checkpoint.build()


def test_zoo_architectures() -> None:
    zoo = pytest.importorskip("ncbounds.checkpoints.architectures.small")
    torch.manual_seed(0)
    for name, factory in zoo.MODELS.items():
        classifier = Classifier(randomise(factory()))
        report = classifier.verify(torch.randn(40, 1, 14, 14))
        assert report.name == "head", name
        assert report.max_abs_diff <= report.tolerance
