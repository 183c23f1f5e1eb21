"""The one layout of zip archive that ``torch.save`` writes.

A zip archive can be described in several ways at once: by its directory, by the headers before its
members, by a second end record for large files, by a comment or an offset that one reader follows
and another ignores. Two readers of such a file can see different members. So everything but the
plain layout is refused: members one after the other, then one directory, then
the records of its end, with nothing between, before or after.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ncbounds.budgets import MEMBERS, TENSORS

_LOCAL, _ENTRY = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I")
_END, _END64, _LOCATOR = struct.Struct("<4s4H2IH"), struct.Struct("<4sQ2H2I4Q"), "<4sIQI"
_FULL = 0xFFFFFFFF
_ENCRYPTED = 0x2041  # encrypted, strongly encrypted, masked headers


class NotPlain(Exception):
    """The archive is not laid out as ``torch.save`` does it; says how."""


class Truncated(NotPlain):
    """The end of the archive is missing."""


@dataclass(frozen=True)
class Member:
    """A file in the archive: ``size`` bytes from ``start``, packed where ``unpacked`` differs."""

    name: str
    start: int
    size: int
    unpacked: int
    packed: bool


def members(data: memoryview) -> dict[str, Member]:
    """Return the members of a zip archive by name.

    Parameters
    ----------
    data : memoryview of bytes
        The whole archive.

    Returns
    -------
    dict of str to Member
        Their ranges do not overlap and lie inside of ``data``.

    Raises
    ------
    NotPlain
        If the layout is not the plain one, or two names could be taken for each other.
    """
    count, start, stop = _directory(data)
    if count > MEMBERS + TENSORS:
        raise NotPlain(f"it has {count} members, at most {MEMBERS + TENSORS} are read")
    found: dict[str, Member] = {}
    seen: set[str] = set()
    for member in _entries(data, count, start, stop):
        if member.name.lower() in seen:  # torch's reader does not tell case apart
            raise NotPlain(f"its member {member.name!r} is there twice")
        seen.add(member.name.lower())
        found[member.name] = member
    return found


def _is(data: memoryview, at: int, magic: bytes) -> bool:
    return data[at : at + len(magic)].tobytes() == magic


def _directory(data: memoryview) -> tuple[int, int, int]:
    """Number of entries, first and last byte of the directory."""
    at = len(data) - _END.size
    if at < 0 or not _is(data, at, b"PK\x05\x06"):
        raise Truncated
    _, disk, first_disk, here, count, size, start, comment = _END.unpack_from(data, at)
    stop = at
    locator = at - struct.calcsize(_LOCATOR)
    if locator >= _END64.size and _is(data, locator, b"PK\x06\x07"):
        stop = locator - _END64.size
        small = (here, count, size, start)
        _, disk64, where, disks = struct.unpack_from(_LOCATOR, data, locator)
        magic, length, _, _, disk, first_disk, *large = _END64.unpack_from(data, stop)
        if magic != b"PK\x06\x06" or where != stop or length != _END64.size - 12 or disk64:
            raise NotPlain("its two end records are not one after the other")
        full = (0xFFFF, 0xFFFF, _FULL, _FULL)
        if any(a not in (b, f) for a, b, f in zip(small, large, full, strict=True)):
            raise NotPlain("its two end records contradict each other")
        here, count, size, start = large
        disk += disks not in (0, 1)
    if disk or first_disk or here != count or comment:
        raise NotPlain("it is split, or has a comment")
    if start + size != stop:
        raise NotPlain(
            f"its directory is said to end at byte {start + size}, its end records begin at {stop}"
        )
    return count, start, stop


def _entries(data: memoryview, count: int, start: int, stop: int) -> Iterator[Member]:
    at, free = start, 0
    for _ in range(count):
        if at + _ENTRY.size > stop or not _is(data, at, b"PK\x01\x02"):
            raise NotPlain(f"its directory does not hold the {count} entries that it declares")
        fields = _ENTRY.unpack_from(data, at)
        flags, method, packed, size = fields[3], fields[4], fields[8], fields[9]
        name_length, extra_length, comment, disk, offset = *fields[10:14], fields[16]
        at += _ENTRY.size
        raw = bytes(data[at : at + name_length])
        extra = bytes(data[at + name_length : at + name_length + extra_length])
        at += name_length + extra_length
        if at > stop or comment or disk or flags & _ENCRYPTED:
            raise NotPlain("an entry of its directory is cut, encrypted or has a comment")
        size, packed, offset = _large(size, packed, offset, extra)
        name = _name(raw)
        begin = _local(data, raw, name, offset, method)
        if offset < free or (offset and not free) or begin + packed > start:
            raise NotPlain(
                f"its members declare {packed} bytes for {name!r} from byte {begin} of {len(data)},"
                " where they cannot be"
            )
        free = begin + packed
        yield Member(name, begin, packed, size, bool(method) or size != packed)
    if at != stop:
        raise NotPlain(f"its directory holds more than the {count} entries that it declares")


def _large(size: int, packed: int, offset: int, extra: bytes) -> tuple[int, int, int]:
    """Sizes beyond four bytes stand in an extra field, in this order."""
    values, found, at = [size, packed, offset], b"", 0
    fields = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            found, fields = extra[at + 4 : at + 4 + length], fields + 1
        at += 4 + length
    missing = [i for i, value in enumerate(values) if value == _FULL]
    if at != len(extra) or fields > 1 or (missing and len(found) < 8 * len(missing)):
        raise NotPlain("an extra field of its directory is damaged")
    if fields and not missing:
        raise NotPlain("an entry of its directory gives its sizes twice")
    for place, i in enumerate(missing):
        values[i] = struct.unpack_from("<Q", found, 8 * place)[0]
    return values[0], values[1], values[2]


def _local(data: memoryview, raw: bytes, name: str, offset: int, method: int) -> int:
    """First byte of a member, by the header before it, which must be that of the same member."""
    if offset + _LOCAL.size > len(data) or not _is(data, offset, b"PK\x03\x04"):
        raise NotPlain(f"its member {name!r} is not where its directory says")
    fields: tuple[int, ...] = _LOCAL.unpack_from(data, offset)
    name_length, extra_length = fields[9], fields[10]
    begin = offset + _LOCAL.size
    if bytes(data[begin : begin + name_length]) != raw or fields[3] != method:
        raise NotPlain(f"its member {name!r} is called something else where it stands")
    return begin + name_length + extra_length


def _name(raw: bytes) -> str:
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise NotPlain(f"its member {raw!r} has no name that can be read") from None
    if "\0" in name or "\\" in name:
        raise NotPlain(f"its member {name!r} has a name that readers take differently")
    return name
