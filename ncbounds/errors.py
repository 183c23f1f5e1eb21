"""One exception per rule that a user can break.

Every message says what was found, what was needed and what to type. All derive from
:class:`NcboundsError`, which the command line prints without a traceback.
"""


class NcboundsError(Exception):
    """Base of all errors that are the input's fault rather than the library's."""


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


class NotCovered(NcboundsError):
    """A layer, or the way layers are joined, is outside what the norm bounds are proved for."""


class MissingExtra(NcboundsError):
    """An optional dependency is needed for this and is not installed."""


def suggest(name: str, known: "list[str]") -> str:
    """Return ``"did you mean 'x'? known: ..."`` for an unknown ``name``."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(sorted(known))}"
