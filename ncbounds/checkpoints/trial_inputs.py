"""Random inputs to try a network on, of a shape that is given or guessed."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ncbounds.budgets import GUESSED_NUMBERS
from ncbounds.errors import DataError

ROWS = 16
SIDES = (14, 28, 32, 64, 224)


def trial_inputs(
    module: nn.Module, hints: Mapping[str, Any], shape: Sequence[int] | None = None
) -> Iterator[Any]:
    """Yield batches to try, likeliest first.

    Parameters
    ----------
    module : nn.Module
        Its first layer says what a shape may be.
    hints : mapping
        Of the checkpoint; a config.json in them says more.
    shape : sequence of int, optional
        Of one input, without the batch; nothing else is tried then. For networks that read text:
        the number of tokens.

    Raises
    ------
    DataError
        If a batch of that shape would be absurdly large.
    """
    generator = torch.Generator().manual_seed(0)
    if shape is not None and (
        min(shape, default=0) < 1 or ROWS * math.prod(shape) > GUESSED_NUMBERS
    ):
        raise DataError(
            f"--input-shape is the shape of one input, such as 3x32x32, of at most "
            f"{GUESSED_NUMBERS // ROWS} numbers; found {'x'.join(map(str, shape))}"
        )
    config = hints.get("config")
    if isinstance(config, dict) and _is_count(config.get("vocab_size")):
        yield _tokens(config, generator, 8 if shape is None else shape[-1])
    elif isinstance(config, dict) and _is_count(config.get("num_channels")):
        sides = [config["image_size"]] if _is_count(config.get("image_size")) else [32, 224]
        options = [(config["num_channels"], side, side) for side in sides]
        for batch in _normal(options if shape is None else [shape], generator):
            yield {"pixel_values": batch}
    else:
        yield from _normal(_shapes(module) if shape is None else [shape], generator)


def _shapes(module: nn.Module) -> list[tuple[int, ...]]:
    """Shapes that the first layer may take."""
    first = next((p for p in module.parameters() if p.ndim >= 2), None)
    if first is None:
        return []
    axes = first.ndim - 2
    return [(first.shape[1], *(side,) * axes) for side in (SIDES if axes else (1,))]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 < value < 1 << 31


def _normal(shapes: Sequence[Sequence[int]], generator: torch.Generator) -> Iterator[Tensor]:
    """Random inputs of each shape that is not absurdly large, one at a time."""
    for shape in shapes:
        if ROWS * math.prod(shape) <= GUESSED_NUMBERS:
            yield torch.randn((ROWS, *shape), generator=generator)


def _tokens(
    config: Mapping[str, Any], generator: torch.Generator, length: int
) -> dict[str, Tensor]:
    special = {v for k, v in config.items() if k.endswith("_token_id") and isinstance(v, int)}
    ids = torch.randint(0, config["vocab_size"], (ROWS, length), generator=generator)
    plain = next((i for i in range(config["vocab_size"]) if i not in special), 0)
    for token in special:
        ids[ids == token] = plain
    end = config.get("eos_token_id")
    if isinstance(end, int) and config.get("is_encoder_decoder"):
        ids[:, -1] = end
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
