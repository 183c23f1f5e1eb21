"""Flatness: how much Gaussian noise on the weights the training accuracy stands."""

import math
from dataclasses import replace

import numpy as np

from ncbounds.arrays import Ints
from ncbounds.bounds.bound import bound
from ncbounds.bounds.network._read import chain_of, undefined
from ncbounds.bounds.view import Outcome, View
from ncbounds.errors import NotCovered
from ncbounds.evidence.decision import Decision
from ncbounds.network.affine import AffineLayer
from ncbounds.network.network import Network
from ncbounds.network.steps import Images

#: Accuracy that noise may cost, draws per noise level, bisections, seed.
DROP = 0.1
DRAWS = 10
BISECTIONS = 15
SEED = 20_191_204
#: Range of the noise's standard deviation, and rows on which accuracy is counted.
LEAST, LARGEST = 2.0**-16, 2.0**4
ROWS = 200


@bound(
    family="network",
    kind="measure",
    role="fit",
    target="saved",
    requires=("head", "network"),
    confused_with=(
        "A PAC-Bayes bound: no divergence and no confidence enter. It changes if layers are "
        "rescaled without a change of any prediction."
    ),
    references=("jiang2020",),
)
def pac_bayes_flatness(view: View, delta: float) -> Outcome:
    r"""Inverse square of the weight noise that costs a tenth of training accuracy.

    .. math::
        1/\sigma^2, \qquad
        \sigma = \max\{\sigma : \mathrm{acc}(\theta) -
                 \mathrm{E}\,\mathrm{acc}(\theta + \sigma\varepsilon) \le 0.1\},
        \quad \varepsilon \sim N(0, I)

    over all weights and biases of the folded layers. The noise has standard deviation
    :math:`\sigma`; the mean is over 10 draws, the same ones for every :math:`\sigma`, which is
    found by 15 bisections of its logarithm. Accuracy is counted on at most 200 rows, drawn with a
    fixed seed.

    Shapes: inputs (n, ...), labels (n,).

    Role: ``fit``; a measure of the trained network.

    Assumptions: a chain of affine layers, 1-Lipschitz activations and pools.

    Source: Jiang et al. 2020, measure 53 [1]_ .

    When vacuous: a measure is not on the error scale.
    """
    try:
        network = chain_of(view)
    except NotCovered as error:
        return undefined(view, error)
    rng = np.random.default_rng(SEED)
    rows = rng.permutation(view.sample.n)[:ROWS]
    u = network.first_inputs(rows)
    labels = view.sample.labels[rows]
    noise = [_noise(network, rng) for _ in range(DRAWS)]
    clean = _accuracy(network, u, labels, network.layers, view.decision)

    def holds(sigma: float) -> bool:
        needed = (clean - DROP) * DRAWS
        total = 0.0
        for done, e in enumerate(noise, 1):
            total += _accuracy(network, u, labels, _moved(network, sigma, e), view.decision)
            if total >= needed or total + DRAWS - done < needed:  # the rest cannot change it
                break
        return total >= needed

    low, high = math.log(LEAST), math.log(LARGEST)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if holds(math.exp(middle)) else (low, middle)
    sigma = math.exp(low)
    details = {"sigma": sigma, "accuracy": clean, "rows": len(rows)}
    return Outcome(value=sigma**-2.0, n=view.sample.n, details=details)


def _accuracy(
    network: Network,
    u: Images,
    labels: Ints,
    layers: tuple[AffineLayer, ...],
    decision: Decision,
) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        logits = network.logits_from(u, layers)
    return float((~decision.wrong_logits(logits.astype(np.float64), labels)).mean())


def _noise(network: Network, rng: np.random.Generator) -> list[tuple[Images, Images]]:
    return [
        (
            rng.standard_normal(layer.weight.shape, dtype=np.float32),
            rng.standard_normal(len(layer.weight), dtype=np.float32),
        )
        for layer in network.layers
    ]


def _moved(
    network: Network, sigma: float, noise: list[tuple[Images, Images]]
) -> tuple[AffineLayer, ...]:
    return tuple(
        replace(
            layer,
            weight=layer.weight.astype(np.float32) + sigma * e,
            bias=None if layer.bias is None else layer.bias.astype(np.float32) + sigma * f,
        )
        for layer, (e, f) in zip(network.layers, noise, strict=True)
    )
