"""A cover of all weights of a small network: the training sample's own guarantee."""

import math
from typing import NamedTuple

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.column import ScreenColumn
from ncbounds.bounds.network._grid import (
    GridPoint,
    all_rounded_up,
    grid_value,
    margin_indices,
    price,
    rounded_up,
    total_price,
)
from ncbounds.bounds.network._read import chain_of, undefined
from ncbounds.bounds.view import Outcome, View
from ncbounds.errors import NotCovered
from ncbounds.network.network import Network
from ncbounds.network.steps import INFLATION
from ncbounds.numerics import kl_upper, up

#: By what share layers of a neighbouring network may be longer than the bounds H.
TAU = 0.02
#: Quantiles of the layers' norms over the sample that are tried as H; any H on the grid is paid.
QUANTILES = (0.99, 0.999, 1.0)


class Cover(NamedTuple):
    """A class of networks that is fixed by grid indices, and its covering number.

    Attributes
    ----------
    sensitivities : array of shape (L,)
        g_i: by how much the logits move per unit of the parameters of layer i.
    radii : list of GridPoint
        a_i: distance of the parameters of layer i from the reference.
    parameters : array of shape (L,)
        W_i.
    largest_margin : float
        Margins above it would let a neighbour's layers exceed (1 + tau) H.
    """

    sensitivities: Floats
    radii: list[GridPoint]
    parameters: Floats
    largest_margin: float

    def log_size(self, gamma: float) -> Floats:
        """Logarithms of the layers' covering numbers at margin ``gamma``, shape (L,)."""
        total = self.parameters.sum()
        steps = gamma * self.parameters / (2.0 * math.sqrt(2.0) * self.sensitivities * total)
        a = np.array([p.value for p in self.radii])
        sizes: Floats = self.parameters * np.log1p(2.0 * a / steps)
        return sizes


def cover(network: Network, h: list[GridPoint], s: list[GridPoint], a: list[GridPoint]) -> Cover:
    """Cover of the class with layers of norm ``h``, operators ``s`` (from layer 2), radii ``a``."""
    depth = network.depth
    g = np.zeros(depth)
    largest, later = math.inf, 1.0  # later: Lipschitz constant of everything behind layer i
    for i in reversed(range(depth)):
        layer = network.layers[i]
        if i < depth - 1:
            later *= s[i].value
            largest = min(largest, 2.0 * math.sqrt(2.0) * TAU * h[i + 1].value * later)
            later *= layer.gain
        constant = 0.0 if layer.bias is None else float(layer.positions)
        g[i] = later * math.sqrt(layer.reads * ((1.0 + TAU) * h[i].value) ** 2 + constant)
    sizes = np.array([float(layer.parameters) for layer in network.layers])
    return Cover(g * INFLATION, a, sizes, largest / INFLATION)


class _Row(NamedTuple):
    value: float
    gamma: float
    bad: float
    nats: float
    pay: float
    per_layer: Floats
    h: list[GridPoint]


def parameter_cover_formula(bad: Floats, nats: Floats, pay: Floats, n: int, delta: float) -> Floats:
    """Largest p with ``n kl(bad || p) <= nats + pay + ln(1/delta)``, rounded up.

    Parameters
    ----------
    bad : array of shape (...)
        Share of the n points with a small margin or a long layer.
    nats : array of shape (...)
        Logarithm of the covering number.
    pay : array of shape (...)
        Price of the constants that were rounded to the grid.
    n : int
    delta : float in (0, 1)
    """
    return np.asarray(kl_upper(bad, _budget(nats, pay, n, delta)))


def _budget(nats: Floats, pay: Floats, n: int, delta: float) -> Floats:
    return np.asarray(up((nats + pay + math.log(1.0 / delta)) / n, 8))


