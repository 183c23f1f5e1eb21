"""Files of the page: its own, and the table component that ships in a package."""

from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

from ncbounds.errors import NcboundsError


@cache
def own(name: str) -> str:
    """Text of a file of ours."""
    return (files("ncbounds.report.page") / "assets" / name).read_text(encoding="utf-8")


@cache
def component(name: str) -> str:
    """Text of a file of the table component (DataTables, as itables bundles it).

    Raises
    ------
    NcboundsError
        If itables is not installed, or no longer has it.
    """
    try:
        return Path(str(distribution("itables").locate_file(f"itables/html/{name}"))).read_text(
            encoding="utf-8"
        )
    except (PackageNotFoundError, OSError) as error:
        raise NcboundsError(
            f"the page needs the table component of itables ({error}): pip install 'itables>=2.5'"
        ) from None


def environment() -> Any:
    """What fills a template of ours: all that is no markup is escaped."""
    from jinja2 import Environment, StrictUndefined

    return Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
