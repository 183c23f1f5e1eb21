"""Whether an affine map reproduces logits, to the rounding of the arithmetic that made them."""

from dataclasses import dataclass

import torch
from torch import Tensor

#: Multiple of the expected rounding error of a dot product that is still taken for rounding.
SPREAD = 8.0
#: Steps in which products of half precision are added up, against those of float32.
TRUNCATED = 2.0


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

    @classmethod
    def of(cls, numbers: Tensor) -> "Agreement":
        """Take the numbers of :func:`compared`, which may still be on their way to the host."""
        difference, allowed, ratio, rows = numbers.tolist()
        if not rows:
            return cls(float("nan"), float("nan"), float("inf"), 0)
        return cls(difference, allowed, ratio, int(rows))


def unit_roundoff(dtype: torch.dtype) -> float:
    """Half the distance from 1 to the next number of ``dtype``."""
    return float(torch.finfo(dtype).eps) / 2


def agreement(
    logits: Tensor,
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    spread: Tensor | None = None,
    made_in: torch.dtype | None = None,
) -> Agreement:
    r"""Compare logits with ``features @ weight.T + bias`` in float64.

    .. math::

        |l_{ic} - (W f_i + b)_c| \le 8 \sqrt{d+1}\, u\, A_{ic}
            + 4 u_\text{out} (|l_{ic}| + |b_c| + s_{ic}) + 2 \eta, \quad
        A_{ic} = \textstyle\sum_j |W_{cj} f_{ij}| + |b_c| + s_{ic}

    with u the unit roundoff of the accumulation, u_out that of the logits, and eta their smallest
    positive number, below which nothing is relative. Rounding errors of a dot product grow like the
    root of its length unless they conspire. By the precision that ran:

    - float64 and float32 accumulate in their own: u = 2^-53 and 2^-24, as long as float32 products
      are not made in TF32 (:func:`ncbounds.checkpoints.head.arithmetic.as_named`).
    - bfloat16 and float16: a product of two numbers of at most 11 bits is exact in float32, where
      the sum is kept; it is rounded once at the end, and once more where the bias is added, by
      u_out = 2^-8 and 2^-11 of what is rounded. Tensor cores add k >= 4 products at a time and cut
      off instead of rounding, an error of one sign and of at most 2^-23 A in each step, so at most
      (d / k) 2^-23 A in all. With u = 2^-23 for them the first term covers that up to d = (8 k)^2,
      1,024 at the least; beyond, what is cut off is of the running sum, which is far below A.

    Parameters
    ----------
    logits : Tensor of shape (n, C)
    features : Tensor of shape (n, d)
    weight : float64 Tensor of shape (C, d)
    bias : float64 Tensor of shape (C,)
    spread : Tensor of shape (n, C), optional
        The s above: size of intermediate results that were added up or subtracted on the way.
    made_in : dtype, optional
        Of the product, where logits were widened after it.

    Returns
    -------
    Agreement
        Rows with a non-finite feature are left out, and so are those whose logits may have left the
        range of their type. A logit that is not finite where ``W f + b`` is far within it never
        agrees.
    """
    return Agreement.of(compared(logits, features, weight, bias, spread=spread, made_in=made_in))


def compared(
    logits: Tensor,
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    spread: Tensor | None = None,
    made_in: torch.dtype | None = None,
) -> Tensor:
    """Return difference, tolerance, ratio and rows of :func:`agreement`, shape (4,), in float64.

    They stay on the device of the logits: nothing here waits for it.
    """
    f, out = features.double(), logits.double()
    known, answered = torch.isfinite(f).all(1), torch.isfinite(out).all(1)
    finite = known & answered
    f, out = torch.where(known[:, None], f, 0.0), torch.where(finite[:, None], out, 0.0)
    size = bias.abs().expand(out.shape)
    if spread is not None:
        size = size + torch.where(finite[:, None], spread.double(), 0.0)
    coarse = max((logits.dtype, made_in or logits.dtype), key=unit_roundoff)
    rounding = unit_roundoff(coarse)
    u = unit_roundoff(torch.float64 if coarse == torch.float64 else torch.float32)
    if rounding > unit_roundoff(torch.float32):
        u *= TRUNCATED
    reach = f.abs() @ weight.abs().T + size
    allowed = SPREAD * (weight.shape[1] + 1) ** 0.5 * u * reach
    allowed = allowed + 4 * rounding * (out.abs() + size) + 2 * _smallest(coarse)
    difference = torch.where(finite[:, None], (out - (f @ weight.T + bias)).abs(), 0.0)
    # a network that gives no answer where the head has one is another classifier
    lost = known & ~answered & (reach < torch.finfo(coarse).max / 2).all(1)
    difference = torch.where(lost[:, None], torch.inf, difference)
    return _largest(difference, allowed, (finite | lost).sum())


def _smallest(dtype: torch.dtype) -> float:
    """Return the smallest positive number of ``dtype``."""
    return float(torch.finfo(dtype).smallest_normal) * float(torch.finfo(dtype).eps)


def _largest(difference: Tensor, allowed: Tensor, rows: Tensor) -> Tensor:
    if not difference.numel():
        return difference.new_zeros(4)
    ratio = (difference / allowed).flatten()
    largest = ratio.max()
    worst = torch.where(largest <= 1.0, difference.flatten().argmax(), ratio.argmax()).view(1)
    shown = [x.flatten().gather(0, worst)[0] for x in (difference, allowed)]
    return torch.stack([*shown, largest, rows.double()])
