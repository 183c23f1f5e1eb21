"""Spectral norms and (2,1) norms of a fully connected network."""

import math
from collections.abc import Sequence

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.network._grid import all_rounded_up, grid_value, margin_indices, total_price
from ncbounds.bounds.network._ramp import over_margins
from ncbounds.bounds.network._read import chain_of, undefined
from ncbounds.bounds.view import Outcome, View
from ncbounds.errors import NotCovered
from ncbounds.network.network import Network
from ncbounds.network.norms import augmented_matrix, matrix_norm
from ncbounds.network.steps import INFLATION, MaxPool


def dudley_radius(n: int, complexity: float, longest: float = math.inf) -> float:
    """Rademacher average of a class with ``ln N(e) <= (complexity/e)^2``, 0 from ``longest`` on.

    ``(12 R/n)(1 + ln(h sqrt n/(3R)))`` with ``h = min(sqrt n, longest)`` where ``3R/sqrt n <= h``,
    else ``longest/sqrt n``, which may exceed 1 (1 if ``longest`` is infinite).
    """
    root = math.sqrt(n)
    h = min(root, longest)
    if 3.0 * complexity / root <= h:
        return 12.0 * complexity / n * (1.0 + math.log(h * root / (3.0 * complexity)))
    return longest / root if math.isfinite(longest) else 1.0


def spectral_average(
    operator: Sequence[float],
    kernel: Sequence[float],
    inputs: float,
    width: int,
    n: int,
    gamma: float,
) -> float:
    """Rademacher average of the ramp loss at margin ``gamma``; twice it is a term of the row.

    Parameters
    ----------
    operator, kernel : sequences of L floats
        Bounds on the operator norms and on the (2,1) norms off the reference, biases included.
    inputs : float
        Frobenius norm of the inputs with a constant coordinate.
    width : int
        Largest side of a matrix.
    n : int
    gamma : float
    """
    log_width = math.log(2.0 * width * width)
    size = 2.0 / gamma * inputs * math.sqrt(log_width) * math.prod(operator)
    complexity = size * _ratio(operator, kernel)
    return dudley_radius(n, complexity, complexity / math.sqrt(2.0 * log_width))


def _ratio(operator: Sequence[float], kernel: Sequence[float]) -> float:
    pairs = zip(kernel, operator, strict=True)
    return float(math.fsum((b / s) ** (2 / 3) for b, s in pairs) ** 1.5)


@bound(
    family="network",
    kind="certificate",
    role="fit",
    target="saved",
    requires=("head", "network"),
    confused_with=(
        "The measure ``spectral_complexity``, one factor of it without constants, logarithms and "
        "confidence: that one is no bound."
    ),
    references=("bartlett2017",),
    decreasing_in=("delta",),
    default=True,
    formula=spectral_average,
)
def spectral_margin(view: View, delta: float) -> Outcome:
    r"""Bound the error of a fully connected network by its spectral and (2,1) norms.

    With :math:`\tilde A_i` the matrix of layer i with its bias as an extra column,
    :math:`s_i \ge \|\tilde A_i\|`, :math:`b_i` at least the sum over output units of the l2 norms
    of the rows of :math:`\tilde A_i - M_i`, :math:`\|X\|_F^2 = \sum (\|x_i\|^2 + 1)` and D the
    largest width, with probability at least :math:`1-\delta` for all margins and norms at once,

    .. math::
        R \le \frac1n \sum_i \mathrm{ramp}_\gamma(m_i) + 2 \mathrm{Rad}
              + 3 \sqrt{\frac{\ln(1/\delta) + \mathrm{pay}}{2n}}, \qquad
        R_c = \frac{2}{\gamma} \|X\|_F \sqrt{\ln(2D^2)} \prod s_i
              \Big(\sum (b_i/s_i)^{2/3}\Big)^{3/2},

    with :math:`\mathrm{Rad} = (12 R_c/n)(1 + \ln(h\sqrt n/(3R_c)))`,
    :math:`h = \min(\sqrt n, T_0)`, :math:`T_0 = R_c/\sqrt{2\ln(2D^2)}`, where
    :math:`3R_c/\sqrt n \le h`, and :math:`T_0/\sqrt n` otherwise.

    Shapes: margins (n,), inputs (n, d), one matrix per layer.

    Role: ``fit``, all its rows: the class of networks is fixed by grid points, whose union is paid,
    and the inputs enter only through their empirical norm.

    Assumptions: linear layers with 1-Lipschitz activations that map 0 to 0; convolutions and pools
    between layers are not covered. The reference M is zero, or the stored true initialisation.
    Architecture and preprocessing of the inputs were fixed before the sample.

    Source: Bartlett, Foster and Telgarsky 2017, Theorem 3.3 and Lemma A.8 [1]_ , in the form below.

    When vacuous: always in practice, by several powers of ten; the terms show which factor.

    Notes
    -----
    The bias stands in a column and the constant in a coordinate that bypasses the activation, so
    that :math:`\|\tilde A_i\| \ge 1` but for the last layer. Maurey's sparsification covers the
    outputs of layer i by :math:`(2D^2)^{k}` points with a whole number k; for an argument below 1
    the reference alone covers, and above it :math:`\lceil x\rceil \le 2x`, while the margin is
    :math:`\sqrt2`-Lipschitz and not 2: the constant 2 in :math:`R_c` holds both. The covering
    number is 1 from :math:`T_0` on, which truncates Dudley's integral. Margin, s and b are rounded
    outward to :math:`2^{k/4}`; ``pay`` sums :math:`\ln 2(|k|+1)(|k|+2)` over the 2L+1 of them.
    """
    try:
        network = chain_of(view)
        matrices, offsets = _matrices(network)
    except NotCovered as error:
        return undefined(view, error)
    s = all_rounded_up(matrix_norm(a) for a in matrices)
    b = all_rounded_up(float(np.linalg.norm(o, axis=1).sum()) * INFLATION for o in offsets)
    n = view.sample.n
    width = max(max(a.shape) for a in matrices)
    inputs = math.sqrt(network.input_frobenius**2 + n) * INFLATION
    operator, kernel = [x.value for x in s], [x.value for x in b]
    margins = view.margins
    finite = margins[np.isfinite(margins)]
    return over_margins(
        view,
        delta,
        total_price([*s, *b]),
        ((k, grid_value(k)) for k in margin_indices(float(finite.max(initial=0.0)))),
        lambda gamma: 2.0 * spectral_average(operator, kernel, inputs, width, n, gamma),
        margins,
        {
            "spectral product": math.prod(operator),
            "ratio of norms": _ratio(operator, kernel),
            "input norm": inputs,
            "reference": "initialisation" if network.reference is not None else "zero",
        },
    )


def _matrices(network: Network) -> tuple[list[Floats], list[Floats]]:
    """Augmented matrices, and what they are off the reference ``[[M, b], [0, 1]]``."""
    matrices, offsets = [], []
    for layer, (weight, bias) in zip(network.layers, network.offsets(), strict=True):
        if not layer.single:
            raise NotCovered(f"layer {layer.name!r} is no linear layer")
        if any(isinstance(step, MaxPool) for step in layer.steps):
            raise NotCovered(f"layer {layer.name!r} is followed by a pool")
        last = layer is network.layers[-1]
        matrices.append(augmented_matrix(layer.weight, layer.bias, layer.groups, last))
        off = augmented_matrix(weight, bias, layer.groups, last)
        if not last:
            off[-1, -1] = 0.0
        offsets.append(off)
    return matrices, offsets
