"""All files of a run folder that are made from its results."""

from pathlib import Path

from ncbounds.files import write_text
from ncbounds.report.data import ReportData
from ncbounds.report.views import VIEWS


def write_report(report: ReportData, folder: "str | Path") -> list[str]:
    """Write the file of every view that has something to say.

    Returns
    -------
    list of str
        Names of the files, in the order in which a reader would open them.
    """
    names = []
    for view in VIEWS:
        text = view.render(report) if view.file else ""
        if text:
            write_text(Path(folder) / view.name, text)
            names.append(view.name)
    return names
