"""From a saved checkpoint and a budget of time to a folder with its code word."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.code_words.code.certificate import Certificate, certify, copied
from ncbounds.code_words.code.codeword import decode
from ncbounds.code_words.code.developed import assumption
from ncbounds.code_words.code.grammar import Architecture, FrontEnd, Layer
from ncbounds.code_words.code.integers import predictions
from ncbounds.code_words.search.schedule import plan
from ncbounds.code_words.search.search import Search
from ncbounds.code_words.search.trainer import Settings
from ncbounds.data.images import standardise
from ncbounds.data.task import Images
from ncbounds.errors import DataError, MissingEvidence, NcboundsError
from ncbounds.evidence.copies import TOLERATED
from ncbounds.files import write_text
from ncbounds.numerics import binomial_upper, down, up

#: Weight of a bit times the number of images: for the smallest bound, and for likeness, where more
#: bits pay.
PENALTY, LIKENESS_PENALTY = 2.0, 1.0
#: Epochs before it is known how many the time allows.
FIRST_PLAN = 100


def architecture_for(shape: tuple[int, int, int]) -> Architecture:
    """A small chain for images of this size, behind a fixed filter bank on the pixels' roots.

    The bank costs a few bits to name. Few channels and most codes not 0 are cheaper than a wide
    network with few of them.
    """
    side = min(shape[1:])
    first = Layer(5) if side < 20 else Layer(8, shrink="pool")
    layers = (first, Layer(first.width, 3, 4, depthwise=True))
    return Architecture(layers, 2 if side >= 8 else 1, cut=2, front=FrontEnd("roots", 3, 2))


def compress_checkpoint(
    checkpoint: Path,
    samples: dict[str, Images],
    out: Path,
    *,
    seconds: float,
    model: Any = None,
    args: dict[str, Any] | None = None,
    key: str | None = None,
    weights: Literal["ema", "raw"] | None = None,
    seed: int = 0,
    delta: float = 0.05,
    compiled: bool = False,
    report: Callable[[str], None] = print,
) -> Certificate:
    """Search for a short code word that imitates a saved classifier, and certify it.

    Started again with the same folder it goes on where it stopped. With an ``unlabelled`` sample a
    second search, for likeness, makes ``saved.ncz`` and ``unlabelled_network.json``: as good
    as the code word's own the first time, a plug-in once another has been counted on these images.

    Raises
    ------
    MissingEvidence
        If there is no labelled sample of role ``fit``.
    NcboundsError
        If the checkpoint cannot be read or built, or the search is interrupted too early.
    """
    torch.set_num_threads(1)
    fit = samples.get("fit")
    if fit is None or fit.labels is None:
        raise MissingEvidence("compress needs the labelled training sample, role 'fit'")
    classifier = load_checkpoint(checkpoint, key=key, weights=weights).build(model, args=args or {})
    teacher = saved_logits(classifier.module, fit.images)
    if fit.labels.max() >= teacher.shape[1]:
        raise DataError(f"a label is {fit.labels.max()}, the network has {teacher.shape[1]} logits")
    pool = samples.get("unlabelled")
    folders = [(out, 0.0)] if pool is None else [(out, 0.0), (out / "likeness", 1.0)]
    for folder, likeness in folders:
        search = Search(
            architecture_for(fit.images.shape[1:]),
            fit.images,
            fit.labels,
            teacher,
            folder,
            plan(FIRST_PLAN, (LIKENESS_PENALTY if likeness else PENALTY) / len(fit.labels)),
            Settings(seed=seed, delta=delta, likeness=likeness, compiled=compiled),
            report,
        )
        search.run(seconds / len(folders))
        if search.interrupted:
            break
    word = out / "network.ncz"
    if not word.exists():
        raise NcboundsError(f"stopped before there was a code word; go on with --out {out}")
    if pool is not None:
        _saved_certificate(out, fit, pool, saved_logits(classifier.module, pool.images), delta)
    return certify(word.read_bytes(), fit.images, fit.labels, classes=teacher.shape[1], delta=delta)


def saved_logits(module: torch.nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits (n, classes) of the saved network in eval mode, on standardised images."""
    module.eval()
    parts = np.array_split(images, max(1, len(images) // 1000))
    with torch.no_grad():
        found = [module(torch.from_numpy(_inputs(part))) for part in parts]
    logits: NDArray[np.float32] = torch.cat(found).float().numpy()
    return logits


def _inputs(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    n, channels, height, width = images.shape
    return standardise(images.reshape(n * channels, height, width)).reshape(images.shape)


def _saved_certificate(
    out: Path, fit: Images, pool: Images, logits: NDArray[np.float32], delta: float
) -> None:
    """Bound the saved network through the one code word that the training sample has chosen."""
    assert fit.labels is not None
    word = _choose(out, len(fit.labels))
    data, classes = word.read_bytes(), logits.shape[1]
    half = float(down(delta / 2))
    error = certify(data, fit.images, fit.labels, classes=classes, delta=half)
    found = predictions(decode(data, fit.images.shape[1:], classes), pool.images)
    top = np.sort(logits, axis=1)
    undecided = ~(top[:, -1] > top[:, -2])
    # images that the two networks were trained on show nothing of how they differ on others
    apart = (found != logits.argmax(axis=1)) | undecided | copied(pool.images, fit.images)
    differences = int(apart.sum())
    difference = float(binomial_upper(differences, len(found), half))
    granted = assumption(error.codec_version, fit.images, pool.images)
    unsound = _unsound(error, fit, pool)
    facts = {
        "value": float(up(error.value + difference)),
        "code_word": str(word.relative_to(out)),
        "bits": error.bits,
        "errors": error.errors,
        "n": error.n,
        "differences": differences,
        "unlabelled": len(found),
        "delta": delta,
        "sha256": error.sha256,
        "kind": "conditional" if granted else "certificate",
        "assumption": granted,
    }
    if unsound:
        facts |= {"kind": "plug-in", "reason": unsound}
    path = out / "unlabelled_network.json"
    if _another_word(path, error.sha256):
        # what one count has shown may have decided whether the search went on
        facts |= {"kind": "plug-in", "reason": "another code word was counted on these images"}
    write_text(path, json.dumps(facts, indent=2) + "\n")


def _unsound(error: Certificate, fit: Images, pool: Images) -> str:
    """What speaks against independent draws; empty if nothing does."""
    if error.kind == "plug-in":
        return f"{copied(fit.images).sum()} training images repeat others"
    n = len(pool.images)
    if (again := copied(pool.images).sum()) > TOLERATED * n:
        return f"{again} of {n} unlabelled images repeat others"
    common = copied(pool.images, fit.images).sum()
    return (
        f"{common} of {n} unlabelled images are training images" if common > TOLERATED * n else ""
    )


def _another_word(path: Path, sha256: str) -> bool:
    """Whether a file of an earlier search speaks of another word, or did itself come after one."""
    if not path.exists():
        return False
    try:
        before = json.loads(path.read_text())
    except ValueError:
        return True
    sound = before.get("kind") in ("certificate", "conditional")
    return before.get("sha256") != sha256 or not sound


def _choose(out: Path, n: int) -> Path:
    """The code word with the smallest bound plus difference on the training sample."""
    best: dict[Path, float] = {}
    for folder in (out, out / "likeness"):
        if (folder / "saved.ncz").exists():
            curve = pd.read_csv(folder / "curve.csv")
            best[folder / "saved.ncz"] = float((curve.bound + curve.differences / n).min())
    return min(best, key=lambda path: best[path])
