"""What a message says to type works when it is typed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset
from typer.testing import CliRunner

from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.cli.app import app
from ncbounds.cli.arguments import model_arguments
from ncbounds.data.user import user_object
from ncbounds.errors import DataError, InvalidSample, NcboundsError
from ncbounds.evaluation.facts import facts_of
from ncbounds.evidence.evidence import Evidence
from ncbounds.extraction.extract import extract

N = 12
LABELS = torch.arange(N) % 3


def images(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )


@pytest.mark.parametrize(
    ("x", "channels", "typed"),
    [
        (torch.rand(N, 6, 7), 1, "x.unsqueeze(1)"),
        (torch.rand(N, 6, 7), 3, "x.unsqueeze(1).expand(-1, 3, -1, -1)"),
        (torch.rand(N, 6, 7, 3), 3, "x.permute(0, 3, 1, 2)"),
        (torch.rand(N, 1, 6, 7), 3, "x.expand(-1, 3, -1, -1)"),
        (torch.ones(N, 3, 6, 7, dtype=torch.uint8), 3, "x.float() / 255"),
    ],
)
def test_images_in_another_form(x: Tensor, channels: int, typed: str) -> None:
    model = images(channels)
    with pytest.raises(DataError) as refused:
        Classifier(model).verify(x)
    assert typed in str(refused.value)
    Classifier(model).verify(eval(typed, {"x": x}))


def test_labels_in_another_form() -> None:
    classifier, x = Classifier(nn.Linear(4, 3)), torch.randn(N, 4)
    names = ["cat", "dog", "emu"]
    labels = np.array(names)[LABELS.numpy()]
    with pytest.raises(DataError, match=r"\[names\.index\(label\) for label in labels\]"):
        extract(classifier, (x, labels), "holdout")
    numbered = np.array([names.index(label) for label in labels])
    np.testing.assert_array_equal(extract(classifier, (x, numbered), "holdout").labels, LABELS)
    with pytest.raises(DataError, match=r"labels\.reshape\(-1\)"):
        extract(classifier, (x, LABELS[:, None]), "holdout")
    with pytest.raises(DataError, match="in this order"):
        extract(classifier, (LABELS[:, None], torch.rand(N, 1, 2, 2)), "holdout")
    with pytest.raises(InvalidSample, match="--ignore-label -1"):
        extract(classifier, (x, LABELS - 1), "holdout")


class Streamed(IterableDataset):  # type: ignore[type-arg]
    """Yields single rows."""

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter([(torch.full((4,), float(i)), int(LABELS[i])) for i in range(N)])


def test_a_stream_of_rows_is_batched() -> None:
    found = extract(Classifier(nn.Linear(4, 3)), Streamed(), "holdout")
    np.testing.assert_array_equal(found.features[:, 0], np.arange(N))
    np.testing.assert_array_equal(found.labels, LABELS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("act=gelu,width=8", {"act": "gelu", "width": 8}),
        ("pretrained=False,pool=None,wide=true", {"pretrained": False, "pool": None, "wide": True}),
        ('name="a b",path=data/x.pt', {"name": "a b", "path": "data/x.pt"}),
    ],
)
def test_arguments_may_be_plain_words(text: str, found: dict[str, object]) -> None:
    assert model_arguments(text) == found


@pytest.mark.parametrize("text", ["width", "a=b c", "a=[1", "=3"])
def test_what_is_no_argument(text: str) -> None:
    with pytest.raises(NcboundsError, match="JSON such as"):
        model_arguments(text)


def test_only_what_a_module_defines_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "own_names.py").write_text("from json import dumps, loads\ndef load(): ...\n")
    with pytest.raises(DataError) as refused:
        user_object(f"{tmp_path / 'own_names.py'}:lod")
    assert "did you mean 'load'? known: load" in str(refused.value)
    assert "dumps" not in str(refused.value)


def test_a_point_that_is_not_finite_is_an_error_and_stops_nothing() -> None:
    x = torch.randn(N, 4)
    x[3] = float("nan")
    classifier = Classifier(nn.Linear(4, 3))
    sample = extract(classifier, (x, LABELS), "holdout")
    facts = facts_of(Evidence(head=classifier.head, holdout=sample))
    assert facts["collapse"] == {}
    assert facts["n"] == {"holdout": N}


def test_a_table_without_rows(tmp_path: Path) -> None:
    pd.DataFrame({"label": [], "predicted": []}).to_csv(tmp_path / "p.csv", index=False)
    typed = ["evaluate-predictions", str(tmp_path / "p.csv"), "--role", "holdout"]
    result = CliRunner().invoke(app, typed)
    assert result.exit_code == 2
    assert "holds no rows" in " ".join(result.output.split())


@pytest.mark.parametrize("one", [False, True])
def test_arrays_may_have_the_usual_names_and_one_class_is_said(tmp_path: Path, one: bool) -> None:
    (tmp_path / "net.py").write_text("from torch import nn\ndef build(): return nn.Linear(4, 3)\n")
    torch.save(nn.Linear(4, 3).state_dict(), tmp_path / "m.pt")
    y = np.full(N, 2) if one else LABELS.numpy()
    np.savez(tmp_path / "d.npz", X=np.random.default_rng(0).normal(size=(N, 4)), y=y)
    typed = ["evaluate", tmp_path / "m.pt", "--model", f"{tmp_path / 'net.py'}:build"]
    typed += ["--data", tmp_path / "d.npz", "--role", "holdout", "--out", tmp_path / "run"]
    typed += ["--bounds", "binomial", "--workers", "0"]
    result = CliRunner().invoke(app, list(map(str, typed)))
    assert result.exit_code == 0
    assert ("all labels of holdout are 2" in " ".join(result.output.split())) == one
