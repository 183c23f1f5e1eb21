"""The head proves itself: found by its values, never by its name or place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncbounds.checkpoints.head.agreement import agreement
from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.data.user import user_function
from ncbounds.errors import DataError, HeadNotFound


class Net(nn.Module):
    """A body and a way to make logits from it."""

    def __init__(self, forward: Callable[["Net", Tensor], Any]) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 12), nn.Tanh())
        self.middle = nn.Linear(12, 12)
        self.head = nn.Linear(12, 4)
        self.second = nn.Linear(12, 4)
        self.plain = nn.Linear(12, 4, bias=False)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(12, 4))
        self.matrix = nn.Parameter(torch.randn(12, 4))
        self.offset = nn.Parameter(torch.randn(4))
        self.drop = nn.Dropout(0.5)
        self.norm = nn.BatchNorm1d(12, track_running_stats=False)
        self.how = forward

    def forward(self, x: Tensor) -> Any:
        return self.how(self, x)


def feature(m: Net, x: Tensor) -> Tensor:
    out: Tensor = m.middle(m.body(x)).relu()
    return out


FOUND: dict[str, tuple[Callable[[Net, Tensor], Any], str]] = {
    "linear": (lambda m, x: m.head(feature(m, x)), "head"),
    "dropout before": (lambda m, x: m.head(m.drop(feature(m, x))), "head"),
    "no bias": (lambda m, x: m.plain(feature(m, x)), "plain"),
    "weight norm": (lambda m, x: m.normed(feature(m, x)), "normed"),
    "functional": (lambda m, x: F.linear(feature(m, x), m.head.weight, m.head.bias), "head"),
    "product": (lambda m, x: feature(m, x) @ m.matrix, "matrix"),
    "product plus bias": (lambda m, x: feature(m, x) @ m.matrix + m.offset, "matrix"),
    "addmm": (lambda m, x: torch.addmm(m.offset, feature(m, x), m.matrix), "matrix"),
    "cosine": (
        lambda m, x: 7 * F.linear(F.normalize(feature(m, x)), F.normalize(m.plain.weight)),
        "the model itself",
    ),
    "temperature": (lambda m, x: m.head(feature(m, x)) / 1.7, "head"),
    "negative": (lambda m, x: -m.head(feature(m, x)), "head"),
    "mean of two": (
        lambda m, x: (m.head(feature(m, x)) + m.second(feature(m, x))) / 2,
        "mean of head, second",
    ),
    "sum of two": (
        lambda m, x: m.head(feature(m, x)) + m.second(feature(m, x)),
        "mean of head, second",
    ),
    "many dropouts": (
        lambda m, x: torch.stack([m.head(m.drop(feature(m, x))) for _ in range(4)]).mean(0),
        "head",  # the mean of one map and itself
    ),
    "log softmax": (lambda m, x: m.head(feature(m, x)).log_softmax(1), "head"),
    "log softmax by hand": (
        lambda m, x: (lambda z: z - z.logsumexp(1, keepdim=True))(m.head(feature(m, x))),
        "head",
    ),
    "used twice": (lambda m, x: (m.head(feature(m, -x)), m.head(feature(m, x)))[1], "head"),
    "auxiliary before": (
        lambda m, x: {"aux": m.second(feature(m, -x)), "output": m.head(feature(m, x))},
        "head",
    ),
    "dict": (lambda m, x: {"hidden": x, "logits": m.head(feature(m, x))}, "head"),
    "in place later": (lambda m, x: later(m, x), "head"),
}


def later(m: Net, x: Tensor) -> Tensor:
    f = feature(m, x)
    out: Tensor = m.head(f)
    f.zero_()
    return out


def verify(how: Callable[[Net, Tensor], Any], n: int = 40, **options: Any) -> Classifier:
    torch.manual_seed(3)
    classifier = Classifier(Net(how), **options)
    classifier.verify(torch.randn(n, 5))
    return classifier


@pytest.mark.parametrize("case", list(FOUND))
def test_found(case: str) -> None:
    how, name = FOUND[case]
    classifier = verify(how)
    assert classifier.head_report.name == name
    x = torch.randn(50, 5)
    features, logits = classifier.features_and_logits(x)
    own = classifier.head.logits(features.numpy())
    if case == "log softmax by hand":
        own = own - np.log(np.exp(own).sum(1, keepdims=True))
        assert "one constant per row" in classifier.head_report.notes[0]
    assert np.abs(own - logits.numpy()).max() < 1e-5
    assert classifier.head_report.rows == 32 + 40 + 50
    assert classifier.head.has_bias == (case not in ("no bias", "product", "cosine"))
    assert features.shape == (50, 12)


def test_hand_calculation() -> None:
    module = nn.Linear(2, 2)
    module.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    module.bias.data = torch.tensor([0.5, -0.5])
    classifier = Classifier(module)
    features, logits = classifier.features_and_logits(torch.tensor([[1.0, 1.0], [2.0, 0.0]]))
    assert logits.tolist() == [[3.5, 6.5], [2.5, 5.5]]
    assert classifier.head.weight.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert classifier.head.bias.tolist() == [0.5, -0.5]
    assert classifier.head_report.max_abs_diff == 0.0
    assert features.tolist() == [[1.0, 1.0], [2.0, 0.0]]


NOT_FOUND: dict[str, tuple[Callable[[Net, Tensor], Any], str]] = {
    "mean of probabilities": (
        lambda m, x: m.head(feature(m, x)).softmax(1) + m.second(feature(m, x)).softmax(1),
        "nb.predict",
    ),
    "relu after": (lambda m, x: m.head(feature(m, x)).relu(), r"head \(off by "),
    "three axes": (lambda m, x: m.head(feature(m, x))[:, None, None, :], "needed are logits"),
    "nothing": (lambda m, x: None, "NoneType for"),
    "distance": (lambda m, x: -torch.cdist(feature(m, x), m.matrix.T), "Pass head="),
    "small error": (lambda m, x: m.head(feature(m, x)) + 1e-4 * x[:, :4].sin(), "off by"),
}


@pytest.mark.parametrize("case", list(NOT_FOUND))
def test_not_found(case: str) -> None:
    how, message = NOT_FOUND[case]
    with pytest.raises(HeadNotFound, match=message):
        verify(how)


def test_random_numbers_in_eval_mode() -> None:
    with pytest.raises(HeadNotFound, match="random numbers"):
        verify(lambda m, x: m.head(F.dropout(feature(m, x), 0.5, training=True)))


def test_rows_that_depend_on_each_other() -> None:
    with pytest.raises(HeadNotFound, match="rows beside it"):
        verify(lambda m, x: m.head(m.norm(feature(m, x))))


def test_a_head_that_stops_to_hold() -> None:
    def how(m: Net, x: Tensor) -> Tensor:
        out: Tensor = m.head(feature(m, x))
        return out + (x[:, :1] > 100) * x[:, :4]

    classifier = verify(how)
    rare = torch.randn(10, 5)
    rare[7, 0] = 200.0
    with pytest.raises(HeadNotFound, match="reproduced the first logits"):
        classifier.features_and_logits(rare)


def test_a_head_that_is_chosen_by_the_input() -> None:
    def how(m: Net, x: Tensor) -> Tensor:
        out: Tensor = (m.head if x.mean() < 50 else m.second)(feature(m, x))
        return out

    with pytest.raises(HeadNotFound, match="not used in the same way"):
        verify(how).features_and_logits(torch.full((3, 5), 99.0))


def test_a_mean_that_takes_other_features_later() -> None:
    def how(m: Net, x: Tensor) -> Tensor:
        other = feature(m, x if x.mean() < 50 else -x)
        out: Tensor = (m.head(feature(m, x)) + m.second(other)) / 2
        return out

    with pytest.raises(HeadNotFound, match="not used in the same way"):
        verify(how).features_and_logits(torch.full((3, 5), 99.0))


def test_named_head_is_checked_like_any_other() -> None:
    def how(m: Net, x: Tensor) -> Tensor:
        out: Tensor = m.head(feature(m, x))
        return out

    assert verify(how, head="head").head_report.name == "head"
    with pytest.raises(HeadNotFound, match=r"in the layer 'second'"):
        verify(how, head="second")
    with pytest.raises(HeadNotFound, match=r"no layer 'heda'; its last layers are .*drop"):
        verify(how, head="heda")
    assert verify(lambda m, x: m.normed(feature(m, x)), head="normed").head.has_bias


def test_function_as_head() -> None:
    def how(m: Net, x: Tensor) -> Tensor:
        out: Tensor = -torch.cdist(feature(m, x), m.matrix.T)
        return out

    torch.manual_seed(3)
    module = Net(lambda m, x: torch.sparse.mm(m.head.weight, feature(m, x).T).T + m.head.bias)
    x = torch.randn(40, 5)

    def given(batch: Tensor) -> tuple[Tensor, Tensor]:
        return feature(module, batch), module(batch)

    classifier = Classifier(module, head=given)
    assert classifier.verify(x).name == "head"
    features, logits = classifier.features_and_logits(x)
    assert np.abs(classifier.head.logits(features) - logits.numpy()).max() < 1e-5
    wrong = Classifier(Net(how), head=given)
    with pytest.raises(HeadNotFound, match=r"no weight|differ by"):
        wrong.verify(x)
    bad = Classifier(module, head=lambda batch: module(batch))  # type: ignore[arg-type, return-value]
    with pytest.raises(HeadNotFound, match=r"returns \(features, logits\)"):
        bad.verify(x)


def test_no_hook_stays_behind_even_after_an_error() -> None:
    module = Net(lambda m, x: m.head(feature(m, x)))
    classifier = Classifier(module)
    with pytest.raises(DataError, match=r"cannot process a batch of \(3, 4\)"):
        classifier.verify(torch.randn(3, 4))
    classifier.verify(torch.randn(3, 5))
    classifier.features_and_logits(torch.randn(3, 5))
    for layer in module.modules():
        assert not layer._forward_hooks
        assert not layer._forward_pre_hooks


def test_values_that_are_not_finite_are_passed_on() -> None:
    classifier = verify(lambda m, x: m.head(feature(m, x)))
    x = torch.randn(6, 5)
    x[2, 3] = float("nan")
    features, logits = classifier.features_and_logits(x)
    assert torch.isnan(features[2]).any()
    assert torch.isfinite(features[[0, 1, 3, 4, 5]]).all()
    assert torch.isnan(logits[2]).any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_precisions(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(30, 200), nn.ReLU(), nn.Linear(200, 10)).to(dtype)
    classifier = Classifier(module)
    report = classifier.verify(torch.randn(64, 30))
    assert report.name == "2"
    logits = classifier.features_and_logits(torch.randn(64, 30))[1]
    assert report.tolerance < 0.2 * float(logits.abs().max())
    wrong = nn.Sequential(module, nn.ReLU())
    with pytest.raises(HeadNotFound):
        Classifier(wrong).verify(torch.randn(64, 30))


def test_tolerance_follows_the_logits() -> None:
    """Scaling the weights scales what is allowed; a relative error of 1e-4 never passes."""
    torch.manual_seed(0)
    f, w, b = torch.randn(50, 64), torch.randn(5, 64), torch.randn(5)
    for scale in (1e-6, 1.0, 1e6):
        weight, bias = (w * scale), (b * scale)
        logits = f @ weight.T + bias
        good = agreement(logits, f, weight.double(), bias.double())
        assert good.holds
        assert good.ratio < 0.5
        bad = agreement(logits * (1 + 1e-4), f, weight.double(), bias.double())
        assert not bad.holds


def test_zero_features_do_not_divide_by_zero() -> None:
    zero = torch.zeros(3, 2)
    assert agreement(zero, zero, torch.ones(2, 2).double(), torch.zeros(2).double()).holds
    one = agreement(zero + 1, zero, torch.ones(2, 2).double(), torch.zeros(2).double())
    assert not one.holds


class Convolutional(nn.Module):
    def __init__(self, order: str) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Conv2d(8, 5, 1)
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        f = self.body(x).relu()
        if self.order == "pool first":
            return self.head(F.adaptive_avg_pool2d(f, 1)).flatten(1)
        if self.order == "not flattened":
            out: Tensor = self.head(F.adaptive_avg_pool2d(f, 1))
            return out
        if self.order == "pool last":
            return self.head(f).mean((2, 3))
        return F.adaptive_avg_pool2d(self.head(f).relu(), 1).flatten(1)


@pytest.mark.parametrize("order", ["pool first", "not flattened", "pool last"])
def test_convolution_as_head(order: str) -> None:
    torch.manual_seed(0)
    model = Convolutional(order)
    classifier = Classifier(model)
    x = torch.randn(9, 3, 6, 6)
    assert classifier.verify(x).name == "head"
    features, _ = classifier.features_and_logits(x)
    wanted = model.body(x).relu().mean((2, 3))
    assert torch.allclose(features, wanted, atol=1e-6)


def test_pooling_after_a_kink_has_no_head() -> None:
    with pytest.raises(HeadNotFound, match=r"head \(off by"):
        Classifier(Convolutional("relu between")).verify(torch.randn(9, 3, 6, 6))


class Text(nn.Module):
    """Scores every token and returns the score of the last one that is no padding (0)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.mix = nn.GRU(8, 8, batch_first=True)
        self.score = nn.Linear(8, 3, bias=False)

    def forward(self, input_ids: Tensor) -> Tensor:
        scores = self.score(self.mix(self.embed(input_ids))[0])
        places = torch.arange(input_ids.shape[1]) * (input_ids != 0)
        out: Tensor = scores[torch.arange(len(scores)), places.argmax(1)]
        return out


