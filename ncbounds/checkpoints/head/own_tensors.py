"""Which stored tensors are a plain head's alone: no feature depends on them, nothing comes after.

A plain head is one product whose output the network returns as it is. Refitted heads of one network
then differ in these tensors only, and what they give is known from the features.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ncbounds.checkpoints.head.reading import DIRECT, FoundHead
from ncbounds.checkpoints.head.trace import affine_parts

#: What reads no number of a tensor; getters of attributes beside.
_OUTSIDE = (
    Tensor.size,
    Tensor.dim,
    Tensor.t,
    Tensor.detach,
    Tensor.numel,
    Tensor.is_floating_point,
)


class Uses(TorchFunctionMode):
    """Notes whether tensors of a head are used elsewhere, or what it gives is used at all."""

    def __init__(self, weights: set[int], biases: set[int]) -> None:
        super().__init__()
        self._weights, self._watched = weights, weights | biases
        self._outputs: list[Any] = []
        self.elsewhere = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run ``func`` and look at what it takes."""
        kwargs = kwargs or {}
        parts = affine_parts(func, args, kwargs)
        if parts is not None and _storage(parts[1]) in self._weights:
            self._look(parts[0])
            output = func(*args, **kwargs)
            self._outputs.append(output)  # kept, so that nothing else comes to stand there
            self._watched |= {_storage(output)}
            return output
        if getattr(func, "__name__", "") != "__get__" and func not in _OUTSIDE:
            self._look([args, kwargs])
        return func(*args, **kwargs)

    def _look(self, taken: Any) -> None:
        self.elsewhere |= any(_storage(t) in self._watched for t in _tensors(taken))


def own_tensors(
    module: nn.Module, found: FoundHead, run: Callable[[TorchFunctionMode], object]
) -> frozenset[str]:
    """Names, in the state of a network, of weights and biases that only its head uses.

    Parameters
    ----------
    module : nn.Module
    found : FoundHead
        Of which it is known that its features do not change with it.
    run : callable
        Runs a pass over some rows under a function mode.

    Returns
    -------
    frozenset of str
        Empty where the head is not a plain one, a weight has several names or is computed from
        others, or a pass uses one in any other way.
    """
    plain = found.how == DIRECT and len(found.sources) == 1 == found.expected
    if not plain or found.centred or found.joined or found.binary or found.reach is not None:
        return frozenset()
    state = {n: t for n, t in module.state_dict(keep_vars=True).items() if isinstance(t, Tensor)}
    places = {name: _storage(tensor) for name, tensor in state.items()}
    weights, biases = dict[str, int](), dict[str, int]()
    for source in found.sources:
        own = _storage(source)
        names = [name for name, place in places.items() if place == own != 0]
        if len(names) != 1:
            return frozenset()
        weights[names[0]] = places[names[0]]
        bias = f"{names[0].removesuffix('weight')}bias"
        if bias != names[0] and [*places.values()].count(places.get(bias, 0)) == 1:
            biases[bias] = places[bias]
    uses = Uses({*weights.values()}, {*biases.values()})
    run(uses)
    return frozenset() if uses.elsewhere else frozenset(weights | biases)


def _storage(tensor: Any) -> int:
    """Address of what a tensor is a view of; 0 for what has none."""
    try:
        return int(tensor.untyped_storage().data_ptr())
    except (AttributeError, NotImplementedError, RuntimeError):
        return 0


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)
