"""Views of a report, one file each; a run folder has a file of every view."""

from ncbounds.registry import Registry
from ncbounds.report.view import View
from ncbounds.report.views.csv import csv, jsonl
from ncbounds.report.views.geometry import geometry
from ncbounds.report.views.html import html
from ncbounds.report.views.json import json
from ncbounds.report.views.latex import latex
from ncbounds.report.views.markdown import markdown
from ncbounds.report.views.screen import screen
from ncbounds.report.views.series import series

#: In the order in which a reader would open them.
_SHIPPED = (csv, jsonl, markdown, latex, html, json, geometry, series, screen)

#: All views; ``ncbounds.register`` adds one.
VIEWS: Registry[View] = Registry(View, "view", lambda v: v.name, lambda: _SHIPPED)
