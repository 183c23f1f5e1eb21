"""Of several outputs the name decides, or the classes of the data, or nobody; what is no label."""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.checkpoints.head.outputs import is_feature
from ncbounds.checkpoints.inspect import inspect_checkpoint
from ncbounds.checkpoints.inspection import render
from ncbounds.errors import HeadNotFound
from ncbounds.extraction.extract import extract

Pair = namedtuple("Pair", ["projected", "y_hat"])


@dataclass
class Answer:
    pooled: Tensor
    scores: Tensor


class Net(nn.Module):
    """Body, projection to 16 numbers, embedding of 8, two heads of 5 and one of 1."""

    def __init__(self, returns: Callable[["Net", Tensor], Any] = lambda m, f: m.fc(f)) -> None:
        super().__init__()
        self.body = nn.Linear(6, 12)
        self.proj = nn.Linear(12, 16)
        self.emb = nn.Linear(12, 8)
        self.fc = nn.Linear(12, 5)
        self.aux = nn.Linear(12, 5)
        self.deep = nn.Linear(8, 5)
        self.one = nn.Linear(12, 1)
        self.returns = returns

    def forward(self, x: Tensor) -> Any:
        return self.returns(self, self.body(x).relu())


X = torch.randn(60, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(60) % 5


def classifier(returns: Callable[[Net, Tensor], Any], **options: Any) -> Classifier:
    torch.manual_seed(0)
    return Classifier(Net(returns), **options)


BY_NAME: dict[str, tuple[Callable[[Net, Tensor], Any], str, str]] = {
    "dict": (lambda m, f: {"embedding": m.proj(f), "logits": m.fc(f)}, "fc", "logits"),
    "scores": (lambda m, f: {"aux": m.aux(f), "scores": m.fc(f)}, "fc", "scores"),
    "logits before output": (
        lambda m, f: {"output": m.aux(f), "logits": m.fc(f)},
        "fc",
        "logits",
    ),
    "named tuple": (lambda m, f: Pair(m.proj(f), m.fc(f)), "fc", "y_hat"),
    "object": (lambda m, f: Answer(m.proj(f), m.fc(f)), "fc", "scores"),
    "nested": (lambda m, f: ({"logits": m.fc(f)}, m.proj(f)), "fc", "0.logits"),
    "nearer one": (
        lambda m, f: {"aux": {"logits": m.aux(f)}, "logits": m.fc(f)},
        "fc",
        "logits",
    ),
}


@pytest.mark.parametrize("case", list(BY_NAME))
def test_a_name_decides(case: str) -> None:
    returns, head, output = BY_NAME[case]
    found = classifier(returns)
    report = found.verify(X)
    assert (report.name, report.output, found.head.classes) == (head, output, 5)
    assert "by its name; passed over: " in report.notes[0]


BY_CLASSES: dict[str, Callable[[Net, Tensor], Any]] = {
    "embedding first": lambda m, f: (m.emb(f), m.fc(f)),
    "projection, dict": lambda m, f: {"p": m.proj(f), "c": m.fc(f)},
    "features": lambda m, f: (m.fc(f), f),
    "one number per row": lambda m, f: (m.one(f)[:, 0], m.fc(f)),
}


@pytest.mark.parametrize("case", list(BY_CLASSES))
@pytest.mark.parametrize("form", ["arrays", "list"])
def test_the_classes_of_the_data_decide(case: str, form: str) -> None:
    found = classifier(BY_CLASSES[case])
    data = (X, Y) if form == "arrays" else list(zip(X.split(3), Y.split(3), strict=True))
    sample = extract(found, data, "holdout")
    assert found.head_report.name == "fc"
    assert "by the 5 classes of the data; passed over: " in found.choices[0]
    with torch.no_grad():
        wanted = found.module.fc(found.module.body(X).relu())
    np.testing.assert_allclose(sample.logits(found.head), wanted, atol=1e-5)


UNDECIDED: dict[str, tuple[Callable[[Net, Tensor], Any], str]] = {
    "two heads": (
        lambda m, f: (m.fc(f), m.aux(f)),
        r"0 \(5 per row\), made by fc; 1 \(5 per row\), made by aux",
    ),
    "embedding and its head": (
        lambda m, f: (m.emb(f), m.deep(m.emb(f)).relu()),
        r"0 \(8 per row\), made by emb; 1 \(5 per row\)\. Say",
    ),
    "two of one name": (
        lambda m, f: ({"logits": m.fc(f)}, {"logits": m.aux(f)}),
        r"0\.logits \(5 per row\), made by fc; 1\.logits",
    ),
}


@pytest.mark.parametrize("case", list(UNDECIDED))
def test_where_nothing_decides_the_outputs_are_listed(case: str) -> None:
    returns, listed = UNDECIDED[case]
    with pytest.raises(HeadNotFound, match=listed) as error:
        classifier(returns).verify(X)
    assert "(--output 1" in str(error.value)
    with pytest.raises(HeadNotFound, match="several things"):  # read once only: classes unknown
        extract(classifier(returns), iter([(X, Y % 5)]), "holdout")


def test_classes_that_fit_two_outputs_or_none_decide_nothing() -> None:
    with pytest.raises(HeadNotFound, match="several things"):
        extract(classifier(lambda m, f: (m.fc(f), m.aux(f))), (X, Y), "holdout")
    with pytest.raises(HeadNotFound, match="several things"):
        extract(classifier(lambda m, f: (m.emb(f), m.fc(f))), (X, Y % 3), "holdout")


def test_an_output_that_was_asked_for() -> None:
    both = classifier(lambda m, f: (m.fc(f), m.aux(f)), output=1)
    assert both.verify(X).name == "aux"
    assert both.head_report.output == "1"
    with torch.no_grad():
        wanted = both.module.aux(both.module.body(X).relu())
    assert torch.equal(both.features_and_logits(X)[1], wanted)
    named = classifier(lambda m, f: {"a": m.fc(f), "logits": m.aux(f)}, output="a")
    assert named.verify(X).name == "fc"
    embedding = classifier(lambda m, f: {"embedding": m.emb(f)}, output="embedding")
    assert embedding.verify(X).name == "emb"
    assert both.identity != classifier(lambda m, f: (m.fc(f), m.aux(f)), output=0).identity


@pytest.mark.parametrize(
    ("returns", "output", "message"),
    [
        (lambda m, f: (m.fc(f), m.aux(f)), 2, "no output '2'; .*known: 0, 1"),
        (lambda m, f: {"logits": m.fc(f), "x": f}, "logit", "did you mean 'logits'"),
        (lambda m, f: m.fc(f), "logits", "returns one tensor"),
        (lambda m, f: {"a": m.fc(f), "b": f[:, None]}, "b", r"'b' has shape \(32, 1, 12\)"),
    ],
)
def test_an_output_that_is_not_there(
    returns: Callable[[Net, Tensor], Any], output: Any, message: str
) -> None:
    with pytest.raises(HeadNotFound, match=message):
        classifier(returns, output=output).verify(X)


OTHER_KINDS: dict[str, tuple[Callable[[Net, Tensor], Any], str]] = {
    "features by name": (
        lambda m, f: {"image_embeds": m.proj(f)},
        r"image_embeds \(16 per row\), features by their name.*output='image_embeds'",
    ),
    "detector": (
        lambda m, f: [{"boxes": f[:2], "scores": f[0], "labels": f[1]} for _ in f],
        r"list of 32 dictionaries \(boxes, scores, labels\): a detector",
    ),
    "tokens": (
        lambda m, f: {"logits": m.fc(f)[:, None].repeat(1, 7, 1), "pooled": m.emb(f)},
        r"under 'logits' a tensor of shape \(32, 7, 5\).*token classifier",
    ),
    "pixels": (
        lambda m, f: {"out": m.fc(f)[:, :, None, None].repeat(1, 1, 3, 3), "aux": m.aux(f)},
        r"under 'out' a tensor of shape \(32, 5, 3, 3\).*segmenter",
    ),
    "a number": (lambda m, f: {"loss": f.mean()}, r"returned dict loss \(\) for 32 rows"),
}


@pytest.mark.parametrize("case", list(OTHER_KINDS))
def test_what_gives_no_single_label_per_row_is_refused_by_name(case: str) -> None:
    returns, message = OTHER_KINDS[case]
    with pytest.raises(HeadNotFound, match=message):
        extract(classifier(returns), (X, Y), "holdout")


def test_names_of_features() -> None:
    for name in ("embedding", "image_embeds", "0.hidden_states", "pooler_output", "Proj"):
        assert is_feature(name)
    for name in ("", "0", "logits", "output", "classifier", "embargo"):
        assert not is_feature(name)


def test_a_function_as_head_says_which_output_it_means() -> None:
    found = classifier(lambda m, f: (m.fc(f), m.aux(f)))

    def given(batch: Tensor) -> tuple[Tensor, Tensor]:
        return found.module.body(batch).relu(), found.module(batch)[1]

    found = classifier(lambda m, f: (m.fc(f), m.aux(f)), head=given)
    report = found.verify(X)
    assert (report.name, report.output) == ("aux", "1")
    wrong = classifier(
        lambda m, f: (m.fc(f), m.aux(f)), head=lambda b: (given(b)[0], given(b)[1] + 1)
    )
    with pytest.raises(HeadNotFound, match=r"differ by 1 from what the model returns"):
        wrong.verify(X)


def test_the_words_of_the_message_work_when_typed(tmp_path: Path) -> None:
    def build() -> Net:
        return Net(lambda m, f: (m.emb(f), m.fc(f)))

    torch.save(build().state_dict(), tmp_path / "c.pt")
    found = inspect_checkpoint(tmp_path / "c.pt", build)
    assert found.problem is not None
    assert "output=1 (--output 1)" in found.problem
    found = inspect_checkpoint(tmp_path / "c.pt", build, output=1)
    assert found.problem is None
    assert found.classes == 5
    assert "  output     1\n  head       fc (direct)" in render(found)


@pytest.mark.parametrize(
    ("name", "problem", "message"),
    [
        ("MyNet", "regression", "problem_type 'regression': its answers are numbers"),
        ("BertForTokenClassification", None, "labels every token"),
        ("DetrForObjectDetection", None, "returns boxes"),
        ("MyNet", "regression", r"nb\.Evidence\.from_losses"),
    ],
)
def test_a_module_that_says_that_it_is_for_something_else(
    name: str, problem: str | None, message: str
) -> None:
    config = type("Config", (), {"problem_type": problem})()
    module = type(name, (nn.Linear,), {"config": config})(3, 2)
    with pytest.raises(HeadNotFound, match=message):
        Classifier(module)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("BertForSequenceClassification", "regression", "its answers are numbers"),
        ("BertForTokenClassification", None, "labels every token"),
        ("BertLMHeadModel", None, "generates text"),
    ],
)
def test_folders_of_other_tasks_are_refused_by_name(
    tmp_path: Path, kind: str, change: str | None, message: str
) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, num_labels=3
    )
    config.problem_type = change
    getattr(transformers, kind)(config).save_pretrained(tmp_path / "m")
    found = inspect_checkpoint(tmp_path / "m")
    assert found.problem is not None
    assert message in found.problem
