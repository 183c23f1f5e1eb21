"""Files of pages: our own, templates among them, and the table component of a package."""

from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ncbounds.errors import NcboundsError


@cache
def own(name: str) -> str:
    """Text of a file of ours."""
    return (files("ncbounds.report.page") / "assets" / name).read_text(encoding="utf-8")


def rendered(name: str, **values: Any) -> Markup:
    """Fill a template of ours; what is no Markup is escaped."""
    return Markup(_environment().get_template(name).render(**values))


@cache
def _environment() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(own),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


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
