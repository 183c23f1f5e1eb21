"""Which of the things that a network returns are its logits: by name, by class count, or asked."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ncbounds.checkpoints.head.arithmetic import comparable
from ncbounds.errors import HeadNotFound, suggest

#: Names under which networks return logits, the surest first.
LOGITS = (
    *("logits", "logit", "class_logits", "cls_logits", "scores", "output", "outputs", "out"),
    *("pred", "preds", "prediction", "predictions", "y_pred", "y_hat"),
)
#: Words of a name that say that it holds features.
FEATURES = frozenset(
    (
        *("embedding", "embeddings", "embeds", "embed", "emb", "feature", "features", "feat"),
        *("feats", "hidden", "projection", "proj", "pooler", "pooled", "pool", "representation"),
        *("representations", "latent", "latents"),
    )
)
DEEPEST = 4


@dataclass(frozen=True, eq=False)
class Output:
    """A tensor among what a network returned.

    Attributes
    ----------
    name : str
        Its name or index, joined by points where containers are nested; empty if the network
        returned nothing but this.
    value : Tensor of shape (n, C)
        One row of C numbers per input row.
    """

    name: str
    value: Tensor

    @property
    def width(self) -> int:
        """The number C of numbers per row."""
        return self.value.shape[1]

    def __str__(self) -> str:
        """Say name and width, as in ``logits (5 per row)``."""
        return f"{self.name or 'the output'} ({self.width} per row)"


class Undecided(HeadNotFound):
    """Several outputs could be the logits."""

    def __init__(self, options: list[Output]) -> None:
        super().__init__(undecided(options, {}))
        self.options = options


def undecided(options: list[Output], made_by: Mapping[str, str]) -> str:
    """List outputs that could be the logits, with the heads that make them.

    Parameters
    ----------
    options : list of Output
    made_by : mapping of str to str
        For names of outputs, the layer that makes it.

    Returns
    -------
    str
    """
    lines = [f"{o}, made by {made_by[o.name]}" if o.name in made_by else str(o) for o in options]
    example = options[-1].name
    value = example if example.isdecimal() else repr(example)
    return (
        f"the model returns several things that could be the logits: {'; '.join(lines)}. Say "
        f"which: output={value} (--output {example})"
    )


def leaves(returned: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor in what a network returned, under its name."""
    if isinstance(returned, Tensor):
        yield name, returned
        return
    for key, value in _items(returned) if depth < DEEPEST else ():
        yield from leaves(value, f"{name}.{key}" if name else str(key), depth + 1)


def _items(returned: Any) -> list[tuple[Any, Any]]:
    if isinstance(returned, Mapping):
        return list(returned.items())
    if isinstance(returned, tuple) and hasattr(returned, "_fields"):
        return list(zip(returned._fields, returned, strict=True))
    if isinstance(returned, tuple | list):
        return list(enumerate(returned))
    if dataclasses.is_dataclass(returned) and not isinstance(returned, type):
        return [(f.name, getattr(returned, f.name, None)) for f in dataclasses.fields(returned)]
    return list(getattr(returned, "__dict__", {}).items())


def per_row(returned: Any, rows: int) -> list[Output]:
    """Return the outputs that hold a row of numbers for each row of the input."""
    found = []
    for name, value in leaves(returned):
        if not value.is_floating_point() or value.ndim == 0 or len(value) != rows:
            continue
        value = comparable(value)
        if value.ndim == 1:  # a squeezed logit
            found.append(Output(name, value[:, None]))
        elif value.ndim == 2 or (value.ndim == 4 and value.shape[2:] == (1, 1)):
            found.append(Output(name, value.flatten(1)))
    return found


def choose(
    returned: Any, rows: int, wanted: str | None = None, classes: int | None = None
) -> tuple[Output, tuple[str, ...]]:
    """Return the logits among what a network returned.

    A name that says so decides (``logits``, ``output``, ...), else the number of classes that the
    data have. What is called an embedding is never taken unless it is asked for.

    Parameters
    ----------
    returned : object
        What the network returned: a tensor, or tuples, mappings and objects that hold tensors.
    rows : int
        Rows n of the input.
    wanted : str, optional
        Name or index of the output to take.
    classes : int, optional
        Number of classes of the data.

    Returns
    -------
    Output
    notes : tuple of str
        What was taken and what was passed over, where there was a choice.

    Raises
    ------
    Undecided
        If several could be the logits.
    HeadNotFound
        If there are none.
    """
    options = per_row(returned, rows)
    if wanted is not None:
        return _asked(returned, rows, options, wanted)
    _check_kind(returned, rows, options)
    named = [o for o in options if not is_feature(o.name)]
    if not named:
        _refuse(returned, rows, options)
    chosen, why = _by_name(named), "its name"
    if chosen is None and len(options) == 1:
        return options[0], ()
    if chosen is None and classes is not None:
        right = [o for o in named if o.width == classes or (o.width == 1 and classes == 2)]
        chosen = right[0] if len(right) == 1 else None
        why = f"the {classes} classes of the data"
    if chosen is None:
        raise Undecided(options)
    return chosen, _choice(chosen, options, why)


