"""Layers of a network: probes of every place by hand, certificates, exits, refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import ncbounds as nb
from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.depth.exits import layer_error
from ncbounds.depth.hashing import sign_hash
from ncbounds.errors import DataError, UnknownName
from ncbounds.evaluation.layers import certified
from ncbounds.procedures.linear import ncm, ridge
from ncbounds.statistics.class_moments import ClassMoments


class Net(nn.Module):
    """Two blocks that are wider than a view; untrained, so that probes are better than its head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(a, 12, 3, 1, 1), nn.ReLU()) for a in (1, 12))
        )
        self.fc = nn.Linear(12, 3)

    def forward(self, x):
        return self.fc(self.blocks(x).mean((2, 3)))


def points(n, seed):
    """Images of 64 pixels: classes differ in which third of the rows is bright."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = rng.normal(size=(n, 1, 8, 8)).astype(np.float32)
    for c in range(3):
        x[y == c, :, 2 * c : 2 * c + 2] += 1.0
    return x, y


@pytest.fixture(scope="module")
def data():
    return {"fit": points(300, 0), "holdout": points(400, 1), "test": points(100, 2)}


@pytest.fixture(scope="module")
def found(data):
    said = []
    report = nb.layers(Classifier(Net()), data, sampling="iid", say=said.append)
    return report, said


def test_places_are_found_and_what_they_take_is_said_before(found):
    report, said = found
    assert [x.name for x in report.layers] == ["input", "blocks.0.1", "blocks.1.1", "head"]
    assert [(x.dim, x.view) for x in report.layers] == [(64, 64), (768, 512), (768, 512), (12, 12)]
    assert "blocks.0.1" in said[0]
    assert "800 rows: 3 MiB" in said[1]


def test_probes_of_every_place_are_those_of_a_pass_by_hand(found, data):
    report, _ = found
    network = Net().eval()
    kept = {}
    for role, (x, y) in data.items():
        with torch.no_grad():
            first = network.blocks[0](torch.from_numpy(x))
            last = network.blocks[1](first)
        views = [x, first.numpy(), last.numpy(), last.mean((2, 3)).numpy()]
        kept[role] = [sign_hash(v.reshape(len(y), -1)) for v in views]
    for i, layer in enumerate(report.layers):
        for name, procedure in {"ncm": ncm, "ridge": ridge}.items():
            head = procedure(kept["fit"][i], data["fit"][1], 3)
            for role, (_, y) in data.items():
                wrong = (head.logits(kept[role][i]).argmax(1) != y).sum()
                assert layer.errors[role][name] == wrong
        moments = ClassMoments.of(kept["holdout"][i], data["holdout"][1])
        geometry = layer.geometry["holdout"]
        assert geometry.nc1 == pytest.approx(nb.geometry.nc1(moments).value, rel=1e-5)
        pairs = nb.geometry.cdnv(moments, "half-symmetric")
        assert geometry.cdnv == pytest.approx(pairs.mean.value, rel=1e-5)


def test_limits_are_for_all_places_and_probes_at_once(found):
    report, _ = found
    assert report.kind == "certificate"
    assert report.family == 8
    errors = [[x.errors["holdout"][p] for p in ("ncm", "ridge")] for x in report.layers]
    limits = [[x.limits[p] for p in ("ncm", "ridge")] for x in report.layers]
    np.testing.assert_array_equal(limits, layer_error(errors, 400, 0.05, family=8))


def test_an_early_probe_is_certified_better_than_a_network_that_knows_nothing(found):
    report, _ = found
    assert report.network_errors["holdout"] > 200
    assert report.layers[0].better == {"ncm": True, "ridge": True}
    assert report.exit == 0
    text = str(report)
    assert "errs less often than the network" in text
    assert "early_exit: from input on, every ridge probe" in text


def test_named_places_are_charged_for_all_that_could_have_been_named(data):
    report = nb.layers(Classifier(Net()), data, at="blocks.*.0", sampling="iid")
    assert [x.name for x in report.layers] == ["input", "blocks.0.0", "blocks.1.0", "head"]
    assert report.family == 2 * 10  # blocks, two blocks, their four layers, fc, input and head
    errors = [x.errors["holdout"]["ncm"] for x in report.layers]
    limits = [x.limits["ncm"] for x in report.layers]
    np.testing.assert_array_equal(limits, layer_error(errors, 400, 0.05, family=20))
    with pytest.raises(UnknownName, match="nearest are blocks"):
        nb.layers(Classifier(Net()), data, at="block.0.0")


def test_an_undeclared_draw_and_a_sample_without_holdout_certify_nothing(data):
    report = nb.layers(Classifier(Net()), data)
    assert report.kind == "plug-in"
    assert "sampling='iid'" in str(report)
    only_fit = nb.layers(Classifier(Net()), {"fit": data["fit"]}, sampling="iid")
    assert only_fit.kind == "measure"
    assert only_fit.layers[0].limits == {}
    assert "pass a holdout sample" in str(only_fit)


def test_rows_seen_in_training_are_no_held_out_rows(data):
    seen = {"fit": data["fit"], "holdout": data["fit"]}
    report = nb.layers(Classifier(Net()), seen, sampling="iid")
    assert report.kind == "plug-in"
    assert "stand in the fit sample too" in str(report)


def test_copies_are_counted_once_in_every_place(data):
    x, y = data["holdout"]
    doubled = {**data, "holdout": (np.concatenate([x, x[:50]]), np.concatenate([y, y[:50]]))}
    once = nb.layers(Classifier(Net()), data, sampling="iid")
    twice = nb.layers(Classifier(Net()), doubled, sampling="iid", repeats="copies")
    assert twice.rows["holdout"] == 400
    assert [x.errors for x in twice.layers] == [x.errors for x in once.layers]


def test_a_report_is_plain_values(found):
    report, _ = found
    again = json.loads(json.dumps(report.to_dict()))
    assert again["layers"][1]["view"] == 512
    assert again["exit"] == 0


def test_what_cannot_work_is_refused(data):
    with pytest.raises(DataError, match="fitted on the fit sample"):
        nb.layers(Classifier(Net()), {"holdout": data["holdout"]})
    with pytest.raises(UnknownName, match="ridge"):
        nb.layers(Classifier(Net()), data, exit_probe="ridgy")
    with pytest.raises(DataError, match="read only once"):
        nb.layers(Classifier(Net()), {"fit": iter([data["fit"]])})
    x, y = (torch.from_numpy(part) for part in data["fit"])
    shuffled = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True)
    with pytest.raises(DataError, match="shuffle=False"):
        nb.layers(Classifier(Net()), {"fit": shuffled})


class Tokens(nn.Module):
    """Two tokens a row; the class is in the first one, and the second drowns it in a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Identity()
        self.fc = nn.Linear(6, 3, bias=False)
        self.fc.weight.data = torch.eye(3, 6)

    def forward(self, x):
        return self.fc(self.block(x)[:, 0])


