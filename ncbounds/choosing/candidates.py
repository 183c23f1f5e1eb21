"""What is chosen among: taps of networks, what is measured at them, heads that are fitted there."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

#: Where features come from: a checkpoint, its architecture with fresh weights, or no network.
Origin = Literal["checkpoint", "untrained", "raw"]


@dataclass(frozen=True, eq=False)
class Tap:
    """Features of the same n rows at one layer of one network.

    Attributes
    ----------
    checkpoint : str
        For an untrained copy: the checkpoint whose architecture it has. Raw inputs have none.
    layer : str
        Place of the network.
    features : array of shape (n, d)
        Possibly memory-mapped; a view where the layer has more coordinates.
    dim : int
        Coordinates of the layer for one row.
    origin : {"checkpoint", "untrained", "raw"}
    last : bool
        Whether it is what the head of the network multiplies.
    weights : str
        Hash of the network's weights, by which it is known again.
    """

    checkpoint: str
    layer: str
    features: NDArray[Any]
    dim: int
    origin: Origin = "checkpoint"
    last: bool = False
    weights: str = ""


@dataclass(frozen=True, eq=False)
class Layer:
    """What is measured at one tap, on the rows that heads are fitted on.

    Attributes
    ----------
    checkpoint, layer, origin, dim, last, weights
        As of :class:`Tap`.
    view : int
        Coordinates of the features: ``dim``, or so many hashes.
    nc1, vci, logme : float
        Measures; see :mod:`ncbounds.geometry`. nan where undefined, ``reasons`` say why.
    leave_one_out : mapping from head to float
        Estimates of its error.
    reasons : tuple of str
    """

    checkpoint: str
    layer: str
    origin: Origin
    dim: int
    view: int
    last: bool
    weights: str
    nc1: float
    vci: float
    logme: float
    leave_one_out: Mapping[str, float]
    reasons: tuple[str, ...] = ()

    @property
    def least(self) -> float:
        """Least leave-one-out error of its heads; infinite where there is none."""
        return min((e for e in self.leave_one_out.values() if not math.isnan(e)), default=math.inf)

    @property
    def network(self) -> str:
        """Where the features come from, in words."""
        if self.origin == "raw":
            return "raw inputs"
        return f"untrained {self.checkpoint}" if self.origin == "untrained" else self.checkpoint


@dataclass(frozen=True, eq=False)
class Candidate:
    """One head on one layer of one network.

    Attributes
    ----------
    place : Layer
    head : str
        Name of the procedure that fits it.
    """

    place: Layer
    head: str

    @property
    def leave_one_out(self) -> float:
        """Estimate of its error from the rows that it is fitted on."""
        return self.place.leave_one_out[self.head]

    def __str__(self) -> str:
        """Name it: ``ridge on features.4 of a.pt``."""
        if self.place.origin == "raw":
            return f"{self.head} on raw inputs"
        return f"{self.head} on {self.place.layer} of {self.place.network}"
