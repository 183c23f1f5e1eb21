"""Which modules are read as chains, and that the chain computes what the module computes."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ncbounds.checkpoints.architectures.small import build_model
from ncbounds.errors import NotCovered
from ncbounds.evidence.head import LinearHead
from ncbounds.network.reading.summarise import summarise
from ncbounds.network.steps import AveragePool, MaxPool, adaptive_averages, window_averages


def head_of(linear):
    bias = None if linear.bias is None else linear.bias.detach().double().numpy()
    weight = linear.weight.detach().double().numpy()
    return LinearHead(weight, bias, has_bias=bias is not None)


def awake(module, seed=0):
    """Batch norms with statistics and scales that are not those of a fresh layer."""
    torch.manual_seed(seed)
    for m in module.modules():
        if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) and m.track_running_stats:
            m.running_mean.normal_()
            m.running_var.uniform_(0.3, 2.0)
            if m.affine:
                nn.init.normal_(m.weight)
                nn.init.normal_(m.bias)
    return module.double().eval()


def read(module, shape, seed=0, rows=5):
    x = np.random.default_rng(seed).standard_normal((rows, *shape))
    module = awake(module, seed)
    linear = [m for m in module.modules() if isinstance(m, nn.Linear)][-1]
    return summarise(module, head_of(linear), x), module, x


class Functional(nn.Module):
    """The same things as functions and methods."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding="same")
        self.fc = nn.Linear(4 * 3 * 3, 5, bias=False)

    def forward(self, x):
        u = F.max_pool2d(torch.relu(self.conv(x)), 2)
        u = F.dropout(F.leaky_relu(u, 0.3), 0.5, training=self.training)
        return self.fc(u.view(u.size(0), -1))


COVERED = {
    "mlp": (lambda: build_model("mlp", {"width": 7, "in_features": 12}), (1, 4, 3)),
    "bn_mlp": (lambda: build_model("bn_mlp", {"width": 7, "in_features": 12}), (1, 4, 3)),
    "cnn": (lambda: build_model("cnn", {"channels": 3}), (1, 14, 14)),
    "bn_cnn": (lambda: build_model("bn_cnn", {"channels": 3}), (1, 14, 14)),
    "functional": (Functional, (1, 6, 6)),
    "bn before conv": (
        lambda: nn.Sequential(
            nn.BatchNorm2d(2),
            nn.Conv2d(2, 4, 3, padding=1, groups=2, stride=2),
            nn.BatchNorm2d(4, affine=False),
            nn.ELU(0.5),
            nn.BatchNorm2d(4),
            nn.AvgPool2d(2, stride=1, padding=1),
            nn.Tanh(),
            nn.Flatten(),
            nn.BatchNorm1d(64),
            nn.Dropout(0.5),
            nn.Linear(64, 3),
        ),
        (2, 6, 6),
    ),
    "global pool": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, (3, 2), dilation=(2, 1)),
            nn.ReLU(),
            nn.MaxPool2d(2, stride=3, padding=1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        ),
        (1, 9, 8),
    ),
    "uneven adaptive pool": (
        lambda: nn.Sequential(nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten(), nn.Linear(6, 3)),
        (1, 5, 7),
    ),
    "one layer used twice": (
        lambda: (lambda a: nn.Sequential(a, nn.ReLU(), a, nn.Linear(4, 3)))(nn.Linear(4, 4)),
        (4,),
    ),
}


@pytest.mark.parametrize("name", COVERED)
def test_chain_reproduces_the_module(name):
    make, shape = COVERED[name]
    network, module, x = read(make(), shape)
    assert network.covered, network.reason
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(network.logits(x), expected, atol=1e-12)


@pytest.mark.parametrize("name", ["bn_mlp", "bn_cnn", "bn before conv", "functional"])
def test_layer_norms_are_those_of_the_modules_inputs(name):
    make, shape = COVERED[name]
    network, module, x = read(make(), shape)
    seen = {}
    for label, m in module.named_modules():
        if isinstance(m, nn.Conv2d | nn.Linear):
            m.register_forward_pre_hook(
                lambda _, u, label=label: seen.__setitem__(label, u[0].flatten(1).norm(dim=1))
            )
    with torch.no_grad():
        module(torch.from_numpy(x))
    names = [layer.name for layer in network.layers]
    assert set(seen) <= set(names)
    for label, norms in seen.items():
        np.testing.assert_allclose(network.activation_norms[names.index(label)], norms, rtol=1e-12)


def test_batch_norm_is_folded_behind_and_stands_alone_before():
    folded, *_ = read(COVERED["bn_cnn"][0](), (1, 14, 14))
    assert [layer.name for layer in folded.layers] == [
        "features.0",
        "features.4",
        "features.7",
        "head",
    ]
    assert all(layer.bias is not None for layer in folded.layers)
    alone, *_ = read(COVERED["bn before conv"][0](), (2, 6, 6))
    names = [layer.name for layer in alone.layers]
    assert names == ["0", "1", "4", "8", "10"]
    assert alone.layers[0].groups == 2
    assert alone.layers[0].parameters == 4


def test_layers_without_bias_have_none():
    network, *_ = read(Functional(), (1, 6, 6))
    assert network.layers[0].bias is not None
    assert network.layers[1].bias is None
    assert network.parameters == 4 * 9 + 4 + 5 * 36


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.b(x + torch.relu(self.a(x)))


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 3)

    def forward(self, x):
        return self.a(x) if x.sum() > 0 else self.a(-x)


