"""How far training moved the weights."""

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
    references=("jiang2020",),
)
def distance_to_initialisation(view: View, delta: float) -> Outcome:
    r"""Euclidean distance of all weights and biases from the stored initialisation.

    .. math::
        \|\theta - \theta_0\|_2

    over the parameters of the folded layers. Undefined without an initialisation, which has to be
    given where the network is read; it is not guessed.

    Shapes: one kernel and bias per layer.

    Role: ``fit``; the sample itself is not read.

    Assumptions: a chain of affine layers, 1-Lipschitz activations and pools.

    Source: Jiang et al. 2020, measure 40 (there squared) [1]_ .

    When vacuous: a measure is not on the error scale.
    """
    try:
        network = chain_of(view)
    except NotCovered as error:
        return undefined(view, error)
    if network.reference is None:
        return undefined(view, "no initialisation was given")
    each = [
        float(np.sqrt((w**2).sum() + (0.0 if b is None else (b**2).sum())))
        for w, b in network.offsets()
    ]
    return Outcome(value=float(np.linalg.norm(each)), n=view.sample.n, details={"by layer": each})
