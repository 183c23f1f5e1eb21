"""From a person's names for the parts of their data to roles."""

from collections.abc import Mapping
from typing import TypeVar

from ncbounds.errors import RoleError, few, shown, suggest
from ncbounds.evidence.roles import ROLES, Role, check_role

V = TypeVar("V")

#: What a part is mapped to that is not read.
LEFT_OUT = "none"
#: What parts are often called, and what such a part was mostly used for.
USUAL: Mapping[str, Role] = {
    **dict.fromkeys(("train", "training", "trainset"), "fit"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval", "calibration"), "holdout"),
    **dict.fromkeys(("testing", "testset"), "test"),
    **dict.fromkeys(("unlabeled", "unsupervised"), "unlabelled"),
}
#: What is proposed for other names, in this order.
OTHERS: tuple[Role, ...] = ("holdout", "test", "fit", "head")


def check_role_names(names: Mapping[str, str]) -> dict[str, str]:
    """Return a mapping from names to roles if it is one; ``"none"`` leaves a part out.

    Raises
    ------
    RoleError
        If a name is mapped to anything else.
    """
    for name, role in names.items():
        if role != LEFT_OUT and role not in ROLES:
            raise RoleError(
                f"{shown(name)}={shown(role)}: {shown(role)!r} is no role; "
                f"{suggest(str(role), [*ROLES])}, or {LEFT_OUT} to leave the part out"
            )
    return {str(name): str(role) for name, role in names.items()}


def by_role(
    parts: Mapping[str, V], names: Mapping[str, str], where: str, *, all_named: bool = True
) -> dict[Role, V]:
    """Return parts of data by their role.

    Parameters
    ----------
    parts : mapping from a name or a role
    names : mapping from a name to a role, or to ``"none"``
        What :func:`check_role_names` let pass; a role needs no entry.
    where : str
        What has these parts, for messages.
    all_named : bool
        Whether every entry of ``names`` has to be the name of a part.

    Raises
    ------
    RoleError
        If a name is no role and mapped to none, with the mapping to type; if two parts have one
        role; or if there is no part of a name.
    """
    found = {str(name): part for name, part in parts.items()}
    if all_named:
        for name in names:
            if name not in found:
                raise RoleError(f"{where} has no part {shown(name)!r}; {suggest(name, [*found])}")
    roles = {name: names.get(name, name) for name in found}
    unknown = [name for name, role in roles.items() if role not in (*ROLES, LEFT_OUT)]
    if unknown:
        proposed = _proposed(unknown, {r for n, r in roles.items() if n not in unknown})
        known = {n: r for n, r in names.items() if n in found}
        typed = ",".join(f"{n}={r}" for n, r in {**known, **proposed}.items())
        raise RoleError(
            f"{where} has {few(map(repr, unknown))}, and a part's role says what it was used for "
            f"({', '.join(ROLES)}). Map them, for example --roles {shown(typed)} (in Python and in "
            "a zoo.toml role_names); a part that checkpoints were chosen on is holdout only with "
            f"--selected-among, and NAME={LEFT_OUT} leaves a part out"
        )
    kept: dict[Role, V] = {}
    for name, role in roles.items():
        if role == LEFT_OUT:
            continue
        if role in kept:
            both = [n for n, r in roles.items() if r == role]
            raise RoleError(
                f"{where}: {few(map(repr, both))} are all {role}; a role is one sample: join them, "
                f"or leave one out with --roles {shown(both[-1])}={LEFT_OUT}"
            )
        kept[check_role(role)] = found[name]
    return kept


def _proposed(unknown: list[str], taken: set[str]) -> dict[str, str]:
    """A mapping that can be typed: the usual role of each name, as far as it is free."""
    proposed: dict[str, str] = {}
    for usual in (True, False):  # names that say something choose first
        for name in unknown:
            if name in proposed:
                continue
            wanted = (USUAL.get(name.lower()),) if usual else OTHERS
            free = [r for r in wanted if r is not None and r not in taken]
            if free or not usual:
                proposed[name] = free[0] if free else LEFT_OUT
                taken = taken | {proposed[name]}
    return {name: proposed[name] for name in unknown}
