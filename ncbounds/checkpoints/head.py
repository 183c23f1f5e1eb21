"""Find the linear head of a classifier, and make it prove itself.

The head is the last affine map whose output is the logits. Nothing is accepted by its name or its
place: every candidate, also one that the user names, is compared with the logits in float64 (see
:func:`ncbounds.checkpoints.agreement.agreement`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ncbounds.checkpoints.agreement import Agreement
from ncbounds.checkpoints.reading import (
    DIRECT,
    GIVEN,
    TOKEN,
    FoundHead,
    Reading,
    ambiguous_rows,
    take,
    ways,
)
from ncbounds.checkpoints.trace import Affine
from ncbounds.errors import HeadNotFound

SCALE_ENTRIES = 8  # a fitted factor proves nothing on fewer logits


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
        Largest ``|logits - (W f + b)|`` so far, and what was allowed where it mattered most.
    rows : int
        Rows compared so far.
    tried : tuple of Attempt
    notes : tuple of str
    """

    name: str
    kind: str
    max_abs_diff: float
    tolerance: float
    rows: int
    tried: tuple[Attempt, ...]
    notes: tuple[str, ...] = ()

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
    module: nn.Module, calls: list[Affine], logits: Tensor, wanted: str | None = None
) -> tuple[FoundHead, HeadReport]:
    """Search the affine maps of one forward pass for the head.

    Parameters
    ----------
    module : nn.Module
        For the names of layers.
    calls : list of Affine
        In order of computation, see :class:`ncbounds.checkpoints.trace.Tracer`.
    logits : Tensor of shape (n, C)
    wanted : str, optional
        Only maps computed by this layer.

    Returns
    -------
    FoundHead, HeadReport

    Raises
    ------
    HeadNotFound
        If none reproduces the logits; the message lists what was tried and what to pass.
    """
    names = _names(module)
    right = [c for c in calls if c.weight.shape[0] == logits.shape[1]]
    if wanted is not None:
        right = [c for c in right if wanted == _name(c, names) or wanted in c.owners]
    tried: list[Attempt] = []
    for found, reading in _candidates(module, right, logits, names):
        result = found.check(reading)
        tried.append(Attempt(found.name, found.how, result.max_abs_diff, result.tolerance))
        if result.holds:
            found = replace(found, expected=_count(found, right))
            report = HeadReport(
                found.name, found.how, 0.0, 0.0, 0, tuple(tried), found.notes
            ).joined(result)
            return found, report
    raise HeadNotFound(_explain(right, calls, logits, tried, wanted, names))


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
    names = _names(module)
    pool = [(c.weight, c.bias, _name(c, names)) for c in reversed(calls) if c.weight.shape == shape]
    for name, parameter in reversed(list(module.named_parameters())):
        if parameter.squeeze().shape == shape:
            biases = [p for p in module.parameters() if p.shape == shape[:1]]
            pool += [
                (parameter.squeeze(), b, name.removesuffix(".weight")) for b in [None, *biases]
            ]
    tried = []
    for weight, bias, name in pool:
        found = _head(name, GIVEN, [(weight, bias)])
        result = found.check(reading)
        tried.append(Attempt(name, GIVEN, result.max_abs_diff, result.tolerance))
        if result.holds:
            return found, HeadReport(name, GIVEN, 0.0, 0.0, 0, tuple(tried)).joined(result)
    raise HeadNotFound(
        f"no weight of the model turns the features {tuple(features.shape)} that head= returned "
        f"into its logits {tuple(logits.shape)}; tried: {_listed(tried)}. Return what the last "
        "linear layer multiplies, and its output"
    )


def _candidates(
    module: nn.Module, calls: list[Affine], logits: Tensor, names: dict[int, str]
) -> Iterable[tuple[FoundHead, Reading]]:
    """Yield candidates, the plainest explanation first, the last call first within each."""
    single: list[tuple[FoundHead, Reading]] = []
    for i, call in reversed(list(enumerate(calls))):
        for how in ways(call, len(logits)):
            reading = take(call, logits, how)
            if reading is not None:
                found = _head(_name(call, names), how, [(call.weight, call.bias)])
                found = replace(
                    found, sources=(call.weight,), members=(_order(calls, i, (call.weight,)),)
                )
                if how == TOKEN and (rows := ambiguous_rows(call, logits)):
                    note = f"several positions give the same logits in {rows} of the first rows"
                    found = replace(found, notes=(note,))
                single.append((found, reading))
    yield from single
    yield from _averages(calls, logits, names)
    yield from ((f, r) for found, r in single if (f := _with_bias(module, found, r)) is not None)
    yield from ((replace(f, centred=True, notes=(*f.notes, ROW_CONSTANT)), r) for f, r in single)
    for found, reading in [*single, *_averages(calls, logits, names)]:
        factor = _factor(found, reading)
        if factor is not None:
            yield found.scaled(factor), reading


