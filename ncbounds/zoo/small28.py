"""A network so small that its training sample alone bounds its error, on the task ``fashion28``.

``python -m ncbounds.zoo.small28 --out data/zoo28`` trains it again from the four idx files, in a
few minutes on one thread.

The network has 370 weights. It is trained in two phases, both on ``fit`` only and for a fixed
number of epochs: first with batch norm and cross entropy; then, with the batch norm folded, on a
smooth version of what the bound ``parameter_cover`` is made of, the share of points with a small
margin plus the logarithm of the cover divided by n. The architecture was chosen among fewer than
``CANDIDATES`` by that bound on ``fit``, and the manifest declares so.
"""

import argparse
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from ncbounds.checkpoints.architectures.small import FeatureClassifier, build_model
from ncbounds.data.fashion_mnist import FASHION28_ROLES, fashion28
from ncbounds.data.images import standardise
from ncbounds.zoo import fashion28 as teacher

NAME = "tiny6"
MODEL, ARGS = "tiny_cnn", {"channels": 6, "side": 28}
CANDIDATES = 100
SEED = 0
BATCH = 256

#: First phase: epochs, peak rate, weight decay. Second phase: epochs, peak rate, and the width of
#: the soft step over the margin, which narrows geometrically.
CLASSIFY_EPOCHS, CLASSIFY_RATE, CLASSIFY_DECAY = 12, 0.015, 1e-3
TIGHTEN_EPOCHS, TIGHTEN_RATE = 20, 6e-3
WIDTHS = (30.0, 2.0)
#: Margin in the units of the first phase that becomes 1 in the second.
MARGIN = 0.07
WARM_UP_STEPS = 100


def train(inputs: Tensor, labels: Tensor) -> nn.Module:
    """Train the network on all given rows.

    Parameters
    ----------
    inputs : Tensor of shape (n, 1, 28, 28)
    labels : Tensor of shape (n,)

    Returns
    -------
    nn.Module
        In eval mode, without batch norm.
    """
    torch.manual_seed(SEED)
    order = torch.Generator().manual_seed(SEED)
    model = build_model(MODEL, {**ARGS, "batch_norm": True})
    classify(model, inputs, labels, order)
    plain = folded(model)
    tighten(plain, inputs, labels, order)
    return plain.eval()


def classify(model: nn.Module, inputs: Tensor, labels: Tensor, order: torch.Generator) -> None:
    """First phase: cross entropy, rate falling as a cosine."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=CLASSIFY_RATE, weight_decay=CLASSIFY_DECAY)
    model.train()
    for step, done, rows in _batches(len(inputs), CLASSIFY_EPOCHS, order):
        rate = CLASSIFY_RATE * min(1.0, (step + 1) / WARM_UP_STEPS)
        optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * done)) / 2
        optimizer.zero_grad()
        functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()


def folded(model: nn.Module) -> FeatureClassifier:
    """Network without batch norm that computes what ``model`` does in eval mode."""
    plain = build_model(MODEL, ARGS)
    assert isinstance(plain, FeatureClassifier)
    layers = list(model.get_submodule("features").children())
    fused = [
        torch.nn.utils.fusion.fuse_conv_bn_eval(a, b)
        for a, b in pairwise(layers)
        if isinstance(a, nn.Conv2d) and isinstance(b, nn.BatchNorm2d)
    ]
    targets = [m for m in plain.features if isinstance(m, nn.Conv2d)]
    for target, source in zip(targets, fused, strict=True):
        target.load_state_dict(source.state_dict())
    plain.head.load_state_dict(model.get_submodule("head").state_dict())
    return plain


def tighten(
    model: FeatureClassifier, inputs: Tensor, labels: Tensor, order: torch.Generator
) -> None:
    """Second phase: soft share of margins below 1, plus the cover's logarithm over n."""
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.div_(MARGIN)
    optimizer = torch.optim.Adam(model.parameters(), lr=TIGHTEN_RATE, betas=(0.9, 0.99))
    for _, done, rows in _batches(len(inputs), TIGHTEN_EPOCHS, order):
        width = WIDTHS[0] * (WIDTHS[1] / WIDTHS[0]) ** done
        optimizer.param_groups[0]["lr"] = TIGHTEN_RATE * (1 + math.cos(math.pi * done)) / 2
        logits, nats = _logits_and_nats(model, inputs[rows])
        y = labels[rows, None]
        rival = logits.scatter(1, y, -torch.inf).amax(1)
        margin = logits.gather(1, y)[:, 0] - rival
        loss = torch.sigmoid((1.0 - margin) / width).mean() + nats / len(inputs)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _batches(n: int, epochs: int, order: torch.Generator) -> Iterator[tuple[int, float, Tensor]]:
    """Step, share of all steps done, and rows of each full batch."""
    each = n // BATCH
    for epoch in range(epochs):
        permuted = torch.randperm(n, generator=order)[: each * BATCH].view(each, BATCH)
        for i, rows in enumerate(permuted):
            step = epoch * each + i
            yield step, step / (epochs * each), rows


