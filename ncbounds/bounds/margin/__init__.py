"""Bounds of the margin family."""

from ncbounds.bounds._bound import Bound

BOUNDS: tuple[Bound, ...] = ()
