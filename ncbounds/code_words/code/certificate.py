"""A certificate from bytes and recounted errors; nothing else is trusted."""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Bools
from ncbounds.budgets import CONFIG_BYTES, WORD_BYTES
from ncbounds.code_words.code.codeword import Network, codec_hash, decode
from ncbounds.code_words.code.developed import assumption
from ncbounds.code_words.code.integers import predictions
from ncbounds.data.images import as_images
from ncbounds.errors import DataError, shown
from ncbounds.evidence.copies import TOLERATED
from ncbounds.files import read_bounded
from ncbounds.numerics import occam_upper
from ncbounds.results import Kind

_PART = 2000


@dataclass(frozen=True)
class Certificate:
    """What a code word guarantees about the network that it describes.

    Attributes
    ----------
    value : float
        With probability at least 1 - delta over the sample, the error is at most this.
    bits : int
        Length of the byte string, all of it.
    errors, n : int
        Errors of the decoded network on the training sample, ties included.
    delta : float
    sha256, codec_version : str, int
        Of the code word, and the version of the code that it is in.
    codec : str
        Sha256 of the source that decodes it.
    kind, assumption : str
        ``"conditional"``, and what has to be granted, where that version was developed on such
        images (see :mod:`.developed`); ``"plug-in"`` where many images repeat others, as copies do;
        elsewhere ``"certificate"``, and nothing. That the images are independent draws of one law
        is granted always: no file declares it.
    """

    value: float
    bits: int
    errors: int
    n: int
    delta: float
    sha256: str
    codec: str
    codec_version: int
    kind: Kind = "certificate"
    assumption: str = ""

    def save(self, path: Path, **facts: Any) -> None:
        """Write the certificate, with further ``facts`` for the reader, as JSON."""
        path.write_text(json.dumps({**asdict(self), **facts}, indent=2) + "\n")


def copied(images: NDArray[np.uint8], others: NDArray[np.uint8] | None = None) -> Bools:
    """Images (n, ...) that stand among ``others``, or before in their own; boolean, (n,)."""
    if others is not None:
        known = {x.tobytes() for x in others}
        return np.array([x.tobytes() in known for x in images], dtype=np.bool_)
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(x.tobytes(), i) < i for i, x in enumerate(images)])


def count_errors(network: Network, images: NDArray[np.uint8], labels: NDArray[Any]) -> int:
    """Images that the network gets wrong or cannot decide."""
    return int((predicted(network, images) != np.asarray(labels)).sum())


def predicted(network: Network, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Predictions as of :func:`.integers.predictions`, with a thread for each core.

    Sums of whole numbers are the same in any order, and NumPy lets threads work side by side.
    """
    parts = np.array_split(images, max(1, -(-len(images) // _PART)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(partial(predictions, network), parts)))


def certify(
    data: bytes,
    images: NDArray[np.uint8],
    labels: NDArray[Any],
    *,
    classes: int,
    delta: float = 0.05,
    stratified: bool = False,
) -> Certificate:
    """Decode ``data``, recount its errors on the training sample and invert the binomial tail.

    Parameters
    ----------
    data : bytes
        The code word.
    images : uint8 array (n, height, width) or (n, channels, height, width)
        All rows of the training sample, once each and as they are.
    labels : integer array (n,)
    classes : int
    delta : float in (0, 1)
    stratified : bool
        Whether class counts were fixed by design.

    Raises
    ------
    CodeWordError
        If ``data`` is not a code word.
    DataError
        If images and labels do not fit.
    """
    x = as_images(images)
    if len(x) != len(labels) or len(x) == 0:
        raise DataError(f"{len(x)} images and {len(labels)} labels; needed as many, and some")
    if not 0.0 < delta < 1.0:
        raise DataError(f"delta is a probability in (0, 1), found {delta}")
    network = decode(data, x.shape[1:], classes)
    errors, bits = count_errors(network, x, labels), 8 * len(data)
    granted, again = [assumption(network.architecture.version, x)], int(copied(x).sum())
    kind: Kind = "conditional" if granted[0] else "certificate"
    if again > TOLERATED * len(x):
        granted, kind = (
            [f"the {again} images that repeat others are no copies", *granted],
            "plug-in",
        )
    return Certificate(
        value=occam_upper(errors, len(x), bits, delta, stratified=stratified),
        bits=bits,
        errors=errors,
        n=len(x),
        delta=delta,
        sha256=hashlib.sha256(data).hexdigest(),
        codec=codec_hash(),
        codec_version=network.architecture.version,
        kind=kind,
        assumption=", and ".join(filter(None, granted)),
    )


def verify(
    path: Path,
    images: NDArray[np.uint8],
    labels: NDArray[Any],
    *,
    classes: int,
    delta: float = 0.05,
) -> tuple[Certificate, list[str]]:
    """Recount a code word, and say where a ``certificate.json`` beside it disagrees.

    Returns
    -------
    certificate : Certificate
        Computed from the bytes and the data alone.
    disagreements : list of str
        Fields in which the file beside it says something else; empty if there is no file.
    """
    found = certify(read_bounded(path, WORD_BYTES), images, labels, classes=classes, delta=delta)
    stated = path.with_name("certificate.json")
    try:
        claims = json.loads(read_bounded(stated, CONFIG_BYTES))
    except FileNotFoundError:
        return found, []
    except OSError as error:
        return found, [f"{stated} cannot be read: {error.strerror}"]
    except (ValueError, RecursionError) as error:
        return found, [f"{stated} is not JSON: {error}"]
    if not isinstance(claims, dict):
        return found, [f"{stated} holds no JSON object"]
    fields = {**asdict(found)}
    return found, [
        f"{key}: the file says {shown(claims[key])}, recounted {fields[key]}"
        for key in fields
        if key in claims and claims[key] != fields[key]
    ]