@pytest.mark.parametrize("side", ["left", "right"])
def test_one_token_per_row(side: str) -> None:
    torch.manual_seed(0)
    model = Text()
    ids = torch.randint(1, 20, (12, 7))
    lengths = torch.randint(1, 8, (12,))
    for row, length in enumerate(lengths):
        ids[row, length:] = 0
        if side == "left":
            ids[row] = ids[row].roll(7 - int(length))
    classifier = Classifier(model)
    report = classifier.verify({"input_ids": ids})
    assert report.kind == "one position per row"
    features, _ = classifier.features_and_logits({"input_ids": ids})
    states = model.mix(model.embed(ids))[0]
    places = lengths - 1 if side == "right" else torch.full((12,), 6)
    assert torch.equal(features, states[torch.arange(12), places])
    one_token = classifier.features_and_logits({"input_ids": ids[:4, -1:]})[0]
    assert one_token.shape == (4, 8)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_and_parallel_wrappers_are_opened() -> None:
    model = nn.Linear(3, 2)
    assert Classifier(nn.DataParallel(model)).module is model
    assert Classifier(torch.compile(model)).module is model  # type: ignore[arg-type]


def test_identity_follows_weights_code_and_head() -> None:
    torch.manual_seed(0)
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    same = nn.Linear(3, 2)
    same.load_state_dict(first.state_dict())
    assert Classifier(first).identity == Classifier(same).identity
    names = {
        Classifier(first).identity,
        Classifier(second).identity,
        Classifier(nn.Sequential(first)).identity,
        Classifier(first, head=lambda x: (x, first(x))).identity,
    }
    assert len(names) == 4


