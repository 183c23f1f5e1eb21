"""What was chosen, with everything that is said about it."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ncbounds.choosing.candidates import Candidate, Layer
from ncbounds.choosing.chosen import HEAD_FILE, save_chosen
from ncbounds.evidence.head import LinearHead
from ncbounds.results import BoundResult, plain

if TYPE_CHECKING:
    import pandas as pd

#: Of a layer: what says which features a head is for.
_ABOUT = ("checkpoint", "layer", "origin", "view", "weights")


@dataclass(frozen=True)
class Finalist:
    """A candidate of the shortlist and its errors on the rows that were chosen on."""

    candidate: Candidate
    errors: int


@dataclass(frozen=True)
class Baseline:
    """What the chosen head is held against.

    Attributes
    ----------
    what : str
        ``"raw inputs"``, ``"an untrained network"`` or ``"its last layer"``.
    candidate : Candidate
        The one of least leave-one-out error there.
    errors : int
        On the rows that were chosen on.
    limit : float
        Upper limit of its error.
    gain : float
        Lower limit of its error less that of the chosen head: above 0, the chosen one is better.
    """

    what: str
    candidate: Candidate
    errors: int
    limit: float
    gain: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Choice:
    """A head on one layer of one network, with a certificate; ``print`` shows it in words.

    Attributes
    ----------
    result : BoundResult
        The certificate: ``value``, ``kind``, ``reasons``, ``delta``, ``n`` rows that were chosen
        on. It bounds the error of ``head``.
    head : LinearHead or None
        Fitted on ``fitted_on`` rows, on the view of its layer (see ``place``).
    layers : tuple of Layer
        What was measured, network by network, from input to head.
    candidates : tuple of Candidate
        All T of them, in the order in which they were declared.
    finalists : tuple of Finalist
        The shortlist, by leave-one-out error.
    chosen : int
        Index among the finalists.
    regret : float
        Upper limit of the error of the chosen one less the least error **of the shortlist**; a
        statement of its own, at delta too.
    worth : float
        Held-out labels on which counting the errors of one head that was fixed before certifies no
        more on average, at the share of errors that was counted.
    baselines : tuple of Baseline
    notes : tuple of str
    network : str
        Python for the network that was chosen, as :func:`ncbounds.load_chosen` takes it; empty for
        raw inputs.
    """

    result: BoundResult
    head: LinearHead | None = field(repr=False)
    layers: tuple[Layer, ...] = field(repr=False)
    candidates: tuple[Candidate, ...] = field(repr=False)
    finalists: tuple[Finalist, ...]
    chosen: int
    fitted_on: int
    regret: float
    worth: float
    baselines: tuple[Baseline, ...]
    notes: tuple[str, ...] = ()
    network: str = ""

    @property
    def candidate(self) -> Candidate:
        """The one that was chosen."""
        return self.finalists[self.chosen].candidate

    @property
    def place(self) -> Layer:
        """Its layer."""
        return self.candidate.place

    @property
    def value(self) -> float:
        """The certificate: the error of ``head`` is at most this."""
        return self.result.value

    def to_frame(self) -> "pd.DataFrame":
        """One row per candidate: where it is, measures of its layer, its estimate, its errors."""
        import pandas as pd

        counted = {f.candidate: f.errors for f in self.finalists}
        counted |= {b.candidate: b.errors for b in self.baselines}
        return pd.DataFrame.from_records(
            [
                {
                    "network": c.place.network,
                    "layer": c.place.layer,
                    "origin": c.place.origin,
                    "head": c.head,
                    "dim": c.place.dim,
                    "view": c.place.view,
                    "nc1": c.place.nc1,
                    "vci": c.place.vci,
                    "logme": c.place.logme,
                    "leave_one_out": c.leave_one_out,
                    "shortlist": next(
                        (i for i, f in enumerate(self.finalists, 1) if f.candidate == c), None
                    ),
                    "errors": counted.get(c),
                    "n": self.result.n if c in counted else None,
                    "chosen": c == self.candidate,
                }
                for c in self.candidates
            ]
        )

    def curve(self) -> "pd.DataFrame":
        """One row per layer: NC1, VCI, LogME and leave-one-out errors, from input to head."""
        import pandas as pd

        return pd.DataFrame.from_records(
            [
                {
                    "network": p.network,
                    "layer": p.layer,
                    "dim": p.dim,
                    "nc1": p.nc1,
                    "vci": p.vci,
                    "logme": p.logme,
                    **{f"{name} leave-one-out": e for name, e in p.leave_one_out.items()},
                }
                for p in self.layers
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything but the head as plain values for JSON."""
        found: dict[str, Any] = plain(
            {
                "result": self.result.to_dict(),
                "chosen": self.chosen,
                "fitted_on": self.fitted_on,
                "regret": self.regret,
                "worth": self.worth,
                "candidates": len(self.candidates),
                "finalists": [_named(f) for f in self.finalists],
                "baselines": [_named(b) for b in self.baselines],
                "layers": [{**asdict(p), "reasons": list(p.reasons)} for p in self.layers],
                "notes": list(self.notes),
            }
        )
        return found

    def write(self, folder: "str | Path") -> list[str]:
        """Write ``candidates.csv``, ``layers.csv``, ``choice.json`` and ``head.npz``.

        Returns
        -------
        list of str
            Names of the files. ``head.npz`` is read by :func:`ncbounds.load_chosen`; without a head
            there is none.
        """
        from ncbounds.files import write_json, write_text

        folder = Path(folder)
        for name, frame in (("candidates.csv", self.to_frame()), ("layers.csv", self.curve())):
            write_text(folder / name, frame.to_csv(index=False, lineterminator="\n"))
        loader = self.loader(folder) if self.head is not None else None
        write_json(folder / "choice.json", {**self.to_dict(), "loader": loader})
        names = ["candidates.csv", "layers.csv", "choice.json"]
        if self.head is None:
            return names
        save_chosen(self.head, self._about(), folder / HEAD_FILE)
        return [*names, HEAD_FILE]

    def loader(self, folder: "str | Path") -> str:
        """Line of Python that reads the head which was written into a folder, on its network."""
        words = [repr(str(Path(folder) / HEAD_FILE)), *([self.network] if self.network else [])]
        return f"nb.load_chosen({', '.join(words)})"

    def _about(self) -> dict[str, Any]:
        """Which features the head is for, and what is certified of it."""
        place = self.place
        about = {name: getattr(place, name) for name in _ABOUT}
        known = {"kind": self.result.kind, "value": self.value, "delta": self.result.delta}
        return {**about, "head": self.candidate.head, **plain(known)}

    def __str__(self) -> str:
        """Return tables of the layers and the shortlist, and what is claimed."""
        from ncbounds.choosing.words import in_words

        return in_words(self)


def _named(found: Finalist | Baseline) -> dict[str, Any]:
    """Numbers of a finalist or a baseline, with the name of its candidate."""
    numbers = {k: v for k, v in vars(found).items() if k != "candidate"}
    place = found.candidate.place
    return {
        "network": place.network,
        "layer": place.layer,
        "head": found.candidate.head,
        "leave_one_out": float(np.float64(found.candidate.leave_one_out)),
        **numbers,
    }
