"""What a code word's network predicts on the samples of an evidence: all that bounds read of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.budgets import WORD_BYTES
from ncbounds.code_words.code.codeword import decode
from ncbounds.code_words.code.developed import assumption
from ncbounds.code_words.code.integers import predictions
from ncbounds.data.images import as_images
from ncbounds.data.manifest import Entry
from ncbounds.errors import DataError, InvalidSample, NcboundsError
from ncbounds.evidence.code_word import Compressed
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.roles import Role, check_role
from ncbounds.files import read_bounded


def with_code_word(
    evidence: Evidence,
    word: bytes | str | Path,
    images: Mapping[Role, NDArray[np.uint8]],
    *,
    tried: int | None = None,
) -> Evidence:
    """Return the same evidence with a code word, for bounds from the training data alone.

    Parameters
    ----------
    evidence : Evidence
    word : bytes, or path of a file such as ``network.ncz``
    images : dict from role to uint8 array (n, height, width) or (n, channels, height, width)
        The raw images of the rows that samples were made of, in their order: of ``fit``, and as far
        as there are of ``unlabelled`` and ``test``.
    tried : int, optional
        Number of decoded networks that could have been compared on the unlabelled sample, a
        list complete before that was read. Unknown if not given: what is read off these
        points is then a plug-in.

    Raises
    ------
    CodeWordError
        If this is not a code word for such images and as many classes as the head has.
    DataError
        If these are no 8-bit images.
    InvalidSample
        If a sample has another number of rows than its images.
    """
    counted_rows: dict[Role, NDArray[np.uint8]] = {}
    for role, x in images.items():
        sample = evidence.sample(check_role(role))
        if sample is not None and sample.kept is not None and len(x) > sample.kept.max(initial=-1):
            x = x[sample.kept]
        if sample is not None and sample.n != len(x):
            raise InvalidSample(f"{len(x)} images for the {sample.n} rows of {role}")
        counted_rows[role] = x
    data = word if isinstance(word, bytes) else read_bounded(word, WORD_BYTES)
    return replace(
        evidence, code_word=counted(data, counted_rows, evidence.head.classes, tried=tried)
    )


def counted(
    data: bytes,
    images: Mapping[Role, NDArray[np.uint8]],
    classes: int,
    *,
    tried: int | None = None,
) -> Compressed:
    """Decode ``data`` and get ready to predict the images of every role.

    Parameters
    ----------
    data : bytes
    images : dict from role to uint8 array (n, height, width) or (n, channels, height, width)
        All rows of each sample, in its order, as they are: not standardised.
    classes : int
    tried : int, optional
        See :class:`Compressed`.

    Raises
    ------
    CodeWordError
        If ``data`` is not a code word.
    DataError
        If these are no 8-bit images.
    InvalidSample
        If samples have images of different shapes.
    """
    shapes = {as_images(x).shape[1:] for x in images.values()}
    if len(shapes) != 1:
        raise InvalidSample(f"found images of shapes {sorted(shapes)}; needed samples of one shape")
    shape: Any = shapes.pop()
    network = decode(data, shape, classes)
    return Compressed(
        bits=8 * len(data),
        predict={role: cache(partial(predictions, network, x)) for role, x in images.items()},
        tried=tried,
        sha256=hashlib.sha256(data).hexdigest(),
        assumption=assumption(
            network.architecture.version, *(x for role, x in images.items() if role != "test")
        ),
    )


def code_word_of(
    entry: Entry, images: Mapping[Role, NDArray[np.uint8] | None], classes: int
) -> Compressed | None:
    """Decode the code word of an entry for the images of its roles; None if it names none.

    One that cannot be decoded is no error here: it carries its reason, and the checkpoint's other
    rows do not depend on it.
    """
    if entry.code_word is None:
        return None
    try:
        found = {role: x for role, x in images.items() if x is not None}
        if not found:
            raise DataError("a code word reads 8-bit images; the data of this task hold 'inputs'")
        return counted(read_bounded(entry.code_word, WORD_BYTES), found, classes, tried=entry.tried)
    except OSError as error:
        return Compressed(reason=f"code word {entry.code_word.name}: {error.strerror}")
    except NcboundsError as error:
        return Compressed(reason=f"code word {entry.code_word.name}: {error}")
