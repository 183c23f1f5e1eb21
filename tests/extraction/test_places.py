"""Places of a network are found by themselves, whatever stands around its blocks."""

import mmap

import numpy as np
import pytest
import torch
from torch import nn

from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.depth.hashing import sign_hash
from ncbounds.errors import DataError, UnknownName
from ncbounds.extraction.extract import extract
from ncbounds.extraction.places import find_places


class Block(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(a, b, 3, 2, 1), nn.Conv2d(b, b, 3, 1, 1)
        self.down = nn.Sequential(nn.Conv2d(a, b, 1, 2), nn.BatchNorm2d(b))

    def forward(self, x):
        return (self.conv2(self.conv1(x).relu()) + self.down(x)).relu()


class ResNet(nn.Module):
    """Stem with its own layers, two stages, pooling as a layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.bn1, self.relu = nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU()
        self.layer1 = nn.Sequential(Block(8, 8), Block(8, 8))
        self.layer2 = nn.Sequential(Block(8, 12))
        self.pool, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.unused = nn.Linear(3, 3)
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        x = self.layer2(self.layer1(self.relu(self.bn1(self.conv1(x)))))
        return self.fc(self.flatten(self.pool(x)))


def images(n=40, side=16):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 3, side, side)).astype(np.float32), np.arange(n) % 5


def names(module, data, at=None):
    return list(find_places(Classifier(module), data, at).shapes)


def test_blocks_of_a_residual_network_and_its_stem():
    found = find_places(Classifier(ResNet()), images())
    assert found.shapes == {
        "input": (3, 16, 16),
        "relu": (8, 16, 16),
        "layer1.0": (8, 8, 8),
        "layer1.1": (8, 4, 4),
        "layer2.0": (12, 2, 2),
        "head": (12,),
    }
    # all modules that run once and return numbers, the input and the head
    running = [n for n, _ in ResNet().named_modules() if n and n != "unused"]
    assert found.nameable == len(running) + 2


def test_what_stands_around_the_network_is_opened():
    wrapped = nn.Sequential(nn.BatchNorm2d(3), ResNet())
    inside = ["1.relu", "1.layer1.0", "1.layer1.1", "1.layer2.0"]
    assert names(wrapped, images()) == ["input", *inside, "head"]


def test_a_plain_network_is_read_before_each_weight_matrix():
    torch.manual_seed(0)
    plain = nn.Sequential(
        *(nn.Flatten(), nn.Linear(768, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout()),
        *(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 5)),
    )
    assert names(plain, images()) == ["input", "4", "head"]


@pytest.mark.slow
def test_a_vision_transformer_and_an_encoder():
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    small |= {"intermediate_size": 16, "num_labels": 5}
    vit = transformers.ViTConfig(**small, image_size=16, patch_size=8)
    found = names(transformers.ViTForImageClassification(vit), images())
    assert sum("layer" in name and name[-1].isdigit() for name in found) == 2
    bert = transformers.BertForSequenceClassification(
        transformers.BertConfig(**small, vocab_size=30, max_position_embeddings=8)
    )
    tokens = torch.randint(0, 30, (40, 6), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(6) < torch.arange(40)[:, None] % 5 + 2).long()
    data = ({"input_ids": tokens, "attention_mask": mask}, np.arange(40) % 5)
    found = names(bert, data)
    assert found[-1] == "head"
    assert [name for name in found if "encoder" in name] == [
        "bert.encoder.layer.0",
        "bert.encoder.layer.1",
    ]
    # tokens are averaged, padding left out: a row is the same beside longer rows
    views = extract(Classifier(bert), data, "fit", at={found[1]: "hash"}, batch_size=40)
    alone = {key: value[:5, :3] for key, value in data[0].items()}
    short = extract(Classifier(bert), (alone, data[1][:5]), "fit", at={found[1]: "hash"})
    np.testing.assert_allclose(
        views[found[1]].features[:2], short[found[1]].features[:2], atol=1e-5
    )


def test_rectified_views_stay_on_disk_whole(tmp_path):
    """What is packed is read into memory, at all places at once."""
    at = {"layer1.1": "hash", "head": "average"}
    found = extract(Classifier(ResNet()), images(400), "fit", tmp_path, at=at)
    assert (found["layer1.1"].features == 0).mean() > 0.3
    assert all(isinstance(sample.features.base, np.memmap | mmap.mmap) for sample in found.values())
    assert not [*tmp_path.glob("arrays/*.packed")]


class Attention(nn.Module):
    """A block that returns what it weighed its tokens by, as blocks of transformers may."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(6, 6)

    def forward(self, x):
        weights = (x @ x.transpose(1, 2)).softmax(2)
        return self.mix(weights @ x), weights


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(Attention() for _ in range(3))
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)[0]
        return self.fc(x[:, 0])


def test_blocks_that_return_a_tuple_are_places():
    x = np.random.default_rng(0).normal(size=(40, 4, 6)).astype(np.float32)
    found = find_places(Classifier(Encoder()), (x, np.arange(40) % 5)).shapes
    assert list(found) == ["input", "layers.0", "layers.1", "layers.2", "head"]
    assert found["layers.1"] == (4, 6)


def test_patterns_name_places_and_misses_are_told():
    assert names(ResNet(), images(), "layer1.*.conv?")[1:3] == ["layer1.0.conv1", "layer1.0.conv2"]
    assert names(ResNet(), images(), ["relu", "pool"]) == ["input", "relu", "pool", "head"]
    with pytest.raises(UnknownName, match="no module 'layer3' gives features"):
        names(ResNet(), images(), "layer3")
    with pytest.raises(UnknownName, match="no module 'unused' gives"):
        names(ResNet(), images(), "unused")
    with pytest.raises(DataError, match="no rows"):
        names(ResNet(), [])


@pytest.mark.parametrize(("dtype", "pool"), [(torch.float32, "hash"), (torch.float64, "hash:20")])
def test_a_hashed_place_is_the_hash_of_the_whole_output(dtype, pool):
    model = ResNet().eval().to(dtype)
    x, y = images(side=16)
    found = extract(Classifier(model), (x, y), "fit", at={"relu": pool, "layer2.0": pool})
    with torch.no_grad():
        whole = model.relu(model.bn1(model.conv1(torch.from_numpy(x).to(dtype)))).numpy()
    size = 512 if pool == "hash" else 20
    wanted = sign_hash(whole.reshape(40, -1), size)
    np.testing.assert_allclose(found["relu"].features, wanted, atol=2e-4)
    assert found["layer2.0"].features.shape == (40, min(48, size))
