"""Names of the classes, where a checkpoint brings them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

#: Longest name that is kept, in characters.
LONGEST = 60


def class_names(hints: Mapping[str, Any], classes: int) -> tuple[str, ...]:
    """Return the names in ``id2label`` of a transformers configuration, in the order of the head.

    They are decoration that came with a file: what is not a name for each of ``classes`` classes is
    passed over.

    Returns
    -------
    tuple of str
        Empty if there are none; ``LABEL_0``, ``LABEL_1``, ... are numbers, not names.
    """
    config = hints.get("config")
    found = config.get("id2label") if isinstance(config, Mapping) else None
    if not isinstance(found, Mapping) or set(map(str, found)) != set(map(str, range(classes))):
        return ()
    by_number = {str(k): v for k, v in found.items()}
    return tidy([by_number[str(c)] for c in range(classes)], classes)


def tidy(raw: Sequence[Any], classes: int) -> tuple[str, ...]:
    """Return names of classes as they are shown; empty if not each of ``classes`` has one.

    Unprintable characters are dropped, and a name that several classes share gets their numbers.
    """
    if len(raw) != classes or not all(isinstance(name, str) for name in raw):
        return ()
    names = ["".join(filter(str.isprintable, name)).strip()[:LONGEST] for name in raw]
    if not all(names) or all(re.fullmatch(r"LABEL_\d+", name) for name in names):
        return ()
    shared = Counter(names)
    return tuple(f"{n} ({c})" if shared[n] > 1 else n for c, n in enumerate(names))