@bound(
    family="network",
    kind="certificate",
    role="fit",
    target="saved",
    requires=("head", "network"),
    confused_with=(
        "A compression bound, which speaks about a decoded network: this one is about the saved "
        "network itself. Of several architectures that were tried on the sample the number has to "
        "be declared."
    ),
    references=("jiang2020", "chernoff1952"),
    decreasing_in=("delta",),
    default=True,
    column=ScreenColumn("data alone", order=71, heading="training", on_fit=True),
    formula=parameter_cover_formula,
)
def parameter_cover(view: View, delta: float) -> Outcome:
    r"""Bound the error of the saved network by covering its weights at its margin's resolution.

    Layer i has :math:`W_i` parameters at distance at most :math:`a_i` from the reference, operator
    norm at most :math:`s_i`, inputs of norm at most :math:`H_{i-1}`, every input place read at most
    :math:`\nu_i^2` times, :math:`P_i` output positions, and pools behind it of norm
    :math:`\rho_i`. With :math:`\tau = .02`,

    .. math::
        g_i = \rho_i \prod_{l>i} s_l \rho_l \sqrt{\nu_i^2 (1+\tau)^2 H_{i-1}^2 + P_i}, \qquad
        \eta_i = \frac{\gamma W_i}{2\sqrt2\, g_i \sum_l W_l}, \qquad
        \ln N = \sum_i W_i \ln(1 + 2a_i/\eta_i),

    (without :math:`P_i` for a layer without bias), call a point bad if its margin is at most
    :math:`\gamma` or one of its layers is longer than its H. With probability at least
    :math:`1-\delta`, for all :math:`\gamma \le 2\sqrt2\,\tau H_l \prod_{j>l} s_j\rho_j`
    (all :math:`1 \le l < L`) and all norms at once,

    .. math::
        \mathrm{kl}\Big(\frac{\#\mathrm{bad}}{n} \Big\| R\Big)
            \le \frac{\ln N + \mathrm{pay} + \ln(1/\delta)}{n} .

    Shapes: margins (n,), norms of the layers' inputs (L, n), one affine layer per entry.

    Role: ``fit``, all its rows. The statement is uniform over all weights of one architecture, so
    the weights may depend on the sample in any way. The architecture itself, and the reference,
    must not: if several were tried on the sample, declare their number in ``selected_among``.

    Assumptions: convolutions with zero padding or linear layers, 1-Lipschitz activations that map
    0 to 0, pools that do not expand distances; the reference is zero or the stored true
    initialisation. No bound on the inputs is assumed, but architecture and preprocessing of the
    inputs were fixed before the sample.

    Source: our own form, with proof below. The idea, that a large margin allows coarse weights, is
    common to norm-based measures [1]_ ; the deviation is Chernoff's [2]_ .

    When vacuous: never above 1, but it says less than guessing once the parameters times 10 to 14
    nats exceed the number of points: only networks of a few thousand weights on tens of thousands
    of points have a chance.

    Notes
    -----
    The class of networks with given constants is a product over layers of subsets of balls; a
    maximal :math:`\eta_i`-separated subset is a net *inside* it of at most
    :math:`(1+2a_i/\eta_i)^{W_i}` points. Let :math:`\theta, \theta'` be within :math:`\eta`. An
    output position of a convolution is the kernel, as a matrix, times a patch, and the patches'
    squared norms sum to at most :math:`\nu_i^2\|u\|^2`, so at a point where one of the two networks
    has layers of norm at most :math:`(1+\tau)H` the outputs of layer i move by
    :math:`\sqrt{\nu_i^2(1+\tau)^2H_{i-1}^2+P_i}\,\eta_i` through its own change, and what came
    before is passed on by the other network's :math:`s_l`. Hence logits differ by at most
    :math:`D = \sum_i g_i\eta_i = \gamma/(2\sqrt2)`, layer l by
    :math:`D/\prod_{j>l} s_j\rho_j \le \tau H_l`, margins by at most :math:`\gamma/2`. Call a point
    bad' for :math:`\theta'` if its margin is at most :math:`\gamma/2` or a layer is longer than
    :math:`(1+\tau)H`. If it is not bad for :math:`\theta`, it is not bad' for :math:`\theta'`; if
    it is not bad' for :math:`\theta'`, :math:`\theta` classifies it correctly. Chernoff's bound for
    the frequency of bad' and a union over net and grid give the statement, for points drawn alike
    or class by class. H, s, a are rounded up and the margin is taken from the grid
    :math:`2^{k/4}`; ``pay`` sums :math:`\ln 2(|k|+1)(|k|+2)` over these 3L constants.
    """
    try:
        network = chain_of(view)
    except NotCovered as error:
        return undefined(view, error)
    s = all_rounded_up(network.operator_norms[1:])
    a = [rounded_up(_length(w, b)) for w, b in network.offsets()]
    n = view.sample.n
    found = [_best(view, network, h, s, a, delta) for h in _lengths(network)]
    best = min((row for row in found if row), key=lambda row: row.value, default=None)
    if best is None:
        return undefined(view, "no margin on the grid is positive and small enough to be used")
    wrong = float(view.wrong.mean())
    return Outcome(
        value=best.value,
        n=n,
        terms={
            "empirical": best.bad,
            "complexity": float(kl_upper(best.bad, (best.nats + best.pay) / n)) - best.bad,
            "confidence": best.value - float(kl_upper(best.bad, (best.nats + best.pay) / n)),
        },
        details={
            "gamma": best.gamma,
            "training error": wrong,
            "parameters": network.parameters,
            "nats per weight": best.nats / network.parameters,
            "nats per weight by layer": best.per_layer.tolist(),
            "pay": best.pay,
            "H": [p.value for p in best.h],
            "operator norms": [p.value for p in s],
            "radii": [p.value for p in a],
            "reference": "initialisation" if network.reference is not None else "zero",
        },
        claim=view.pooled(),
    )


