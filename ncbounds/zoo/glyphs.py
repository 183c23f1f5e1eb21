r"""The task ``glyphs28``: ten letters of free fonts under random affine maps and noise, at 28x28.

Its law is known and can be drawn from at will, and it was first drawn from with :data:`SEED` after
the code's grammar had been frozen, so that no version was developed on these images. ::

    python -m ncbounds.zoo.glyphs train        # an ordinary small CNN on the 60,000 images
    ncbounds compress data/glyphs28/teacher.safetensors --data ncbounds/zoo/glyphs.py:fit \
        --model bn_cnn --args channels=13,side=28 --out data/glyphs28
    python -m ncbounds.zoo.glyphs measure      # errors on 1,000,000 fresh draws

The fonts (DejaVu, STIX, Computer Modern) come with matplotlib. All drawing is in whole numbers from
NumPy's ``RandomState``, whose streams never change, so the images are the same on every machine
that renders the letters alike; fonts and rendered letters are pinned by their hashes.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.data.images import standardise
from ncbounds.files import write_text
from ncbounds.zoo.fonts import CANVAS, FONTS, LETTERS, Whole, letters

SEED = "027cfe6625d312ef05af1cc885f8e48150fa9152"
"""Of all draws that count: hash of the commit that froze the grammar of the code."""

SIDE = 28
BLOCK = 1000
"""Images that are drawn together; block b of a stream depends on seed, stream and b alone."""

TRAINING, FRESH, FIRST = 60_000, 1_000_000, 2_000
"""Training images, fresh ones, and those of the training images that a quick recount reads."""

FOLDER = Path("data/glyphs28")
MODEL, ARGS = "bn_cnn", {"channels": 13, "side": SIDE}

#: Fractions of a pixel.
_UNIT = 1 << 10

Predict = Callable[[NDArray[np.uint8]], NDArray[np.int64]]


def block(seed: str, stream: int, index: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw the images (BLOCK, 28, 28) and labels (BLOCK,) of one block; points are iid.

    A letter and a font are drawn uniformly; the canvas is read through a random affine map; paper
    and ink have random greys, the ink's lighter; every pixel gets noise of a triangular law, whose
    size is random too.

    Parameters
    ----------
    seed : str
        Hexadecimal, 40 digits.
    stream : int
        0 for the training images, 1 for fresh ones.
    index : int
    """
    words = [int(seed[i : i + 8], 16) for i in range(0, 40, 8)]
    draw = np.random.RandomState([*words, stream, index])
    labels = draw.randint(0, len(LETTERS), BLOCK)
    fonts = draw.randint(0, len(FONTS), BLOCK)
    # pixels of the canvas per pixel of the image, along the axes and across, in units
    along = draw.randint(950, 1650, (BLOCK, 1, 1)) + draw.randint(-150, 151, (2, BLOCK, 1, 1))
    across = draw.randint(-350, 351, (2, BLOCK, 1, 1))
    shift = draw.randint(-3 * _UNIT, 3 * _UNIT + 1, (2, BLOCK, 1, 1))
    maps = (part.astype(np.int32) for part in (along, across, shift))
    ink = _read(letters()[fonts, labels], *maps)
    paper, pen = draw.randint(0, 64, (BLOCK, 1, 1)), draw.randint(128, 256, (BLOCK, 1, 1))
    noise = draw.randint(-64, 65, (2, BLOCK, SIDE, SIDE)).sum(axis=0)
    size = draw.randint(0, 33, (BLOCK, 1, 1))
    grey = paper + (pen - paper) * ink // 255 + noise * size // 64
    return grey.clip(0, 255).astype(np.uint8), labels.astype(np.int64)


