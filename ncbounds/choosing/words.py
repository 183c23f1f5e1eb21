"""A choice on the screen: tables of layers and shortlist, and sentences for what is claimed."""

import math
from collections.abc import Sequence
from itertools import groupby

from ncbounds.choosing.candidates import Layer
from ncbounds.choosing.found import Baseline, Found
from ncbounds.lines import aligned
from ncbounds.report.cells import interval, number, significant
from ncbounds.results import MARK

#: What it means that a baseline is what was chosen.
_ITSELF = {
    "raw inputs": "nothing to transfer: raw inputs are the choice",
    "an untrained network": "training bought nothing: an untrained network is the choice",
}


def in_words(choice: Found) -> str:
    """Return everything that is shown, one network after the other, then what was chosen."""
    blocks = [
        "\n".join(aligned(layer_cells(list(layers))))
        for _, layers in groupby(choice.layers, key=lambda p: p.network)
    ]
    said = [*claims(choice), "", *guidance(choice), *(f"({r})" for r in small_print(choice))]
    return "\n\n".join([*blocks, "\n".join(aligned(shortlist_cells(choice))), "\n".join(said)])


def layer_cells(layers: Sequence[Layer]) -> list[list[str]]:
    """Rows from input to head of one network: measures, and leave-one-out errors by head."""
    heads = list(layers[0].leave_one_out)
    titles = [layers[0].network, "dims", "# NC1", "# VCI", "# LogME"]
    cells = [[*titles, *(f"~ {head}" for head in heads)]]
    for p in layers:
        dims = str(p.dim) if p.view == p.dim else f"{p.dim}->{p.view}"
        measures = [significant(p.nc1, 3), significant(round(p.vci, 12), 3), f"{p.logme:.3f}"]
        errors = [number(p.leave_one_out[head]) for head in heads]
        cells.append([p.layer, dims, *measures, *errors])
    return cells


def shortlist_cells(choice: Found) -> list[list[str]]:
    """Titles and lines of the shortlist with its errors."""
    n = choice.result.n
    cells = [["shortlist", "~ leave-one-out", f"errors of {n:,}", ""]]
    for i, found in enumerate(choice.finalists):
        mark = "<- chosen" if i == choice.chosen else ""
        error = number(found.candidate.leave_one_out)
        cells.append([str(found.candidate), error, f"{found.errors:,}", mark])
    return cells


def claims(choice: Found) -> list[str]:
    """Sentences: certificate, its worth, regret, and each baseline, every one with its delta."""
    r, mark = choice.result, MARK[choice.result.kind]
    k, q = r.details["errors"], r.details["shortlist"]
    value = "undefined" if math.isnan(r.value) else f"at most {number(r.value, up=True)}"
    lines = [
        f"{mark} error {value}: {choice.candidate}, fitted on {choice.fitted_on:,} rows; {k:,} "
        f"errors of {r.n:,}, delta {r.delta:g} over a shortlist of {q} from "
        f"{r.details['candidates']:,} candidates",
        f"  as a count on {_worth(choice.worth)} certifies for a head that was fixed before",
        f"{mark} regret at most {number(choice.regret, up=True)} among these {q}, not among all; "
        f"delta {r.delta:g} of its own",
        *(_against(choice, b) for b in choice.baselines),
    ]
    if r.test is not None:
        lines.append(f"  test error {interval(r.test.error, r.test.low, r.test.high)}")
    return lines


def _worth(labels: float) -> str:
    if labels == 0:
        return "no labels at all"
    return f"{labels:,.0f} held-out labels" if math.isfinite(labels) else "any number of labels"


def _against(choice: Found, b: Baseline) -> str:
    """Say what a baseline would have given, and whether the chosen head is shown to be better."""
    r, mark = choice.result, MARK[choice.result.kind]
    if b.candidate.place.origin == choice.place.origin and b.what in _ITSELF:
        return f"  {_ITSELF[b.what]}"
    if b.candidate.place is choice.place:
        return f"  {b.what} is the choice"
    rate = f"{b.what} ({b.candidate}) {number(b.errors / r.n)}, at most {number(b.limit, up=True)}"
    if b.gain > 0:
        least = math.floor(b.gain * 1000) / 1000
        better = f"at least {number(least)} better" if least else "better"
        return f"{mark} {rate}: the choice is {better}, delta {r.delta:g} each"
    return f"{mark} {rate}: the choice is not shown to be better, delta {r.delta:g} each"


def guidance(choice: Found) -> list[str]:
    """Which layer to tap, network by network, in the words of what was measured on these rows."""
    lines = []
    for network, group in groupby(choice.layers, key=lambda p: p.network):
        layers = [p for p in group if p.origin == "checkpoint"]
        best = min(layers, key=lambda p: p.least, default=None)
        last = next((p for p in layers if p.last), None)
        if best is None or last is None or not math.isfinite(best.least):
            continue
        if best is last:
            lines.append(
                f"~ {network}: tap its last layer, of least leave-one-out error "
                f"{number(best.least)}"
            )
        else:
            lines.append(
                f"~ {network}: tap {best.layer}, of least leave-one-out error "
                f"{number(best.least)} (NC1 {significant(best.nc1)}); the last layer has "
                f"{number(last.least)} (NC1 {significant(last.nc1)})"
            )
    return lines


def small_print(choice: Found) -> list[str]:
    """What has to be known: of estimates, of the draw, what lowers the kind, and notes."""
    always = (
        "leave-one-out errors choose the shortlist and certify nothing: the least of many is too "
        "small"
    )
    weighted = (
        "class counts were fixed by design: errors are weighted by the class frequencies of the "
        "rows that were chosen on"
    )
    by_class = (weighted,) if choice.result.sampling == "stratified" else ()
    return [always, *by_class, *choice.result.reasons, *choice.notes]
