"""Norms of convolution kernels relative to operator norms."""

import math
from typing import NamedTuple

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.column import ScreenColumn
from ncbounds.bounds.network._grid import (
    GridPoint,
    grid_value,
    margin_indices,
    rounded_up,
    total_price,
)
from ncbounds.bounds.network._ramp import over_margins
from ncbounds.bounds.network._read import chain_of, undefined
from ncbounds.bounds.view import Outcome, View
from ncbounds.errors import NotCovered
from ncbounds.network.network import Network
from ncbounds.network.norms import kernel_21_norm
from ncbounds.network.steps import INFLATION

#: Ratio of neighbouring radii in the sum that bounds Dudley's integral, and the upper end.
RADIUS_RATIO = 1.05
UPPER_END = 0.25
LARGEST_START = 0.1


class LayerNorms(NamedTuple):
    """Rounded norms of a layer: operator, (2,1) of kernel, l2 and l1 of bias; P, W."""

    s: GridPoint
    b: GridPoint
    beta: GridPoint | None
    c: GridPoint | None
    positions: int
    parameters: int

    @property
    def points(self) -> list[GridPoint]:
        """Constants that are paid."""
        return [p for p in (self.s, self.b, self.beta, self.c) if p is not None]


def log_covering(
    layers: list[LayerNorms], inputs: float, n: int, gamma: float, radii: Floats
) -> Floats:
    """Logarithm of the covering number of the ramp loss at radii ``eta`` in (0, 1].

    ``sum_i min(k_i ln(2 W_i), 2 W_i ln(1 + k_i))``, see :func:`excess_capacity_conv`.
    """
    depth = len(layers)
    sensitivities = []
    h = inputs
    for i, layer in enumerate(layers):
        spread = math.sqrt(n * layer.positions)
        later = math.prod(x.s.value for x in layers[i + 1 :])
        own = layer.b.value * h + (0.0 if layer.c is None else layer.c.value * spread)
        sensitivities.append(math.sqrt(2.0) * depth / (gamma * math.sqrt(n)) * later * own)
        h = layer.s.value * h + (0.0 if layer.beta is None else layer.beta.value * spread)
    total = np.zeros(len(radii))
    for layer, size in zip(layers, sensitivities, strict=True):
        x = (size / radii) ** 2 * INFLATION
        k = np.where(x <= 1.0, 0.0, np.ceil(x))
        atoms = 2.0 * layer.parameters
        total += np.minimum(k * math.log(atoms), atoms * np.log1p(k))
    return total


def dudley_sum(layers: list[LayerNorms], inputs: float, n: int, gamma: float) -> float:
    """Rademacher average: upper sums of Dudley's integral up to 1/4, smallest over their start.

    Parameters
    ----------
    layers : list of LayerNorms
        Rounded norms of the layers; see :func:`layer_norms`.
    inputs : float
        Frobenius norm of the inputs.
    n : int
    gamma : float
        Margin.
    """
    start = min(1.0 / n, LARGEST_START)
    steps = math.ceil(math.log(UPPER_END / start) / math.log(RADIUS_RATIO))
    radii = np.geomspace(start, UPPER_END, steps + 1)
    widths = np.diff(radii)
    pieces = widths * np.sqrt(log_covering(layers, inputs, n, gamma, radii[:-1]))
    integral = np.r_[np.cumsum(pieces[::-1])[::-1], 0.0]
    values = 4.0 * radii + 12.0 / math.sqrt(n) * integral
    return float(values[radii <= max(LARGEST_START, start)].min())


