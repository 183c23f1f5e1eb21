"""A checkpoint: what was read of it, and the way to its network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ncbounds.checkpoints.loaded import Loaded

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier


@dataclass(frozen=True, eq=False)
class Checkpoint(Loaded):
    """A file, or a folder, that was read without running code from it; see :class:`Loaded`."""

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
