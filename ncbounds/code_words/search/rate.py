"""Code lengths for the search only: of a network, of single values, and smooth in the latents."""

import math

import numpy as np
import torch
from torch import Tensor

from ncbounds.code_words.code.codeword import Network, code_network
from ncbounds.code_words.code.weights import BLEND, LARGEST
from ncbounds.code_words.search.student import Student


def tensor_costs(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Bits of a 0 and of a non-zero (without sign and size) at every place of one tensor.

    The blend is that of the code, with the final counts.
    """
    nonzero = (codes != 0).double()
    count, total = nonzero.numel(), float(nonzero.sum())
    own = (total + 0.5) / (count + 1)
    if codes.ndim < 3:
        likely = torch.full_like(nonzero, own)
    else:
        near = torch.zeros_like(nonzero)
        far = 0.0
        for axis in range(3):
            others = tuple(i for i in range(3) if i != axis)
            near = near + nonzero.sum(dim=others, keepdim=True)
            far += count / codes.shape[axis]
        likely = (BLEND * own + near) / (BLEND + far)
    likely = likely.clamp(1e-3, 1 - 1e-3)
    return -torch.log2(1 - likely), -torch.log2(likely)


def size_costs(codes: list[Tensor]) -> list[float]:
    """Bits of sign and size of a code of absolute value 1, 2, ... under the current counts."""
    sizes = torch.cat([c.flatten().abs() for c in codes])
    sizes = sizes[sizes > 0]
    # three questions "larger?": after 1, after 2, and one that is asked again and again
    asked = [(sizes >= 1).sum(), (sizes >= 2).sum(), (sizes.clamp(2, LARGEST - 1) - 2).sum()]
    yes = [(sizes >= 2).sum(), (sizes >= 3).sum(), (sizes.clamp_min(3) - 3).sum()]
    costs, paid = [], 1.0
    for size in range(1, LARGEST + 1):
        which = min(size, 3) - 1
        p = (float(yes[which]) + 0.5) / (float(asked[which]) + 1)
        costs.append(paid - math.log2(1 - p) if size < LARGEST else paid)
        paid -= math.log2(p)
    return costs


def value_costs(codes: Tensor, sizes: list[float]) -> Tensor:
    """Bits of every value from -LARGEST to LARGEST at every place of one tensor, last axis.

    ``sizes`` as of :func:`size_costs`.
    """
    zero, one = tensor_costs(codes)
    ladder = torch.tensor([sizes[abs(v) - 1] if v else 0.0 for v in range(-LARGEST, LARGEST + 1)])
    costs = one[..., None] + ladder.double()
    costs[..., LARGEST] = zero
    return costs.float()


class _Length:
    """A channel that only adds up what is said."""

    def __init__(self) -> None:
        self.bits = 0.0

    def bit(self, value: int, ones: int, total: int) -> int:
        self.bits -= math.log2((ones if value else total - ones) / total)
        return value


def code_length(network: Network) -> float:
    """Bits that ``network`` needs before they are rounded up to whole bytes."""
    length = _Length()
    code_network(length, network, network.shape, network.classes)
    return length.bits + 8  # the check byte


class Rate:
    """Penalty in bits, linear between neighbouring integers; refresh it now and then."""

    def __init__(self, student: Student) -> None:
        self.refresh(student)

    def refresh(self, student: Student) -> None:
        """Take the counts of the student's present codes."""
        codes = student.codes()
        self.sizes = torch.tensor(size_costs(codes), dtype=torch.float32)
        self.costs = [tuple(c.float() for c in tensor_costs(code)) for code in codes]

    def bits(self, student: Student) -> Tensor:
        """Interpolated bits of all latents, with gradient."""
        total = torch.zeros(())
        for p, (zero, one), kept in zip(
            student.all_latents(), self.costs, student.kept, strict=True
        ):
            size = p.abs()
            first = zero + (one + self.sizes[0] - zero) * size
            beyond = self.sizes[0] + (self.sizes[1] - self.sizes[0]) * (size - 1) + one
            total = total + (torch.where(size < 1, first, beyond) * kept).sum()
        return total


def nonzeros(network: Network) -> int:
    """Number of codes that are not 0."""
    return int(sum(np.count_nonzero(c) for c in (*network.codes, *network.biases)))