@bound(
    family="network",
    kind="certificate",
    role="fit",
    target="saved",
    requires=("head", "network"),
    confused_with=(
        "An explanation why the network generalises: a value of 1 or more is true and says "
        "nothing, and the smaller of two such values need not belong to the better network."
    ),
    references=("graf2022", "bartlett2017"),
    decreasing_in=("delta",),
    default=True,
    column=ScreenColumn("data alone", order=72, heading="training", on_fit=True),
    formula=dudley_sum,
)
def excess_capacity_conv(view: View, delta: float) -> Outcome:
    r"""Bound the error of a convolutional network by norms of its kernels.

    Per layer: :math:`s_i \ge` operator norm of the linear part, :math:`b_i \ge` the (2,1) norm of
    the kernel minus reference (l2 over input channels, summed over output channels and kernel
    places), :math:`\beta_i, c_i \ge` l2 norm of the bias and l1 norm of the bias minus reference,
    :math:`P_i` output positions before pooling, :math:`W_i` parameters. With
    :math:`h_0 = \|X\|_F`, :math:`h_i = s_i h_{i-1} + \beta_i \sqrt{nP_i}`,

    .. math::
        x_i(\eta) = \Big[\frac{\sqrt2 L}{\gamma\eta\sqrt n} \prod_{l>i} s_l
                    \big(b_i h_{i-1} + c_i\sqrt{nP_i}\big)\Big]^2, \qquad
        \ln N(\eta) = \sum_i \min\big(k_i \ln(2W_i),\ 2W_i \ln(1+k_i)\big),

    :math:`k_i = 0` where :math:`x_i \le 1` and :math:`\lceil x_i\rceil` elsewhere,
    :math:`\mathrm{Rad} = \min_{e_0} \{4e_0 + (12/\sqrt n)\sum_t (e_{t+1}-e_t)\sqrt{\ln N(e_t)}\}`
    over radii from :math:`e_0 \in [1/n, .1]` to 1/4, and with probability at least
    :math:`1-\delta` for all margins and norms at once

    .. math::
        R \le \frac1n\sum_i \mathrm{ramp}_\gamma(m_i) + 2\mathrm{Rad}
              + 3\sqrt{\frac{\ln(1/\delta)+\mathrm{pay}}{2n}} .

    Shapes: margins (n,), inputs (n, ...), one affine layer per entry of the network.

    Role: ``fit``, all its rows: margin and norms are rounded to a grid whose union is paid; the
    inputs enter only through their empirical norm.

    Assumptions: convolutions with zero padding or linear layers, 1-Lipschitz activations that map
    0 to 0, pools that do not expand distances. The reference is zero or the stored true
    initialisation. Architecture and preprocessing of the inputs were fixed before the sample.

    Source: the second form of Graf, Zeng, Rieck, Niethammer and Kwitt 2022, Theorem 3.5 [1]_ ,
    sharpened and fully explicit; its line of proof goes back to Bartlett et al. 2017 [2]_ .

    When vacuous: in practice always; the parameter-counting side of the minimum keeps it closer to
    1 than bounds through norms alone.

    Notes
    -----
    Sparsify layer i by Maurey's lemma with :math:`2W_i` signed atoms (a shifted input channel, or
    the constant, sent to one output channel), each no longer than its channel, of total weight at
    most :math:`b_i h_{i-1} + c_i\sqrt{nP_i}`; multisets of size k from 2W number at most
    :math:`\min((2W)^k, (1+k)^{2W})`. Covers are projected on the ball of radius :math:`h_i`,
    errors telescope through :math:`\prod_{l>i} s_l`, the margin is :math:`\sqrt2`-Lipschitz and
    the ramp :math:`1/\gamma`; the accuracy is split equally over layers, and k = 0 is the reference
    itself. Losses in [0, 1] start the chain at the constant 1/2.
    """
    try:
        network = chain_of(view)
    except NotCovered as error:
        return undefined(view, error)
    layers = layer_norms(network)
    inputs = network.input_frobenius * INFLATION
    if not math.isfinite(inputs):
        return undefined(view, "an input is not finite")
    n, margins = view.sample.n, view.margins
    finite = margins[np.isfinite(margins)]
    return over_margins(
        view,
        delta,
        total_price(p for layer in layers for p in layer.points),
        ((k, grid_value(k)) for k in margin_indices(float(finite.max(initial=0.0)))),
        lambda gamma: 2.0 * dudley_sum(layers, inputs, n, gamma),
        margins,
        {
            "operator norms": [layer.s.value for layer in layers],
            "(2,1) norms": [layer.b.value for layer in layers],
            "input norm": inputs,
            "parameters": network.parameters,
            "reference": "initialisation" if network.reference is not None else "zero",
        },
    )


def layer_norms(network: Network) -> list[LayerNorms]:
    """Norms of all layers, rounded up to the grid."""
    found = []
    rows = zip(network.layers, network.operator_norms, network.offsets(), strict=True)
    for layer, s, (weight, bias) in rows:
        beta = c = None
        if layer.bias is not None and bias is not None:
            beta = rounded_up(float(np.linalg.norm(layer.bias)) * INFLATION)
            c = rounded_up(float(np.abs(bias).sum()) * INFLATION)
        s, b = rounded_up(float(s)), rounded_up(kernel_21_norm(weight))
        found.append(LayerNorms(s, b, beta, c, layer.positions, layer.parameters))
    return found
