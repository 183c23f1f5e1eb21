"""Roles: what a sample was used for decides what it may be used for."""

from typing import Literal, get_args

from ncbounds.errors import InvalidSample, RoleError, suggest

Role = Literal["fit", "head", "holdout", "unlabelled", "target", "test"]
Sampling = Literal["iid", "stratified", "unknown"]
Repeats = Literal["by chance", "copies"]

ROLES: tuple[Role, ...] = get_args(Role)
#: Roles whose labels are read by no statement, so that there need be none.
LABELS_OPTIONAL: frozenset[Role] = frozenset({"unlabelled", "target"})
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)
REPEATS: tuple[Repeats, ...] = get_args(Repeats)

#: For each role, the roles it may stand in for: anything weaker, never anything stronger.
SERVES: dict[Role, frozenset[Role]] = {
    "fit": frozenset({"fit"}),
    "head": frozenset({"head", "fit"}),
    "holdout": frozenset({"holdout", "head", "fit", "unlabelled"}),
    "unlabelled": frozenset({"unlabelled"}),
    "target": frozenset({"target"}),
    "test": frozenset({"test"}),
}

#: What the features and the head may depend on, in words that tables can show.
DEPENDENCE: dict[Role, str] = {
    "fit": "the features were fitted on this sample",
    "head": "the head was fitted on this sample",
    "holdout": "neither features nor head depend on this sample",
    "unlabelled": "its labels are not read",
    "target": "it is a draw of another law",
    "test": "it measures the error and nothing else",
}


def check_role(role: str) -> Role:
    """Return ``role`` if it is one of :data:`ROLES`.

    Raises
    ------
    RoleError
        Otherwise, naming the known roles.
    """
    if role not in ROLES:
        raise RoleError(f"unknown role {role!r}; {suggest(role, list(ROLES))}")
    return role


def check_repeats(repeats: str | None) -> Repeats | None:
    """Return ``repeats`` if it is one of :data:`REPEATS`, or None.

    Raises
    ------
    InvalidSample
        Otherwise.
    """
    if repeats is None or repeats in REPEATS:
        return repeats
    raise InvalidSample(
        "repeats is 'by chance' (the law has points that repeat), 'copies' (each point counts "
        f"once) or left out, found {repeats!r}"
    )


def serves(role: Role, wanted: Role) -> bool:
    """Whether a sample of ``role`` meets the hypothesis of a statement that asks for ``wanted``."""
    return wanted in SERVES[role]


#: For each role, the roles whose points it may not contain: what its hypothesis is fixed by.
APART: dict[Role, tuple[Role, ...]] = {
    "fit": (),
    "head": ("fit",),
    "holdout": ("fit", "head"),
    "unlabelled": ("fit", "head"),
    "target": ("fit", "head"),
    "test": ("fit", "head"),
}
