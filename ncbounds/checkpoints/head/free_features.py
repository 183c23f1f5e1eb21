"""Whether the features that a head multiplies would be the same under other heads.

A bound that holds for all heads at once speaks about fixed features. A network that takes the
largest of several instances, or the expert that is surest, chooses its feature by the head: under
another head the features are others.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ncbounds.checkpoints.head.arithmetic import comparable
from ncbounds.checkpoints.head.reading import FoundHead, Reading, same_weights
from ncbounds.checkpoints.head.steadiness import largest, largest_change
from ncbounds.checkpoints.head.trace import Tracer, affine_parts
from ncbounds.errors import NoLinearHead, TapRefused, shown

SEED = 20


class OtherHead(Tracer):
    """Runs every affine map that has the weights of a head with other weights, and records it."""

    def __init__(self, sources: tuple[Tensor, ...]) -> None:
        shapes = {s.shape for s in sources}
        super().__init__(lambda shape: shape in shapes)
        self._sources = sources
        self.others = tuple(_other(s, SEED + i) for i, s in enumerate(sources))

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run ``func``, with another weight if it is a call of the head."""
        kwargs = kwargs or {}
        parts = affine_parts(func, args, kwargs)
        if parts is not None:
            _, source, weight, _, _ = parts
            for own, other in zip(self._sources, self.others, strict=True):
                if same_weights(comparable(weight), own):
                    new = _as_passed(func, source, other.to(source.device))
                    args = tuple(new if a is source else a for a in args)
                    kwargs = {k: new if v is source else v for k, v in kwargs.items()}
                    break
        return super().__torch_function__(func, types, args, kwargs)


def _other(weight: Tensor, seed: int) -> Tensor:
    """Random weights of the same shape and size, the same in every run."""
    noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
    size = float(weight.double().square().mean().sqrt()) or 1.0
    return (noise * size).to(weight.dtype).to(weight.device)


def _as_passed(func: Callable[..., Any], source: Tensor, weight: Tensor) -> Tensor:
    """Bring weights (C, d) into the layout in which a call takes them."""
    if func is F.linear:
        return weight
    return weight.reshape(source.shape) if source.ndim == 4 else weight.T.contiguous()


def check_free(
    found: FoundHead, first: Reading, read: Callable[[FoundHead, Tracer], Reading | None]
) -> None:
    """Raise if the features of a pass change when the weights of the head do.

    Parameters
    ----------
    found : FoundHead
    first : Reading
        Of some rows.
    read : callable
        From a head and the tracer of a pass to the reading of the same rows.

    Raises
    ------
    NoLinearHead
        If the head chooses its own features.
    TapRefused
        If the features of a tap change with it.
    """
    if not found.sources:
        return
    tracer = OtherHead(found.sources)
    got = read(replace(found, sources=tracer.others), tracer)
    same = got is not None and got.features.shape == first.features.shape
    size = largest(first.features)
    if got is None or not same or largest_change(first.features, got.features, size) > 1.0:
        raise NoLinearHead(
            f"the features that {found.name!r} multiplies are others when its weights are: the "
            "head chooses its own feature (the largest of several instances, the surest expert) or "
            "its weights serve twice. Needed is a head on features that do not depend on it: pool "
            "the features before the head",
            why=f"the head {shown(found.name)} chooses its own features",
        )
    for name, tap in first.taps.items():
        if largest_change(tap, got.taps[name], largest(tap)) > 1.0:
            raise TapRefused(
                f"the features of the tap {shown(name)!r} are others when the weights of the head "
                f"{found.name!r} are: it stands behind the head, or its weights are the head's. "
                "Name a module before the head"
            )
