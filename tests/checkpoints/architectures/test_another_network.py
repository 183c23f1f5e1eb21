"""What is evaluated is the network of the file: else it is refused, or every row says so."""

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ncbounds.checkpoints.checkpoint import Checkpoint
from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.errors import CheckpointMismatch, UnknownArchitecture


class Net(nn.Module):
    def __init__(self, width: int = 4, act: str = "relu", heads: tuple[int, ...] = (2, 2)) -> None:
        super().__init__()
        self.body, self.head, self.act = nn.Linear(3, width), nn.Linear(width, 2), act
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(getattr(self.body(x), self.act)())
        return out


class Scaling(Net):
    """Its own loading changes what the file holds."""

    def _load_from_state_dict(self, state: Any, prefix: str, *args: Any) -> None:
        state[f"{prefix}body.bias"] = state[f"{prefix}body.bias"] + 1
        super()._load_from_state_dict(state, prefix, *args)


class Choosy(Net):
    def load_state_dict(self, state: Any, strict: bool = True, assign: bool = False) -> Any:
        return super().load_state_dict({n: t for n, t in state.items() if "head" in n}, False)


class Part(Net):
    """Its file holds the head only, as files of adapters do."""

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return {n: t for n, t in super().state_dict(*args, **kwargs).items() if "head" in n}

    def load_state_dict(self, state: Any, strict: bool = True, assign: bool = False) -> Any:
        return super().load_state_dict(state, False)


class Listed(Net):
    """A layer in a plain list, which is no part of its state."""

    def __init__(self) -> None:
        super().__init__()
        self.more = [nn.Linear(4, 4)]


def seeded(build: type[Net]) -> nn.Module:
    torch.manual_seed(0)
    return build()


def saved(path: Path, content: Any) -> Checkpoint:
    torch.save(content, path / "c.pt")
    return load_checkpoint(path / "c.pt")


@pytest.mark.parametrize("build", [Scaling, Choosy])
def test_loading_that_changes_values_is_refused(tmp_path: Path, build: type[Net]) -> None:
    checkpoint = saved(tmp_path, Net().state_dict())
    with pytest.raises(CheckpointMismatch, match=r"put other values into body\.(weight|bias)"):
        checkpoint.build(lambda: seeded(build))


@pytest.mark.parametrize(("build", "name"), [(Part, "body.weight"), (Listed, "more.0.weight")])
def test_weights_that_the_file_does_not_hold_are_said(
    tmp_path: Path, build: type[Net], name: str
) -> None:
    classifier = saved(tmp_path, build().state_dict()).build(lambda: seeded(build))
    (said,) = classifier.remarks
    assert name in said
    assert "head" not in said
    assert classifier.predicting().remarks == classifier.remarks


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_a_layer_makes_of_stored_tensors_is_in_the_file(tmp_path: Path) -> None:
    def normed() -> nn.Module:
        net = Net()
        net.body = nn.utils.weight_norm(net.body)
        return net

    classifier = saved(tmp_path, normed().state_dict()).build(normed)
    assert (classifier.remarks, classifier.notes) == ((), ())


@pytest.mark.parametrize("place", ["hyper_parameters", "args", "config"])
def test_arguments_that_the_file_records_otherwise_are_said(tmp_path: Path, place: str) -> None:
    record: Any = {"act": "sigmoid", "lr": 0.1, "width": 4, "heads": [2, 2]}
    record = argparse.Namespace(**record) if place == "args" else record
    checkpoint = saved(tmp_path, {"state_dict": Net().state_dict(), place: record})
    (said,) = checkpoint.build(Net).remarks
    assert "act='sigmoid' (built with 'relu')" in said
    assert "width" not in said
    assert "heads" not in said
    assert checkpoint.build(Net, args={"act": "sigmoid"}).remarks == ()
    assert checkpoint.build(lambda: Net(act="sigmoid")).remarks == ()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "wrap", [nn.DataParallel, torch.compile, lambda net: torch.jit.trace(net, torch.ones(2, 3))]
)
def test_wrapped_networks_take_the_weights_of_a_bare_one(tmp_path: Path, wrap: Any) -> None:
    net, x = Net().eval(), torch.randn(5, 3)
    checkpoint = saved(tmp_path, net.state_dict())
    for model in (lambda: wrap(Net().eval()), wrap(Net().eval())):
        classifier = checkpoint.build(model)
        assert classifier.remarks == ()
        with torch.no_grad():
            torch.testing.assert_close(classifier.module(x), net(x))


def test_an_argument_that_the_function_does_not_take(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path, Net().state_dict())
    with pytest.raises(UnknownArchitecture, match=r"widht.*did you mean 'width'.*--args"):
        checkpoint.build(Net, args={"widht": 3})


def test_layers_without_shapes(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path, nn.Sequential(nn.Linear(3, 2)).state_dict())
    with pytest.raises(CheckpointMismatch, match="lazy layers"):
        checkpoint.build(lambda: nn.Sequential(nn.LazyLinear(2)))
    shaped = nn.Sequential(nn.LazyLinear(2))
    shaped(torch.ones(1, 3))  # as the message says
    checkpoint.build(lambda: shaped)


def test_a_part_of_a_network_is_told_how_to_name_the_rest(tmp_path: Path) -> None:
    state = Net().state_dict()
    head = {n: state.pop(n) for n in list(state) if "head" in n}
    checkpoint = saved(tmp_path, state)
    with pytest.raises(CheckpointMismatch, match=r"head\.weight.*--part FILE"):
        checkpoint.build(Net)
    torch.save(head, tmp_path / "head.pt")
    load_checkpoint(tmp_path / "c.pt", parts=[tmp_path / "head.pt"]).build(Net)


def test_weights_that_were_passed_over_in_a_folder_are_named(tmp_path: Path) -> None:
    save_file(Net().state_dict(), tmp_path / "model.safetensors")
    assert load_checkpoint(tmp_path).notes == ()
    torch.save(Net().state_dict(), tmp_path / "pytorch_model.bin")
    assert load_checkpoint(tmp_path).notes == ("passed over: pytorch_model.bin",)
