"""The formula of every bound as a plain function of arrays, by the bound's id.

``formulas.cantelli_union(mean, variance)`` is what the bound ``cantelli_union`` computes from the
moments of its sample; ``help(formulas.cantelli_union)`` gives shapes. A certificate's formula is
rounded up like the row; whether its number is a certificate depends on how the arrays came about,
which only a bound can see. ``dir(formulas)`` lists those that are there: a bound whose value is
found by running a network, or by fitting a head, has none.
"""

from typing import Any

from ncbounds.bounds import catalogue, find


def __getattr__(name: str) -> Any:
    b = find(name)
    if b is None or b.formula is None:
        why = "no such bound" if b is None else "its value is no function of arrays"
        raise AttributeError(f"no formula {name!r}: {why}; there are {', '.join(__dir__())}")
    return b.formula


def __dir__() -> list[str]:
    return sorted(b.id for b in catalogue() if b.formula is not None)
