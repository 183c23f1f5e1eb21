"""Find the linear head of a classifier, and make it prove itself.

The head is the last affine map whose output is the logits. Nothing is accepted by its name or its
place: every candidate, also one that the user names, is compared with the logits in float64 (see
:func:`ncbounds.checkpoints.head.agreement.agreement`).
"""

from dataclasses import dataclass, replace

from torch import Tensor, nn

from ncbounds.checkpoints.head.agreement import Agreement, unit_roundoff
from ncbounds.checkpoints.head.candidates import (
    affine_head,
    candidates,
    count_calls,
    layer_name,
    layer_names,
)
from ncbounds.checkpoints.head.reading import GIVEN, FoundHead, Reading
from ncbounds.checkpoints.head.tails import Pass, folded
from ncbounds.checkpoints.head.trace import Affine
from ncbounds.errors import HeadNotFound, NoLinearHead


@dataclass(frozen=True)
class Attempt:
    """One candidate: its layer, how it was read, and the largest difference to the logits."""

    name: str
    how: str
    max_abs_diff: float
    tolerance: float


@dataclass(frozen=True)
class HeadReport:
    """Which head was found and how exactly it reproduces the logits.

    Attributes
    ----------
    name : str
        Of the layer.
    kind : str
        How features are read from it.
    max_abs_diff, tolerance : float
        Largest ``|logits - (W f + b)|`` so far, and what was allowed there.
    rows : int
        Rows compared so far.
    tried : tuple of Attempt
    notes : tuple of str
    output : str
        Name or index of the logits among what the model returns; empty if it returns one tensor.
    """

    name: str
    kind: str
    max_abs_diff: float
    tolerance: float
    rows: int
    tried: tuple[Attempt, ...]
    notes: tuple[str, ...] = ()
    output: str = ""

    def joined(self, found: Agreement) -> "HeadReport":
        """Return the report after another batch has agreed."""
        if not found.rows:
            return self
        larger = found.max_abs_diff > self.max_abs_diff or not self.rows
        return replace(
            self,
            max_abs_diff=found.max_abs_diff if larger else self.max_abs_diff,
            tolerance=found.tolerance if larger else self.tolerance,
            rows=self.rows + found.rows,
        )


def find_head(
    module: nn.Module,
    calls: list[Affine],
    logits: Tensor,
    wanted: str | None = None,
    run: Pass | None = None,
) -> tuple[FoundHead, HeadReport]:
    """Search the affine maps of one forward pass for the head.

    Parameters
    ----------
    module : nn.Module
        For the names of layers.
    calls : list of Affine
        In order of computation, see :class:`ncbounds.checkpoints.head.trace.Tracer`.
    logits : Tensor of shape (n, C)
    wanted : str, optional
        Only maps computed by this layer.
    run : callable, optional
        Runs the same rows again under a tracer and returns the logits; with it, fixed affine maps
        behind the head are read off.

    Returns
    -------
    FoundHead, HeadReport
        Of one logit, with one row of weights.

    Raises
    ------
    NoLinearHead
        If none reproduces the logits; the message lists what was tried and what to pass.
    """
    names = layer_names(module)
    right = [c for c in calls if c.weight.shape[0] == logits.shape[1]]
    if wanted is not None:
        right = [c for c in right if wanted == layer_name(c, names) or wanted in c.owners]
    tried: list[Attempt] = []
    for found, reading in candidates(module, right, logits, names):
        result = found.check(reading)
        tried.append(Attempt(found.name, found.how, result.max_abs_diff, result.tolerance))
        if result.holds:
            found = replace(found, expected=count_calls(found, right))
            return found, _reported(found, tried, result)
    for found, reading in folded(run, calls, logits, names, wanted) if run else ():
        result = found.check(reading)
        tried.append(Attempt(found.name, found.how, result.max_abs_diff, result.tolerance))
        if result.holds:
            return found, _reported(found, tried, result)
    raise NoLinearHead(
        _explain(right, calls, logits, tried, wanted, names),
        why=f"no affine map reproduces the {logits.shape[1]} logits",
    )


def _reported(found: FoundHead, tried: list[Attempt], result: Agreement) -> HeadReport:
    report = HeadReport(found.name, found.how, 0.0, 0.0, 0, tuple(tried), found.notes)
    return report.joined(result)


def match_given(
    module: nn.Module, calls: list[Affine], reading: Reading
) -> tuple[FoundHead, HeadReport]:
    """Find the weights that turn features given by the user into logits.

    Raises
    ------
    HeadNotFound
        If no weight of the module does.
    """
    features, logits = reading.features, reading.logits
    shape = (logits.shape[1], features.shape[1])
    names = layer_names(module)
    pool = [
        (c.weight, c.bias, layer_name(c, names)) for c in reversed(calls) if c.weight.shape == shape
    ]
    for name, parameter in reversed(list(module.named_parameters())):
        if parameter.squeeze().shape == shape:
            biases = [p for p in module.parameters() if p.shape == shape[:1]]
            pool += [
                (parameter.squeeze(), b, name.removesuffix(".weight")) for b in [None, *biases]
            ]
    tried = []
    for weight, bias, name in pool:
        found = replace(affine_head(name, GIVEN, [(weight, bias)]), sources=(weight,))
        result = found.check(reading)
        tried.append(Attempt(name, GIVEN, result.max_abs_diff, result.tolerance))
        if result.holds:
            return found, HeadReport(name, GIVEN, 0.0, 0.0, 0, tuple(tried)).joined(result)
    raise HeadNotFound(
        f"no weight of the model turns the features {tuple(features.shape)} that head= returned "
        f"into its logits {tuple(logits.shape)}; tried: {_listed(tried)}. Return what the last "
        "linear layer multiplies, and its output"
    )


def _listed(tried: list[Attempt]) -> str:
    best: dict[str, Attempt] = {}
    for a in tried:
        kept = best.get(a.name)
        if kept is None or not kept.max_abs_diff <= a.max_abs_diff:
            best[a.name] = a
    lines = [
        f"{a.name} (off by {a.max_abs_diff:.3g}, allowed {a.tolerance:.2g})" for a in best.values()
    ]
    return ", ".join(lines[:10]) or "none"


def _explain(
    right: list[Affine],
    calls: list[Affine],
    logits: Tensor,
    tried: list[Attempt],
    wanted: str | None,
    names: dict[int, str],
) -> str:
    classes = logits.shape[1]
    where = f"in the layer {wanted!r} " if wanted else ""
    text = f"no affine map {where}reproduces the {classes} logits; tried: {_listed(tried)}"
    others = len(calls) - len(right)
    if others:
        text += f"; {others} more have another number of outputs or belong to other layers"
    coarse = next((c.output.dtype for c in right if _coarser(c.output, logits)), None)
    if coarse is not None:
        text += (
            f". Layers compute in {str(coarse).removeprefix('torch.')} (autocast), and their "
            "outputs are widened: take torch.autocast out of forward"
        )
    return (
        f"{text}. Pass head='layer name', or head=function, where function(batch) returns "
        "(features, logits), if the logits are one linear map of features; in any case "
        "nb.predict(classifier, loader, role) gives what counting errors takes"
    )


def _coarser(output: Tensor, logits: Tensor) -> bool:
    return unit_roundoff(output.dtype) > unit_roundoff(logits.dtype)
