"""What all bounds of the family take from a view."""

import numpy as np

from ncbounds.bounds._bound import Outcome, View
from ncbounds.errors import NotCovered
from ncbounds.linear_head import Floats
from ncbounds.network.chain import Network


def chain_of(view: View) -> Network:
    """Return the network of a view.

    Raises
    ------
    NotCovered
        With the layer and the reason, or if the network was measured on other rows.
    """
    network: Network = view.network
    if not network.covered:
        raise NotCovered(network.reason)
    if view.sample.role != "fit" or network.n != view.sample.n:
        raise NotCovered(
            f"the network was measured on {network.n} rows of the fit sample, this is the "
            f"{view.sample.role} sample with {view.sample.n}"
        )
    return network


def undefined(view: View, reason: object) -> Outcome:
    """Return a row without a value."""
    return Outcome(value=np.nan, n=view.sample.n, reasons=(str(reason),))


def class_weights(view: View) -> Floats | None:
    """Class weights of the error that a row speaks about, if class counts were fixed by design."""
    return view.sample.counts / view.sample.n if view.stratified else None
