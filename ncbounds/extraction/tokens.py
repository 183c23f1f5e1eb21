"""One row of numbers from the tokens of a text or an image: their mean, or one of them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ncbounds.errors import DataError, shown

if TYPE_CHECKING:
    from torch import Tensor

MEAN = "mean"
#: Positions by name: the class token stands first, the last one is the last that is no padding.
NAMED = (MEAN, "class", "last")


class NoSuchToken(ValueError):
    """Tokens of some rows have no such position; the message says so without its subject."""


def check_token(token: object) -> str:
    """Return which token is meant, as text.

    Raises
    ------
    DataError
        If it is none of ``"mean"``, ``"class"``, ``"last"`` and no position 0, 1, ...
    """
    word = str(token)
    if isinstance(token, bool) or not (word in NAMED or (word.isdecimal() and word.isascii())):
        raise DataError(
            f"token={shown(token)!r}; needed is 'mean', 'class' (the first), 'last', or a position "
            "0, 1, ..."
        )
    return word


def of_tokens(x: "Tensor", batch: Any, token: str = MEAN) -> "Tensor":
    """Mean of the tokens (n, t, d) that are no padding, or one of them, as (n, d).

    Positions that ``attention_mask`` of the batch marks as padding are left out: how long the
    padding is depends on the rows beside a row.

    Raises
    ------
    NoSuchToken
        If a row has no such token, or it is not known which positions are padding.
    """
    import torch

    real = _real(x, batch)
    if token == MEAN:
        return x.mean(1) if real is None else _mean(x, real)
    if token == "last":
        if real is None:
            return x[:, -1].clone()
        last = x.shape[1] - 1 - real.flip(1).to(torch.int8).argmax(1)
        return x[torch.arange(len(x), device=x.device), last]
    at = 0 if token == "class" else int(token)
    if at >= x.shape[1] or (real is not None and not bool(real[:, at].all())):
        raise NoSuchToken(
            f"returns {tuple(x.shape)}, where position {at} is padding in some row, or missing"
        )
    return x[:, at].clone()


def _real(x: "Tensor", batch: Any) -> "Tensor | None":
    """Positions that are no padding, (n, t); None where all are."""
    mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
    if mask is None or mask.ndim != 2 or bool((mask != 0).all()):
        return None
    if mask.shape != x.shape[:2]:
        raise NoSuchToken(
            f"returns {tuple(x.shape)} where the attention mask is {tuple(mask.shape)}: which "
            "positions are padding is not known"
        )
    found: Tensor = (mask != 0).to(x.device)
    return found


def _mean(x: "Tensor", real: "Tensor") -> "Tensor":
    import torch

    wide = torch.promote_types(x.dtype, torch.float32)  # a sum in half precision overflows
    total = torch.where(real[..., None], x, 0).sum(1, dtype=wide)
    mean: Tensor = (total / real.sum(1, keepdim=True).clamp_min(1)).to(x.dtype)
    return mean
