"""The same architecture with fresh weights: what a network is worth before it has learned."""

import copy

import torch
from torch import Tensor, nn

from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.checkpoints.head.fingerprint import code_of
from ncbounds.errors import NoLinearHead

#: Seed of fresh weights: part of what an untrained copy is.
SEED = 20_240_611
#: What layers of torch, and attention, call the drawing of their first weights.
RESETS = ("reset_parameters", "_reset_parameters")


def architecture_of(classifier: Classifier) -> str:
    """Hash that networks of one architecture share: settings, code, names and shapes."""
    shapes = [(n, tuple(t.shape)) for n, t in classifier.module.state_dict().items()]
    return f"{code_of(classifier.module)} {shapes}"


def untrained_copy(classifier: Classifier) -> Classifier:
    """Copy a classifier with weights drawn afresh, from a fixed seed, where they are drawn first.

    Every layer that draws its own weights does so again, which also forgets running statistics;
    the entries of any other tensor are shuffled, which keeps their scale and nothing else.

    Raises
    ------
    NoLinearHead
        If the head is a function, which holds a network of its own.
    """
    if callable(classifier.wanted):
        raise NoLinearHead("the head is a function, which runs the trained network")
    module = copy.deepcopy(classifier.module).cpu()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(SEED)
        for layer in module.modules():
            _redraw(layer)
    fresh = Classifier(module, classifier.wanted, classifier.output)
    return fresh.to(classifier.device)


def _redraw(layer: nn.Module) -> None:
    resets = [r for name in RESETS if callable(r := getattr(layer, name, None))]
    if resets:
        resets[0]()
        return
    for tensor in (*layer._parameters.values(), *layer._buffers.values()):
        if isinstance(tensor, Tensor) and tensor.is_floating_point():
            flat = tensor.flatten()
            tensor.copy_(flat[torch.randperm(len(flat))].view_as(tensor))