def is_feature(name: str) -> bool:
    """Whether a name says that features stand under it."""
    return bool(FEATURES & set(name.lower().replace(".", "_").split("_")))


def says_logits(name: str) -> bool:
    """Whether a name says that logits stand under it."""
    return name.rpartition(".")[2].lower() in LOGITS


def _choice(chosen: Output, options: list[Output], why: str) -> tuple[str, ...]:
    rest = [str(o) for o in options if o is not chosen]
    if not rest:
        return ()
    return (f"output {chosen} taken as the logits by {why}; passed over: {', '.join(rest)}",)


def _by_name(options: list[Output]) -> Output | None:
    for name in LOGITS:
        same = [o for o in options if o.name.rpartition(".")[2].lower() == name]
        top = [o for o in same if "." not in o.name] or same
        if top:
            return top[0] if len(top) == 1 else None
    return None


def _asked(
    returned: Any, rows: int, options: list[Output], wanted: str
) -> tuple[Output, tuple[str, ...]]:
    for option in options:
        if option.name == wanted:
            return option, _choice(option, options, "what was asked for")
    shapes = {name: tuple(value.shape) for name, value in leaves(returned)}
    if wanted in shapes and wanted:
        raise HeadNotFound(
            f"the output {wanted!r} has shape {shapes[wanted]} for {rows} rows; needed are logits "
            f"of shape ({rows}, C)"
        )
    names = [o.name for o in options if o.name]
    if not names:
        raise HeadNotFound(
            f"the model returns one tensor, so there is no output {wanted!r}: leave output= out"
        )
    raise HeadNotFound(f"the model has no output {wanted!r}; {suggest(wanted, names)}")


def _check_kind(returned: Any, rows: int, options: list[Output]) -> None:
    """Refuse a list with a mapping for each row, and logits that are several for each row."""
    several = isinstance(returned, tuple | list) and len(returned) > 0
    each = several and (len(returned) == rows or not options)
    if each and all(isinstance(item, Mapping) for item in returned):
        keys = ", ".join(map(str, list(returned[0])[:4]))
        raise HeadNotFound(
            f"the model returns a list of {len(returned)} dictionaries ({keys}): a detector, whose "
            "answers are no single label per row; needed is a classifier that returns logits of "
            f"shape ({rows}, C)"
        )
    for name, value in leaves(returned):
        if says_logits(name) and _is_deep(value, rows):
            raise HeadNotFound(_per_position(f"under {name!r} ", value, rows))


def _refuse(returned: Any, rows: int, options: list[Output]) -> None:
    if options:
        raise HeadNotFound(
            f"the model returns {', '.join(map(str, options))}, features by their name; needed are "
            f"logits of shape ({rows}, C). If these are the logits: output={options[0].name!r} "
            f"(--output {options[0].name})"
        )
    found = list(leaves(returned))
    deep = [v for _, v in found if _is_deep(v, rows)]
    if deep:
        raise HeadNotFound(_per_position("", deep[0], rows))
    shapes = ", ".join(f"{name} {tuple(v.shape)}".strip() for name, v in found)
    shape = f"{type(returned).__name__} {shapes}".strip()
    raise HeadNotFound(
        f"the model returned {shape} for {rows} rows; needed are logits of shape ({rows}, C), or a "
        "tuple, mapping or object with .logits that holds them"
    )


def _is_deep(value: Tensor, rows: int) -> bool:
    """Whether a tensor holds several rows of numbers for each row of the input."""
    per_row = value.is_floating_point() and value.ndim > 2 and len(value) == rows
    return per_row and value.shape[2:] != (1, 1)


def _per_position(where: str, value: Tensor, rows: int) -> str:
    return (
        f"the model returned {where}a tensor of shape {tuple(value.shape)} for {rows} rows, "
        "numbers for each token or position (a token classifier, a segmenter), no single label "
        f"per row; needed are logits of shape ({rows}, C)"
    )
