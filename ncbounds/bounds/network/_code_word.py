"""What the two bounds through a code word take from a view."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncbounds.bounds._bound import View
from ncbounds.errors import NotCovered

if TYPE_CHECKING:
    from ncbounds.network.compress.counted import Compressed


def code_word_of(view: View) -> "Compressed":
    """Return the decoded code word of a view's network.

    Raises
    ------
    NotCovered
        If the network comes without one.
    """
    found: Compressed | None = getattr(view.network, "compressed", None)
    if found is None:
        raise NotCovered("no code word came with this network; `ncbounds compress` makes one")
    return found


def predicted(word: "Compressed", role: str, n: int) -> NDArray[np.int64]:
    """Predictions of the decoded network on the rows of a sample.

    Raises
    ------
    NotCovered
        If it was not counted on exactly these rows.
    """
    found = word.predictions.get(role)
    if found is None or len(found) != n:
        rows = "no" if found is None else len(found)
        raise NotCovered(f"the decoded network was run on {rows} rows of {role}, needed {n}")
    return np.asarray(found)
