"""Bounds of the holdout family."""

from ncbounds.bounds._bound import Bound

BOUNDS: tuple[Bound, ...] = ()
