"""Product of operator norms over the margin."""

import math

from ncbounds.bounds.bound import bound
from ncbounds.bounds.network._quantile import per_margin, product_formula
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
        "The Lipschitz constant of the network: a product of layer norms only limits it from "
        "above, and often from far."
    ),
    references=("jiang2020", "bartlett2017"),
    formula=product_formula,
)
def spectral_product(view: View, delta: float) -> Outcome:
    r"""Product of the layers' operator norms, divided by the margin.

    .. math::
        \prod_{i=1}^L s_i / \gamma, \qquad s_i = \|A_i\|,

    where :math:`\gamma` is the tenth percentile of the training margins, with its sign. Batch norm
    is folded; convolutions enter as operators, not as reshaped kernels, by an upper bound that is
    exact for linear layers.

    Shapes: margins (n,), one operator norm per layer.

    Role: ``fit``; a measure of the trained network.

    Assumptions: a chain of affine layers, 1-Lipschitz activations and pools.

    Source: Jiang et al. 2020, measures 31 and 32 (there squared) [1]_ ; Bartlett et al. 2017 [2]_ .

    When vacuous: a measure is not on the error scale. Undefined where the margin is not positive.
    """
    try:
        network = chain_of(view)
    except NotCovered as error:
        return undefined(view, error)
    norms = network.operator_norms
    return per_margin(view, math.prod(norms), {"operator norms": norms.tolist()})
