"""What is given, or declared, for one role or for each of several."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Ints, plain_array
from ncbounds.errors import InvalidSample
from ncbounds.evidence.roles import Role, check_role

#: A text that is a whole number of at most 64 bits, as it is written.
WHOLE = re.compile(r"0|-?[1-9][0-9]{0,19}")


def by_role(kind: str, value: Any, role: str | None) -> dict[Role, Any]:
    """Values of each role, of a mapping from role to values or of one role.

    Raises
    ------
    InvalidSample
        If the roles are said twice, or not at all.
    RoleError
        If one is unknown.
    """
    if isinstance(value, Mapping):
        if role is not None:
            raise InvalidSample(
                f"{kind} names its roles ({', '.join(map(str, value))}); leave role={role!r} out"
            )
        if not value:
            raise InvalidSample(f"{kind} names no role")
        return {check_role(str(name)): outputs for name, outputs in value.items()}
    if role is None:
        raise InvalidSample(
            f"role= says what the rows were used for, such as role='holdout'; several roles are "
            f"{kind}={{'holdout': ..., 'test': ...}}, labels={{...}}"
        )
    return {check_role(role): value}


def declared_of(roles: Iterable[Role], declared: Mapping[str, Any]) -> dict[Role, dict[str, Any]]:
    """What is declared of each role: one value for all, or a mapping from role to it.

    Raises
    ------
    RoleError
        If something is declared of a role that there is not, which would be lost.
    """
    for what in declared.values():
        for name in what if isinstance(what, Mapping) else ():
            check_role(str(name))
    out: dict[Role, dict[str, Any]] = {}
    for role in roles:
        own = {k: found for k, v in declared.items() if (found := _own(v, role)) is not None}
        among = declared.get("selected_among", 1)
        if (among.get(role, 1) if isinstance(among, Mapping) else among) is None:
            own["selected_among"] = None  # unknown, which is something else than undeclared
        out[role] = own
    return out


def identified(
    own: Mapping[str, Any], shape: tuple[int, ...], what: str
) -> tuple[dict[str, Any], NDArray[np.uint64] | None]:
    """Declarations with ids as rows of the draw, and hashes of the inputs, if they were given.

    Raises
    ------
    InvalidSample
        If either is none.
    """
    rest = dict(own)
    if (ids := rest.pop("ids", None)) is not None:
        rest["rows"] = row_ids(ids)
    hashes = rest.pop("input_hashes", None)
    if hashes is None:
        return rest, None
    hashes = np.asarray(hashes)
    if hashes.shape != shape or hashes.dtype.kind not in "iu":
        raise InvalidSample(
            f"input_hashes are {shape[0]} integers beside {what}, found {hashes.dtype} of shape "
            f"{hashes.shape}"
        )
    return rest, hashes.astype(np.uint64)


def _own(value: Any, role: str) -> Any:
    return value.get(role) if isinstance(value, Mapping) else value


def row_ids(ids: Any) -> Ints:
    """Row ids as integers: texts by a 63-bit hash, the same in every process.

    A text that is a whole number is that number: one file may have read as texts what another one
    has as numbers, and a row in two roles is found by its id.

    Raises
    ------
    InvalidSample
        If they are neither integers nor texts.
    """
    array = plain_array(ids, "ids")
    if array.ndim == 1 and array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.ndim != 1 or not all(isinstance(x, str | int) for x in array.tolist()):
        raise InvalidSample(
            f"ids are integers or texts, one a row, found {array.dtype} of shape {array.shape}"
        )
    return np.array([_row_id(str(x)) for x in array.tolist()], dtype=np.int64)


def _row_id(text: str) -> int:
    number = int(text) if WHOLE.fullmatch(text) else 2**64
    if -(2**63) <= number < 2**64:
        return (number + 2**63) % 2**64 - 2**63  # as unsigned integers become signed ones
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
