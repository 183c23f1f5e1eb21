"""A view: one way to write a report."""

from collections.abc import Callable
from dataclasses import dataclass

from ncbounds.report.data import ReportData


@dataclass(frozen=True)
class View:
    """One way to write a report; made by the decorator :func:`view`.

    Attributes
    ----------
    name : str
        Its file in a run folder, e.g. ``"table.tex"``.
    render : callable
        Gives the text; an empty one is not written.
    file : bool
        Whether a run folder has it as a file.
    """

    name: str
    render: Callable[[ReportData], str]
    file: bool = True


def view(name: str, *, file: bool = True) -> Callable[[Callable[[ReportData], str]], View]:
    """Make a :class:`View` of a function from a report to a text.

    ``ncbounds.register`` makes a view of one's own a file of every run folder.
    """
    return lambda render: View(name, render, file)
