"""What the two bounds through a code word take from a view."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncbounds.bounds.view import Outcome, View
from ncbounds.errors import NotCovered
from ncbounds.evidence.roles import Role

if TYPE_CHECKING:
    from ncbounds.evidence.code_word import Compressed

#: What is said where no code word was given; the row's details then name the missing part.
NOT_GIVEN = (
    "no code word came with this classifier: `ncbounds compress` makes one, code_word = 'FILE.ncz' "
    "in zoo.toml or nb.with_code_word attaches it"
)


def code_word_of(view: View) -> "Compressed":
    """Return the decoded code word of a view.

    Raises
    ------
    NotCovered
        If there is none, or it could not be decoded.
    """
    found: Compressed | None = view.code_word
    if found is None:
        raise NotCovered(NOT_GIVEN)
    if found.reason:
        raise NotCovered(found.reason)
    return found


def predicted(word: "Compressed", role: Role, n: int) -> NDArray[np.int64]:
    """Predictions of the decoded network on the rows of a sample.

    Raises
    ------
    NotCovered
        If it was not run on exactly these rows.
    """
    found = word.on(role)
    if found is None or len(found) != n:
        rows = "no" if found is None else len(found)
        raise NotCovered(f"the decoded network was run on {rows} rows of {role}, needed {n}")
    return found


def not_decoded(view: View, reason: NotCovered) -> Outcome:
    """Return a row without a value; ``details`` say so if no code word was given at all."""
    details = {"not given": "code_word"} if view.code_word is None else {}
    return Outcome(value=np.nan, n=view.sample.n, reasons=(str(reason),), details=details)
