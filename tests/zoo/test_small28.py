"""The recipe of the small network: folding, the differentiable cover, and its manifest."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ncbounds.bounds.network.parameter_cover import cover
from ncbounds.checkpoints.architectures.small import build_model
from ncbounds.data.manifest import load_manifest
from ncbounds.evidence.head import LinearHead
from ncbounds.network.reading.summarise import summarise
from ncbounds.zoo import fashion28, small28


def test_folding_keeps_the_function():
    torch.manual_seed(0)
    model = build_model(small28.MODEL, {**small28.ARGS, "batch_norm": True})
    x = torch.randn(64, 1, 28, 28)
    model(x)  # statistics
    model.eval()
    plain = small28.folded(model)
    torch.testing.assert_close(plain(x), model(x), rtol=1e-4, atol=1e-5)
    assert sum(p.numel() for p in plain.parameters()) == 60 + 60 + 250


def test_what_is_minimised_is_the_cover():
    """Unrounded norms, the longest of the batch as H and no tau: close to the bound's own."""
    torch.manual_seed(1)
    model = build_model(small28.MODEL, small28.ARGS).double().eval()
    x = torch.randn(32, 1, 28, 28, dtype=torch.float64)
    logits, nats = small28._logits_and_nats(model, x)
    torch.testing.assert_close(logits, model(x))
    weight, bias = (p.detach().numpy() for p in model.head.parameters())
    network = summarise(model, LinearHead(weight, bias), x.numpy())

    class Exact:
        def __init__(self, value):
            self.value = float(value)

    made = cover(
        network,
        [Exact(v) for v in network.activation_norms.max(axis=1) / 1.02],
        [Exact(v) for v in network.operator_norms[1:]],
        [Exact(np.sqrt((w**2).sum() + (b**2).sum())) for w, b in network.offsets()],
    )
    assert float(nats) == pytest.approx(made.log_size(1.0).sum(), rel=1e-6)


def test_manifest_declares_the_choice():
    shipped = Path(__file__).parents[2] / "data" / "zoo28" / "zoo.toml"
    assert small28.manifest() in shipped.read_text(encoding="utf-8")
    entry = load_manifest(shipped).checkpoints[small28.NAME]
    assert entry.selected_among == {"fit": small28.CANDIDATES}
    assert entry.file.is_file()
    teacher = load_manifest(shipped).checkpoints[fashion28.NAME]
    assert teacher.file.is_file()
    assert teacher.code_word.is_file()
    assert teacher.tried is None  # several were tried on the unlabelled images
