"""A part of the page beside the table."""

from typing import NamedTuple

from markupsafe import Markup


class Tab(NamedTuple):
    """One tab: its title, and HTML that is taken as it is."""

    title: str
    body: Markup
