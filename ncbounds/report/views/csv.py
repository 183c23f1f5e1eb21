"""The long table for programs and spreadsheets."""

from ncbounds.report.columns import frame
from ncbounds.report.data import ReportData
from ncbounds.report.view import view
from ncbounds.tables.programs import csv_text, jsonl_text


@view("table.csv")
def csv(report: ReportData) -> str:
    """The long table, one line a row."""
    return csv_text(frame(report))


@view("table.jsonl")
def jsonl(report: ReportData) -> str:
    """The same, one JSON object a row."""
    return jsonl_text(frame(report))
