"""What all bounds of the family take from a view."""

import numpy as np

from ncbounds.bounds.view import Outcome, View
from ncbounds.errors import NotCovered
from ncbounds.network.network import COMPARED_ROWS, COMPARED_SHARE, Network


def chain_of(view: View) -> Network:
    """Return the network of a view.

    Raises
    ------
    NotCovered
        With the layer and the reason, or if the network was measured on other rows or is not that
        of the head.
    """
    network: Network = view.network
    if not network.covered:
        raise NotCovered(network.reason)
    if view.sample.role != "fit" or network.n != view.sample.n:
        raise NotCovered(
            f"the network was measured on {network.n} rows of the fit sample, this is the "
            f"{view.sample.role} sample with {view.sample.n}"
        )
    _check_same(view, network)
    return network


def _check_same(view: View, network: Network) -> None:
    """Margins come from head and sample, norms from the network: see that they belong together."""
    rows = np.unique(np.linspace(0, network.n - 1, COMPARED_ROWS).astype(np.int64))
    expected = view.sample.logit_rows(view.head)[rows]
    with np.errstate(invalid="ignore", over="ignore"):
        found = network.logits(network.inputs[rows].astype(np.float64))
    finite = np.abs(expected[np.isfinite(expected)])
    near = COMPARED_SHARE * float(finite.max(initial=0.0))
    if found.shape != expected.shape or not np.allclose(
        found, expected, rtol=0.0, atol=near, equal_nan=True
    ):
        raise NotCovered("the network gives other logits than the head on the fit sample's rows")


def undefined(view: View, reason: object) -> Outcome:
    """Return a row without a value."""
    return Outcome(value=np.nan, n=view.sample.n, reasons=(str(reason),))
