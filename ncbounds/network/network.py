"""A whole network as a chain of arrays, and what is measured of it on its training sample."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import NotCovered
from ncbounds.network.affine import AffineLayer
from ncbounds.network.norms import operator_norm
from ncbounds.network.steps import Images, Step

#: Numbers that one batch of a forward pass may hold in a layer's patches.
BATCH_NUMBERS = 4_000_000


#: Rows on which the chain is compared with the module, and the share of the largest logit by which
#: they may differ: the module computes in float32, the chain in float64.
COMPARED_ROWS = 8
COMPARED_SHARE = 1e-3


@dataclass(frozen=True, eq=False)
class Network:
    """Affine layers, activations and pools of a saved classifier, and its training inputs.

    Norms and the sizes of intermediate layers are computed when a bound first asks for them, in
    NumPy, and kept.

    Attributes
    ----------
    layers : tuple of AffineLayer
        In order; the last one is the linear head. Empty if the network is not covered.
    before : tuple of Step
        Steps before the first affine layer; what comes out of them is the input u_0.
    inputs : array of shape (n, ...)
        Inputs of the ``fit`` sample, row for row.
    reference : tuple of AffineLayer or None
        The stored initialisation, read in the same way.
    reason : str
        Why the network is not covered; empty if it is.
    """

    layers: tuple[AffineLayer, ...]
    before: tuple[Step, ...] = ()
    inputs: NDArray[Any] = field(default_factory=lambda: np.zeros((0, 1)))
    reference: tuple[AffineLayer, ...] | None = None
    reason: str = ""

    @property
    def covered(self) -> bool:
        """Whether the chain was read."""
        return not self.reason

    @property
    def n(self) -> int:
        """Number of rows that intermediate layers are measured on."""
        return len(self.inputs)

    @property
    def depth(self) -> int:
        """Number L of affine layers."""
        return len(self.layers)

    @property
    def parameters(self) -> int:
        """Number of weights and biases of all layers, after folding."""
        return sum(layer.parameters for layer in self.layers)

    @cached_property
    def operator_norms(self) -> Floats:
        """Upper bounds of the layers' operator norms, shape (L,)."""
        return np.array([operator_norm(layer) for layer in self.layers])

    @cached_property
    def activation_norms(self) -> Floats:
        """l2 norms of the inputs u_0, ..., u_(L-1) of the layers, shape (L, n), in float64."""
        parts = [self._norms(batch) for batch in self.batches()]
        norms: Floats = np.concatenate(parts, axis=1)
        norms.setflags(write=False)
        return norms

    @property
    def input_frobenius(self) -> float:
        """``||X||_F``, root of the sum of squared input norms."""
        return float(np.sqrt((self.activation_norms[0] ** 2).sum()))

    def offsets(self) -> list[tuple[Floats, Floats | None]]:
        """Kernel and bias of each layer minus those of the reference (zero without one)."""
        if self.reference is None:
            return [(layer.weight, layer.bias) for layer in self.layers]
        return [
            (a.weight - r.weight, a.bias if a.bias is None or r.bias is None else a.bias - r.bias)
            for a, r in zip(self.layers, self.reference, strict=True)
        ]

    def batches(self) -> list[Images]:
        """Inputs in float64, in pieces that keep a forward pass small."""
        sizes = [
            layer.positions * layer.weight[0].size * layer.groups if not layer.single else 1
            for layer in self.layers
        ]
        rows = max(1, BATCH_NUMBERS // max(sizes, default=1))
        return [
            as_images(self.inputs[i : i + rows].astype(np.float64)) for i in range(0, self.n, rows)
        ]

    def _norms(self, batch: Images) -> Floats:
        norms = []
        u = self.start(batch)
        with np.errstate(invalid="ignore", over="ignore"):
            for layer in self.layers:
                norms.append(np.sqrt((u * u).sum(axis=(1, 2, 3))))
                if layer is not self.layers[-1]:
                    u = after(layer, u)
        return np.stack(norms)

    def take(self, index: Ints) -> "Network":
        """Return the same network with the rows ``index`` of its inputs."""
        return replace(self, inputs=self.inputs[index]) if self.n else self

    def start(self, batch: Images) -> Images:
        """Input u_0 of the first affine layer."""
        for step in self.before:
            batch = step(batch)
        return batch

    def first_inputs(self, rows: Ints) -> Images:
        """Inputs u_0 of some rows, in float32."""
        return self.start(as_images(self.inputs[rows].astype(np.float32)))

    def logits(self, batch: Images, layers: tuple[AffineLayer, ...] | None = None) -> Images:
        """Logits (n, C) of a batch, with other weights if ``layers`` are given."""
        return self.logits_from(self.start(as_images(batch)), layers or self.layers)

    def logits_from(self, u: Images, layers: tuple[AffineLayer, ...]) -> Images:
        """Logits (n, C) of inputs u_0."""
        for layer in layers:
            u = after(layer, u)
        return u.reshape(len(u), -1)

    def with_reference(self, reference: "Network") -> "Network":
        """Return the network with the layers of its initialisation.

        Raises
        ------
        NotCovered
            If that was not read, or its layers have other shapes.
        """
        if not reference.covered:
            raise NotCovered(f"the initialisation: {reference.reason}")
        shapes = [[layer.weight.shape for layer in net.layers] for net in (self, reference)]
        biases = [[layer.bias is None for layer in net.layers] for net in (self, reference)]
        if shapes[0] != shapes[1] or biases[0] != biases[1]:
            raise NotCovered(
                f"the initialisation has layers {shapes[1]}, the network {shapes[0]}; "
                "needed is the same architecture"
            )
        return replace(self, reference=reference.layers)


def after(layer: AffineLayer, u: Images) -> Images:
    """Output of an affine layer and the steps after it."""
    u = layer(u)
    for step in layer.steps:
        u = step(u)
    return u


def as_images(batch: NDArray[Any]) -> Images:
    """Batch as (n, c, h, w): vectors are channels, single-channel images get their channel."""
    if batch.ndim == 4:
        return batch
    if batch.ndim == 3:
        return batch[:, None]
    return batch.reshape(len(batch), -1, 1, 1)