class Autocast(nn.Module):
    """Computes in bfloat16; returns that, or widens it."""

    def __init__(self, widen: bool, depth: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(*(nn.Linear(12, 12) for _ in range(depth)))
        self.head = nn.Linear(12, 5)
        self.widen = widen

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            out: Tensor = self.head(self.body(x).relu())
        return out.float() if self.widen else out


@pytest.mark.parametrize("depth", [1, 3])
def test_autocast_in_the_model(depth: int) -> None:
    torch.manual_seed(1)
    report = Classifier(Autocast(False, depth)).verify(torch.randn(64, 12))
    assert report.max_abs_diff <= report.tolerance
    with pytest.raises(HeadNotFound, match=r"compute in bfloat16 \(autocast\).*out of forward"):
        Classifier(Autocast(True, depth)).verify(torch.randn(64, 12))


def test_the_difference_that_is_shown_belongs_to_what_is_allowed() -> None:
    """A large logit may differ by more than a small one is allowed to."""
    features, weight = torch.tensor([[1.0], [1e-3]]), torch.tensor([[1.0], [2.0]])
    logits = (features @ weight.T).bfloat16()
    logits[0, 1] = 2.0078125 + 0.0078125
    good = agreement(logits, features, weight.double(), torch.zeros(2).double())
    assert good.holds
    assert good.max_abs_diff == pytest.approx(0.015625)
    assert good.max_abs_diff <= good.tolerance
    logits[1, 0] = 2e-3
    bad = agreement(logits, features, weight.double(), torch.zeros(2).double())
    assert not bad.holds
    assert bad.tolerance < bad.max_abs_diff == pytest.approx(1e-3, rel=0.01)


def test_identity_follows_what_the_code_of_a_network_imports(tmp_path: Path) -> None:
    (tmp_path / "identity_blocks.py").write_text("def act(z): return z.relu()\n")
    (tmp_path / "net.py").write_text(
        "from torch import nn\nfrom identity_blocks import act\n"
        "class Net(nn.Linear):\n    def forward(self, x): return super().forward(act(x))\n"
    )
    network = user_function(f"{tmp_path / 'net.py'}:Net")(3, 2)
    before = Classifier(network).identity
    assert Classifier(network).identity == before
    (tmp_path / "identity_blocks.py").write_text("def act(z): return z.clamp(min=-9)\n")
    assert Classifier(network).identity != before
