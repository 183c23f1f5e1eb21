"""From a saved checkpoint and a budget of time to a folder with its code word."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.datasets import standardise
from ncbounds.errors import DataError, MissingEvidence
from ncbounds.numerics import binomial_upper, down, up

from .certificate import Certificate, certify
from .codeword import decode
from .grammar import Architecture, Layer
from .integers import predictions
from .schedule import Stage, plan
from .search import Search
from .tasks import Images

#: Weight of a bit times the number of images; sensible numbers of epochs.
PENALTY = 13.0
EPOCHS = (12, 2000)
_TRIAL_STEPS = 20


def architecture_for(shape: tuple[int, int, int]) -> Architecture:
    """A small chain for images of this size: a strided stem from 20 pixels on."""
    if min(shape[1:]) < 20:
        small = (Layer(8, 5, 3, "stride"), Layer(8, 3, 4), Layer(8, 3, 4, depthwise=True))
        return Architecture(small, reduction=1, cut=2)
    layers = (
        Layer(10, 5, 3, "stride"),
        Layer(16, 3, 4, "pool"),
        Layer(16, 3, 4, depthwise=True),
    )
    return Architecture(layers, reduction=1, cut=2)


def compress_checkpoint(
    checkpoint: Path,
    samples: dict[str, Images],
    out: Path,
    *,
    seconds: float,
    model: Any = None,
    args: dict[str, Any] | None = None,
    seed: int = 0,
    delta: float = 0.05,
    compiled: bool = False,
    report: Callable[[str], None] = print,
) -> Certificate:
    """Search for a short code word that imitates a saved classifier, and certify it.

    Started again with the same folder it goes on where it stopped. With an ``unlabelled`` sample a
    second search, for likeness, makes ``saved.ncz`` and ``unlabelled_network.json``.

    Raises
    ------
    MissingEvidence
        If there is no labelled sample of role ``fit``.
    NcboundsError
        If the checkpoint cannot be read or built.
    """
    torch.set_num_threads(1)
    fit = samples.get("fit")
    if fit is None or fit.labels is None:
        raise MissingEvidence("compress needs the labelled training sample, role 'fit'")
    classifier = load_checkpoint(checkpoint).build(model, args=args or {})
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
            [],
            seed=seed,
            delta=delta,
            likeness=likeness,
            compiled=compiled,
            report=report,
        )
        search.stages = stages_for(search, folder, seconds / len(folders), len(fit.labels))
        search.run(seconds / len(folders))
    if pool is not None:
        _saved_certificate(out, fit, pool, saved_logits(classifier.module, pool.images), delta)
    word = out / "network.ncz"
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


def stages_for(search: Search, folder: Path, seconds: float, n: int) -> list[Stage]:
    """The plan stored in ``folder``, or a new one of as many epochs as ``seconds`` allow."""
    stored = folder / "plan.json"
    if not stored.exists():
        began = time.monotonic()
        search.trial(_TRIAL_STEPS)
        epoch = (time.monotonic() - began) / _TRIAL_STEPS * (n / search.batch) * 1.15
        epochs = int(np.clip(0.9 * seconds / epoch, *EPOCHS))
        stored.write_text(json.dumps({"epochs": epochs, "penalty": PENALTY / n}))
    found = json.loads(stored.read_text())
    return plan(found["epochs"], found["penalty"])


def _saved_certificate(
    out: Path, fit: Images, pool: Images, logits: NDArray[np.float32], delta: float
) -> None:
    """Bound the saved network through the one code word that the training sample has chosen."""
    assert fit.labels is not None
    word = _choose(out)
    data, classes = word.read_bytes(), logits.shape[1]
    half = float(down(delta / 2))
    error = certify(data, fit.images, fit.labels, classes=classes, delta=half)
    found = predictions(decode(data, fit.images.shape[1:], classes), pool.images)
    top = np.sort(logits, axis=1)
    undecided = ~(top[:, -1] > top[:, -2])
    differences = int(((found != logits.argmax(axis=1)) | undecided).sum())
    difference = float(binomial_upper(differences, len(found), half))
    facts = {
        "value": float(up(error.value + difference)),
        "code_word": str(word.relative_to(out)),
        "bits": error.bits,
        "errors": error.errors,
        "n": error.n,
        "differences": differences,
        "unlabelled": len(found),
        "delta": delta,
    }
    (out / "unlabelled_network.json").write_text(json.dumps(facts, indent=2) + "\n")


def _choose(out: Path) -> Path:
    """The code word with the smallest bound plus difference on the training sample."""
    best: dict[Path, float] = {}
    for folder in (out, out / "likeness"):
        curve = folder / "curve.csv"
        if not curve.exists():
            continue
        names, *rows = [line.split(",") for line in curve.read_text().splitlines()]
        bound, differ = names.index("bound"), names.index("differences")
        n = max(1, json.loads((folder / "search.json").read_text())["n"])
        if rows:
            best[folder / "saved.ncz"] = min(float(r[bound]) + int(r[differ]) / n for r in rows)
    return min(best, key=lambda path: best[path])
