"""A checkpoint as it was read: tensors, hashes, hints."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A file, or a folder, that was read without running code from it.

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
    """

    path: Path
    format: str
    sha256: str
    tensors: dict[str, torch.Tensor] = field(repr=False)
    hints: dict[str, Any] = field(repr=False)
    notes: tuple[str, ...]
    files: tuple[Path, ...]
    place: str = ""

    def build(
        self,
        model: Any = None,
        *,
        args: Mapping[str, Any] | None = None,
        head: Any = None,
        output: str | int | None = None,
    ) -> "Classifier":
        """Build the network, put the weights into it and return it as a classifier.

        Parameters
        ----------
        model : str, nn.Module or callable, optional
            Registered name, a module of the right architecture (it is copied), or a function that
            returns one. By default the architecture named in the file, if it is registered, or
            the one of a transformers folder.
        args : mapping, optional
            Keyword arguments for a registered name or a function.
        head : str or callable, optional
            See :class:`Classifier`.
        output : str or int, optional
            Name or index of the logits, where the model returns several things.

        Returns
        -------
        Classifier

        Raises
        ------
        UnknownArchitecture
            If no architecture is given, named or registered.
        CheckpointMismatch
            If names, shapes, classes or values of the tensors do not fit. Nothing is loaded then.
        MissingExtra
            If a transformers folder is to be built and transformers is not installed.
        """
        from ncbounds.checkpoints.architectures.build import build_classifier

        return build_classifier(self, model, args, head=head, output=output)