def chain(*steps):
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), *steps, nn.Flatten(), nn.LazyLinear(3))


REFUSED = {
    "residual": (Residual, (4,), "residual sums"),
    "branch on data": (Branching, (4,), "cannot be traced"),
    "res_bn_cnn": (lambda: build_model("res_bn_cnn", {"channels": 2}), (1, 8, 8), "residual"),
    "layer norm": (lambda: nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3)), (4,), "LayerNorm '0'"),
    "group norm": (lambda: chain(nn.GroupNorm(1, 2)), (1, 6, 6), "GroupNorm '1'"),
    "gelu": (lambda: chain(nn.GELU()), (1, 6, 6), "GELU '1'"),
    "steep leaky": (lambda: chain(nn.LeakyReLU(1.5)), (1, 6, 6), "LeakyReLU"),
    "steep elu": (lambda: chain(nn.ELU(2.0)), (1, 6, 6), "ELU"),
    "sigmoid": (lambda: chain(nn.Sigmoid()), (1, 6, 6), "Sigmoid"),
    "overlapping max": (lambda: chain(nn.MaxPool2d(3, 1)), (1, 6, 6), "overlapping"),
    "ceil": (lambda: chain(nn.MaxPool2d(2, ceil_mode=True)), (1, 7, 7), "ceil_mode"),
    "average without padding": (
        lambda: chain(nn.AvgPool2d(3, 1, 1, count_include_pad=False)),
        (1, 6, 6),
        "divisor",
    ),
    "other divisor": (lambda: chain(nn.AvgPool2d(2, divisor_override=1)), (1, 6, 6), "divisor"),
    "finer grid": (lambda: chain(nn.AdaptiveAvgPool2d(9)), (1, 6, 6), "finer"),
    "circular": (
        lambda: chain(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")),
        (1, 6, 6),
        "circular",
    ),
    "batch statistics": (
        lambda: chain(nn.BatchNorm2d(2, track_running_stats=False)),
        (1, 6, 6),
        "running statistics",
    ),
    "softmax at the end": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU()),
        (4,),
        "after the last affine layer",
    ),
    "unflattened": (lambda: nn.Sequential(nn.Linear(6, 3), nn.Flatten()), (2, 6), "unflattened"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_layer_and_the_reason(name):
    make, shape, words = REFUSED[name]
    module = make()
    with torch.no_grad():
        module(torch.zeros(2, *shape))  # lazy layers
    network, *_ = read(module, shape)
    assert not network.covered
    assert network.layers == ()
    assert words in network.reason


def test_head_has_to_be_the_last_layer():
    module = nn.Sequential(nn.Linear(4, 3)).double()
    other = LinearHead(np.ones((3, 4)), np.zeros(3))
    network = summarise(module, other, np.zeros((2, 4)))
    assert "head is not the last" in network.reason


def test_initialisation_has_to_fit():
    module, start = nn.Linear(4, 3).double(), nn.Linear(4, 3).double()
    x = np.random.default_rng(0).standard_normal((5, 4))
    network = summarise(nn.Sequential(module), head_of(module), x, reference=nn.Sequential(start))
    (weight, bias), (now, then) = network.offsets()[0], (module, start)
    np.testing.assert_allclose(
        weight[:, :, 0, 0], (now.weight - then.weight).detach().numpy(), atol=1e-15
    )
    np.testing.assert_allclose(bias, (now.bias - then.bias).detach().numpy(), atol=1e-15)
    wrong = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3)).double()
    refused = summarise(nn.Sequential(module), head_of(module), x, reference=wrong)
    assert "same architecture" in refused.reason


def test_training_mode_is_left_as_it_was():
    module = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3)).double().train()
    network = summarise(module, head_of(module[1]), np.ones((3, 4)))
    assert network.covered
    assert module.training


def test_pools_do_not_expand_distances():
    rng = np.random.default_rng(3)
    pools = [
        AveragePool(window_averages(7, 3, 1, 1), window_averages(6, 3, 1, 1)),
        AveragePool(window_averages(7, 2, 2, 0), window_averages(6, 2, 2, 0)),
        AveragePool(adaptive_averages(7, 4), adaptive_averages(6, 4)),
    ]
    for pool in [*pools, MaxPool((2, 3), (2, 3), (1, 1))]:
        u, v = rng.standard_normal((2, 500, 2, 7, 6))
        near = u + 1e-3 * rng.standard_normal(u.shape)
        for a, b in ((u, v), (u, near)):
            moved = np.linalg.norm((pool(a) - pool(b)).reshape(500, -1), axis=1)
            apart = np.linalg.norm((a - b).reshape(500, -1), axis=1)
            assert (moved <= pool.gain * apart * (1 + 1e-9)).all()
    assert pools[1].gain == pytest.approx(0.5)  # exactly 1/k for k x k windows side by side


def test_network_survives_pickle():
    network, _, x = read(COVERED["bn_cnn"][0](), (1, 14, 14))
    again = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(again.logits(x), network.logits(x))


def test_importing_the_package_leaves_torch_alone():
    code = (
        "import sys, ncbounds.network, ncbounds.bounds.network; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_error_type():
    network, *_ = read(nn.Sequential(nn.Linear(4, 3)), (4,))
    refused, *_ = read(REFUSED["residual"][0](), (4,))
    with pytest.raises(NotCovered, match="initialisation"):
        network.with_reference(refused)
