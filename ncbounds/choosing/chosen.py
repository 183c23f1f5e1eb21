"""The chosen head as a file: weight, bias, and which features they are for."""

import json
from pathlib import Path

import numpy as np

from ncbounds.choosing.choice import Choice

#: Name of the file in a folder of results.
HEAD_FILE = "head.npz"
#: What the file says about the features, as JSON in an array of its own.
ABOUT = "about"


def save_chosen(choice: Choice, path: Path) -> None:
    """Write the chosen head as npz: ``weight`` (C, d), ``bias`` (C,), and what it is for as text.

    ``nb.load_chosen`` reads it, and whatever reads a head alone reads weight and bias.
    """
    if choice.head is None:
        raise ValueError("there is no head to save")
    place = choice.place
    about = {
        "checkpoint": place.checkpoint,
        "layer": place.layer,
        "origin": place.origin,
        "head": choice.candidate.head,
        "view": place.view,
        "weights": place.weights,
        "kind": choice.result.kind,
        "value": str(choice.value),
        "delta": choice.result.delta,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"weight": choice.head.weight, "bias": choice.head.bias}
    np.savez(path, **arrays, **{ABOUT: np.array(json.dumps(about))})  # type: ignore[arg-type]
