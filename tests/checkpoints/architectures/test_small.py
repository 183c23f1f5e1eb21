import pytest
import torch
from torch import nn

from ncbounds.checkpoints.architectures.small import MODELS, build_model
from ncbounds.errors import ManifestError, UnknownName


@pytest.mark.parametrize("name", sorted(MODELS))
def test_logits_are_the_head_of_the_features(name: str) -> None:
    model = build_model(name).eval()
    inputs = torch.randn(5, 1, 14, 14)
    features = model.features(inputs)
    assert features.ndim == 2
    assert isinstance(model.head, nn.Linear)
    torch.testing.assert_close(
        model(inputs), features @ model.head.weight.T + model.head.bias, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("name", "args", "count", "dim"),
    [
        ("linear", {}, 196 * 10 + 10, 196),
        ("mlp", {"width": 16, "depth": 2}, 197 * 16 + 17 * 16 + 17 * 10, 16),
        ("mlp", {"width": 8, "depth": 1, "in_features": 5, "classes": 3}, 6 * 8 + 9 * 3, 8),
        ("bn_mlp", {"width": 16, "depth": 2}, 196 * 16 + 16 * 16 + 4 * 16 + 17 * 10, 16),
        ("cnn", {"channels": 8}, 10 * 8 + 73 * 16 + 145 * 32 + 129 * 10, 128),
        ("cnn", {"channels": 2, "side": 28}, 10 * 2 + 19 * 4 + 37 * 8 + 73 * 10, 72),
        ("bn_cnn", {"channels": 8}, 72 + 1152 + 4608 + 2 * 56 + 129 * 10, 128),
        (
            "res_bn_cnn",
            {"channels": 4},
            (36 + 8)  # stem
            + (2 * 144 + 16)  # stage of 4
            + (288 + 576 + 32 + 32 + 16)  # stage of 8 and its shortcut
            + (1152 + 2304 + 64 + 128 + 32)  # stage of 16 and its shortcut
            + 17 * 10,
            16,
        ),
    ],
)
def test_parameter_counts_by_hand(name: str, args: dict[str, int], count: int, dim: int) -> None:
    model = build_model(name, args)
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    assert model.head.in_features == dim


@pytest.mark.parametrize("name", ["mlp", "bn_mlp", "cnn", "bn_cnn", "linear"])
def test_chains_have_no_branches(name: str) -> None:
    model = build_model(name)
    known = (
        nn.Linear
        | nn.Conv2d
        | nn.BatchNorm1d
        | nn.BatchNorm2d
        | nn.ReLU
        | nn.MaxPool2d
        | nn.Flatten
    )
    x = torch.randn(3, 1, 14, 14)
    model.eval()
    expected = model(x)
    for layer in [*model.features, model.head]:
        assert isinstance(layer, known)
        if isinstance(layer, nn.MaxPool2d):
            assert layer.kernel_size == layer.stride
        x = layer(x)
    torch.testing.assert_close(x, expected)


def test_side_of_a_cnn() -> None:
    for side in range(8, 33):
        assert build_model("cnn", {"channels": 2, "side": side})(
            torch.zeros(1, 1, side, side)
        ).shape == (1, 10)


def test_residual_block_adds_its_shortcut() -> None:
    block = build_model("res_bn_cnn", {"channels": 4}).features[3].eval()
    x = torch.rand(2, 4, 6, 6)
    nn.init.zeros_(block.body[3].weight)
    torch.testing.assert_close(block(x), x)


def test_unknown_model_and_arguments() -> None:
    with pytest.raises(UnknownName, match="did you mean 'bn_mlp'"):
        build_model("bn_mpl")
    with pytest.raises(ManifestError, match="wdth"):
        build_model("mlp", {"wdth": 3})
