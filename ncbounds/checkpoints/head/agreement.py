"""Whether an affine map reproduces logits, to the rounding of the arithmetic that made them."""

from dataclasses import dataclass

import torch
from torch import Tensor

#: Multiple of the expected rounding error of a dot product that is still taken for rounding.
SPREAD = 8.0


@dataclass(frozen=True)
class Agreement:
    """How far ``W f + b`` is from the logits.

    Attributes
    ----------
    max_abs_diff : float
        Largest ``|logits - (W f + b)|`` over the rows that are finite; where they do not agree,
        the one that is the largest multiple of what is allowed for it.
    tolerance : float
        What is allowed for that one.
    ratio : float
        Largest difference as a multiple of its tolerance; at most 1 where they agree.
    rows : int
        Finite rows that were compared.
    """

    max_abs_diff: float
    tolerance: float
    ratio: float
    rows: int

    @property
    def holds(self) -> bool:
        """Whether the logits are reproduced."""
        return self.rows > 0 and self.ratio <= 1.0


def unit_roundoff(dtype: torch.dtype) -> float:
    """Half the distance from 1 to the next number of ``dtype``."""
    return float(torch.finfo(dtype).eps) / 2


def agreement(
    logits: Tensor, features: Tensor, weight: Tensor, bias: Tensor, *, spread: Tensor | None = None
) -> Agreement:
    r"""Compare logits with ``features @ weight.T + bias`` in float64.

    .. math::

        |l_{ic} - (W f_i + b)_c| \le 8 \sqrt{d+1}\, u\, A_{ic}
            + 4 u_\text{out} (|l_{ic}| + |b_c| + s_{ic}), \quad
        A_{ic} = \textstyle\sum_j |W_{cj} f_{ij}| + |b_c| + s_{ic}

    with u the unit roundoff of the accumulation (2^-24, or 2^-53 for float64 logits) and u_out that
    of the logits. Rounding errors of a dot product grow like the root of its length unless they
    conspire; half-precision products are accumulated in float32 and rounded once or twice.

    Parameters
    ----------
    logits : Tensor of shape (n, C)
    features : Tensor of shape (n, d)
    weight : float64 Tensor of shape (C, d)
    bias : float64 Tensor of shape (C,)
    spread : Tensor of shape (n, C), optional
        The s above: size of intermediate results that were added up or subtracted on the way.

    Returns
    -------
    Agreement
        Rows with a non-finite feature or logit are left out.
    """
    f, out = features.double(), logits.double()
    finite = torch.isfinite(f).all(1) & torch.isfinite(out).all(1)
    f, out = f[finite], out[finite]
    if not len(f):
        return Agreement(float("nan"), float("nan"), float("inf"), 0)
    size = bias.abs() + (0.0 if spread is None else spread.double()[finite])
    absolute = f.abs() @ weight.abs().T + size
    u = unit_roundoff(torch.float64 if logits.dtype == torch.float64 else torch.float32)
    rounding = unit_roundoff(logits.dtype)
    allowed = SPREAD * (weight.shape[1] + 1) ** 0.5 * u * absolute
    allowed = allowed + 4 * rounding * (out.abs() + size)
    return _largest((out - (f @ weight.T + bias)).abs(), allowed)


def _largest(difference: Tensor, allowed: Tensor) -> Agreement:
    tiny = torch.finfo(torch.float64).tiny  # 0 differs from 0 by nothing
    ratio = difference / allowed.clamp_min(tiny)
    largest = float(ratio.max())
    shown = int(difference.argmax() if largest <= 1.0 else ratio.argmax())
    return Agreement(
        float(difference.flatten()[shown]),
        float(allowed.flatten()[shown]),
        largest,
        len(difference),
    )
