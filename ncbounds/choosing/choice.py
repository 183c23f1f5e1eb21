"""A choice as tables, as files and in words."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncbounds.choosing.chosen import HEAD_FILE, save_chosen
from ncbounds.choosing.found import Baseline, Finalist, Found
from ncbounds.choosing.words import claims, in_words, shortlist_cells
from ncbounds.files import write_json, write_text
from ncbounds.results import plain
from ncbounds.tables import Table, plain_table
from ncbounds.tables.programs import csv_text

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

#: Of a layer: what says which features a head is for.
_ABOUT = ("checkpoint", "layer", "origin", "view", "weights")


@dataclass(frozen=True, eq=False, kw_only=True)
class Choice(Found):
    """A head on one layer of one network, with a certificate; ``print`` shows it in words.

    Attributes are those of :class:`~ncbounds.choosing.found.Found`.
    """

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

    def plot(self, network: str | None = None) -> "NDArray[Any]":
        """Draw leave-one-out errors and NC1 over the layers of one network.

        Parameters
        ----------
        network : str, optional
            By default the one that was chosen; of raw inputs, the first.

        Returns
        -------
        array of matplotlib axes
            Errors above, NC1 below. Raw inputs and the best untrained layer are levels.

        Raises
        ------
        UnknownName
            If there is no such network.
        MissingExtra
            Without matplotlib.
        """
        from ncbounds.choosing.plot import draw_network, own_network

        return draw_network(self, own_network(self) if network is None else network)

    def to_html(self, loader: str = "") -> str:
        """Return the page, one self-contained file; ``loader`` is shown as how to read the head."""
        from ncbounds.choosing.page import choice_page

        return choice_page(self, loader)

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
        """Write ``candidates.csv``, ``layers.csv``, ``choice.json``, ``choice.html``, ``head.npz``.

        Returns
        -------
        list of str
            Names of the files. ``head.npz`` is read by :func:`ncbounds.load_chosen`; without a head
            there is none.
        """
        folder = Path(folder)
        for name, frame in (("candidates.csv", self.to_frame()), ("layers.csv", self.curve())):
            write_text(folder / name, csv_text(frame))
        loader = self.loader(folder) if self.head is not None else None
        write_json(folder / "choice.json", {**self.to_dict(), "loader": loader})
        write_text(folder / "choice.html", self.to_html(loader or ""))
        names = ["candidates.csv", "layers.csv", "choice.json", "choice.html"]
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

    def table(self) -> Table:
        """Return the shortlist with what is claimed, to be written in any format.

        For programs it is :meth:`to_frame`, one row a candidate.
        """
        return plain_table(
            shortlist_cells(self),
            self.to_frame,
            notes=claims(self),
            caption="Shortlist of a choice",
        )

    def __str__(self) -> str:
        """Return tables of the layers and the shortlist, and what is claimed."""
        return in_words(self)


def _named(found: Finalist | Baseline) -> dict[str, Any]:
    """Numbers of a finalist or a baseline, with the name of its candidate."""
    numbers = {k: v for k, v in vars(found).items() if k != "candidate"}
    place = found.candidate.place
    return {
        "network": place.network,
        "layer": place.layer,
        "head": found.candidate.head,
        "leave_one_out": found.candidate.leave_one_out,
        **numbers,
    }