def _logits_and_nats(model: FeatureClassifier, u: Tensor) -> tuple[Tensor, Tensor]:
    """Logits, and the logarithm of the cover at margin 1 with norms as they are, unrounded."""
    sizes, layers = [], []
    for module in (*model.features, model.head):
        before = u
        u = module(u)
        if isinstance(module, nn.Conv2d | nn.Linear):
            positions = u[0, 0].numel() if u.dim() == 4 else 1
            # the largest of a batch stands for the high quantile of the sample
            sizes.append((before.flatten(1).norm(dim=1).amax(), positions, before.shape[-1]))
            layers.append(module)
    total = sum(p.numel() for p in model.parameters())
    nats, later = u.new_zeros(()), u.new_ones(())
    for layer, (length, positions, side) in zip(layers[::-1], sizes[::-1], strict=True):
        reads = layer.kernel_size[0] ** 2 if isinstance(layer, nn.Conv2d) else 1
        radius = torch.sqrt(sum((p**2).sum() for p in layer.parameters()))  # type: ignore[arg-type]
        moved = later * torch.sqrt(reads * length**2 + positions)
        count = sum(p.numel() for p in layer.parameters())
        nats = nats + count * torch.log1p(4 * math.sqrt(2) * radius * moved * total / count)
        later = later * _operator_norm(layer, side)
    return u, nats


def _operator_norm(layer: nn.Module, side: int) -> Tensor:
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    if isinstance(layer, nn.Linear):
        norm: Tensor = torch.linalg.matrix_norm(layer.weight, 2)
        return norm
    grid = side + layer.kernel_size[0] - 1
    symbols = torch.fft.rfft2(layer.weight, s=(grid, grid))
    blocks = symbols.unflatten(0, (layer.groups, -1)).permute(0, 3, 4, 1, 2)
    largest: Tensor = torch.linalg.matrix_norm(blocks, 2).amax()
    return largest


def manifest() -> str:
    """Text of the manifest of the folder that the network is stored in.

    It lists the network of ``ncbounds.zoo.fashion28`` too, with the code word that was distilled
    from it. More than one code word was tried on the unlabelled images, and no list of them was
    fixed before, so ``tried`` is not given.
    """
    roles = ", ".join(f'{role} = "{rows}"' for role, rows in FASHION28_ROLES.items())
    args, teacher_args = (
        ", ".join(f"{k} = {v}" for k, v in found.items()) for found in (ARGS, teacher.ARGS)
    )
    return f"""# Written by `python -m ncbounds.zoo.small28`; data: the idx files of Fashion-MNIST.

[tasks.fashion28]
data = "fashion-mnist"
label_noise = 0.0
noise_seed = 0
priors = "balanced"
sampling = "iid"

[checkpoints.{NAME}]
file = "{NAME}.safetensors"
task = "fashion28"
protocol = "whole"
model = "{MODEL}"
args = {{ {args} }}
roles = {{ {roles} }}
selected_among = {{ fit = {CANDIDATES} }}
group = {{ block = "small", channels = {ARGS["channels"]} }}

[checkpoints.{teacher.NAME}]
file = "{teacher.NAME}.safetensors"
task = "fashion28"
protocol = "whole"
model = "{teacher.MODEL}"
args = {{ {teacher_args} }}
roles = {{ {roles} }}
code_word = "network.ncz"
group = {{ block = "compressed", channels = {teacher.ARGS["channels"]} }}
"""


def main(arguments: list[str] | None = None) -> None:
    """Train the network and write it with its manifest."""
    parser = argparse.ArgumentParser(prog="python -m ncbounds.zoo.small28", description=__doc__)
    parser.add_argument("--idx", type=Path, help="folder of the four idx files, gzipped or not")
    parser.add_argument("--out", type=Path, default=Path("data/zoo28"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    images, labels = fashion28(options.idx)["fit"]
    model = train(torch.from_numpy(standardise(images)), torch.from_numpy(labels))
    options.out.mkdir(parents=True, exist_ok=True)
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    safetensors.torch.save_file(state, options.out / f"{NAME}.safetensors")
    (options.out / "zoo.toml").write_text(manifest(), encoding="utf-8")


if __name__ == "__main__":
    main()
