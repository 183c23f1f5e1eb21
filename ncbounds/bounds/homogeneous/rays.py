"""A linear head without its bias: rays of features and rows of weights whose products are logits.

For a centre q and a scale kappa > 0, ``psi = (f - q, kappa)`` and ``V = P (W, (b + W q)/kappa)``,
with P subtracting the mean over classes, satisfy ``V psi = W f + b`` up to a number that all
classes share. So margins are those of the head, and bounds for linear maps of ``psi`` speak about
the head with its bias. Each ``psi`` and V itself may be divided by any positive number.

What such a bound says about *fresh* points has to survive rounding too: there the saved head, which
is not centred, is float64's ``W f + b``. Let U be its rows ``(|W|, (|W||q| + |b|)/kappa)``. For
every f, known or fresh, ``|W_j||f| + |b_j| <= |U_j| ||psi||``; so if the head does not predict a
label for sure (:mod:`ncbounds.evidence.decided`) in every order of its sums, the lead by V is at
most :meth:`Rays.rounding` ``||V|| ||psi||`` over some class. No bound on the size of fresh features
is needed, since both sides grow with ``psi``.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.evidence.decided import U
from ncbounds.evidence.logit_rows import LogitRows
from ncbounds.numerics.scaling import divided, exponent
from ncbounds.statistics.rows import Rows, as_rows, block_rows, blocks_of

#: Scales of the constant coordinate that a bound may choose from; ln 13 is their price.
KAPPAS: tuple[float, ...] = tuple(4.0**j for j in range(-6, 7))

#: Directions of the weights below this share of the largest singular value are left out.
RANK_TOLERANCE = 1e-10

#: Shorter rows without a constant coordinate are errors: products with them may underflow.
SHORTEST = 2.0**-600
#: Squares below this may themselves have lost digits to underflow.
LEAST_SQUARE = 2.0**-960
#: Numbers in a piece of gaps or of coordinates.
BLOCK = 500_000
#: Rounding of unit margins from which on no certificate is given.
NOTICEABLE = 1e-6
CENTRE = "centre the head, W - W.mean(axis=0) and b - b.mean(), or the features"


@dataclass(frozen=True, eq=False)
class Rays:
    """Rows ``psi`` and weights V of a head for every scale kappa.

    Attributes
    ----------
    features : Rows
        n rows in R^d as stored.
    centre : array of shape (d,)
        q, independent of the rows.
    weight : array of shape (C, d)
        Centred over classes.
    bias : array of shape (C,)
        ``b + W q``, centred over classes; zero without a constant coordinate.
    whole : pair of float
        Norms of ``|W|`` and of ``|W||q| + |b|`` for the head as it is, not centred.
    besides : pair of float
        What else a lead by the saved classifier may differ from that by V: so much per unit of
        ``||psi||``, and so much in all.
    power : int
        ``psi`` without a constant coordinate was divided by ``2**power``, and the logits with it.
    logits : LogitRows of shape (n, C)
    labels : integer array of shape (n,)
    squares : array of shape (n,)
        ``||f - q||^2``.
    constant : bool
        Whether ``psi`` has the constant coordinate.
    leads : array of shape (n,) or None
        Gaps to the best rival, where they are known beforehand.
    """

    features: Rows
    centre: Floats
    weight: Floats
    bias: Floats
    logits: LogitRows
    labels: Ints
    squares: Floats
    constant: bool
    whole: tuple[float, float]
    besides: tuple[float, float] = (0.0, 0.0)
    power: int = 0
    leads: Floats | None = None

    @classmethod
    def of(
        cls,
        features: object,
        labels: Ints,
        logits: Floats | LogitRows,
        weight: Floats,
        bias: Floats,
        *,
        centre: Floats | None = None,
        constant: bool = True,
        besides: tuple[float, float] = (0.0, 0.0),
        squares: Floats | None = None,
        leads: Floats | None = None,
    ) -> "Rays":
        """Make rays of ``features`` of shape (n, d) and a head ``weight @ f + bias``.

        ``logits`` are those of the head on ``features``, as the head itself computes them.
        ``constant=False`` is for heads that have no bias by design, with no centre. ``squares`` and
        ``leads`` are found here unless they are known.
        """
        rows = as_rows(features)
        read = logits if isinstance(logits, LogitRows) else LogitRows.of_array(logits)
        q = np.zeros(rows.shape[1]) if centre is None else centre
        power = 0
        if not constant and not rows.is_tensor and (power := exponent(rows.source)):
            rows, read = as_rows(divided(rows.source, power)), read.divided(power)
        with np.errstate(over="ignore", invalid="ignore"):
            shifted = bias + weight @ q
            offset = np.abs(bias) + np.abs(weight) @ np.abs(q)
            return cls(
                features=rows,
                centre=q,
                weight=weight - weight.mean(axis=0),
                bias=(shifted - shifted.mean()) * float(constant),
                logits=read,
                labels=labels,
                squares=squares_about(rows, q) if squares is None else squares,
                constant=constant,
                whole=(float(np.linalg.norm(weight)), float(np.linalg.norm(offset))),
                besides=besides,
                power=power,
                leads=leads,
            )

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.labels)

    @property
    def classes(self) -> int:
        """Number of outputs C of the head."""
        return len(self.weight)

    @property
    def dim(self) -> int:
        """Dimension p of ``psi``."""
        return self.features.shape[1] + int(self.constant)

    @property
    def kappas(self) -> tuple[float, ...]:
        """Scales to choose from: K, or the single 0 without a constant coordinate."""
        return KAPPAS if self.constant else (0.0,)

    @cached_property
    def usable(self) -> NDArray[np.bool_]:
        """Rows that count through their margin, boolean of shape (n,).

        The others are errors with loss 1: a feature or logit that is not finite, a squared norm
        that overflows or has lost digits to underflow, a label that the head has no output for.
        """
        known = (self.labels >= 0) & (self.labels < self.classes)
        found = known & np.isfinite(self.squares) & self.logits.finite
        if self.constant:
            return found
        with np.errstate(over="ignore", under="ignore"):
            long = np.ldexp(np.sqrt(self.squares), self.power) >= SHORTEST
        return found & long & (self.squares >= LEAST_SQUARE)

    def lengths(self, kappa: float, index: Ints | None = None) -> Floats:
        """``||psi||`` of rows ``index``, by default of every row, shape (m,)."""
        squares = self.squares if index is None else self.squares[index]
        out: Floats = np.sqrt(squares + kappa * kappa)
        return out

    def size(self, kappa: float) -> float:
        """Frobenius norm of V; 0 or not finite for a head that separates nothing."""
        total = self._weight_square
        if self.constant:
            with np.errstate(over="ignore", invalid="ignore"):
                total += float(np.sum(np.square(self.bias / kappa)))
        return float(np.sqrt(total))

    @cached_property
    def _weight_square(self) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.sum(np.square(self.weight)))

    def rounding(self, kappa: float) -> float:
        r"""Unit margin that rounding can feign or hide, for any point, known or fresh.

        :math:`u\,(4d + 176)\,\|U\|_F / \|V\|_F`: for each of the two logits of a lead, d + 64
        units of :math:`|U_j|\,\|\psi\|` are what :mod:`ncbounds.evidence.decided` asks for, d + 24
        the making of V, in that of ``b + W q``, of its centring and of its norm.
        """
        size, (weight, offset) = self.size(kappa), self.whole
        each, once = self.besides
        share, once = (offset / kappa, once / kappa) if self.constant else (0.0, 0.0)
        lost = (4 * self.features.shape[1] + 176) * U * math.hypot(weight, share) + each + once
        return lost / size if 0.0 < size < math.inf and math.isfinite(lost) else math.inf

    def refusal(self, kappas: tuple[float, ...] | None = None) -> str | None:
        """Why no certificate is given for this head; None if V is fine at some scale."""
        kappas = self.kappas if kappas is None else kappas
        sizes = [self.size(k) for k in kappas]
        if not all(LEAST_SQUARE < s * s < math.inf for s in sizes):
            return f"V is zero, lost in what all classes share, or not finite: {CENTRE}"
        least = min(self.rounding(k) for k in kappas)
        if least < NOTICEABLE:
            return None
        return (
            f"float64 rounds W f + b by up to {least:.2g} of a unit margin, because of what all "
            f"classes share: {CENTRE}"
        )

    def gaps(self, index: Ints) -> Floats:
        """``s_y - s_j`` for the rivals j of rows ``index``, all usable; shape (m, C-1)."""
        logits, labels = self.logits[index], self.labels[index]
        rows = np.arange(len(index))
        own = logits[rows, labels]
        # moving the last class into the place of the true one leaves the C-1 rivals in front
        logits[rows, labels] = logits[:, -1]
        with np.errstate(over="ignore"):
            out: Floats = own[:, None] - logits[:, :-1]
        return out

    def pieces(self, index: Ints) -> Iterator[Ints]:
        """Cut row numbers so that gaps and coordinates of a piece are few."""
        step = max(1, BLOCK // max(self.classes, self.features.shape[1]))
        return (index[i : i + step] for i in range(0, len(index), step))

    def closest(self, index: Ints) -> Floats:
        """Margins of rows ``index``, all usable: the gap to the best rival, shape (m,)."""
        if self.leads is not None:
            return self.leads[index]
        out = np.empty(len(index))
        for part in blocks(len(index), self.classes):
            out[part] = self.gaps(index[part]).min(axis=1)
        return out

    def unit_margins(self, kappa: float, margins: Floats) -> Floats:
        """``margins`` of the head on ``psi/||psi||`` with ``||V||_F = 1``; ``-inf`` if unusable."""
        out = np.full(self.n, -np.inf)
        keep = self.usable
        lengths = self.size(kappa) * self.lengths(kappa)[keep]
        out[keep] = divided(margins[keep], self.power) / lengths
        return out

    @cached_property
    def basis(self) -> Floats:
        """Orthonormal basis of the row space of the weights, shape (d, r).

        Its rank decides about tightness only: any orthogonal projector is valid.
        """
        _, values, right = np.linalg.svd(self.weight, full_matrices=False)
        rank = int((values > RANK_TOLERANCE * values[0]).sum())
        return np.ascontiguousarray(right[:rank].T)

    def coordinates(self, index: Ints) -> Floats:
        """``(f - q)`` of rows ``index`` in :attr:`basis`, shape (m, r)."""
        out: Floats = (self.features.take(index) - self.centre) @ self.basis
        return out

    @cached_property
    def apart(self) -> Floats:
        """Squared distances between rows of the weights, shape (C, C), about 1e-15 of the size."""
        square = np.einsum("ij,ij->i", self.weight, self.weight)
        out = square[:, None] + square - 2.0 * (self.weight @ self.weight.T)
        return np.asarray(np.maximum(out, 0.0))

    @cached_property
    def tilt(self) -> Floats:
        """Least-squares x with ``bias = (weight @ basis) @ x``, shape (r,)."""
        return np.asarray(np.linalg.lstsq(self.weight @ self.basis, self.bias, rcond=None)[0])


def blocks(n: int, width: int) -> list[Ints]:
    """Row numbers 0..n-1 in consecutive pieces for arrays of ``width`` columns."""
    size = block_rows(width)
    return [np.arange(i, min(i + size, n)) for i in range(0, n, size)]


def squares_about(rows: Rows, centre: Floats) -> Floats:
    """``||f - centre||^2`` of every row, shape (n,)."""
    out = np.empty(rows.shape[0])
    buffer = np.empty((min(block_rows(rows.shape[1]), rows.shape[0]), rows.shape[1]))
    for part in blocks_of(*rows.shape):
        x = rows.read(part.start, part.stop, buffer)
        with np.errstate(over="ignore", invalid="ignore"):
            x -= centre
            out[part] = np.einsum("ij,ij->i", x, x)
    return out