ROW_CONSTANT = "the logits agree up to one constant per row (log-softmax), which no margin sees"


def _head(name: str, how: str, maps: list[tuple[Tensor, Tensor | None]]) -> FoundHead:
    weight = torch.stack([w.detach().double() for w, _ in maps]).mean(0)
    zero = torch.zeros(len(weight), dtype=torch.float64)
    bias = torch.stack([zero if b is None else b.detach().double() for _, b in maps]).mean(0)
    return FoundHead(name, how, weight, bias, any(b is not None for _, b in maps))


def _averages(
    calls: list[Affine], logits: Tensor, names: dict[int, str]
) -> Iterable[tuple[FoundHead, Reading]]:
    """Several maps of the same feature: their mean is one map."""
    groups: list[list[int]] = []
    for i, call in enumerate(calls):
        if DIRECT not in ways(call, len(logits)):
            continue
        same = next((g for g in groups if torch.equal(calls[g[0]].input, call.input)), None)
        if same is None:
            groups.append([i])
        else:
            same.append(i)
    for group in reversed([g for g in groups if len(g) > 1]):
        members = [calls[i] for i in group]
        reading = take(members[0], logits, DIRECT)
        if reading is None:
            continue
        sources = tuple(c.weight for c in members)
        unique = list(dict.fromkeys(_name(c, names) for c in members))
        found = _head("mean of " + ", ".join(unique), DIRECT, [(c.weight, c.bias) for c in members])
        places = tuple(_order(calls, i, sources) for i in group)
        note = f"mean of {len(members)} affine maps of the same feature, folded into one"
        yield replace(found, sources=sources, members=places, notes=(note,)), reading


def _with_bias(module: nn.Module, found: FoundHead, reading: Reading) -> FoundHead | None:
    """Add a bias that was added apart from the product, if the module has it as a parameter."""
    if found.has_bias:
        return None
    rest = (reading.logits.double() - reading.features.double() @ found.weight.T).mean(0)
    fitting = [p.detach().double() for p in module.parameters() if p.shape == rest.shape]
    if not fitting:
        return None
    bias = min(fitting, key=lambda p: float((p - rest).abs().max()))
    return replace(found, bias=bias, has_bias=True)


def _factor(found: FoundHead, reading: Reading) -> float | None:
    out = reading.features.double() @ found.weight.T + found.bias
    finite = torch.isfinite(out).all(1) & torch.isfinite(reading.logits).all(1)
    out, logits = out[finite], reading.logits[finite].double()
    square = float((out * out).sum())
    if len(out) < 2 or out.numel() < SCALE_ENTRIES or square == 0.0:
        return None
    factor = float((out * logits).sum()) / square
    return factor if factor != 0.0 else None


def _order(calls: list[Affine], index: int, sources: tuple[Tensor, ...]) -> int:
    """Return the place of a call among the calls with the same weights."""
    return sum(any(torch.equal(c.weight, s) for s in sources) for c in calls[:index])


def _count(found: FoundHead, calls: list[Affine]) -> int:
    return sum(any(torch.equal(c.weight, s) for s in found.sources) for c in calls)


def _names(module: nn.Module) -> dict[int, str]:
    return {
        parameter.data_ptr(): name.removesuffix(".weight")
        for name, parameter in module.named_parameters(remove_duplicate=False)
        if parameter.ndim >= 2
    }


def _name(call: Affine, names: dict[int, str]) -> str:
    return names.get(call.source.data_ptr()) or (call.owners or ("the model itself",))[-1]


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
    if _probabilities(logits):
        text += ". The outputs are probabilities: leave the softmax out of the model"
    pair = _different_features(right, logits)
    if pair:
        a, b = (_name(c, names) for c in pair)
        text += f". The logits are the mean of {a} and {b} on different features: no single head"
    return (
        f"{text}. Pass head='layer name', or head=function, where function(batch) returns "
        "(features, logits)"
    )


def _probabilities(logits: Tensor) -> bool:
    return bool((logits >= 0).all() and ((logits.double().sum(1) - 1).abs() < 1e-3).all())


def _different_features(calls: list[Affine], logits: Tensor) -> tuple[Affine, Affine] | None:
    flat = [c for c in calls if DIRECT in ways(c, len(logits))]
    scale = float(logits.abs().max()) or 1.0
    for i, a in enumerate(flat):
        for b in flat[:i]:
            mean = (a.output.reshape(logits.shape) + b.output.reshape(logits.shape)) / 2
            if float((mean - logits).abs().max()) <= 1e-3 * scale:
                return b, a
    return None
