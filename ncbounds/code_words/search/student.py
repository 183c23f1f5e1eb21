"""The network of a code word as a torch module with real latents behind its integer codes."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ncbounds.code_words.code.basis import BANK_GAIN, bank, degrees, patterns, polynomial, scale
from ncbounds.code_words.code.codeword import Network
from ncbounds.code_words.code.grammar import Architecture, FrontEnd, Layer
from ncbounds.code_words.code.integers import BIAS, CEILING, UNIT, moment_gain, moment_size
from ncbounds.code_words.code.weights import LARGEST

_TINY = 1e-6


class Student(nn.Module):
    """Latents u whose rounded values are the codes; gradients pass the rounding unchanged.

    Parameters
    ----------
    architecture : Architecture
    shape : (channels, height, width)
    classes : int
    seed : int

    Attributes
    ----------
    latents, biases : nn.ParameterList
        Shapes (outputs, inputs, modes) and (outputs,).
    kept : list of Tensor
        Beside each latent (kernels, then biases): 1 where the code may differ from 0.
    frozen : list of Tensor
        Beside each latent: nan, or the code that it is held at.
    rounding : bool
        Off while the latents are trained as real numbers.
    """

    def __init__(
        self, architecture: Architecture, shape: tuple[int, int, int], classes: int, seed: int = 0
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.architecture, self.shape, self.classes = architecture, shape, classes
        sizes = architecture.shapes(shape[0], classes)
        self.latents = nn.ParameterList(
            nn.Parameter(0.8 * torch.randn(size, generator=generator)) for size in sizes
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(size[0])) for size in sizes)
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.kept = [torch.ones_like(p.data) for p in self.all_latents()]
        self.frozen = [torch.full_like(p.data, torch.nan) for p in self.all_latents()]
        self.rounding = True
        self._bases = [
            torch.from_numpy(patterns(layer.kernel, layer.cut) / 4096.0).float()
            for layer in architecture.layers
        ]
        height, width = (side // architecture.reduction for side in shape[1:])
        with torch.no_grad():
            inputs = shape[0] * architecture.front.channels
            last = self.maps(torch.zeros(1, inputs, height, width))
        self._moments = _moment_weights(last.shape[2], last.shape[3], architecture.cut)

    def all_latents(self) -> Iterator[nn.Parameter]:
        """Kernels, head, then biases."""
        yield from self.latents
        yield from self.biases

    def codes(self) -> list[Tensor]:
        """Integer codes beside each latent, as float tensors without gradient."""
        return [
            code_of(p.data, kept, frozen)
            for p, kept, frozen in zip(self.all_latents(), self.kept, self.frozen, strict=True)
        ]

    def network(self) -> Network:
        """What would be encoded now."""
        codes = [c.numpy().astype(np.int64) for c in self.codes()]
        half = len(self.latents)
        return Network(
            self.architecture, tuple(codes[:half]), tuple(codes[half:]), self.shape, self.classes
        )

    def load(self, network: Network) -> None:
        """Set the latents to the codes of ``network``, of the same architecture; all are free."""
        tensors = zip(self.all_latents(), (*network.codes, *network.biases), strict=True)
        for i, (p, codes) in enumerate(tensors):
            p.data.copy_(torch.from_numpy(codes.astype(np.float32)))
            self.kept[i] = torch.ones_like(p.data)
            self.frozen[i] = torch.full_like(p.data, torch.nan)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes) of prepared images (see :func:`prepare`)."""
        moments, weights = self.moments(self.maps(x)), self._weights()
        if not self.architecture.frame:
            head = weights[len(self.latents) - 1].flatten(1)
            moments = moments @ head.T + weights[-1] * (BIAS / UNIT)
        return moments * torch.exp(self.log_scale)

    def maps(self, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Output (n, channels, height, width) of layers ``start`` to ``stop`` for their input."""
        layers, weights = self.architecture.layers, self._weights()
        for i in range(len(layers))[start:stop]:
            full = torch.einsum("oim,mab->oiab", weights[i], self._bases[i])
            x = self._layer(layers[i], full, weights[len(self.latents) + i], x)
        return x

    def moments(self, maps: Tensor) -> Tensor:
        """Mean products of every channel with the polynomials, in one row (n, features)."""
        return (maps.flatten(2) @ self._moments).flatten(1)

    def _weights(self) -> list[Tensor]:
        """What stands beside each latent in the forward pass."""
        return [
            self._weight(p, kept, frozen)
            for p, kept, frozen in zip(self.all_latents(), self.kept, self.frozen, strict=True)
        ]

    def _weight(self, p: nn.Parameter, kept: Tensor, frozen: Tensor) -> Tensor:
        if not self.rounding:
            return p
        return p * kept + (code_of(p.data, kept, frozen) - p.data * kept)

    def _layer(self, layer: Layer, full: Tensor, biases: Tensor, x: Tensor) -> Tensor:
        shift = (biases * (BIAS / UNIT))[:, None, None]
        options: dict[str, Any] = {
            "stride": 2 if layer.shrink == "stride" else 1,
            "padding": layer.kernel // 2,
            "groups": layer.width if layer.depthwise else 1,
        }
        for _ in range(2 if layer.link == "twice" else 1):
            z = _norm(functional.conv2d(x, full, **options), self.architecture) + shift
            if layer.link == "residual":
                z = z + x
            z = z.abs() if layer.activation == "abs" else functional.relu(z)
            x = z.clamp(max=CEILING / UNIT)
        if layer.shrink == "pool" and min(x.shape[2:]) > 1:
            x = functional.max_pool2d(x, 2)
        return x


def code_of(latent: Tensor, kept: Tensor, frozen: Tensor) -> Tensor:
    """Integer codes of latents: rounded, 0 where not kept, held where frozen."""
    rounded = torch.round(latent).clamp(-LARGEST, LARGEST) * kept
    return torch.where(torch.isnan(frozen), rounded, frozen)


def decided_class(logits: Tensor, dim: int) -> Tensor:
    """Predicted classes, -1 where the two largest logits are equal, as in the exact count."""
    top = logits.topk(2, dim=dim).values
    first, second = top.unbind(dim)
    return torch.where(first > second, logits.argmax(dim), -1)


def prepare(images: NDArray[np.uint8], architecture: Architecture) -> Tensor:
    """What the first layer reads of images (n, channels, h, w), in the scale of its input.

    Returns
    -------
    Tensor (n, channels * front.channels, h // reduction, w // reduction)
        In float32 and for all images at once, so four bytes a number.
    """
    front, side = architecture.front, architecture.reduction
    n, colours, height, width = images.shape
    out = torch.empty(n, colours * front.channels, height // side, width // side)
    pixels = torch.from_numpy(scale(front.scale) / UNIT).float()
    for part, read in zip(
        torch.split(torch.from_numpy(images), 256), torch.split(out, 256), strict=True
    ):
        x = pixels[part.int()]
        read.copy_(functional.avg_pool2d(x if front.kernel == 1 else _responses(x, front), side))
    return out


def _responses(pixels: Tensor, front: FrontEnd) -> Tensor:
    """Rectified responses of the filter bank, colour by colour, as in whole numbers."""
    filters = torch.from_numpy(bank(front.kernel, front.cut) / BANK_GAIN).float()[:, None]
    z = functional.conv2d(pixels.flatten(0, 1)[:, None], filters, padding=front.kernel // 2)
    mean, across, down, others = z[:, :1], z[:, 1:2], z[:, 2:3], z[:, 3:]
    found = torch.cat(
        [mean, across.relu(), (-across).relu(), down.relu(), (-down).relu(), others.abs()], dim=1
    )
    return found.reshape(len(pixels), -1, *z.shape[2:])


def student_logits(student: Student, inputs: Tensor) -> Tensor:
    """Logits of all inputs, as the codes stand."""
    student.eval()
    return in_parts(student, inputs)


@torch.no_grad()
def in_parts(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """What ``function`` makes of all rows, a thousand at a time and without gradients."""
    return torch.cat([function(part) for part in torch.split(x, 1000)])


def _norm(z: Tensor, a: Architecture) -> Tensor:
    axes = (1, 2, 3) if a.norm == "layer" else (2, 3)
    found: Tensor = _Norm.apply(z, a.centred, axes)  # type: ignore[no-untyped-call]
    return found


class _Norm(torch.autograd.Function):
    """Remove mean and mean absolute value; the gradient in fewer passes than autograd takes."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, centred: bool, axes: tuple[int, ...]) -> Tensor:
        if centred:
            z = z - z.mean(dim=axes, keepdim=True)
        scale = z.abs().mean(dim=axes, keepdim=True).clamp_min(_TINY).reciprocal()
        out = z * scale
        ctx.save_for_backward(out, scale)
        ctx.centred, ctx.axes = centred, axes
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        out, scale = ctx.saved_tensors
        along = (grad * out).mean(dim=ctx.axes, keepdim=True)
        grad = (grad - along * torch.sgn(out)) * scale
        if ctx.centred:
            grad = grad - grad.mean(dim=ctx.axes, keepdim=True)
        return grad, None, None


def _moment_weights(height: int, width: int, cut: int) -> Tensor:
    """Polynomials as columns (positions, polynomials), scaled as the integers are."""
    parts = []
    for pair in degrees(cut):
        weight = np.outer(polynomial(pair[0], height), polynomial(pair[1], width))
        weight *= moment_gain(pair) / moment_size(pair, height, width)
        parts.append(torch.from_numpy(weight.ravel()).float())
    return torch.stack(parts, dim=1)
