"""The chosen head as a file: weight, bias, and which features they are for."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ncbounds.evidence.head import LinearHead
from ncbounds.files import npz_bytes, write_bytes

#: Name of the file in a folder of results.
HEAD_FILE = "head.npz"
#: What the file says about the features, as JSON in an array of its own.
ABOUT = "about"


def save_chosen(head: LinearHead, about: Mapping[str, Any], path: Path) -> None:
    """Write a head as npz: ``weight`` (C, d), ``bias`` (C,), and what it is for as text.

    ``nb.load_chosen`` reads it, and whatever reads a head alone reads weight and bias.
    """
    said = np.array(json.dumps(about))
    write_bytes(path, npz_bytes(weight=head.weight, bias=head.bias, about=said))
