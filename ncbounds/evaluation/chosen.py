"""A head that was chosen, on the network that it taps: a classifier for the new task."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ncbounds.arrays import Ints
from ncbounds.choosing.chosen import ABOUT
from ncbounds.data.npz import load_npz
from ncbounds.errors import CheckpointMismatch, DataError
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.head import LinearHead

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier

#: What the description of a head has to say, and of which type.
_NEEDED = {"checkpoint": str, "layer": str, "origin": str, "view": int, "weights": str}


@dataclass(frozen=True, eq=False)
class ChosenClassifier:
    """A linear head on a view of one layer of one network.

    Attributes
    ----------
    head : LinearHead
    classifier : Classifier or None
        The network; None for raw inputs.
    about : mapping
        Checkpoint, layer, origin, coordinates of the view, and the certificate.
    """

    head: LinearHead
    classifier: "Classifier | None"
    about: Mapping[str, Any]

    def predict(self, inputs: Any, batch_size: int | str | None = None) -> Ints:
        """Classes of inputs (an array, or a loader of inputs with labels), shape (n,).

        It is -1 where there is no single prediction: a tie, or a value that is not finite.
        """
        from ncbounds.extraction.views import one_view

        loader = (inputs, None) if hasattr(inputs, "shape") else inputs
        with tempfile.TemporaryDirectory(prefix="ncbounds-chosen-") as folder:
            sample = one_view(
                self.classifier,
                loader,
                Draw("unlabelled"),
                str(self.about["layer"]),
                int(self.about["view"]),
                folder,
                {"batch_size": batch_size} if self.classifier is not None else {},
            )
            answers = sample.predictions(self.head)
            return np.where(sample.decided(self.head), answers, -1)


def load_chosen(
    path: "str | Path",
    network: "Classifier | str | Path | None" = None,
    model: Any = None,
    args: Mapping[str, Any] | None = None,
    **picked: Any,
) -> ChosenClassifier:
    """Read a head that ``choose`` has written, and put it on its network.

    Parameters
    ----------
    path : path
        ``head.npz``.
    network : Classifier or path, optional
        The checkpoint that was chosen (of an untrained copy: the one it was copied from); none for
        raw inputs.
    model, args
        Of a checkpoint, as for :meth:`Checkpoint.build`; or ``"FILE.py:FUNCTION"``, which you name
        here and no file does.
    **picked
        ``key``, ``weights``, ``parts`` of :func:`ncbounds.load_checkpoint`, ``head``, ``output`` of
        :meth:`Checkpoint.build`.

    Raises
    ------
    DataError
        If the file is no such head, or the network is missing.
    CheckpointMismatch
        If the network has other weights than that of the head.
    """
    arrays = load_npz(path, ())
    about = _about(arrays.get(ABOUT))
    if about is None or not {"weight", "bias"} <= arrays.keys():
        raise DataError(
            f"{path} is no head that `ncbounds choose --out FOLDER` wrote: it holds "
            f"{', '.join(arrays) or 'nothing'}"
        )
    head = LinearHead(arrays["weight"], arrays["bias"])
    if about["origin"] == "raw":
        return ChosenClassifier(head, None, about)
    if network is None:
        raise DataError(
            f"the head of {path} is on {about['layer']} of {about['checkpoint']}: pass that "
            "checkpoint, as in load_chosen(path, 'model.pt', model='net.py:build')"
        )
    classifier = _built(network, model, args, picked)
    if about["origin"] == "untrained":
        from ncbounds.checkpoints.architectures.untrained import untrained_copy

        classifier = untrained_copy(classifier)
    _check_same(classifier, about, path)
    return ChosenClassifier(head, classifier, about)


def _about(text: Any) -> dict[str, Any] | None:
    """What a file says about its head, if it does."""
    if text is None or text.dtype.kind != "U" or text.ndim:
        return None
    try:
        found = json.loads(str(text))
    except (ValueError, RecursionError):
        return None
    fits = isinstance(found, dict) and all(
        isinstance(found.get(name), kind) for name, kind in _NEEDED.items()
    )
    return found if fits and found["view"] > 0 else None


def _built(
    network: Any, model: Any, args: Mapping[str, Any] | None, picked: dict[str, Any]
) -> "Classifier":
    from ncbounds.checkpoints.head.classifier import Classifier
    from ncbounds.checkpoints.read import load_checkpoint
    from ncbounds.data.user import is_code, user_function

    if isinstance(network, Classifier):
        return network
    named = user_function(model) if is_code(model) else model
    built = {name: picked.pop(name) for name in ("head", "output") if name in picked}
    return load_checkpoint(network, **picked).build(named, args=args, **built)


def _check_same(classifier: "Classifier", about: Mapping[str, Any], path: "str | Path") -> None:
    from ncbounds.checkpoints.head.fingerprint import state_hash

    if about["weights"] and state_hash(classifier.module) != about["weights"]:
        raise CheckpointMismatch(
            f"the head of {path} is on features of {about['checkpoint']} ({about['origin']}), and "
            "this network has other weights; pass the one that was chosen, in the precision that "
            "it ran in"
        )
