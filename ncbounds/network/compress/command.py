"""What the commands ``compress`` and ``verify`` read and say."""

import re
from pathlib import Path

import numpy as np

from ncbounds.errors import MissingEvidence, NcboundsError

from .certificate import Certificate, verify
from .codeword import decode
from .integers import predictions
from .tasks import Images

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
    """Say what a certificate says."""
    return (
        f"error of the decoded network <= {found.value:.4f} with probability {1 - found.delta:g}: "
        f"{found.errors} errors on {found.n} training images, {found.bits} bits "
        f"({found.bits // 8} bytes), code version {found.codec_version}"
    )


def recount(path: Path, samples: dict[str, Images], delta: float) -> tuple[Certificate, list[str]]:
    """Verify a code word, and say what else the data show.

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
    if not path.exists():
        raise NcboundsError(f"{path} does not exist")
    # labels, or their number, are part of the task and known before any sample
    classes = int(fit.labels.max()) + 1
    found, disagreements = verify(path, fit.images, fit.labels, classes=classes, delta=delta)
    lines = [f"certificate.json: {text}" for text in disagreements]
    test = samples.get("test")
    if test is not None and test.labels is not None and len(test.labels):
        network = decode(path.read_bytes(), fit.images.shape[1:], classes)
        wrong = predictions(network, test.images) != test.labels
        lines.append(f"measured on {len(wrong)} test images: {float(np.mean(wrong)):.4f}")
    return found, lines
