"""What the batches so far say about a head."""

from collections import deque

from torch import Tensor

from ncbounds.checkpoints.head.agreement import Agreement
from ncbounds.checkpoints.head.device import Fetch
from ncbounds.checkpoints.head.head import HeadReport
from ncbounds.errors import NoLinearHead


class Proof:
    """Keeps the report of a head, and comparisons that a device may still be busy with.

    Parameters
    ----------
    report : HeadReport
        Of the rows where the head was found.
    """

    def __init__(self, report: HeadReport) -> None:
        self.report = report
        self._waiting: deque[Fetch] = deque()

    def add(self, compared: Tensor) -> None:
        """Add a batch, see :func:`ncbounds.checkpoints.head.agreement.compared`."""
        self._waiting.append(Fetch(compared))

    def settle(self, ahead: int = 0) -> HeadReport:
        """See that the head reproduced the logits of all batches but the last ``ahead``.

        Raises
        ------
        NoLinearHead
            If it did not.
        """
        while len(self._waiting) > ahead:
            agreed = Agreement.of(self._waiting.popleft().wait())
            if agreed.rows and not agreed.holds:
                self._waiting.clear()
                raise NoLinearHead(
                    f"the head {self.report.name!r} reproduced the first logits, here it is off "
                    f"by {agreed.max_abs_diff:.3g} where {agreed.tolerance:.2g} is allowed; the "
                    "model is not one linear head on its features",
                    why="a linear head reproduces the logits of some inputs only",
                )
            self.report = self.report.joined(agreed)
        return self.report
