"""How far training moved the weights."""

from collections.abc import Iterable

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.network._read import chain_of, undefined
from ncbounds.bounds.view import Outcome, View
from ncbounds.errors import NotCovered


def distance_formula(offsets: "Iterable[tuple[Floats, Floats | None]]") -> float:
    """Euclidean norm of all offsets.

    Parameters
    ----------
    offsets : iterable of pairs of arrays
        Per layer the change of the kernel, of any shape, and of the bias (None: no bias).
    """
    return float(np.linalg.norm(_by_layer(offsets)))


def _by_layer(offsets: "Iterable[tuple[Floats, Floats | None]]") -> list[float]:
    return [float(np.sqrt((w**2).sum() + (0.0 if b is None else (b**2).sum()))) for w, b in offsets]


@bound(
    family="network",
    kind="measure",
    role="fit",
    target="saved",
    requires=("head", "network"),
    confused_with=(
        "The distance from an early checkpoint: only the true initialisation serves as the "
        "reference."
    ),
    references=("jiang2020",),
    formula=distance_formula,
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
    each = _by_layer(network.offsets())
    return Outcome(value=float(np.linalg.norm(each)), n=view.sample.n, details={"by layer": each})
