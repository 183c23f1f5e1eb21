"""What is typed as the messages say turns foreign files into weights that are read."""

import re
import shlex
import sys

import numpy as np
import pytest
import torch

from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.errors import CheckpointMismatch, CheckpointRefused, CheckpointUnreadable

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)
pytestmark = pytest.mark.filterwarnings("ignore")


def module():
    layer = torch.nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(WEIGHT))
    return layer


def hdf5(path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["fc/weight"] = WEIGHT


def keras(path):
    import io
    import zipfile

    h5py = pytest.importorskip("h5py")
    inner = io.BytesIO()
    with h5py.File(inner, "w") as file:
        file["fc/weight"] = WEIGHT
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", inner.getvalue())


def onnx(path):
    library = pytest.importorskip("onnx")
    make = library.helper
    ends = [make.make_tensor_value_info(n, 1, [1, k]) for n, k in (("x", 3), ("y", 2))]
    node = make.make_node("Gemm", ["x", "fc.weight"], ["y"], transB=1)
    held = [library.numpy_helper.from_array(WEIGHT, "fc.weight")]
    library.save(make.make_model(make.make_graph([node], "g", *([e] for e in ends), held)), path)


def gguf(path):
    library = pytest.importorskip("gguf")
    writer = library.GGUFWriter(path, "bert")
    writer.add_tensor("fc.weight", WEIGHT)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def flax(path):
    library = pytest.importorskip("flax.serialization")
    path.write_bytes(library.to_bytes({"fc": {"weight": WEIGHT}}))


def script(path):
    torch.jit.save(torch.jit.script(module()), str(path))


def exported(path):
    torch.export.save(torch.export.export(module(), (torch.ones(1, 3),)), path)


MAKERS = {
    "m.h5": hdf5,
    "m.keras": keras,
    "m.onnx": onnx,
    "m.gguf": gguf,
    "m.msgpack": flax,
    "it's a script.pt": script,
    "m.pt2": exported,
}


SLOW = [pytest.param(n, marks=[pytest.mark.slow] * (n == "m.pt2")) for n in MAKERS]


@pytest.mark.parametrize("name", SLOW)
def test_what_the_message_says_works_when_typed(tmp_path, monkeypatch, name):
    MAKERS[name](tmp_path / name)
    with pytest.raises((CheckpointUnreadable, CheckpointRefused)) as caught:
        load_checkpoint(tmp_path / name)
    command = re.search(r"type: (python -c .*?) ; ", str(caught.value))
    _, _, code, *arguments = shlex.split(command[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["-c", *arguments])
    exec(code, {})
    written = next(tmp_path.glob("weights.*"))
    (weight,) = load_checkpoint(written).tensors.values()
    assert torch.equal(weight, torch.from_numpy(WEIGHT))


def test_one_ranks_share_is_no_network(tmp_path):
    file = tmp_path / "rank0.pt"
    torch.save({"_fsdp_wrapped_module._flat_param": torch.ones(9)}, file)
    with pytest.raises(CheckpointMismatch, match="get_model_state_dict"):
        load_checkpoint(file)
    torch.save({"module": {"w": torch.empty(0), "b": torch.empty(0)}}, file)
    with pytest.raises(CheckpointMismatch, match="zero_to_fp32"):
        load_checkpoint(file)


class Scaler:
    pass


def test_a_file_that_deepspeed_wrote_names_its_converter(tmp_path, monkeypatch):
    library = type(sys)("deepspeed")
    library.Scaler = Scaler
    monkeypatch.setattr(Scaler, "__module__", "deepspeed")
    monkeypatch.setitem(sys.modules, "deepspeed", library)
    torch.save({"optimizer_state_dict": Scaler()}, tmp_path / "rank_0_optim_states.pt")
    with pytest.raises(CheckpointRefused, match="zero_to_fp32"):
        load_checkpoint(tmp_path / "rank_0_optim_states.pt")
    with pytest.raises(CheckpointUnreadable, match="zero_to_fp32"):
        load_checkpoint(tmp_path)


def test_a_whole_state_of_deepspeed_is_read(tmp_path):
    content = {"module": {"w": torch.ones(2, 2)}, "param_shapes": [{}], "ds_version": "0.16"}
    torch.save(content, tmp_path / "mp_rank_00_model_states.pt")
    assert torch.equal(
        load_checkpoint(tmp_path / "mp_rank_00_model_states.pt").tensors["w"], torch.ones(2, 2)
    )
