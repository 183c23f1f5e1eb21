"""What a head and free features have to fit: groups of points of equal target, and a loss."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as sla

from ncbounds.arrays import Bools, Floats
from ncbounds.geometry.fenchel import Fenchel

#: Rounding of gains, slopes and norms, outward, as a share of them.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Task:
    """T groups of points of equal target, for C outputs.

    Attributes
    ----------
    loss : Fenchel
    target : array of shape (T, C)
    factor : array of shape (T,)
        Factor of the loss of each group.
    count : array of shape (T,)
        Points per group, all positive.
    bias : bool
        Whether a bias is free.
    """

    loss: Fenchel
    target: Floats
    factor: Floats
    count: Floats
    bias: bool

    @property
    def share(self) -> Floats:
        """Weight of the groups in the mean loss, shape (T,), without the factors."""
        share: Floats = self.count / self.count.sum()
        return share

    @property
    def root(self) -> Floats:
        """Square roots of the counts, shape (T, 1)."""
        return np.sqrt(self.count)[:, None]

    @property
    def unsettled(self) -> Bools:
        """Outputs, boolean (C,), that a free bias alone cannot settle."""
        if not self.bias:
            return np.ones(self.target.shape[1], dtype=bool)
        return ~self.loss.settled(self.target)

    def restricted(self) -> "Task":
        """Return the task on the outputs that a free bias cannot settle."""
        return replace(self, target=self.target[:, self.unsettled])

    def mean(self, values: Floats) -> float:
        """Mean over points of one number per group, times its factor."""
        return float((self.share * self.factor) @ values)

    def value(self, logits: Floats) -> float:
        """Mean loss of one row of logits per group."""
        return self.mean(self.loss.tangent(logits, self.target)[0])

    def response(self, logits: Floats) -> Floats:
        """Return the response of logits, made :meth:`allowed`."""
        return self.allowed(self.loss.tangent(logits, self.target)[1])

    @property
    def floor(self) -> float:
        """Infimum of the loss over all logits."""
        return self.gain(np.zeros_like(self.target))

    def allowed(self, u: Floats) -> Floats:
        """Return a response near ``u`` that a free bias cannot exploit."""
        if not self.bias:
            return u
        return self.loss.balance(u, self.target, self.count * self.factor)

    def columns(self, u: Floats) -> Floats:
        """Slope of the mean loss in the logits times root counts, shape (T, C)."""
        weights = np.sqrt(self.count) / self.count.sum() * self.factor
        columns: Floats = weights[:, None] * u
        return columns

    def gain(self, u: Floats) -> float:
        """Mean height of the tangents of a response."""
        return self.mean(self.loss.height(u, self.target))

    def line(self, u: Floats) -> tuple[float, float]:
        """Gain and slope: every loss with budget B is at least ``gain - slope * B``.

        ``u`` has to be :meth:`allowed`.
        """
        return self.gain(u), spectral_norm(self.columns(u))

    @property
    def idle(self) -> float:
        """Best loss without features."""
        zero = np.zeros_like(self.target)
        if self.bias:
            weights = self.share * self.factor
            return self.gain(weights @ self.target / weights.sum() - self.target)
        return self.gain(self.response(zero))

    def centred(self, logits: Floats) -> Floats:
        """Logits without what costs no budget: the bias, and a shift of all outputs."""
        if self.bias:
            logits = logits - self.share @ logits
        if self.loss.shifts:
            logits = logits - logits.mean(axis=1, keepdims=True)
        return logits

    def offset(self, logits: Floats) -> Floats:
        """Return the bias of logits: their mean over points where it is free, else zero."""
        return np.asarray(self.share @ logits) if self.bias else np.zeros(logits.shape[1])

    def cost(self, logits: Floats) -> float:
        """Least budget of these logits: a nuclear norm, rounded up."""
        weighted = self.root * self.centred(logits)
        return float(sla.svdvals(weighted).sum()) * (1 + ROUNDING)


def spectral_norm(matrix: Floats) -> float:
    """Largest singular value, from the smaller Gram matrix (its relative error is rounding)."""
    largest = float(np.abs(matrix).max(initial=0.0))
    if not largest > 0:
        return 0.0
    m = matrix / largest
    gram = m @ m.T if len(m) <= m.shape[1] else m.T @ m
    return largest * float(np.sqrt(sla.eigvalsh(gram, driver="evd")[-1]))