def _read(
    canvas: Whole,
    along: Whole,
    across: Whole,
    shift: Whole,
) -> Whole:
    """Bilinear values (n, 28, 28) of canvases under affine maps, 0 outside them."""
    # twice the place from the middle, so that it is whole
    down, right = np.ogrid[1 - SIDE : SIDE : 2, 1 - SIDE : SIDE : 2]
    down, right = down.astype(np.int32), right.astype(np.int32)
    middle = np.int32((CANVAS - 1) * _UNIT // 2)
    row = (along[0] * down + across[0] * right) // 2 + shift[0] + middle
    column = (across[1] * down + along[1] * right) // 2 + shift[1] + middle
    padded = np.pad(canvas, ((0, 0), (SIDE, SIDE), (SIDE, SIDE)))
    width = padded.shape[1]
    i = (row // _UNIT + SIDE).clip(0, width - 2)
    j = (column // _UNIT + SIDE).clip(0, width - 2)
    y, x = row % _UNIT, column % _UNIT
    place = np.arange(len(canvas), dtype=np.int32)[:, None, None] * width**2 + i * width + j
    four = (padded.ravel().take(place + step) for step in (0, 1, width, width + 1))
    upper = next(four) * (_UNIT - x) + next(four) * x
    lower = next(four) * (_UNIT - x) + next(four) * x
    found: Whole = (upper * (_UNIT - y) + lower * y) // _UNIT**2
    return found


def drawn(
    count: int, *, seed: str = SEED, stream: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw the first ``count`` images (count, 28, 28) and labels of a stream."""
    blocks = [block(seed, stream, b) for b in range(-(-count // BLOCK))]
    images, labels = (np.concatenate(parts)[:count] for parts in zip(*blocks, strict=True))
    return images, labels


def fit() -> dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Return the training sample by its role; a data function for the command line."""
    return {"fit": drawn(TRAINING)}


def errors_on_fresh(predict: Predict, blocks: range) -> int:
    """Errors on blocks that nothing was trained on."""
    drawn_blocks = (block(SEED, 1, b) for b in blocks)
    return sum(int((predict(images) != labels).sum()) for images, labels in drawn_blocks)


def train(folder: Path, seed: str = SEED, count: int = TRAINING) -> None:
    """Train the batch-norm CNN of the task ``fashion28`` on these images, in the same way."""
    import torch
    from safetensors.torch import save_file

    from ncbounds.zoo.fashion28 import train_teacher
    from ncbounds.zoo.train import accuracy

    torch.set_num_threads(1)
    images, labels = drawn(count, seed=seed)
    x, y = torch.from_numpy(standardise(images)), torch.from_numpy(labels)
    model = train_teacher(x, y)
    folder.mkdir(parents=True, exist_ok=True)
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    save_file(state, folder / "teacher.safetensors", metadata={"model": MODEL, "args": repr(ARGS)})
    print(f"{folder}: error {1 - accuracy(model, x, y):.4f} on its {count} training images")


def measure(folder: Path) -> dict[str, Any]:
    """Count errors on fresh draws, and on the first training images for a quick recount.

    Those of the trained network are counted on a tenth of the fresh draws.
    """
    import torch

    from ncbounds.checkpoints.read import load_checkpoint
    from ncbounds.code_words import decode, predictions

    torch.set_num_threads(1)
    word = (folder / "network.ncz").read_bytes()
    decoded = partial(predictions, decode(word, (1, SIDE, SIDE), len(LETTERS)))
    module = load_checkpoint(folder / "teacher.safetensors").build(MODEL, args=ARGS).module.eval()

    @torch.no_grad()
    def trained(images: NDArray[np.uint8]) -> NDArray[np.int64]:
        found: NDArray[np.int64] = module(torch.from_numpy(standardise(images))).argmax(1).numpy()
        return found

    images, labels = drawn(FIRST)
    return {
        "task": "glyphs28",
        "seed": SEED,
        "first": FIRST,
        "errors_on_first": int((decoded(images) != labels).sum()),
        "fresh": FRESH,
        "errors_on_fresh": errors_on_fresh(decoded, range(FRESH // BLOCK)),
        "fresh_for_trained": FRESH // 10,
        "errors_on_fresh_of_trained": errors_on_fresh(trained, range(FRESH // BLOCK // 10)),
    }


def main(arguments: list[str] | None = None) -> None:
    """Train the network, or measure what its code word came to."""
    parser = argparse.ArgumentParser(prog="python -m ncbounds.zoo.glyphs", description=__doc__)
    parser.add_argument("step", choices=("train", "measure"))
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    began = time.process_time()
    if options.step == "train":
        train(options.out)
    else:
        path = options.out / "certificate.json"
        facts = json.loads(path.read_text()) | measure(options.out)
        write_text(path, json.dumps(facts, indent=2) + "\n")
        print(json.dumps(facts, indent=2))
    print(f"{time.process_time() - began:.0f} s of processor time")


if __name__ == "__main__":
    main()
