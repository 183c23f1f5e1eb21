"""What packed data may ask for."""

from ncbounds.budgets import ARRAY_BYTES, UNPACKED
from ncbounds.errors import DataError, shown


def check_unpacked(needed: int, size: int, path: object) -> None:
    """Refuse a small file that unpacks into something large."""
    if needed > (allowed := max(ARRAY_BYTES, UNPACKED * size)):
        raise DataError(
            f"{path} has {size} bytes and asks for {shown(needed)} when it is unpacked; at most "
            f"{allowed} are"
        )


def said(error: Exception) -> str:
    """What an error says, in one phrase."""
    words = error.strerror if isinstance(error, OSError) else None
    return words or str(error) or type(error).__name__
