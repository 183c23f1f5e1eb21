"""Frobenius norms of a ReLU network, layer by layer peeled off."""

import math

import numpy as np

from ncbounds.bounds.bound import bound
from ncbounds.bounds.network._grid import margin_indices
from ncbounds.bounds.network._ramp import over_margins
from ncbounds.bounds.network._read import chain_of, undefined
from ncbounds.bounds.view import Outcome, View
from ncbounds.errors import NotCovered
from ncbounds.network.network import Network
from ncbounds.network.norms import frobenius_norm
from ncbounds.network.steps import INFLATION, Activation, AveragePool, Flatten


def peeled_average(depth: int, product: float, sum_sq: float, n: int) -> float:
    """Rademacher average of scalar ReLU networks of ``depth`` layers and bounded norms.

    ``product (sqrt(2 (depth-1) ln 2) + 1) sqrt(sum_sq) / n`` with ``product`` that of the
    Frobenius norms and ``sum_sq`` the sum of squared input norms.
    """
    return product * (math.sqrt(2.0 * (depth - 1) * math.log(2.0)) + 1.0) * math.sqrt(sum_sq) / n


def peeled_gap(
    depth: int, product: float, sum_sq: float, n: int, classes: int, gamma: float
) -> float:
    """``4 C / gamma`` times :func:`peeled_average`: twice the average of the ramp loss.

    Parameters
    ----------
    depth : int
        Affine layers.
    product : float
        Product of their Frobenius norms (the largest row's norm for the last).
    sum_sq : float
        Sum over the n points of the squared input norm with its constant coordinate.
    n, classes : int
    gamma : float
        Margin, in units in which the outputs have the given norms.
    """
    return 4.0 * classes / gamma * peeled_average(depth, product, sum_sq, n)


@bound(
    family="network",
    kind="certificate",
    role="fit",
    target="saved",
    requires=("head", "network"),
    confused_with=(
        "A bound that does not depend on the size of the network: depth enters under a root, and "
        "width through the Frobenius norms."
    ),
    references=("golowich2018", "maurer2016"),
    decreasing_in=("delta",),
    default=True,
    formula=peeled_gap,
)
def frobenius_peeling(view: View, delta: float) -> Outcome:
    r"""Bound the error of a ReLU network by the product of its layers' Frobenius norms.

    With :math:`\tilde A_i` the matrix of layer i with bias column and constant row,
    :math:`M = \prod_{i<L} \|\tilde A_i\|_F \cdot \max_k \|(\tilde A_L)_k\|` and margins
    :math:`m_i/M`, with probability at least :math:`1-\delta` for all :math:`\gamma = 2^k` at once,

    .. math::
        R \le \frac1n \sum_i \mathrm{ramp}_\gamma(m_i/M)
              + \frac{4C}{\gamma} \big(\sqrt{2(L-1)\ln 2} + 1\big)
                \frac{\sqrt{\sum_i (\|x_i\|^2 + 1)}}{n}
              + 3 \sqrt{\frac{\ln(1/\delta) + \ln 2(|k|+1)(|k|+2)}{2n}} .

    Shapes: margins (n,), inputs (n, d), one affine map per layer.

    Role: ``fit``, all its rows: by homogeneity the one class of networks of unit norms serves for
    all M, and only the index k is paid.

    Assumptions: ReLU between all affine maps (which may be convolutions, as matrices), with no
    pools but averages, which do not raise a Frobenius norm. A batch norm on its own is not covered.
    Architecture and preprocessing of the inputs were fixed before the sample.

    Source: Golowich, Rakhlin and Shamir 2018, Theorem 1 [1]_ ; one activation less, since the last
    layer is linear; from one output to C by Maurer's contraction [2]_ .

    When vacuous: always in practice, by several powers of ten.

    Notes
    -----
    ReLU maps the constant 1 to itself, so the augmented network is a bias-free ReLU network, and
    dividing each matrix by its norm divides the outputs by M without moving a prediction. The
    Rademacher average of the ramp of the margin is at most
    :math:`(\sqrt2 \cdot \sqrt2/\gamma) \sum_k` of those of the C outputs.
    """
    try:
        network = chain_of(view)
        _check_relu(network)
    except NotCovered as error:
        return undefined(view, error)
    inner = [
        math.hypot(frobenius_norm(layer, bias=True), 1.0) * INFLATION
        for layer in network.layers[:-1]
    ]
    product = math.prod([*inner, _largest_row(network)])
    n, classes = view.sample.n, view.head.classes
    sum_sq = (network.input_frobenius**2 + n) * INFLATION
    if not (math.isfinite(product) and math.isfinite(sum_sq)):
        return undefined(view, "a norm is not finite")
    margins = view.margins / product if product > 0 else np.zeros(n)
    finite = margins[np.isfinite(margins)]
    return over_margins(
        view,
        delta,
        0.0,
        ((k, 2.0**k) for k in margin_indices(float(finite.max(initial=0.0)), 1)),
        lambda gamma: peeled_gap(network.depth, 1.0, sum_sq, n, classes, gamma),
        margins,
        {"product of norms": product, "input norm": math.sqrt(sum_sq), "layers": network.depth},
    )


def _largest_row(network: Network) -> float:
    last = network.layers[-1]
    rows = (last.weight**2).sum(axis=(1, 2, 3))
    if last.bias is not None:
        rows = rows + last.bias**2
    return float(np.sqrt(rows.max())) * INFLATION


def _check_relu(network: Network) -> None:
    for layer in network.layers[:-1]:
        activations = [s for s in layer.steps if isinstance(s, Activation)]
        if [a.name for a in activations] != ["relu"]:
            raise NotCovered(f"layer {layer.name!r} is not followed by exactly one ReLU")
        if not all(isinstance(s, Activation | AveragePool | Flatten) for s in layer.steps):
            raise NotCovered(f"layer {layer.name!r} is followed by a max pool")
