"""Everything, for programs; :func:`ncbounds.load_report` reads it back."""

from ncbounds.files import json_text
from ncbounds.report.data import ReportData
from ncbounds.report.view import view


@view("report.json")
def json(report: ReportData) -> str:
    """All rows with their terms, details and provenance, failures and facts."""
    return json_text(report.to_dict())
