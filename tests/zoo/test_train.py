from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ncbounds.zoo import train as training
from ncbounds.zoo.__main__ import main
from ncbounds.zoo.layouts import LAYOUTS, read
from ncbounds.zoo.make import make
from ncbounds.zoo.recipes import Whole
from ncbounds.zoo.train import TrainingFailed, features, load_model, train, training_nc1

TINY = Whole("tiny", "mlp", {"width": 32, "depth": 1}, {"block": "test"}, n=60)
TINY_BN = replace(TINY, model="bn_mlp", weight_decay=5e-3, epochs=100)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Blurred class patterns: easy, 300 images."""
    rng = np.random.RandomState(0)
    labels = np.arange(300) % 10
    patterns = rng.randint(0, 200, (10, 14, 14))
    images = (patterns[labels] + rng.randint(0, 56, (300, 14, 14))).astype(np.uint8)
    np.savez(tmp_path / "data.npz", images=images, labels=labels.astype(np.uint8))
    return tmp_path / "data.npz"


@pytest.mark.parametrize(
    "recipe", [TINY, TINY_BN, replace(TINY, n=300, layout="ema"), replace(TINY, layout="lightning")]
)
def test_same_recipe_same_bits(tmp_path: Path, data: Path, recipe: Whole) -> None:
    files = []
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        torch.manual_seed(99 if run == "a" else 98)  # what happened before does not matter
        row = make(recipe, data, tmp_path / run)
        assert row["train_accuracy"] == 1
        (path,) = (tmp_path / run).iterdir()
        files.append(path)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_another_seed_another_network(tmp_path: Path, data: Path) -> None:
    states = []
    for seed in (0, 1):
        make(replace(TINY, seed=seed), data, tmp_path)
        states.append(read(tmp_path / "tiny.safetensors", LAYOUTS["safetensors"]))
    assert not torch.equal(states[0]["head.weight"], states[1]["head.weight"])


def test_only_the_first_rows_are_used(tmp_path: Path, data: Path) -> None:
    make(TINY, data, tmp_path)
    first = (tmp_path / "tiny.safetensors").read_bytes()
    with np.load(data) as arrays:
        images, labels = arrays["images"].copy(), arrays["labels"].copy()
    images[TINY.n :] = 0
    labels[TINY.n :] = 3
    np.savez(data, images=images, labels=labels)
    make(TINY, data, tmp_path)
    assert (tmp_path / "tiny.safetensors").read_bytes() == first


def test_epochs_of_both_schedules(data: Path) -> None:
    inputs, labels = training.task_tensors(data, training.Task(0.0, 0))
    fixed = train(TINY_BN, inputs[:60], labels[:60])
    assert (fixed.epochs, fixed.steps) == (100, 100)
    until = train(TINY, inputs[:130], labels[:130])
    assert until.epochs > training.ANNEALING_EPOCHS
    assert until.steps == 3 * until.epochs


def test_rate_ends_at_zero(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    step = torch.optim.SGD.step

    def record(self: torch.optim.SGD) -> None:
        rates.append(self.param_groups[0]["lr"])
        step(self)

    monkeypatch.setattr(training.SGD, "step", record)
    inputs, labels = training.task_tensors(data, training.Task(0.0, 0))
    train(replace(TINY_BN, epochs=100), inputs, labels)  # 500 steps
    assert rates[0] == pytest.approx(training.RATE / 100)
    assert max(rates) <= training.RATE
    assert rates[250] == pytest.approx(training.RATE / 2)
    assert rates[-1] < 1e-5 * training.RATE + 1e-5


def test_unlearnable_labels_fail(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "EPOCH_CAP", 3)
    inputs = torch.zeros(20, 1, 14, 14)
    with pytest.raises(TrainingFailed, match=r"tiny.*below 1 after 3"):
        train(TINY, inputs, torch.arange(20) % 10)


def test_stored_file_with_an_error_is_removed(tmp_path: Path, data: Path) -> None:
    recipe = replace(TINY_BN, epochs=1, weight_decay=0.0)
    with pytest.raises(TrainingFailed, match="training accuracy 0"):
        make(recipe, data, tmp_path)
    assert not (tmp_path / "tiny.safetensors").exists()


def test_loaded_model_is_the_fp16_one(tmp_path: Path, data: Path) -> None:
    make(TINY_BN, data, tmp_path)
    state = read(tmp_path / "tiny.safetensors", LAYOUTS["safetensors"])
    model = load_model(TINY_BN, state)
    assert not model.training
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            assert tensor.dtype == torch.float32
            assert torch.equal(tensor, tensor.half().float()), name


def test_nc1_by_hand() -> None:
    # Means (+-a, 0), deviations (+-s, +-t): Sigma_W = diag(s^2, t^2), Sigma_B = diag(a^2, 0).
    a, s, t = 3.0, 0.5, 7.0
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * [s, t]
    values = np.concatenate([signs + np.array([a, 0]), signs - np.array([a, 0])]) + 100.0
    labels = np.repeat([0, 1], 4)
    assert training_nc1(values, labels) == pytest.approx(s**2 / a**2 / 2, rel=1e-9)


def test_nc1_is_invariant_and_zero_when_collapsed() -> None:
    rng = np.random.RandomState(0)
    labels = np.arange(100) % 5
    values = rng.randn(5, 12)[labels] * 3 + rng.randn(100, 12)
    rotation = np.linalg.qr(rng.randn(12, 12))[0]
    base = training_nc1(values, labels)
    assert training_nc1(values @ rotation * 4 + 50, labels) == pytest.approx(base, rel=1e-8)
    assert training_nc1(rng.randn(5, 12)[labels], labels) == pytest.approx(0, abs=1e-20)


def test_features_feed_the_head(data: Path) -> None:
    inputs, labels = training.task_tensors(data, training.Task(0.0, 0))
    model = train(TINY, inputs, labels).model.eval()
    weight, bias = (p.detach().double().numpy() for p in model.head.parameters())
    logits = features(model, inputs) @ weight.T + bias
    np.testing.assert_allclose(logits, model(inputs).detach().numpy(), atol=1e-4)


def test_unknown_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "z"), "--only", "mlp16x3"]) == 1
    assert "did you mean 'mlp16x2'" in capsys.readouterr().err
    assert not (tmp_path / "z").exists()
