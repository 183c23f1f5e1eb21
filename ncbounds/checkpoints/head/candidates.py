"""Explanations of the logits by the affine maps of a forward pass, the plainest first."""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from ncbounds.checkpoints.head.arithmetic import comparable
from ncbounds.checkpoints.head.reading import (
    DIRECT,
    TOKEN,
    FoundHead,
    Reading,
    ambiguous_rows,
    same_weights,
    take,
    ways,
)
from ncbounds.checkpoints.head.trace import Affine

SCALE_ENTRIES = 8  # a fitted factor proves nothing on fewer logits
ROW_CONSTANT = "the logits agree up to one constant per row (log-softmax), which no margin sees"


def candidates(
    module: nn.Module, calls: list[Affine], logits: Tensor, names: dict[int, str]
) -> Iterable[tuple[FoundHead, Reading]]:
    """Yield candidates, the plainest explanation first, the last call first within each."""
    single: list[tuple[FoundHead, Reading]] = []
    for i, call in reversed(list(enumerate(calls))):
        for how in ways(call, len(logits)):
            reading = take(call, logits, how)
            if reading is not None:
                found = affine_head(layer_name(call, names), how, [(call.weight, call.bias)])
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
    if logits.shape[1] > 1:  # of one logit per row, the constant would be all
        for found, reading in single:
            yield replace(found, centred=True, notes=(*found.notes, ROW_CONSTANT)), reading
    for found, reading in [*single, *_averages(calls, logits, names)]:
        factor = _factor(found, reading)
        if factor is not None:
            yield found.scaled(factor), reading


def affine_head(name: str, how: str, maps: list[tuple[Tensor, Tensor | None]]) -> FoundHead:
    """Return the mean of affine maps, in float64, as a candidate."""
    weight = torch.stack([comparable(w.detach()).double() for w, _ in maps]).mean(0)
    zero = torch.zeros(len(weight), dtype=torch.float64, device=weight.device)
    bias = torch.stack(
        [zero if b is None else comparable(b.detach()).double() for _, b in maps]
    ).mean(0)
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
        unique = list(dict.fromkeys(layer_name(c, names) for c in members))
        found = affine_head(
            "mean of " + ", ".join(unique), DIRECT, [(c.weight, c.bias) for c in members]
        )
        places = tuple(_order(calls, i, sources) for i in group)
        note = f"mean of {len(members)} affine maps of the same feature, folded into one"
        yield replace(found, sources=sources, members=places, notes=(note,)), reading


def _with_bias(module: nn.Module, found: FoundHead, reading: Reading) -> FoundHead | None:
    """Add a bias that was added apart from the product, if the module has it as a parameter."""
    if found.has_bias:
        return None
    rest = (reading.logits.double() - reading.features.double() @ found.weight.T).mean(0)
    fitting = [
        comparable(p.detach()).double() for p in module.parameters() if p.shape == rest.shape
    ]
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
    return sum(any(same_weights(c.weight, s) for s in sources) for c in calls[:index])


def count_calls(found: FoundHead, calls: list[Affine]) -> int:
    """Count the calls that use the weights of a candidate."""
    return sum(any(same_weights(c.weight, s) for s in found.sources) for c in calls)


def layer_names(module: nn.Module) -> dict[int, str]:
    """Return the names of layers by the address of their weight."""
    return {
        parameter.data_ptr(): name.removesuffix(".weight")
        for name, parameter in module.named_parameters(remove_duplicate=False)
        if parameter.ndim >= 2
    }


def layer_name(call: Affine, names: dict[int, str]) -> str:
    """Name the layer of a call: by its weight, else by the layer that was running."""
    return names.get(call.source.data_ptr()) or (call.owners or ("the model itself",))[-1]
