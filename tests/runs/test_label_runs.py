"""Rows with several labels, from data and files to rows: what is decided, and what is refused."""

import numpy as np
import pytest
import torch
from fixtures.project import make_project, save
from torch import nn
from typer.testing import CliRunner

import ncbounds as nb
from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.cli.app import app
from ncbounds.data.manifest import Entry, load_manifest
from ncbounds.errors import NcboundsError
from ncbounds.runs.decisions import decision_on
from ncbounds.runs.files import described
from ncbounds.runs.subject import evidence_of

L = 3


def network(end=None):
    torch.manual_seed(0)
    last = [] if end is None else [end]
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, L), *last)


class Averaged(nn.Module):
    """Probabilities that are the mean of two networks', which no linear head gives."""

    def __init__(self):
        super().__init__()
        self.one, self.other = network(), network()
        with torch.no_grad():
            self.other[2].weight.neg_()

    def forward(self, x):
        return (self.one(x).sigmoid() + self.other(x).sigmoid()) / 2


def rows(n=120):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    return x, (x[:, :L] + 0.3 * rng.normal(size=(n, L)) > 0)


def evidence(tmp_path, module, labels, task=None, **fields):
    """Evidence of a network on one sample, by the road that every checkpoint takes."""
    torch.save(module.state_dict(), tmp_path / "c.pt")
    data = {"holdout": (rows()[0], labels)}
    fields = {"sampling": "iid", "model": lambda: module, **fields}
    book = described([tmp_path / "c.pt"], data=data, **fields)
    [entry] = book.checkpoints.values()
    from ncbounds.runs.own_data import kept_by_name

    book = kept_by_name(book)
    return evidence_of(entry, book.tasks[entry.task])


def by_hand(logits, y, thresholds):
    return ((logits > thresholds) != y).any(axis=1)


@pytest.mark.parametrize("form", [bool, np.int64, np.float32, list])
def test_labels_of_shape_n_l_are_several_and_each_has_its_threshold(form, tmp_path):
    x, y = rows()
    labels = y.astype(int).tolist() if form is list else y.astype(form)
    t = (0.25, -0.5, 0.0)
    found = evidence(tmp_path, network(), labels, thresholds=t)
    assert found.decision == nb.MultiLabel(threshold=t)
    np.testing.assert_array_equal(found.holdout.indicators, y)
    with torch.no_grad():
        logits = network()(torch.from_numpy(x)).double().numpy()
    wrong = found.decision.wrong(found.holdout, found.head)
    np.testing.assert_array_equal(wrong, by_hand(logits, y, t))
    assert 0 < wrong.sum() < len(y)


def test_thresholds_of_probabilities_are_those_of_the_logits_before_a_sigmoid(tmp_path):
    x, y = rows()
    with torch.no_grad():
        p = network(nn.Sigmoid())(torch.from_numpy(x)).double().numpy()
    for end in (None, nn.Sigmoid()):
        found = evidence(tmp_path, network(end), y, probability_thresholds=0.3)
        assert found.decision.threshold == pytest.approx(np.log(3 / 7))
        wrong = found.decision.wrong(found.holdout, found.head)
        np.testing.assert_array_equal(wrong, by_hand(p, y, 0.3))


@pytest.mark.parametrize("end", [nn.Softmax(1), nn.LogSoftmax(1)])
def test_a_softmax_only_ranks(end, tmp_path):
    x, y = rows()
    with pytest.raises(NcboundsError, match=r"type --ranked \(ranked = true"):
        evidence(tmp_path, network(end), y)
    found = evidence(tmp_path, network(end), y, ranked=True)
    with torch.no_grad():
        top = network()(torch.from_numpy(x)).argmax(1).numpy()
    wrong = found.decision.wrong(found.holdout, found.head)
    np.testing.assert_array_equal(wrong, ~y[np.arange(len(y)), top])


def test_probabilities_without_a_head_need_a_threshold_that_is_said(tmp_path):
    x, y = rows()
    with pytest.raises(NcboundsError, match=r"--probability-threshold 0\.5 if they are"):
        evidence(tmp_path, Averaged(), y)
    found = evidence(tmp_path, Averaged(), y, probability_thresholds=0.5)
    with torch.no_grad():
        p = Averaged()(torch.from_numpy(x)).double().numpy()
    wrong = found.decision.wrong(found.holdout, found.head)
    np.testing.assert_array_equal(wrong, by_hand(p, y, 0.5))


