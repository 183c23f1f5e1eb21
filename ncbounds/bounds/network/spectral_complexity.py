"""Product of operator norms with the (2,1) norms beside it, over the margin."""

import math

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.network._quantile import per_margin, tenth
from ncbounds.bounds.network._read import chain_of, undefined
from ncbounds.bounds.view import Outcome, View
from ncbounds.errors import NotCovered
from ncbounds.network.norms import kernel_21_norm


def spectral_complexity_formula(operator: Floats, kernel: Floats, margins: Floats) -> float:
    """Spectral complexity over the tenth percentile of the margins.

    Parameters
    ----------
    operator, kernel : arrays of shape (L,)
        Operator norms of the layers, and (2,1) norms of their kernels off the reference.
    margins : array of shape (n,)
    """
    return _complexity(operator, kernel) / tenth(margins)


def _complexity(operator: Floats, kernel: Floats) -> float:
    return math.prod(operator) * float(((kernel / operator) ** (2 / 3)).sum() ** 1.5)


@bound(
    family="network",
    kind="measure",
    role="fit",
    target="saved",
    requires=("head", "network"),
    confused_with=(
        "The bound ``spectral_margin``, of which it is one factor: without constants, logarithms "
        "and confidence it bounds nothing."
    ),
    references=("bartlett2017",),
    formula=spectral_complexity_formula,
)
def spectral_complexity(view: View, delta: float) -> Outcome:
    r"""Spectral complexity of the network, divided by the margin.

    .. math::
        \frac1\gamma \prod_{i=1}^L s_i \Big(\sum_{i=1}^L (b_i/s_i)^{2/3}\Big)^{3/2},

    with :math:`s_i` the operator norm of layer i, :math:`b_i` the (2,1) norm of its kernel minus
    the reference (l2 over input channels, summed over output channels and kernel places; for a
    linear layer summed over outputs), :math:`\gamma` the tenth percentile of the training margins,
    with its sign. The reference is the stored initialisation if there is one, else zero.

    Shapes: margins (n,), two norms per layer.

    Role: ``fit``; a measure of the trained network.

    Assumptions: a chain of affine layers, 1-Lipschitz activations and pools.

    Source: Bartlett, Foster and Telgarsky 2017, equation 1.2 [1]_ .

    When vacuous: a measure is not on the error scale. Undefined where the margin is not positive.
    """
    try:
        network = chain_of(view)
    except NotCovered as error:
        return undefined(view, error)
    s = network.operator_norms
    b = np.array([kernel_21_norm(weight) for weight, _ in network.offsets()])
    if (s == 0).any():
        return undefined(view, "a layer is zero")
    details: dict[str, object] = {"operator norms": s.tolist(), "(2,1) norms": b.tolist()}
    return per_margin(view, _complexity(s, b), details)
