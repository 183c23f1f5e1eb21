"""Bounds of the distribution family."""

from ncbounds.bounds._bound import Bound

BOUNDS: tuple[Bound, ...] = ()
