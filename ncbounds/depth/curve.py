"""The curve of probe errors from input to logits, in characters."""

from ncbounds.depth.layers import LayerReport
from ncbounds.evidence.roles import Role

WIDTH = 60
#: What stands where several marks fall together.
SEVERAL = "*"


def curve(report: LayerReport, width: int = WIDTH) -> str:
    """One line a place with the error of each probe on held-out rows, else on the best there are.

    Parameters
    ----------
    report : LayerReport
    width : int
        Columns from error 0 to the largest.

    Returns
    -------
    str
        A probe is marked by its first letter, the saved network by a bar in every line.
    """
    wanted: tuple[Role, ...] = ("holdout", "test", "fit")
    role = next(r for r in wanted if r in report.rows)
    n = max(report.rows[role], 1)
    network = report.network_errors[role] / n
    rates = [{p: k / n for p, k in layer.errors[role].items()} for layer in report.layers]
    most = max(network, *(rate for by in rates for rate in by.values())) or 1.0
    names = max(len(layer.name) for layer in report.layers)

    def line(by: dict[str, float]) -> str:
        cells = [" "] * width
        for mark, rate in [("|", network), *((probe[0], rate) for probe, rate in by.items())]:
            at = round(rate / most * (width - 1))
            cells[at] = mark if cells[at] in (" ", "|") else SEVERAL
        return "".join(cells).rstrip()

    said = ", ".join(f"{probe[0]} {probe}" for probe in rates[0])
    return "\n".join(
        [
            f"error on {role} from 0 to {most:.3g}: {said}, | network",
            *(f"{x.name.ljust(names)}  {line(by)}" for x, by in zip(report.layers, rates)),
        ]
    )