def test_a_label_within_rounding_of_its_threshold_has_no_answer(tmp_path):
    _, y = rows()
    alone = Classifier(Averaged()).predicting()
    x = torch.from_numpy(rows()[0])
    with torch.no_grad():
        p = Averaged()(x).numpy()
    decision = nb.MultiLabel(threshold=tuple(map(float, p[0])))
    found = nb.predict(alone, (x, y), "holdout", decision=decision)
    assert (found.answers[0] == -1).all()
    assert decision.wrong(found, nb.NoHead(L, "averaged"))[0]
    assert (found.answers[1:] >= 0).mean() > 0.9


@pytest.mark.parametrize(
    ("labels", "fields", "says"),
    [
        (rows()[1], {"decision": "multi-class"}, "type --decision multi-label"),
        (np.arange(120) % L, {"decision": "multi-label"}, r"pass labels of shape \(n, L\)"),
        (np.arange(120) % L, {"ranked": True}, "thresholds, and ranked, are of rows with several"),
        (np.eye(L)[np.arange(120) % L], {}, "exactly one 1 in every row"),
        ([[0], [1, 2]] * 60, {}, "for k in range"),
        (2 * rows()[1].astype(int), {}, "are 0 or 1, found 2"),
    ],
)
def test_what_contradicts_itself_says_what_to_type(labels, fields, says, tmp_path):
    with pytest.raises(NcboundsError, match=says):
        evidence(tmp_path, network(), labels, **fields)


def test_what_a_message_says_to_type_works(tmp_path):
    hot = np.eye(L)[np.arange(120) % L]
    several = evidence(tmp_path, network(), hot, decision="multi-label")
    assert several.decision == nb.MultiLabel()
    one = evidence(tmp_path, network(), hot.argmax(axis=1))
    assert one.decision == nb.MultiClass()


def test_a_network_made_for_several_labels_says_so_of_class_numbers():
    sample = nb.Sample.from_arrays(np.ones((3, 2)), [0, 1, 2], role="holdout")
    with pytest.raises(NcboundsError, match="type --decision multi-class, which takes the largest"):
        decision_on(None, {"holdout": sample}, configured=True)
    assert decision_on("multi-class", {"holdout": sample}, configured=True) == nb.MultiClass()


def test_a_file_of_arrays_with_several_labels(tmp_path):
    x, y = rows()
    np.savez(tmp_path / "d.npz", inputs=x, labels=y.astype(np.uint8))
    torch.save(network().state_dict(), tmp_path / "c.pt")
    text = (
        "[tasks.t]\ndata = 'd.npz'\nsampling = 'iid'\n{}"
        "[checkpoints.c]\nfile = 'c.pt'\ntask = 't'\nroles = {{ holdout = '0:120' }}\n"
    )
    (tmp_path / "zoo.toml").write_text(text.format("classes = ['a', 'b', 'c']\n"))
    book = load_manifest(tmp_path)
    entry: Entry = book.checkpoints["c"]
    entry = Entry(**{**vars(entry), "model": network})
    found = evidence_of(entry, book.tasks["t"])
    assert found.decision == nb.MultiLabel(("a", "b", "c"))
    np.testing.assert_array_equal(found.holdout.indicators, y)
    (tmp_path / "zoo.toml").write_text(text.format("label_noise = 0.5\n"))
    book = load_manifest(tmp_path)
    with pytest.raises(NcboundsError, match="label_noise is about rows of one label each"):
        evidence_of(entry, book.tasks["t"])


def test_a_transformers_folder_for_several_labels_is_evaluated_as_such(tmp_path):
    transformers = pytest.importorskip("transformers")
    names = ("spam", "rude", "off topic")
    config = transformers.ResNetConfig(
        num_channels=1,
        embedding_size=4,
        hidden_sizes=[4],
        depths=[1],
        layer_type="basic",
        id2label=dict(enumerate(names)),
        label2id={n: i for i, n in enumerate(names)},
        problem_type="multi_label_classification",
    )
    torch.manual_seed(0)
    module = transformers.ResNetForImageClassification(config).eval()
    module.classifier[1].weight.data *= 30
    module.save_pretrained(tmp_path / "net")
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((24, 1, 32, 32))).float()
    y = torch.from_numpy(rows(24)[1]).float()  # as collators for this problem give labels
    batches = [{"pixel_values": x[i : i + 8], "labels": y[i : i + 8]} for i in (0, 8, 16)]
    typed = {"sampling": "iid", "out": tmp_path / "run", "bounds": "binomial", "workers": 0}
    report = nb.evaluate_files(tmp_path / "net", data={"holdout": batches}, **typed)
    with torch.no_grad():
        wrong = ((module(x).logits > 0) != (y > 0)).any(dim=1)
    assert 0 < wrong.sum() < 24
    [row] = [r for r in report.rows if not r.params]
    assert (row.kind, row.qualifier) == ("certificate", "subset error")
    assert row.value == nb.formulas.binomial(int(wrong.sum()), 24, 0.05)
    assert report.facts["net"]["classes"] == list(names)
    one = [{**batch, "labels": batch["labels"].argmax(1)} for batch in batches]
    report = nb.evaluate_files(tmp_path / "net", data={"holdout": one}, **typed)
    assert "type --decision multi-class" in report.failures[0].reason
    report = nb.evaluate_files(
        tmp_path / "net", data={"holdout": one}, decision="multi-class", **typed
    )
    assert not report.failures
    assert {r.qualifier for r in report.rows if not r.params} == {""}