def _length(weight: Floats, bias: Floats | None) -> float:
    total = float((weight**2).sum()) + (0.0 if bias is None else float((bias**2).sum()))
    return math.sqrt(total) * INFLATION


def _lengths(network: Network) -> list[list[GridPoint]]:
    """Candidates for H: quantiles of the layers' norms, rounded up."""
    norms = np.where(np.isfinite(network.activation_norms), network.activation_norms, 0.0)
    found = []
    for q in QUANTILES:
        h = all_rounded_up(INFLATION**2 * np.quantile(norms, q, axis=1, method="higher"))
        if h not in found:
            found.append(h)
    return found


def _best(
    view: View,
    network: Network,
    h: list[GridPoint],
    s: list[GridPoint],
    a: list[GridPoint],
    delta: float,
) -> _Row | None:
    """Smallest value over all usable margins."""
    n, margins = view.sample.n, view.margins
    limits = np.array([p.value for p in h])[:, None] / INFLATION
    short = (network.activation_norms <= limits).all(axis=0)  # a nan is not
    good = np.sort(margins[short & np.isfinite(margins)])
    made = cover(network, h, s, a)
    indices = [
        k
        for k in margin_indices(float(good.max(initial=0.0)))
        if grid_value(k) <= made.largest_margin
    ]
    if not indices:
        return None
    gammas = np.array([grid_value(k) for k in indices])
    pay = total_price([*h, *s, *a]) + np.array([price(k) for k in indices])
    sizes = np.stack([made.log_size(gamma) for gamma in gammas])
    nats = np.asarray(up(sizes.sum(axis=1), 64))
    bad = (n - len(good) + np.searchsorted(good, gammas, side="right")) / n
    values = parameter_cover_formula(bad, nats, pay, n, delta)
    # where values round to 1, the smallest by Pinsker's bound is shown
    i = int(np.lexsort((bad + np.sqrt(_budget(nats, pay, n, delta)), values))[0])
    value, gamma, rate, size, price_paid = (float(x[i]) for x in (values, gammas, bad, nats, pay))
    return _Row(value, gamma, rate, size, price_paid, sizes[i] / made.parameters, h)
