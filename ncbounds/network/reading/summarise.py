"""From a classifier and its training inputs to what norm bounds read."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import NotCovered
from ncbounds.evidence.head import LinearHead
from ncbounds.network.network import COMPARED_ROWS, COMPARED_SHARE, Network

if TYPE_CHECKING:
    from torch import nn


def summarise(
    module: "nn.Module",
    head: LinearHead,
    inputs: NDArray[Any],
    *,
    reference: "nn.Module | None" = None,
) -> Network:
    """Read a module in eval mode layer by layer and check that the chain reproduces its logits.

    Nothing expensive is done here: norms, and the sizes of intermediate layers on the inputs, are
    computed when they are first asked for.

    Parameters
    ----------
    module : nn.Module
    head : LinearHead
        The verified head, which has to be the last layer.
    inputs : array of shape (n, ...)
        Inputs of the ``fit`` sample: all its rows, in its order, without augmentation.
    reference : nn.Module, optional
        The network at its true initialisation, independent of the sample. A later checkpoint makes
        every bound that uses it worthless.

    Returns
    -------
    Network
        If a layer is not covered, without layers and with the reason.
    """
    try:
        network = _read(module, inputs)
        _check_head(network, head)
        if reference is not None:
            network = network.with_reference(_read(reference, inputs))
    except NotCovered as error:
        return Network(layers=(), inputs=inputs, reason=str(error))
    return network


def _read(module: "nn.Module", inputs: NDArray[Any]) -> Network:
    import torch

    from ncbounds.network.reading.layers import read_chain

    if inputs.dtype.kind != "f":
        raise NotCovered(f"inputs of type {inputs.dtype} are not real vectors")
    few = inputs[:COMPARED_ROWS]
    dtype = next((p.dtype for p in module.parameters()), torch.float32)
    example = torch.from_numpy(np.array(few)).to(dtype)
    training = module.training
    module.eval()
    try:
        before, layers = read_chain(module, example)
        with torch.no_grad():
            expected = module(example).double().numpy()
    finally:
        module.train(training)
    network = Network(layers=layers, before=before, inputs=inputs)
    with np.errstate(invalid="ignore", over="ignore"):
        found = network.logits(few.astype(np.float64))
        scale = float(np.abs(expected).max(initial=0.0))
        off = float(np.abs(found - expected).max(initial=0.0)) if len(few) else 0.0
    if found.shape != expected.shape or off > COMPARED_SHARE * scale:
        raise NotCovered(f"the chain of layers is off the network's logits by {off:.3g}")
    return network


def _check_head(network: Network, head: LinearHead) -> None:
    last = network.layers[-1]
    bias = np.zeros(head.classes) if last.bias is None else last.bias
    same = last.single and last.weight[:, :, 0, 0].shape == head.weight.shape
    if not same or not (
        np.allclose(last.weight[:, :, 0, 0], head.weight, rtol=1e-6, atol=0.0, equal_nan=True)
        and np.allclose(bias, head.bias, rtol=1e-6, atol=0.0, equal_nan=True)
    ):
        raise NotCovered(f"the verified head is not the last affine layer, {last.name!r}")
