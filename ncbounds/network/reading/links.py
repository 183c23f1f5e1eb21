"""From a torch module to the sequence of modules that it applies, one after the other."""

import operator
from threading import Lock, get_ident
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from ncbounds.errors import NotCovered


class Link(NamedTuple):
    """One operation of a chain: a name, a module that does it, and the shapes of its batches."""

    name: str
    module: nn.Module
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]


_AS_MODULE: dict[Any, type[nn.Module]] = {
    functional.relu: nn.ReLU,
    torch.relu: nn.ReLU,
    functional.leaky_relu: nn.LeakyReLU,
    torch.tanh: nn.Tanh,
    functional.tanh: nn.Tanh,
    functional.elu: nn.ELU,
    functional.max_pool2d: nn.MaxPool2d,
    torch.max_pool2d: nn.MaxPool2d,
    functional.avg_pool2d: nn.AvgPool2d,
    functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
}
_RESHAPES = (torch.flatten, torch.reshape, "flatten", "view", "reshape")
_ABOUT_SHAPES = ("size", getattr, operator.getitem, "dim", operator.mul, operator.floordiv)
_NEUTRAL = ("contiguous", "float", "double")


class Reshape(nn.Module):
    """Stands for any reordering-free reshape that keeps the batch."""


class Absolute(nn.Module):
    """Stands for the elementwise absolute value."""


def read_links(module: nn.Module, example: Tensor) -> list[Link]:
    """Operations of a module in eval mode, if each one takes the output of the one before.

    Parameters
    ----------
    module : nn.Module
    example : Tensor
        A few real inputs.

    Raises
    ------
    NotCovered
        If the module cannot be traced or is no chain, naming the operation.
    """
    try:
        graph = _traced(module)
        recorder = _Shapes(graph)
        with torch.no_grad():
            recorder.run(example)
    except Exception as error:
        raise NotCovered(
            f"{type(module).__name__} cannot be traced as a fixed chain of layers "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})"
        ) from None
    return _walk(graph, recorder.shapes)


#: torch traces by replacing ``nn.Module.__call__`` in the whole process, one trace at a time.
_TRACING = Lock()


class _OfOneThread(fx.Tracer):
    """A tracer that lets modules alone which other threads call meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = get_ident()

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        if get_ident() != self.thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if get_ident() != self.thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


def _traced(module: nn.Module) -> fx.GraphModule:
    with _TRACING:
        return fx.GraphModule(module, _OfOneThread().trace(module))


class _Shapes(fx.Interpreter):
    """Runs a graph and keeps the shapes of all tensors."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.shapes[n] = tuple(result.shape)
        return result


def _walk(graph: fx.GraphModule, shapes: dict[fx.Node, tuple[int, ...]]) -> list[Link]:
    inputs = [n for n in graph.graph.nodes if n.op == "placeholder"]
    if len(inputs) != 1:
        raise NotCovered(f"the network takes {len(inputs)} inputs; a chain takes one tensor")
    current = inputs[0]
    links: list[Link] = []
    for node in graph.graph.nodes:
        if node.op == "placeholder" or _is_about_shapes(node, shapes):
            continue
        if node.op == "output":
            if node.args[0] is not current:
                raise NotCovered("the network does not return the output of its last layer alone")
            return links
        tensors = [n for n in node.all_input_nodes if n in shapes]
        if tensors != [current]:
            raise NotCovered(
                f"{_describe(node)} does not read the layer before it alone; residual sums and "
                "branches are not covered"
            )
        link = Link(_name(node), _module(graph, node), shapes[current], shapes[node])
        if not isinstance(link.module, nn.Identity):
            links.append(link)
        current = node
    raise NotCovered("the network returns nothing")


def _is_about_shapes(node: fx.Node, shapes: dict[fx.Node, tuple[int, ...]]) -> bool:
    return node.target in _ABOUT_SHAPES and node not in shapes


def _name(node: fx.Node) -> str:
    return str(node.target) if node.op == "call_module" else str(node.name)


def _describe(node: fx.Node) -> str:
    what = getattr(node.target, "__name__", str(node.target))
    return f"{what!r} at {node.name!r}"


def _module(graph: fx.GraphModule, node: fx.Node) -> nn.Module:
    if node.op == "call_module":
        return graph.get_submodule(str(node.target))
    target: Any = node.target
    rest, named = node.args[1:], {k: v for k, v in node.kwargs.items() if k != "input"}
    named.pop("inplace", None)
    if target in _RESHAPES:
        return Reshape()
    if target in _NEUTRAL:
        return nn.Identity()
    if target in (torch.abs, abs, "abs"):
        return Absolute()
    if target is functional.dropout and named.get("training", rest[1] if rest[1:] else True):
        raise NotCovered(f"{_describe(node)} drops units at random in eval mode")
    if target is functional.dropout:
        return nn.Identity()
    if target in _AS_MODULE:
        named.pop("return_indices", None)
        return _AS_MODULE[target](*rest, **named)
    raise NotCovered(f"{_describe(node)} is no layer that the norm bounds are proved for")