def test_a_token_that_is_named_is_read(data):
    rng = np.random.default_rng(0)
    given = {}
    for role, n in (("fit", 200), ("holdout", 300)):
        y = rng.integers(0, 3, n)
        x = rng.normal(size=(n, 2, 6), scale=(0.2,)).astype(np.float32)
        x[:, 1] += rng.normal(size=(n, 6)) * 20
        x[np.arange(n), 0, y] += 1
        given[role] = (x, y)
    mean, first, second = (
        nb.layers(Classifier(Tokens()), given, at="block", sampling="iid", token=token)
        for token in ("mean", "class", 1)
    )
    at = [next(x for x in r.layers if x.name == "block") for r in (mean, first, second)]
    errors = [x.errors["holdout"]["ncm"] for x in at]
    assert errors[1] == first.network_errors["holdout"] < 30
    assert min(errors[0], errors[2]) > 150
    assert "read at one of them: class" in str(first)
    assert "read at one of them" not in str(mean)
    with pytest.raises(DataError, match="needed is 'mean', 'class'"):
        nb.layers(Classifier(Tokens()), given, token="frist")


def test_a_limit_reads_the_first_rows_and_certifies_nothing(data):
    report = nb.layers(Classifier(Net()), data, sampling="iid", limit=90)
    first = {role: (x[:90], y[:90]) for role, (x, y) in data.items()}
    whole = nb.layers(Classifier(Net()), first, sampling="iid")
    assert [x.errors for x in report.layers] == [x.errors for x in whole.layers]
    assert (report.kind, whole.kind) == ("plug-in", "certificate")


def test_stratified_rows_take_two_limits(data):
    report = nb.layers(Classifier(Net()), data, sampling="stratified")
    assert report.kind == "certificate"
    assert not any(yes for x in report.layers for yes in x.better.values())
    assert report.exit == 0


def test_rows_that_are_left_out_are_left_out_of_every_place(data):
    x, y = data["holdout"]
    marked = {**data, "holdout": (x, np.where(np.arange(400) % 5 == 0, 255, y))}
    kept = {**data, "holdout": (x[np.arange(400) % 5 > 0], y[np.arange(400) % 5 > 0])}
    out = nb.layers(Classifier(Net()), marked, sampling="iid", ignore_label=255)
    without = nb.layers(Classifier(Net()), kept, sampling="iid")
    assert [x.errors for x in out.layers] == [x.errors for x in without.layers]


def test_candidates_that_were_compared_cost_delta(data):
    report = nb.layers(Classifier(Net()), data, sampling="iid", selected_among=4)
    errors = [x.errors["holdout"]["ridge"] for x in report.layers]
    limits = [x.limits["ridge"] for x in report.layers]
    np.testing.assert_array_equal(limits, layer_error(errors, 400, 0.05 / 4, family=8))
    assert "4 candidates" in str(report)


@pytest.mark.parametrize(("candidates", "shown"), [(1, True), (1000, False)])
def test_better_probes_and_exits_cost_delta_too(found, candidates, shown):
    """Twelve rows that the network alone gets wrong are enough for one candidate, not for many."""
    y = np.arange(400) % 3
    draw = {"role": "holdout", "sampling": "iid", "repeats": "by chance"}
    sample = nb.Sample.from_arrays(np.eye(3)[y], y, **draw, selected_among=candidates)
    evidence = nb.Evidence(head=nb.LinearHead(np.eye(3)), holdout=sample)
    network, probe = np.arange(400) < 12, np.zeros(400, dtype=bool)
    report = replace(found[0], layers=found[0].layers[:1], family=2, eps=0.0, delta=0.05)
    made = certified(report, evidence, {"input": {"ncm": probe, "ridge": probe}}, network)
    assert made.kind == "certificate"
    assert set(made.layers[0].better.values()) == {shown}
    assert made.exit == (0 if shown else None)
