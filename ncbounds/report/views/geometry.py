"""Collapse metrics of every checkpoint and sample."""

from ncbounds.report.data import ReportData
from ncbounds.report.view import view
from ncbounds.tables.programs import csv_text


@view("geometry.csv")
def geometry(report: ReportData) -> str:
    """One line per checkpoint, role and metric; empty if none was measured."""
    import pandas as pd

    records = [
        {"checkpoint": name, "role": role, **metric}
        for name, facts in report.facts.items()
        for role, metrics in facts.get("collapse", {}).items()
        for metric in metrics
    ]
    return csv_text(pd.DataFrame(records)) if records else ""
