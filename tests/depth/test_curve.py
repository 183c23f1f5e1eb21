"""The curve puts each probe and the network at its error."""

from types import MappingProxyType

from ncbounds.depth.curve import curve
from ncbounds.depth.layers import Layer, LayerReport


def layer(name, ncm, ridge):
    return Layer(name, 4, 4, {}, {"holdout": {"ncm": ncm, "ridge": ridge}}, {}, {})


def test_marks_stand_at_their_errors():
    """Eleven columns for errors 0 to 50 of 100: one column is 5 errors."""
    report = LayerReport(
        layers=(layer("input", 50, 20), layer("head", 10, 0)),
        rows=MappingProxyType({"holdout": 100}),
        network_errors={"holdout": 10},
        kind="plug-in",
        reasons=(),
        delta=0.05,
        family=4,
        eps=0.01,
        exit_probe="ridge",
        exit=None,
        law={},
        effective_depth=None,
    )
    assert curve(report, 11).splitlines() == [
        "error on holdout from 0 to 0.5: n ncm, r ridge, | network",
        "input    | r     n",
        "head   r n",
    ]
