"""What the commands ``compress`` and ``verify`` read and say."""

import json
import re
from pathlib import Path

import numpy as np

from ncbounds.code_words.code.certificate import Certificate, predicted, verify
from ncbounds.code_words.code.codeword import decode
from ncbounds.data.task import Images, listed_images, task_images
from ncbounds.errors import MissingEvidence, NcboundsError
from ncbounds.numerics import occam_upper
from ncbounds.report.cells import number

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """Seconds of a time such as ``90s``, ``30m`` or ``1.5h``.

    Raises
    ------
    NcboundsError
        If it is not one.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh])\s*", text)
    if match is None:
        raise NcboundsError(f"--budget is a time such as 90s, 30m or 2h, found {text!r}")
    return float(match[1]) * _UNITS[match[2]]


def sentence(found: Certificate) -> str:
    """Say what a certificate says, and under which assumption."""
    return (
        f"{_if(found.assumption)}{_promise(found.value, found.delta)}: "
        f"{found.errors} errors on {found.n} training images, {found.bits} bits "
        f"({found.bits // 8} bytes), code version {found.codec_version}"
    )


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
        network = decode(path.read_bytes(), fit.images.shape[1:], classes)
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


def claim(path: Path) -> str:
    """Say what a code word would guarantee if the errors that stand beside it are right."""
    stated = path.with_name("certificate.json")
    try:
        facts = json.loads(stated.read_text())
        errors, n, delta = int(facts["errors"]), int(facts["n"]), float(facts["delta"])
        value = occam_upper(errors, n, 8 * path.stat().st_size, delta)
    except (OSError, ValueError, KeyError, TypeError):
        return f"{path}: not recounted"
    # without the images nobody knows whether the code was made on them
    return (
        f"{path}: not recounted; {stated.name} claims {errors} errors on {n} training images, and "
        f"then, if its version of the code was fixed before these images were seen, "
        f"{_promise(value, delta)}"
    )


def _if(assumption: str) -> str:
    return f"if {assumption}, " if assumption else ""


def _promise(value: float, delta: float) -> str:
    shown = number(value, 4, up=True)
    return f"error of the decoded network <= {shown} with probability {1 - delta:g}"
