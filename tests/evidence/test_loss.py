"""Losses as they are declared."""

import pytest

from ncbounds.errors import InvalidArgument, UnknownName
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.loss import DECLARABLE, Loss, declared_loss
from ncbounds.geometry.efficiency_groups import LOSSES


def test_names_are_read_with_either_dash_and_a_share():
    assert declared_loss("cross_entropy") == declared_loss("cross-entropy") == Loss("cross-entropy")
    assert declared_loss("label_smoothing:0.1") == Loss("cross-entropy", 0.1)
    assert str(declared_loss("label-smoothing:0.1")) == "cross-entropy with label smoothing 0.1"
    assert declared_loss("focal:2") == Loss("focal", gamma=2.0)
    assert str(declared_loss("focal:0.5")) == "focal with gamma 0.5"


def test_whatever_can_be_declared_has_a_function():
    assert {declared_loss(name).name for name in DECLARABLE} == set(LOSSES)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("cross-entropie", UnknownName, "did you mean 'cross-entropy'"),
        ("mse:0.1", UnknownName, "no loss 'mse:0.1'"),
        ("label-smoothing", InvalidArgument, "behind a colon"),
        ("label-smoothing:nan", InvalidArgument, "behind a colon"),
        ("focal", InvalidArgument, "as in 'focal:2'"),
        ("focal:-1", InvalidArgument, "gamma behind a colon"),
        (0.1, InvalidArgument, "a name such as"),
    ],
)
def test_what_is_no_loss_is_told_and_no_evidence_takes_it(text, error, says):
    for use in (declared_loss, lambda loss: Evidence(head=LinearHead([[1.0], [2.0]]), loss=loss)):
        with pytest.raises(error, match=says):
            use(text)
