"""Networks without a linear head: what they predict is checked as features are, and counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ncbounds as nb
from ncbounds.errors import HeadNotFound
from ncbounds.extraction.predict import answered


class Net(nn.Module):
    """Prototypes at a learned distance, or whatever else ``how`` makes of a body."""

    def __init__(self, how: Callable[["Net", Tensor], Any] | None = None) -> None:
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.prototypes = nn.Parameter(torch.randn(4, 8))
        self.how = how

    def forward(self, x: Tensor) -> Any:
        if self.how is not None:
            return self.how(self, x)
        return -torch.cdist(self.body(x).relu(), self.prototypes)


def made(how: Callable[[Net, Tensor], Any] | None = None) -> tuple[nb.Classifier, Tensor, Tensor]:
    torch.manual_seed(5)
    return nb.Classifier(Net(how)), torch.randn(300, 6), torch.arange(300) % 4


def test_errors_are_those_of_the_network() -> None:
    classifier, x, labels = made()
    wrong = int((classifier.module(x).argmax(1) != labels).sum())
    sample = nb.predict(classifier, (x, labels), "holdout", sampling="iid")
    assert sample.answers is not None
    assert (sample.dim, sample.module_disagreements) == (0, None)
    evidence = nb.Evidence(head=nb.NoHead(4, "prototypes"), holdout=sample)
    rows = nb.evaluate(evidence, bounds="binomial").rows
    assert rows[0].details["errors"] == wrong
    assert rows[0].kind == "certificate"


def test_the_store_finds_them_again_and_keeps_them_apart_from_features(tmp_path: Path) -> None:
    classifier, x, labels = made(lambda m, x: {"logits": m.body(x)})
    kept = [nb.predict(classifier, (x, labels), "holdout", store=tmp_path) for _ in range(2)]
    assert kept[0].answers is not None
    assert kept[1].answers is not None
    assert np.array_equal(kept[0].answers, kept[1].answers)
    assert nb.extract(classifier, (x, labels), "holdout", store=tmp_path).dim == 6
    with pytest.raises(nb.errors.DataError, match="leave store_dtype out"):
        nb.predict(classifier, (x, labels), "holdout", store=tmp_path, store_dtype="float16")


def test_equal_inputs_are_found_in_two_roles() -> None:
    classifier, x, labels = made()
    fit = nb.predict(classifier, (x, labels), "fit")
    holdout = nb.predict(classifier, (x[:200], labels[:200]), "holdout", sampling="iid", classes=4)
    evidence = nb.Evidence(head=nb.NoHead(4, "prototypes"), fit=fit, holdout=holdout)
    row = nb.evaluate(evidence, bounds="binomial").rows[0]
    assert row.kind == "plug-in"
    assert any("stand in the fit sample too" in reason for reason in row.reasons)


REFUSED: dict[str, tuple[Callable[[Net, Tensor], Any], str]] = {
    "the batch": (lambda m, x: made_of(m, x) / made_of(m, x).abs().max(), "rows beside it"),
    "random numbers": (lambda m, x: made_of(m, x) + torch.rand(len(x), 1), "random numbers"),
    "features": (lambda m, x: m.body(x).tanh(), "8 numbers per row where the labels name 4"),
}


def made_of(m: Net, x: Tensor) -> Tensor:
    return -torch.cdist(m.body(x).relu(), m.prototypes)


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_is_no_prediction_of_each_row_is_refused(case: str) -> None:
    how, message = REFUSED[case]
    classifier, x, labels = made(how)
    with pytest.raises(HeadNotFound, match=message):
        nb.predict(classifier, (x, labels), "holdout")


def test_the_advice_for_outputs_that_may_be_features_works() -> None:
    how = REFUSED["features"][0]
    classifier, x, labels = made(lambda m, x: {"logits": how(m, x)})
    sample = nb.predict(classifier, (x, labels), "holdout")
    assert sample.answers is not None
    assert sample.answers.max() > 3
    classifier, x, labels = made(how)
    again = nb.predict(classifier, (x, labels), "holdout", classes=8)
    assert np.array_equal(again.answers, sample.answers)


def one_number(m: Net, x: Tensor) -> Tensor:
    found: Tensor = m.body(x).tanh().sum(1)
    return found


def two_at_most(how: Callable[[Net, Tensor], Any]) -> tuple[nb.Classifier, Tensor, Tensor]:
    classifier, x, labels = made(how)
    return classifier, x, labels % 2


def test_a_tie_that_a_last_sigmoid_makes_is_an_error() -> None:
    """In float32 it is 1 beyond 17: what the network returns then names no single class."""
    classifier, x, labels = made(lambda m, x: torch.sigmoid(80 + 20 * made_of(m, x)))
    returned = classifier.module(x).detach()
    tied = (returned == returned.amax(1, keepdim=True)).sum(1) > 1
    assert 0 < int(tied.sum()) < len(x)
    answers = nb.predict(classifier, (x, labels), "holdout").answers
    assert answers is not None
    assert np.array_equal(answers, np.where(tied, -1, returned.argmax(1)))
    classifier, x, labels = two_at_most(lambda m, x: torch.sigmoid(1e-8 * one_number(m, x)))
    answers = nb.predict(classifier, (x, labels), "holdout").answers
    assert answers is not None
    assert np.array_equal(answers == -1, classifier.module(x).detach() == 0.5)


@pytest.mark.parametrize("of", [torch.square, nn.functional.logsigmoid, torch.special.ndtr])
def test_one_number_that_0_does_not_divide_is_refused(of: Callable[[Tensor], Tensor]) -> None:
    classifier, x, labels = two_at_most(lambda m, x: of(one_number(m, x)))
    with pytest.raises(HeadNotFound, match=r"torch\.stack"):
        nb.predict(classifier, (x, labels), "holdout")


def test_a_sigmoid_that_is_clamped_for_later_rows_decides_at_one_half_or_not_at_all() -> None:
    def how(m: Net, x: Tensor) -> Tensor:
        return torch.sigmoid(20 * one_number(m, x)).clamp(0.0, 1 - 1e-6)

    classifier, x, labels = two_at_most(how)
    assert isinstance(classifier.module, Net)
    order = one_number(classifier.module, x).argsort()
    x, labels = x[order], labels[order]  # the largest, which are clamped, come last
    with pytest.raises(HeadNotFound, match="something else here"):
        nb.predict(classifier, (x, labels), "holdout", batch_size=50)


@pytest.mark.parametrize("above", [0.0, 2.5])  # of the first rows many, or none
@pytest.mark.parametrize("instead", [torch.nan, -torch.inf])
def test_where_a_network_gives_no_answer_its_head_does_not_stand_for_it(
    above: float, instead: float
) -> None:
    def how(m: Net, x: Tensor) -> Tensor:
        logits: Tensor = m.body(x)
        return logits.masked_fill(x[:, :1] > above, instead)

    classifier, x, labels = made(how)
    silent = (x[:, 0] > above).numpy()
    assert 0 < silent.sum() < 200
    assert silent[:32].any() == (above == 0.0)
    with pytest.raises(HeadNotFound, match="off by inf"):
        nb.extract(classifier, (x, labels), "holdout", batch_size=64)
    answers = nb.predict(classifier, (x, labels), "holdout", classes=8).answers
    assert answers is not None
    assert np.array_equal(answers == -1, silent)


def test_leads_that_rounding_may_have_made_are_ties() -> None:
    classifier, x, labels = made()
    alone = classifier.predicting()
    alone.verify(x)
    lead = np.array([0.0, 1e-7, 1e-5, 1.0], dtype=np.float32)
    logits = np.stack([np.ones(4, dtype=np.float32), 1 + lead], 1)
    sample = nb.Sample.from_arrays(logits, labels[:4] % 2, role="holdout")
    found = answered(alone, sample).answers
    assert found is not None
    assert found.tolist() == [-1, -1, 1, 1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("form", ["script", "export"])
def test_compiled_programs_are_predictions(form: str) -> None:
    torch.manual_seed(5)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)).eval()
    x = torch.randn(100, 6)
    labels = torch.arange(100) % 4
    module: Any
    if form == "script":
        module = torch.jit.script(net)
    else:
        rows = ({0: torch.export.Dim("rows")},)
        module = torch.export.export(net, (x[:4],), dynamic_shapes=rows).module()
    sample = nb.predict(nb.Classifier(module), (x, labels), "holdout")
    assert np.array_equal(sample.answers, net(x).argmax(1))


def test_an_exported_program_with_its_dropout_on_is_refused() -> None:
    net, x = nn.Sequential(nn.Linear(6, 8), nn.Dropout(), nn.Linear(8, 4)), torch.randn(50, 6)
    rows = ({0: torch.export.Dim("rows")},)
    module = torch.export.export(net.train(), (x[:4],), dynamic_shapes=rows).module()
    with pytest.raises(HeadNotFound, match="random numbers"):
        nb.predict(nb.Classifier(module), (x, torch.arange(50) % 4), "holdout")
