"""Root of the sum over all paths of products of squared weights."""

from dataclasses import replace

import numpy as np

from ncbounds.bounds.bound import bound
from ncbounds.bounds.network._read import chain_of, undefined
from ncbounds.bounds.view import Outcome, View
from ncbounds.errors import NotCovered


@bound(
    family="network",
    kind="measure",
    role="fit",
    target="saved",
    requires=("head", "network"),
    confused_with=(
        "A property of the data, or of margins: the sample is not read, and it grows with the "
        "scale of the outputs."
    ),
    references=("neyshabur2015", "jiang2020"),
)
def path_norm(view: View, delta: float) -> Outcome:
    r"""Path norm of the network: the root of its summed outputs with squared weights on ones.

    .. math::
        \Big(\sum_k f_{\theta^2}(1, \dots, 1)_k\Big)^{1/2}

    with all weights and biases squared and all inputs 1. For a ReLU network it is the root of the
    sum, over paths from an input or a bias to an output, of the products of squared weights; it
    does not change when a unit's incoming weights are multiplied by a positive number and its
    outgoing ones divided by it.

    Shapes: one input (1, ...), outputs (1, C).

    Role: ``fit``; the sample itself is not read.

    Assumptions: a chain of affine layers, 1-Lipschitz activations and pools; pools act as they do
    in the network.

    Source: Neyshabur, Tomioka and Srebro 2015 [1]_ ; Jiang et al. 2020, measure 44 [2]_ .

    When vacuous: a measure is not on the error scale.
    """
    try:
        network = chain_of(view)
    except NotCovered as error:
        return undefined(view, error)
    squared = tuple(
        replace(
            layer,
            weight=layer.weight**2,
            bias=None if layer.bias is None else layer.bias**2,
        )
        for layer in network.layers
    )
    ones = np.ones_like(network.inputs[:1], dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(network.logits(ones, squared).sum())
    if not np.isfinite(total):
        return undefined(view, "the sum over paths is not finite")
    return Outcome(value=float(np.sqrt(total)), n=view.sample.n)
