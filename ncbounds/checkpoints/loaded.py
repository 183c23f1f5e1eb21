"""What a checkpoint holds: tensors, hashes, hints."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True, eq=False)
class Loaded:
    """What was read of a file, or of a folder, without running code from it.

    Attributes
    ----------
    path : Path
    format : str
        In words, such as ``"safetensors"`` or ``"Lightning checkpoint"``.
    sha256 : str
        Of the file; of a folder: over names and hashes of its weights and config.json.
    tensors : dict of str to Tensor
        On the CPU; views of the bytes that were hashed, which nobody else can change. Names
        without ``module.`` and ``_orig_mod.``.
    hints : dict
        Plain values beside the weights that may say what the architecture is.
    notes : tuple of str
        What was chosen, stripped or passed over.
    files : tuple of Path
        Everything that was read.
    place : str
        Where in the file the weights stand, as in ``model_ema``; empty at the top.
    others : tuple of str
        Where other groups of weights stand, which were passed over.
    averaged : bool
        Whether these are averaged (EMA) weights.
    """

    path: Path
    format: str
    sha256: str
    tensors: dict[str, torch.Tensor] = field(repr=False)
    hints: dict[str, Any] = field(repr=False)
    notes: tuple[str, ...]
    files: tuple[Path, ...]
    place: str = ""
    others: tuple[str, ...] = ()
    averaged: bool = False
