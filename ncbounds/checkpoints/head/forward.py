"""Forward passes of a network, always in eval mode, and what a head reads from them."""

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ncbounds.checkpoints.head.device import is_out_of_memory
from ncbounds.checkpoints.head.input_advice import input_advice
from ncbounds.checkpoints.head.outputs import choose
from ncbounds.checkpoints.head.passes import HeadFunction, given, in_precision_of, shapes
from ncbounds.checkpoints.head.reading import OUTPUTS, FoundHead, Reading
from ncbounds.checkpoints.head.state import State, evaluating
from ncbounds.checkpoints.head.trace import Taps, Tracer, rows_of, run, tapped
from ncbounds.errors import DataError, HeadNotFound, NcboundsError, NoLinearHead


@dataclass
class Forward:
    """A network and how it is called.

    Attributes
    ----------
    module : nn.Module
    wanted : str, callable or None
        The head that the user named, or the function that gives features and logits.
    verified : list or None
        State of the network when its head was verified; a pass from another state is refused.
    predicting : bool
        Whether what the network returns is all that is wanted, and no head.
    taps : mapping
        Named modules, and what is kept of their outputs.
    """

    module: nn.Module
    wanted: str | HeadFunction | None = None
    verified: State | None = None
    predicting: bool = False
    taps: Taps = field(default_factory=dict)

    def returned(self, batch: Any, tracer: TorchFunctionMode) -> Any:
        """Run one pass under a tracer or another mode, and return what the network returns.

        Raises
        ------
        DataError
            If the network cannot process the batch.
        HeadNotFound
            If it was changed since its head was verified, or changes itself.
        """
        inputs = in_precision_of(self.module, batch)
        with evaluating(self.module, self.verified):
            try:
                with tracer:
                    return run(self.module, inputs)
            except NcboundsError:
                raise
            except Exception as error:  # it is the user's code, and asserts what it likes
                if is_out_of_memory(error):
                    raise
                raise DataError(
                    f"the model cannot process a batch of {shapes(batch)}: "
                    f"{str(error) or type(error).__name__}{input_advice(self.module, inputs)}"
                ) from error

    def read(self, batch: Any, found: FoundHead, tracer: Tracer | None = None) -> Reading | None:
        """Return features and logits of a batch; None if the head was used in another way.

        Raises
        ------
        DataError, HeadNotFound
            See :meth:`returned`.
        TapRefused
            If a named module gives no features.
        """
        if tracer is None:
            known = {s.shape for s in found.sources}
            tracer = Tracer(lambda shape: shape in known)
        with tapped(self.module, self.taps, batch) as seen:
            reading = self._read(batch, found, tracer)
        return None if reading is None else replace(reading, taps=seen)

    def _read(self, batch: Any, found: FoundHead, tracer: Tracer) -> Reading | None:
        if callable(self.wanted):
            with evaluating(self.module, self.verified), tracer:
                return given(self.wanted, in_precision_of(self.module, batch))
        chosen = self._chosen(batch, found.output, tracer)
        logits = tracer.monotone.before(chosen)
        if found.binary and found.how == OUTPUTS and found.through and logits is chosen:
            raise HeadNotFound(
                f"the model returned the {found.through} of one number for the first rows, and "
                "something else here (clamped, or rounded): 1/2 decides on the one, and on the "
                "other perhaps 0; return torch.stack([1 - p, p], 1) of what it returns now"
            )
        return found.read(tracer.calls, logits)

    def logits(self, batch: Any, output: str, tracer: Tracer) -> Tensor:
        """Return the logits of a batch, before a softmax or sigmoid that ends the network."""
        return tracer.monotone.before(self._chosen(batch, output, tracer))

    def _chosen(self, batch: Any, output: str, tracer: Tracer) -> Tensor:
        return choose(self.returned(batch, tracer), rows_of(batch), output or None)[0].value

    def features(self, batch: Any, found: FoundHead) -> Reading:
        """Return features and logits of a batch.

        Raises
        ------
        NoLinearHead
            If the head was used in another way than where it was found.
        """
        reading = self.read(batch, found)
        if reading is None:
            raise NoLinearHead(
                f"the layer {found.name!r} that made the first logits was not used in the same way "
                "on this batch; the weights of the head must be the same for all inputs",
                why="no linear head is used in the same way for all inputs",
            )
        return reading
