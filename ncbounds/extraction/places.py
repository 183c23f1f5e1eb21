"""Places of a network that are worth reading: outputs of its blocks, found by one trial pass."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ncbounds.checkpoints.head.passes import in_precision_of
from ncbounds.checkpoints.head.trace import first_rows, run
from ncbounds.errors import DataError, UnknownName, few, shown
from ncbounds.extraction.batches import batches, class_count
from ncbounds.extraction.stream import tensors
from ncbounds.extraction.taps import HEAD, first_output

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ncbounds.checkpoints.head.classifier import Classifier

#: Layer 0: what the network reads.
INPUT = "input"
#: Rows on which the head is found, and those of the trial pass that keeps all outputs.
ROWS, TRIAL = 32, 4


@dataclass(frozen=True)
class Places:
    """Places in the order in which a pass reaches them.

    Attributes
    ----------
    shapes : dict from a place to the shape of its output for one row
        From ``"input"``, where that is one array of numbers, to ``"head"``, what the head
        multiplies.
    nameable : int
        How many places could have been named.
    """

    shapes: dict[str, tuple[int, ...]]
    nameable: int


@dataclass
class _Trial:
    """What a pass shows of each module: outputs of those that run once, in order of their start."""

    started: list[str] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def tensors(self, rows: int) -> dict[str, "Tensor"]:
        """Outputs that features can be made of."""
        from torch import Tensor

        return {
            name: x
            for name in self.started
            if self.started.count(name) == 1
            and isinstance(x := self.outputs.get(name), Tensor)
            and x.ndim >= 2
            and len(x) == rows
            and x.numel()
            and x.is_floating_point()
        }


def find_places(
    classifier: "Classifier", loader: Any, at: str | Iterable[str] | None = None
) -> Places:
    """Find places by themselves, or by patterns of names; the input and the head go with both.

    Containers are opened: lists of modules, and modules around them. A module in a list that is
    none itself is a block, and its output a place. A plain layer is a place where a block, or a
    layer with a weight matrix, follows. What equals the input, the features of the head or the
    logits is left out, and so is what comes after the logits.

    Parameters
    ----------
    classifier : Classifier
        Its head is found on the first rows.
    loader : iterable of (inputs, labels), or a pair of arrays
    at : str or iterable of str, optional
        Names of modules or patterns such as ``"layer*"``, in place of the blocks.

    Raises
    ------
    UnknownName
        If a pattern names no module that gives features.
    DataError
        If the loader has no rows.
    """
    first = next(batches(loader, ROWS), None)
    if first is None:
        raise DataError("the loader yields no rows; a generator can be read only once")
    batch = first_rows(tensors(first[0]), ROWS)
    features, logits = classifier.features_and_logits(batch, lambda: class_count(loader))
    batch = in_precision_of(classifier.module, first_rows(batch, TRIAL))
    features, logits = features[:TRIAL], logits[:TRIAL]
    trial = _trial(classifier.module, batch)
    found = trial.tensors(len(logits))
    ends = {INPUT: batch, HEAD: features, "logits": logits}
    if at is None:
        names = list(_without_ends(_blocks(classifier.module, trial), found, ends))
    else:
        names = _matching([at] if isinstance(at, str) else list(at), found)
    shapes = {name: tuple(found[name].shape[1:]) for name in names}
    first_shape = {INPUT: tuple(batch.shape[1:])} if _numbers(batch) else {}
    last = {HEAD: tuple(features.shape[1:])}
    return Places({**first_shape, **shapes, **last}, len(found) + len(first_shape) + 1)


def _numbers(batch: Any) -> bool:
    from torch import Tensor

    return isinstance(batch, Tensor) and batch.is_floating_point() and batch.ndim >= 2


def _trial(module: "nn.Module", batch: Any) -> _Trial:
    """Run some rows through and note what starts, and what it returns."""
    import torch

    trial = _Trial()
    handles = []

    def keep(name: str, output: Any) -> None:
        # a clone, since a later in-place operation may overwrite it
        x = first_output(output)
        trial.outputs[name] = x.clone() if isinstance(x, torch.Tensor) else None

    try:
        for name, layer in module.named_modules():
            if name:
                handles += [
                    layer.register_forward_pre_hook(
                        lambda m, x, name=name: trial.started.append(name)
                    ),
                    layer.register_forward_hook(lambda m, x, y, name=name: keep(name, y)),
                ]
        with torch.no_grad():
            run(module, batch)
    finally:
        for handle in handles:
            handle.remove()
    return trial


def _blocks(module: "nn.Module", trial: _Trial) -> list[str]:
    """Names of blocks, and of plain layers before a block or a weight matrix, in order."""
    steps = dict(_steps(module, ""))
    order = [name for name in dict.fromkeys(trial.started) if name in steps]
    follows = zip(order, [*order[1:], None], strict=True)
    return [
        name
        for name, after in follows
        if not _leaf(steps[name]) or after is None or _multiplies(steps[after])
    ]


def _steps(module: "nn.Module", prefix: str) -> Iterator[tuple[str, "nn.Module"]]:
    """Blocks and plain layers, with all containers around them opened."""
    children = list(module.named_children())
    for name, child in children:
        alike = sum(type(other) is type(child) for _, other in children) > 1
        block = _is_list(module) and alike
        if _leaf(child):
            yield prefix + name, child
        elif _is_list(child) or (not block and any(map(_stack, child.modules()))):
            yield from _steps(child, f"{prefix}{name}.")
        else:
            yield prefix + name, child


def _leaf(module: "nn.Module") -> bool:
    return next(module.children(), None) is None


def _is_list(module: "nn.Module") -> bool:
    from torch import nn

    return isinstance(module, nn.Sequential | nn.ModuleList)


def _stack(module: "nn.Module") -> bool:
    """Whether a module is a list of at least two blocks."""
    return _is_list(module) and sum(not _leaf(child) for child in module.children()) > 1


def _multiplies(module: "nn.Module") -> bool:
    return not _leaf(module) or any(p.ndim > 1 for p in module.parameters())


def _without_ends(
    names: list[str], found: dict[str, "Tensor"], ends: dict[str, Any]
) -> Iterator[str]:
    """Leave out what repeats the input or the head's features, and all from the logits on."""
    for name in names:
        x = found.get(name)
        if x is None:
            continue
        if _same(x, ends["logits"]):
            return
        if not _same(x, ends[INPUT]) and not _same(x, ends[HEAD]):
            yield name


def _same(x: "Tensor", other: Any) -> bool:
    import torch

    if not isinstance(other, torch.Tensor) or x.numel() != other.numel():
        return False
    a, b = x.reshape(len(x), -1), other.reshape(len(other), -1)
    return a.shape == b.shape and torch.allclose(a.to(b.dtype), b, rtol=1e-5, atol=1e-6)


def _matching(patterns: list[str], found: dict[str, "Tensor"]) -> list[str]:
    """Names that a pattern fits, in the order of the pass."""
    for pattern in patterns:
        if pattern not in (HEAD, INPUT) and not any(fnmatchcase(n, pattern) for n in found):
            close = difflib.get_close_matches(pattern, found, n=3, cutoff=0.4)
            nearest = f"the nearest are {few(close)}" if close else f"it has {few(found)}"
            raise UnknownName(
                f"no module {shown(pattern)!r} gives features once in a pass; {nearest}"
            )
    return [name for name in found if any(fnmatchcase(name, p) for p in patterns)]
