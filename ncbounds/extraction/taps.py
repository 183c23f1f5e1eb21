"""Named places of a network at which features are read: modules, and how outputs are pooled."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ncbounds.depth.hashing import COORDINATES, hash_plan
from ncbounds.errors import DataError, TapRefused, UnknownName, few, shown
from ncbounds.extraction.tokens import MEAN, NoSuchToken, check_token, of_tokens

if TYPE_CHECKING:
    from torch import Tensor, nn

#: The last tap: what the head multiplies.
HEAD = "head"
Pool = str | int
#: Signed hashing of a whole output to 512 coordinates; ``"hash:1000"`` to as many.
HASH = "hash"
At = str | Iterable[str] | Mapping[str, Pool]


@dataclass(frozen=True)
class Pooling:
    """From the output of a module to features of shape (n, d), one row for each input row.

    Attributes
    ----------
    name : str
        Of the module, for messages.
    pool : "average", "hash" or int
        Average over all positions, hash what there is, or average to p x p positions. Behind ``@``
        stands which token is taken in place of their mean: ``"average@class"``, ``"hash@last"``.
    """

    name: str
    pool: Pool

    def __call__(self, output: Any, batch: Any) -> "Tensor":
        """Pool an output (n, d), (n, t, d) or (n, c, height, width, ...).

        Of several outputs the first is taken, as blocks of transformers return it before their
        attention weights. Tokens (n, t, d) are taken as :func:`of_tokens` does.

        Raises
        ------
        TapRefused
            If the output has another form.
        """
        from torch.nn.functional import adaptive_avg_pool2d

        x = self._checked(first_output(output), batch)
        size = hash_size(self.pool)
        if size is not None:
            return _hashed(x.flatten(1) if x.ndim != 3 else self._over_tokens(x, batch), size)
        if x.ndim == 2:
            return x.clone()  # a later in-place operation may overwrite it
        if split_pool(self.pool)[0] == "average":
            return x.flatten(2).mean(2) if x.ndim > 3 else self._over_tokens(x, batch)
        if x.ndim != 4:
            raise self._refused(
                f"returns {tuple(x.shape)}, which is no image to average to {self.pool} x "
                f'{self.pool}; use "average" there'
            )
        side = int(self.pool)
        if side > min(x.shape[2:]):
            raise self._refused(
                f"returns images of {x.shape[2]} x {x.shape[3]}, too small to average to "
                f"{self.pool} x {self.pool}"
            )
        pooled: Tensor = adaptive_avg_pool2d(x, side).flatten(1)
        return pooled

    def _checked(self, output: Any, batch: Any) -> "Tensor":
        from torch import Tensor

        from ncbounds.checkpoints.head.trace import rows_of

        if not isinstance(output, Tensor):
            raise self._refused(
                f"returns a {type(output).__name__}; needed is a tensor, alone or the first of a "
                "tuple: name a module inside or after it"
            )
        found, n = f"{tuple(output.shape)} of {output.dtype}", rows_of(batch)
        if output.ndim < 2 or len(output) != n or not output.numel():
            raise self._refused(
                f"returns {found} for {n} rows; needed is (n, d), (n, tokens, d) or "
                f"(n, channels, height, width) with n = {n}"
            )
        if not output.is_floating_point():
            raise self._refused(f"returns {found}; needed are floating-point numbers")
        return output.detach()

    def _over_tokens(self, x: "Tensor", batch: Any) -> "Tensor":
        try:
            return of_tokens(x, batch, split_pool(self.pool)[1])
        except NoSuchToken as error:
            raise self._refused(str(error)) from None

    def _refused(self, what: str) -> TapRefused:
        return TapRefused(f"the module {shown(self.name)!r} {what}")


def first_output(output: Any) -> Any:
    """Return what a module gives, of several things the first."""
    return output[0] if isinstance(output, tuple | list) and len(output) else output


def split_pool(pool: Pool) -> tuple[Pool, str]:
    """Return a pooling without its token, and the token: ``"hash@last"`` is a hash of the last."""
    kind, at, token = str(pool).partition("@")
    return (kind, token) if at else (pool, MEAN)


def declared_taps(module: "nn.Module", at: At, pool: Pool) -> dict[str, Pooling]:
    """Return the pooling of each named place, in the order in which they were named.

    Parameters
    ----------
    module : nn.Module
    at : str, iterable of str, or mapping of str to pool
        Names of modules, or ``"head"`` for what the head multiplies.
    pool : "average", "hash" or int
        For all of them where ``at`` is no mapping.

    Raises
    ------
    UnknownName
        If the network has no module of a name.
    DataError
        If no place is named, or a pool is none.
    """
    if isinstance(at, Mapping):
        if pool != "average":
            raise DataError(f"pool={pool!r} beside at={{name: pool}}; give each place its own")
        places = dict(at)
    else:
        places = dict.fromkeys([at] if isinstance(at, str) else at, pool)
    if not places:
        raise DataError('at= names no place; needed are names of modules, as in at=("head",)')
    known = [name for name, _ in module.named_modules(remove_duplicate=False) if name]
    for name, value in places.items():
        if name != HEAD and name not in known:
            raise UnknownName(_unknown(str(name), known))
        kind, token = split_pool(value)
        check_token(token)
        pooled = kind == "average" or hash_size(value) is not None
        if not pooled and (type(value) is not int or value < 1):
            raise DataError(
                f'pool={value!r} for {shown(name)!r}; needed is "average", or p for p x p, or '
                '"hash", the words with "@class" or "@last" for one token'
            )
    return {name: Pooling(name, value) for name, value in places.items()}


def hash_size(pool: Pool) -> int | None:
    """Coordinates of ``"hash"`` or ``"hash:1000"``; None for another pooling."""
    pool, _ = split_pool(pool)
    if not isinstance(pool, str):
        return None
    kind, _, size = pool.partition(":")
    if kind != HASH or (size and not (size.isdecimal() and int(size))):
        return None
    return int(size) if size else COORDINATES


def _hashed(x: "Tensor", size: int) -> "Tensor":
    """Rows (n, d) hashed as :func:`ncbounds.depth.hashing.sign_hash` does, at least in float32."""
    import torch

    if x.shape[1] <= size:
        return x.clone()
    dtype = torch.promote_types(x.dtype, torch.float32)
    order, signs = _plan(x.shape[1], size, dtype, x.device)
    terms = x.index_select(1, order).to(dtype).mul_(signs)
    found: Tensor = terms.view(len(x), -1, size).sum(1)
    return found


@lru_cache(maxsize=64)
def _plan(dim: int, size: int, dtype: Any, device: Any) -> tuple["Tensor", "Tensor"]:
    import torch

    order, signs = hash_plan(dim, size)
    return torch.tensor(order, device=device), torch.tensor(signs, dtype=dtype, device=device)


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    nearest = f"the nearest are {few(close)}" if close else f"it has {few(known)}"
    return (
        f"the model has no module {shown(name)!r}; {nearest}. All of them: "
        "[name for name, _ in classifier.module.named_modules()]"
    )
