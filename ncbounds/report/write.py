"""All files of a run folder that are made from its results."""

from pathlib import Path

from ncbounds.files import write_json, write_text
from ncbounds.report.report import Report


def write_report(report: Report, folder: "str | Path") -> list[str]:
    """Write ``table.csv``, ``.md``, ``.tex``, ``report.html``, ``geometry.csv``, ``report.json``.

    Returns
    -------
    list of str
        Names of the files, in the order in which a reader would open them.
    """
    folder = Path(folder)
    report.to_csv(folder / "table.csv")
    report.to_markdown(folder / "table.md")
    report.to_latex(folder / "table.tex")
    report.to_html(folder / "report.html")
    write_json(folder / "report.json", report.to_dict())
    names = ["table.csv", "table.md", "table.tex", "report.html", "report.json"]
    geometry = _geometry(report)
    if geometry:
        write_text(folder / "geometry.csv", geometry)
        names.append("geometry.csv")
    return names


def _geometry(report: Report) -> str:
    import pandas as pd

    records = [
        {"checkpoint": name, "role": role, **metric}
        for name, facts in report.facts.items()
        for role, metrics in facts.get("collapse", {}).items()
        for metric in metrics
    ]
    return pd.DataFrame(records).to_csv(index=False, lineterminator="\n") if records else ""