def test_layers_and_choices_ask_for_one_class_before_any_pass_and_their_advice_works(tmp_path):
    module, passes = network(), []
    module.register_forward_hook(lambda *_: passes.append(1))
    classifier, (x, y) = Classifier(module), rows()
    data = dict.fromkeys(("fit", "holdout", "test"), (x, y))
    with pytest.raises(NcboundsError, match=r"probes of layers are.*ncbounds evaluate.*argmax"):
        nb.layers(classifier, data, sampling="iid")
    with pytest.raises(NcboundsError, match=r"choose among are.*one column.*labels\[:, j\]"):
        nb.choose({"net": classifier}, {"holdout": (x, y)}, sampling="iid")
    assert not passes
    chosen = nb.choose({"net": classifier}, {"holdout": (x, y[:, 1])}, heads=["ncm"])
    assert chosen.value < 1
    one = y.argmax(axis=1)
    first = {"fit": (x[:60], one[:60]), "holdout": (x[60:], one[60:])}
    assert nb.layers(classifier, first, sampling="iid").kind == "certificate"


def test_what_layers_advise_of_several_labels_works_when_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(make_project(tmp_path))
    x, y = rows()
    np.savez("data.npz", inputs=x, labels=y)
    save(tmp_path / "m.pt")
    typed = ["m.pt", "--model", "net.py:build", "--data", "data.npz", "--device", "cpu"]
    typed += ["--role", "fit=0:60", "--role", "holdout=60:120", "--sampling", "iid"]
    refused = CliRunner().invoke(app, ["layers", *typed])
    assert refused.exit_code == 2
    assert "ncbounds evaluate" in refused.output
    more = ["--bounds", "binomial", "--workers", "0", "--out", "run"]
    done = CliRunner().invoke(app, ["evaluate", *typed, *more])
    assert done.exit_code == 0, done.output


def test_what_is_typed_decides_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_project(tmp_path)
    save(tmp_path / "m.pt")
    (tmp_path / "data.py").write_text(
        "import numpy as np\ndef load():\n    x = np.random.default_rng(0).normal(size=(90, 4))\n"
        "    return {'holdout': (x.astype('float32'), (x[:, :3] > 0.3).astype(int))}\n"
    )
    typed = ["evaluate", "m.pt", "--model", "net.py:build", "--data", "data.py:load", "--bounds"]
    typed += ["binomial", "--sampling", "iid", "--workers", "0", "--out", "run"]
    values = {}
    for more in ([], ["--threshold", "0.5,0.5,0.5"], ["--probability-threshold", "0.6"],
                 ["--ranked"]):  # fmt: skip
        done = CliRunner().invoke(app, [*typed, *more])
        assert done.exit_code == 0, done.output
        [row] = [r for r in nb.load_report("run").rows if not r.params]
        values[" ".join(more)] = row.value
        error = "one-error" if more == ["--ranked"] else "subset error"
        assert row.qualifier == error
        assert f"an error is the {error}" in done.output
    assert len({*values.values()}) > 2
    done = CliRunner().invoke(app, [*typed, "--decision", "multi-class"])
    assert "type --decision multi-label" in " ".join(done.output.split())
    for wrong, says in {
        "--decision multilabel": "one of multi-class, multi-label",
        "--threshold 0 --ranked": "say different things: type one",
        "--threshold high": "--threshold is a number",
        "--probability-threshold 1.5": "a probability between 0 and 1",
    }.items():
        done = CliRunner().invoke(app, [*typed, *wrong.split()])
        assert (done.exit_code, says in " ".join(done.output.split())) == (2, True), done.output
