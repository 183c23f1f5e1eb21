"""Fixed affine maps after the head: class scales, offsets, a batch norm, a slice, a mean of heads.

What stands behind the head is read off passes in which the outputs of the head are replaced by
zeros and by unit vectors, so that its coefficients depend on no data. Whether it is one affine map
of the head's outputs, and of nothing else, is then proved as a head is: the folded map has to
reproduce the network's own logits.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ncbounds.checkpoints.head.candidates import layer_name
from ncbounds.checkpoints.head.reading import (
    DIRECT,
    POOLED,
    FoundHead,
    Reading,
    side_by_side,
    take,
    ways,
)
from ncbounds.checkpoints.head.steadiness import largest, largest_change
from ncbounds.checkpoints.head.trace import Affine, Tracer, affine_parts

#: Affine maps, from the last one on, of which each is tried as the head by itself.
LAST = 3
#: Passes that reading off one map may take.
PASSES = 64
SEED = 31

#: Runs the same rows under a tracer and returns the logits (n, C).
Pass = Callable[[Tracer], Tensor]


class Replaced(Tracer):
    """Gives some of the affine maps of a pass other outputs than their own."""

    def __init__(self, outputs: Mapping[int, Tensor]) -> None:
        super().__init__(lambda shape: False)
        self._outputs = outputs
        self._number = -1

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run ``func``, and put another output in place of a call's that is to be replaced."""
        out = super().__torch_function__(func, types, args, kwargs)
        parts = affine_parts(func, args, kwargs or {})
        if parts is None:
            return out
        self._number += 1
        other = self._outputs.get(self._number)
        if other is None:
            return out
        between = (1,) * (out.ndim - 2)
        shape = (*other.shape, *between) if parts[4] == 1 else (len(other), *between, -1)
        return other.to(device=out.device, dtype=out.dtype).reshape(shape).expand_as(out).clone()


def folded(
    run: Pass, calls: list[Affine], logits: Tensor, names: dict[int, str], wanted: str | None
) -> Iterator[tuple[FoundHead, Reading]]:
    """Yield heads with the affine maps behind them folded in, as candidates.

    Parameters
    ----------
    run : callable
        From a tracer to the logits of the same rows.
    calls : list of Affine
        All of a pass, in order.
    logits : Tensor of shape (n, C)
    names : dict
        Names of layers, see :func:`layer_names`.
    wanted : str, optional
        Only maps computed by this layer.

    Yields
    ------
    FoundHead, Reading
    """
    for places in _choices(calls, len(logits), logits.shape[1], names, wanted):
        members = [calls[i] for i in places]
        how = ways(members[0], len(logits))[-1]
        readings = [take(c, logits, how) for c in members]
        if any(r is None for r in readings):
            continue
        tail = _tail(run, places, members, logits)
        if tail is None:
            continue
        parts = [r for r in readings if r is not None]
        same = all(torch.equal(c.input, members[0].input) for c in members)
        reading = parts[0] if same else side_by_side(parts)
        yield _head(members, places, calls, how, names, tail, same), reading


def _choices(
    calls: list[Affine], rows: int, classes: int, names: dict[int, str], wanted: str | None
) -> Iterator[tuple[int, ...]]:
    """Yield sets of calls that could make the logits together, the plainest first."""
    usable = [
        i
        for i, c in enumerate(calls)
        if ways(c, rows)[-1:] in ((DIRECT,), (POOLED,))
        and (wanted is None or wanted == layer_name(c, names) or wanted in c.owners)
    ]
    if not usable:
        return
    for i in reversed(usable[-LAST:]):
        yield (i,)
    plain = [i for i in usable if ways(calls[i], rows) == (DIRECT,)]
    last = calls[plain[-1]].input if plain else None
    beside = tuple(i for i in plain if last is not None and torch.equal(calls[i].input, last))
    wide = tuple(i for i in plain if calls[i].weight.shape[0] == classes)
    yield from dict.fromkeys(c for c in (beside, wide) if len(c) > 1)


def _tail(
    run: Pass, places: tuple[int, ...], members: list[Affine], logits: Tensor
) -> tuple[Tensor, Tensor] | None:
    """Read off A (C, K) and c (C,) of the map from K outputs to the logits; None if it is none."""
    widths = [c.weight.shape[0] for c in members]
    total, n = sum(widths), len(logits)
    if -(-total // n) > PASSES:
        return None
    sizes = [largest(c.output) for c in members]
    scale = 2.0 ** torch.tensor(max(sizes) or 1.0).log2().ceil().item()

    def respond(z: Tensor) -> Tensor:
        split = torch.split(z, widths, dim=1)
        return run(Replaced(dict(zip(places, split, strict=True)))).double()

    zero = torch.zeros(n, total, dtype=torch.float64, device=logits.device)
    offset = respond(zero)
    size = max(largest(offset), largest(logits))
    if not _same(offset, offset[:1].expand_as(offset), logits, size):
        return None
    constant = offset[0]
    noise = torch.randn(n, total, generator=torch.Generator().manual_seed(SEED)).to(zero) * scale
    once, twice = respond(noise) - constant, respond(2 * noise) - constant
    if not _same(2 * once, twice, logits, max(size, largest(twice))):
        return None
    columns = []
    for k in range(0, total, n):
        unit = zero.clone()
        count = min(n, total - k)
        unit[torch.arange(count), k + torch.arange(count)] = scale
        columns.append((respond(unit)[:count] - constant) / scale)
    return torch.cat(columns).T, constant


def _same(one: Tensor, other: Tensor, logits: Tensor, size: float) -> bool:
    """Whether two responses agree to what rounding in the network's own precision explains."""
    if not bool(torch.isfinite(one).all() and torch.isfinite(other).all()):
        return False
    return largest_change(one.to(logits.dtype), other.to(logits.dtype), size) <= 1.0


def _block_diagonal(weights: list[Tensor]) -> Tensor:
    out = weights[0].new_zeros(sum(len(w) for w in weights), sum(w.shape[1] for w in weights))
    row = column = 0
    for w in weights:
        out[row : row + len(w), column : column + w.shape[1]] = w
        row, column = row + len(w), column + w.shape[1]
    return out


def _head(
    members: list[Affine],
    places: tuple[int, ...],
    calls: list[Affine],
    how: str,
    names: dict[int, str],
    tail: tuple[Tensor, Tensor],
    same: bool,
) -> FoundHead:
    matrix, constant = tail
    weights = [c.weight.detach().double() for c in members]
    zeros = [w.new_zeros(len(w)) for w in weights]
    biases = [
        z if c.bias is None else c.bias.detach().double()
        for z, c in zip(zeros, members, strict=True)
    ]
    weight = torch.cat(weights) if same else _block_diagonal(weights)
    bias = torch.cat(biases)
    unique = list(dict.fromkeys(layer_name(c, names) for c in members))
    sources = tuple(c.weight for c in members)
    known = [i for i, c in enumerate(calls) if any(torch.equal(c.weight, s) for s in sources)]
    of = " of features side by side" if not same else ""
    return FoundHead(
        name=", ".join(unique),
        how=how,
        weight=matrix @ weight,
        bias=matrix @ bias + constant,
        has_bias=any(c.bias is not None for c in members) or bool(constant.any()),
        sources=sources,
        members=tuple(known.index(i) for i in places),
        expected=len(known),
        joined=not same,
        reach=(matrix.abs() @ weight.abs(), matrix.abs() @ bias.abs() + constant.abs()),
        notes=(f"a fixed affine map after {', '.join(unique)}{of} is folded into the head",),
    )
