"""Choosing among networks: taps of one pass, raw inputs, untrained copies, the head on disk."""

import numpy as np
import pytest
import torch
from torch import nn

import ncbounds as nb
from ncbounds.checkpoints.architectures.untrained import architecture_of, untrained_copy
from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.errors import CheckpointMismatch, DataError, NcboundsError
from ncbounds.extraction import views


class Net(nn.Module):
    """Two layers on inputs of 600 coordinates, wider than a view, and a norm."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(600, 8)
        self.norm = nn.BatchNorm1d(8)
        self.fc = nn.Linear(8, 5)
        self.scale = nn.Parameter(torch.arange(8.0))

    def forward(self, x):
        return self.fc(torch.relu(self.norm(self.first(x))) * self.scale)


def trained(seed=0):
    """A network whose first layer knows where the classes of :func:`points` differ."""
    network = Net(seed)
    with torch.no_grad():
        network.first.weight[:3] = torch.eye(600)[:3]
        network.norm.running_mean += 0.1
    return Classifier(network)


def points(n, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = rng.standard_normal((n, 600)).astype(np.float32)
    x[np.arange(n), y] += 4
    return x, y


@pytest.fixture(scope="module")
def data():
    return {"holdout": points(200), "test": points(300, 1)}


@pytest.fixture(scope="module")
def found(data):
    return nb.choose({"a": trained()}, data, heads=["ncm", "ridge"], sampling="iid")


def test_raw_inputs_and_an_untrained_copy_are_always_among_the_candidates(found):
    origins = [(p.origin, p.layer) for p in found.layers]
    assert origins == [
        ("raw", "input"),
        ("checkpoint", "norm"),
        ("checkpoint", "head"),
        ("untrained", "norm"),
        ("untrained", "head"),
    ]
    assert [(p.dim, p.view) for p in found.layers][:2] == [(600, 512), (8, 8)]
    assert len(found.candidates) == 10
    assert found.place.origin == "checkpoint"
    assert found.result.kind == "certificate"
    assert {b.what for b in found.baselines} == {
        "raw inputs",
        "an untrained network",
        "its last layer",
    }


def test_features_are_those_of_a_pass_by_hand(found, data):
    x, y = data["test"]
    network = trained().module
    with torch.no_grad():
        norm = network.norm(network.first(torch.from_numpy(x)))
        features = {"norm": norm, "head": torch.relu(norm) * network.scale}
    wrong = found.head.logits(features[found.place.layer].numpy()).argmax(1) != y
    assert found.result.test.error == pytest.approx(wrong.mean())
    assert found.result.test.error <= found.value


def test_one_pass_for_all_layers_of_a_network(data):
    class Counted(Net):
        rows = 0

        def forward(self, x):
            type(self).rows += len(x)
            return super().forward(x)

    given = {"holdout": points(2000)}
    nb.choose({"a": Classifier(Counted())}, given, heads=["ncm"])
    # a pass each of the network and its copy, beside a few rows that are looked at again
    assert 4000 <= Counted.rows <= 5500


def test_raw_inputs_are_read_once_for_all_networks(data, monkeypatch):
    reads = []
    plain = views._hashed_inputs
    monkeypatch.setattr(views, "_hashed_inputs", lambda *a: reads.append(a) or plain(*a))
    found = nb.choose({"a": trained(), "b": trained(1)}, {"holdout": points(300)}, heads=["ncm"])
    assert len(reads) == 1
    assert [p.origin for p in found.layers].count("raw") == 1


def test_an_untrained_copy_has_fresh_weights_and_always_the_same():
    classifier = trained()
    a, b = untrained_copy(classifier).module, untrained_copy(classifier).module
    assert all(torch.equal(s, t) for s, t in zip(a.state_dict().values(), b.state_dict().values()))
    assert not torch.equal(a.first.weight, classifier.module.first.weight)
    assert a.norm.running_mean.abs().max() == 0
    assert classifier.module.norm.running_mean.min() > 0
    assert not torch.equal(a.scale, classifier.module.scale)
    assert torch.equal(a.scale.sort().values, classifier.module.scale)
    assert architecture_of(classifier) == architecture_of(Classifier(Net(3)))
    wide = Net()
    wide.fc = nn.Linear(8, 6)
    assert architecture_of(Classifier(wide)) != architecture_of(classifier)


def test_an_architecture_has_one_untrained_copy_and_failures_are_told(data):
    def broken():
        raise NcboundsError("cannot be built")

    told = []
    networks = {"a": trained(), "b": lambda: trained(1), "c": broken}
    given = {"heads": ["ncm"], "failed": lambda name, error: told.append((name, str(error)))}
    choice = nb.choose(networks, data, **given)
    copies = {p.checkpoint for p in choice.layers if p.origin == "untrained"}
    assert copies == {"a"}
    assert {p.checkpoint for p in choice.layers if p.origin == "checkpoint"} == {"a", "b"}
    assert told == [("c", "cannot be built")]
    assert any("c is not among the candidates" in note for note in choice.notes)
    with pytest.raises(NcboundsError, match="cannot be built"):
        nb.choose(networks, data, heads=["ncm"])


def test_the_head_on_disk_predicts_as_the_head_that_was_chosen(found, data, tmp_path):
    found.write(tmp_path)
    x, y = data["test"]
    networks = {"a": trained()}
    line = found.loader(tmp_path)
    chosen = eval(line, {"nb": nb, "networks": networks})
    wrong = (chosen.predict(x) != y).mean()
    assert wrong == pytest.approx(found.result.test.error)
    with pytest.raises(CheckpointMismatch, match="other weights"):
        nb.load_chosen(tmp_path / "head.npz", trained(1))
    with pytest.raises(DataError, match="pass that checkpoint"):
        nb.load_chosen(tmp_path / "head.npz")
    np.savez(tmp_path / "other.npz", weight=np.eye(3))
    with pytest.raises(DataError, match="no head that"):
        nb.load_chosen(tmp_path / "other.npz")


@pytest.mark.parametrize("origin", ["raw", "untrained"])
def test_heads_on_raw_inputs_and_untrained_networks_are_read_back(origin, tmp_path):
    """The third class stands out of the inputs; an ill-trained network hides it."""
    x, y = points(200)
    network = Net()
    with torch.no_grad():
        network.first.weight *= 0
    if origin == "untrained":
        rng = np.random.default_rng(0)
        x = (rng.choice([-1.0, 1.0], (200, 1)) * np.ones(600)).astype(np.float32)
        x += 0.01 * rng.standard_normal((200, 600)).astype(np.float32)
        y = (x[:, 0] > 0).astype(int)
    found = nb.choose({"a": Classifier(network)}, {"holdout": (x, y)}, heads=["ncm"])
    if origin == "raw":
        assert found.place.origin == "raw"
        assert found.loader(tmp_path) == f"nb.load_chosen({str(tmp_path / 'head.npz')!r})"
    else:
        place = next(p for p in found.layers if p.origin == "untrained")
        assert place.leave_one_out["ncm"] < 0.1
    found.write(tmp_path)
    chosen = eval(found.loader(tmp_path), {"nb": nb, "networks": {"a": Classifier(network)}})
    sure = chosen.predict(x) == y
    errors = found.finalists[found.chosen].errors
    assert (~sure).sum() >= errors
    assert sure.mean() > 0.5


def test_data_that_cannot_be_chosen_on_are_refused(data):
    with pytest.raises(DataError, match="found 1 networks and roles test"):
        nb.choose({"a": trained()}, {"test": data["test"]})
    with pytest.raises(DataError, match="read only once"):
        nb.choose({"a": trained()}, {"holdout": iter([data["holdout"]])})
    state = np.random.default_rng(0)

    class Shuffled:
        def __iter__(self):
            order = state.permutation(200)
            x, y = data["holdout"]
            yield torch.from_numpy(x[order]), torch.from_numpy(y[order])

    with pytest.raises(DataError, match="each time that it is read"):
        nb.choose({"a": trained()}, {"holdout": Shuffled()}, heads=["ncm"])


def test_inputs_by_keyword_give_no_raw_candidate_and_that_is_said():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.fc = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, values, scale):
            return self.fc(torch.relu(self.first(values * scale[:, None])))

    x, y = points(120)
    batches = [({"values": torch.from_numpy(x[:, :6]), "scale": torch.ones(120)}, y)]
    found = nb.choose({"a": Classifier(Named())}, {"holdout": batches}, heads=["ncm"])
    assert {p.origin for p in found.layers} == {"checkpoint", "untrained"}
    assert any("no raw inputs" in note for note in found.notes)
