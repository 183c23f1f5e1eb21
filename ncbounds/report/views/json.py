"""Everything, for programs; :func:`ncbounds.load_report` reads it back."""

from ncbounds.files import json_text, sealed
from ncbounds.report.data import ReportData
from ncbounds.report.view import view


@view("report.json")
def json(report: ReportData) -> str:
    """All rows with their terms, details and provenance, failures and facts."""
    return json_text(sealed(report.to_dict()))
