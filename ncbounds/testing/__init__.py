"""Worlds with known error, and the contract that every bound keeps.

:func:`check_bound` runs the contract battery on any bound, also on one of your own;
:func:`worlds` gives the laws that its coverage simulation draws from.
"""

from ncbounds.claims.claim import Truth
from ncbounds.testing.contract import check_bound, check_coverage
from ncbounds.testing.coverage import Tally, coverage
from ncbounds.testing.violations import ContractViolation
from ncbounds.testing.worlds.world import Drawn, Population, World
from ncbounds.testing.worlds.worlds import worlds

__all__ = [
    "ContractViolation",
    "Drawn",
    "Population",
    "Tally",
    "Truth",
    "World",
    "check_bound",
    "check_coverage",
    "coverage",
    "worlds",
]
