"""Code words beside the images that they are recounted on."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ncbounds.budgets import CONFIG_BYTES, WORD_BYTES
from ncbounds.code_words.code.certificate import Certificate, predicted, verify
from ncbounds.code_words.code.codeword import decode
from ncbounds.data.task import Images, listed_images, task_images
from ncbounds.errors import MissingEvidence, NcboundsError
from ncbounds.files import read_bounded
from ncbounds.numerics import occam_upper


class Claimed(NamedTuple):
    """What the file beside a code word says, and what the code word would guarantee then."""

    errors: int
    n: int
    delta: float
    value: float


def recount(
    path: Path, samples: dict[str, Images], delta: float, classes: int | None = None
) -> tuple[Certificate, list[str]]:
    """Verify a code word, and say what else the data show.

    ``classes`` is the number that labels are drawn from; by default as many as occur.

    Raises
    ------
    MissingEvidence
        If there is no labelled sample of role ``fit``.
    CodeWordError
        If the file is not a code word.
    """
    fit = samples.get("fit")
    if fit is None or fit.labels is None:
        raise MissingEvidence("verify needs the labelled training sample, role 'fit'")
    # labels, or their number, are part of the task and known before any sample
    classes = classes or int(fit.labels.max()) + 1
    found, disagreements = verify(path, fit.images, fit.labels, classes=classes, delta=delta)
    lines = [f"certificate.json: {text}" for text in disagreements]
    test = samples.get("test")
    if test is not None and test.labels is not None and len(test.labels):
        network = decode(read_bounded(path, WORD_BYTES), fit.images.shape[1:], classes)
        wrong = predicted(network, test.images) != test.labels
        lines.append(f"measured on {len(wrong)} test images: {float(np.mean(wrong)):.4f}")
    return found, lines


def word_images(
    path: Path, data: str | None, rows: str | None = None
) -> tuple[dict[str, Images], int | None]:
    """Samples to recount a code word on, and the number of classes if a manifest says it.

    Raises
    ------
    NcboundsError
        If there is no such file, or neither ``data`` nor a manifest that names it.
    DataError
        If the data cannot be read.
    """
    if not path.exists():
        raise NcboundsError(f"{path} does not exist")
    if data is not None:
        return task_images(data, rows), None
    found = listed_images(path)
    if found is None or rows is not None:
        why = "no zoo.toml near it names it" if found is None else "--rows goes with --data"
        raise NcboundsError(f"{path}: {why}; pass --data FOLDER, --data FILE.npz or FILE.py:LOAD")
    return found


def claimed(path: Path) -> Claimed | None:
    """Read the errors that ``certificate.json`` beside a code word claims; the value follows.

    None if there is no such file, or it says nothing that could be so.
    """
    try:
        facts = json.loads(read_bounded(path.with_name("certificate.json"), CONFIG_BYTES))
        errors, n, delta = int(facts["errors"]), int(facts["n"]), float(facts["delta"])
        value = occam_upper(errors, n, 8 * path.stat().st_size, delta)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return Claimed(errors, n, delta, value)
