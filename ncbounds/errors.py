"""One exception per rule that a user can break.

Every message says what was found, what was needed and what to type. All derive from
:class:`NcboundsError`, which the command line prints without a traceback.

Names that come from files are data: :func:`shown` writes them so that they cannot steer a terminal
or pretend to be another line, and no message holds a control character.
"""

import re
from collections.abc import Iterable

SHOWN_LENGTH = 200
SHOWN_NAMES = 8


def printable(text: str) -> str:
    """Return ``text`` with everything but printable characters written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(value: object, length: int = SHOWN_LENGTH) -> str:
    """Return a name that a file brought along as it stands in a message: printable, not too long.

    Parameters
    ----------
    value : object
        A name, or whatever stands where a name should be.
    length : int
        Characters at most, before escaping.
    """
    if isinstance(value, int) and value.bit_length() > 64:
        return f"a whole number of {value.bit_length()} bits"
    text = str(value)
    return printable(text if len(text) <= length else f"{text[: length - 3]}...")


def few(names: Iterable[object]) -> str:
    """Join names, the first eight of them."""
    names = list(names)
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(map(shown, names[:SHOWN_NAMES])) + more


class NcboundsError(Exception):
    """Base of all errors that are the input's fault rather than the library's.

    The message is one line without control characters, whatever was put into it.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(_one_line(a) if isinstance(a, str) else a for a in args))


class CheckpointRefused(NcboundsError):
    """The file could only be read by running code from it."""


class CheckpointUnreadable(NcboundsError):
    """The file is missing, empty, truncated, absurdly sized or of an unknown format."""


class CheckpointMismatch(NcboundsError):
    """Tensors do not fit the architecture: keys, shapes, class count or non-finite values."""


class UnknownArchitecture(NcboundsError):
    """No registered, passed or guessed architecture builds this checkpoint."""


class HeadNotFound(NcboundsError):
    """No affine layer reproduces the logits."""


class NoLinearHead(HeadNotFound):
    """The network may well classify, but not by one linear head on features of its own.

    ``why`` says so in one clause.
    """

    def __init__(self, *args: object, why: str = "no linear head was found") -> None:
        super().__init__(*args)
        self.why = why


class OutOfMemory(NcboundsError):
    """A batch does not fit on the device."""


class TapRefused(NcboundsError):
    """A named place of a network gives no features, or none that are a function of each row."""


class RoleError(NcboundsError):
    """A sample was offered for a use that its role does not allow."""


class OverlapError(RoleError):
    """The same source row has two roles."""


class MissingEvidence(NcboundsError):
    """A bound needs a sample or a part that the evidence does not hold."""


class InvalidSample(NcboundsError):
    """Arrays of a sample do not fit together or hold impossible values."""


class ManifestError(NcboundsError):
    """A manifest names something that does not exist or has a wrong type."""


class DataError(NcboundsError):
    """A data file or a user's data function is not what was needed."""


class StoreError(NcboundsError):
    """A stored feature array does not match what wrote it."""


class UnknownName(NcboundsError):
    """A bound, model or task of that name does not exist."""


class NameTaken(NcboundsError):
    """Something shipped has the name under which a thing of one's own was to be registered."""


class InvalidArgument(NcboundsError, ValueError):
    """A numeric function was given a number outside its range."""


class NotCovered(NcboundsError):
    """A layer, or the way layers are joined, is outside what the norm bounds are proved for."""


class MissingExtra(NcboundsError):
    """An optional dependency is needed for this and is not installed."""


def _one_line(text: str) -> str:
    return printable(re.sub(r"\s*[\r\n]+\s*", " ", text))


def suggest(name: str, known: "list[str]") -> str:
    """Return ``"did you mean 'x'? known: ..."`` for an unknown ``name``."""
    import difflib

    close = difflib.get_close_matches(name[:SHOWN_LENGTH], known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(sorted(known))}"
