"""Product of Frobenius norms over the margin."""

import math

from ncbounds.bounds.bound import bound
from ncbounds.bounds.network._quantile import per_margin, product_formula
from ncbounds.bounds.network._read import chain_of, undefined
from ncbounds.bounds.view import Outcome, View
from ncbounds.errors import NotCovered
from ncbounds.network.norms import frobenius_norm


@bound(
    family="network",
    kind="measure",
    role="fit",
    target="saved",
    requires=("head", "network"),
    confused_with=(
        "What weight decay shrinks: layers are taken as matrices, where a kernel counts once for "
        "every output position, and after batch norm is folded in."
    ),
    references=("jiang2020",),
    formula=product_formula,
)
def frobenius_product(view: View, delta: float) -> Outcome:
    r"""Product of the Frobenius norms of the layers as matrices, divided by the margin.

    .. math::
        \prod_{i=1}^L \|A_i\|_F / \gamma,

    where :math:`A_i` is the matrix of layer i without its bias (a convolution's kernel place counts
    once for every output position at which it falls inside the input) and :math:`\gamma` the tenth
    percentile of the training margins, with its sign.

    Shapes: margins (n,), one norm per layer.

    Role: ``fit``; a measure of the trained network.

    Assumptions: a chain of affine layers, 1-Lipschitz activations and pools.

    Source: Jiang et al. 2020, measures 36 and 37 (there squared, and of kernels) [1]_ .

    When vacuous: a measure is not on the error scale. Undefined where the margin is not positive.
    """
    try:
        network = chain_of(view)
    except NotCovered as error:
        return undefined(view, error)
    norms = [frobenius_norm(layer) for layer in network.layers]
    return per_margin(view, math.prod(norms), {"Frobenius norms": norms})
