"""Folders of torch.distributed.checkpoint: the same tensors as torch reads, and nothing is run."""

import contextlib
import os
import pickle
import shutil

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.metadata import MetadataIndex

from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.errors import CheckpointRefused, CheckpointUnreadable, NcboundsError

WEIGHTS = {
    "body.weight": torch.arange(6.0).reshape(2, 3),
    "head.weight": torch.ones(4, 2, dtype=torch.bfloat16),
    "head.bias": torch.zeros(4),
    "steps": torch.tensor(3),
}
STATE = {"model": WEIGHTS, "optim": {"exp": torch.ones(9)}, "epoch": 3}

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dcp") / "step-3"
    dcp.save(STATE, checkpoint_id=folder, no_dist=True)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def test_the_tensors_that_were_saved(saved):
    found = load_checkpoint(saved)
    assert found.tensors.keys() == WEIGHTS.keys()
    for name, tensor in WEIGHTS.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)
    assert found.place == "model"
    assert {path.name for path in found.files} == {".metadata", "__0_0.distcp"}


def change(folder, edit):
    """Write the metadata anew, as another program would."""
    with open(folder / ".metadata", "rb") as stream:
        metadata = pickle.load(stream)
    edit(metadata)
    with open(folder / ".metadata", "wb") as stream:
        pickle.dump(metadata, stream)


def halves(folder, keep=False):
    """Save one tensor in two pieces, as two ranks do; ``keep`` also the whole one."""
    name, whole = "model.body.weight", WEIGHTS["body.weight"]
    for i in range(2):
        torch.save(whole[i : i + 1].clone(), folder / f"__{i + 1}_0.distcp")

    def edit(metadata):
        old = next(k for k in metadata.storage_data if k.fqn == name)
        info = metadata.storage_data[old] if keep else metadata.storage_data.pop(old)
        for i in range(keep, 2):
            file = f"__{i + 1}_0.distcp"
            place = type(info)(file, 0, os.path.getsize(folder / file))
            metadata.storage_data[MetadataIndex(name, torch.Size([i, 0]))] = place

    change(folder, edit)


def test_pieces_of_several_ranks(folder):
    halves(folder)
    found = load_checkpoint(folder)
    assert torch.equal(found.tensors["body.weight"], WEIGHTS["body.weight"])
    assert len(found.files) == 4


def test_pieces_that_overlap(folder):
    halves(folder, keep=True)
    with pytest.raises(CheckpointUnreadable, match="overlap"):
        load_checkpoint(folder)


def drop(metadata):
    metadata.storage_data.pop(next(k for k in metadata.storage_data if k.offset is not None))


def shifted(metadata):
    old = next(k for k in metadata.storage_data if k.fqn == "model.head.bias")
    info = metadata.storage_data.pop(old)
    metadata.storage_data[MetadataIndex(old.fqn, torch.Size([2]))] = info


def huge(metadata):
    metadata.state_dict_metadata["model.head.bias"].size = torch.Size([1 << 40])


def elsewhere(metadata):
    for info in metadata.storage_data.values():
        info.relative_path = "../copy/__0_0.distcp"


def beyond(metadata):
    for info in metadata.storage_data.values():
        info.offset = 1 << 40


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (drop, "are missing"),
        (shifted, "outside"),
        (huge, "its files have"),
        (elsewhere, "not in this folder"),
        (beyond, "ends before"),
    ],
)
def test_metadata_that_do_not_fit_the_pieces(folder, edit, message):
    change(folder, edit)
    with pytest.raises(CheckpointUnreadable, match=message):
        load_checkpoint(folder)


class Payload:
    def __init__(self, call, *args):
        self.call = call, args

    def __reduce__(self):
        return self.call


def test_code_in_the_metadata_is_named_and_not_run(folder):
    marker = folder.parent / "marker"

    change(folder, lambda m: m.planner_data.update(x=Payload(os.mkdir, str(marker))))
    with pytest.raises(CheckpointRefused, match=r"mkdir.*dcp_to_torch"):
        load_checkpoint(folder)
    assert not marker.exists()


def test_damaged_metadata_never_crash(folder):
    whole = (folder / ".metadata").read_bytes()
    generator = torch.Generator().manual_seed(0)
    for _ in range(150):
        data = bytearray(whole)
        place, value = (int(torch.randint(n, (), generator=generator)) for n in (len(data), 256))
        data[place] = value
        (folder / ".metadata").write_bytes(bytes(data[: place + 1] if value < 64 else data))
        with contextlib.suppress(NcboundsError):
            load_checkpoint(folder)


def test_a_piece_named_by_itself(saved):
    with pytest.raises(CheckpointUnreadable, match="name that folder"):
        load_checkpoint(saved / "__0_0.distcp")
