"""A choice as one self-contained page: what is claimed, curves of the networks, the shortlist."""

from collections.abc import Sequence
from itertools import groupby

from markupsafe import Markup

from ncbounds.choosing.found import Found
from ncbounds.choosing.plot import draw_network, networks_of, own_network
from ncbounds.choosing.words import claims, guidance, layer_cells, shortlist_cells, small_print
from ncbounds.errors import MissingExtra, printable
from ncbounds.report.legend import legend
from ncbounds.report.page.assets import own, rendered
from ncbounds.report.page.pictures import FIGURES, figure
from ncbounds.report.page.tab import Tab


def choice_page(found: Found, loader: str = "", *, title: str = "ncbounds choose") -> str:
    """Return the page; nothing is loaded from outside, which it forbids its browser.

    Parameters
    ----------
    found : Choice
    loader : str
        Python that reads the head, shown if there is one.
    title : str
    """
    curves = _curves(found)
    first = own_network(found)
    shortlist = _table("Shortlist, by leave-one-out error", shortlist_cells(found))
    return str(
        rendered(
            "choice.html",
            title=title,
            evaluated=[_evaluated(found), " ".join(legend().split())],
            claims=[printable(line.strip()) for line in claims(found)],
            notes=[printable(line) for line in small_print(found)],
            loader=loader,
            figure=curves.pop(first, ""),
            tabs=[Tab("Layers", _layers(found, curves)), Tab("Shortlist", shortlist)],
            css=Markup(own("page.css")),
            script=Markup(own("tabs.js")),
        )
    )


def _evaluated(found: Found) -> str:
    networks = len({p.network for p in found.layers if p.origin == "checkpoint"})
    return (
        f"{len(found.candidates):,} candidates at {len(found.layers):,} places, {networks:,} "
        f"checkpoints among them; {found.fitted_on:,} rows to fit on, {found.result.n:,} "
        f"{found.result.role} rows to choose on, drawn {found.result.sampling}."
    )


def _curves(found: Found) -> dict[str, Markup]:
    """Figures by network, that of the chosen one first; none without matplotlib."""
    first = own_network(found)
    names = sorted(networks_of(found), key=lambda name: name != first)[:FIGURES]
    try:
        drawn = {name: draw_network(found, name)[0].figure for name in names}
    except MissingExtra:
        return {}
    return {name: figure(f, f"Layers of {printable(name)}") for name, f in drawn.items()}


def _layers(found: Found, curves: dict[str, Markup]) -> Markup:
    """Which layer to tap, then a table and a figure of each network."""
    tap = Markup("").join(Markup("<li>{}</li>").format(printable(line)) for line in guidance(found))
    parts = [Markup("<ul>{}</ul>").format(tap)] if tap else []
    for network, layers in groupby(found.layers, key=lambda p: p.network):
        parts.append(_table(network, layer_cells(list(layers))))
        parts.append(curves.get(network, Markup("")))
    return Markup("\n").join(parts)


def _table(caption: str, cells: Sequence[Sequence[str]]) -> Markup:
    (_, *header), *rows = cells
    return rendered(
        "plain.html",
        caption=printable(caption),
        header=["", *header],
        rows=[[printable(cell) for cell in row] for row in rows],
    )
