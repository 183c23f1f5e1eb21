"""Parts give what one extraction gives, however many made them and whichever was interrupted."""

import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from typer.testing import CliRunner

import ncbounds as nb
from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.cli.app import app
from ncbounds.errors import DataError, InvalidSample, StoreError
from ncbounds.extraction import joined as joining
from ncbounds.extraction.extract import extract
from ncbounds.extraction.part_folder import about_parts, read_moments, read_parts
from ncbounds.extraction.parts import extract_parts
from ncbounds.runs.parts import own_device, ranks

N, D, C = 301, 6, 3


#: Threads share torch's generator.
SEEDED = Lock()


def network(seed: int = 0) -> Classifier:
    with SEEDED:
        torch.manual_seed(seed)
        return Classifier(nn.Sequential(nn.Linear(4, D), nn.ReLU(), nn.Linear(D, C)))


def points() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(1)
    x = generator.standard_normal((N, 4)).astype(np.float32)
    return 5.0 + x, generator.integers(0, C, N)


def source(seed: int = 0) -> tuple[Classifier, Any]:
    return network(seed), points()


def refitted() -> tuple[Classifier, Any]:
    classifier = network()
    with torch.no_grad():
        classifier.module[2].bias += 1.0
    return classifier, points()


def dies_once(marker: Path) -> tuple[Classifier, Any]:
    """As ``source``, but the second process that asks is killed."""
    try:
        marker.mkdir()
    except FileExistsError:
        if not (marker / "died").exists():
            (marker / "died").mkdir()
            os.kill(os.getpid(), signal.SIGKILL)
    return source()


def check(folder: Path, data: Any = None) -> nb.Sample:
    """Compare what the parts hold with an extraction in one go."""
    whole = extract(network(), points(), "holdout", sampling="iid")
    found = read_parts(folder, "holdout", sampling="iid")
    np.testing.assert_allclose(found.features, whole.features, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found.labels, whole.labels)
    np.testing.assert_array_equal(found.input_hashes, whole.input_hashes)
    assert found.module_disagreements == whole.module_disagreements == 0
    rows = nb.statistics.moments.class_moments(np.array(found.features), found.labels, C)
    for moments in (found.moments, read_moments(folder)):
        np.testing.assert_array_equal(moments.count, rows.count)
        for name in ("mean", "within", "trace"):
            wanted = getattr(rows, name)
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(getattr(moments, name), wanted, rtol=0, atol=1e-12 * scale)
    return found


@pytest.mark.parametrize("parts", [1, 4, 7])
def test_parts_are_one_extraction(tmp_path: Path, parts: int) -> None:
    seen: list[int] = []
    extract_parts(source, tmp_path, parts=parts, batch_size=32, done=seen.append)
    assert seen == list(range(parts))
    sample = check(tmp_path)
    assert not sample.features.flags.writeable
    head = network()
    head.verify(torch.from_numpy(points()[0]))
    evidence = nb.Evidence(head=head.head, holdout=sample)
    assert evidence.holdout is not None
    assert "moments" in vars(evidence.holdout)  # not computed again
    assert nb.bounds.get("binomial")(evidence).kind == "certificate"


def test_features_are_mapped_and_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written to a file afterwards shows in the array, but for pages where files meet."""
    generator = np.random.default_rng(0)
    rows, paths, before = [], [], 0
    for number, count in enumerate((700, 3, 900)):
        block = generator.standard_normal((count, 37)).astype(np.float16)
        paths.append(tmp_path / f"{number}.npy")
        grown = joining_file(paths[-1], block, before)
        grown.append(block)
        grown.finish()
        rows.append(block)
        before += count
    whole = np.concatenate(rows)
    found = joining.joined(paths)
    np.testing.assert_array_equal(found, whole)
    np.testing.assert_array_equal(np.load(paths[2]), rows[2])
    part = found[100:800]
    del found
    np.testing.assert_array_equal(part, whole[100:800])
    written = np.load(paths[0], mmap_mode="r+")
    written[300] = 7.0
    written.flush()
    assert (part[200] == 7.0).all()
    for path, block in zip(paths, rows, strict=True):
        np.save(path, block)  # as NumPy lays a file out: then all is copied
    np.testing.assert_array_equal(joining.joined(paths), whole)


def joining_file(path: Path, block: Any, before: int) -> Any:
    from ncbounds.extraction.growing_array import GrowingArray

    return GrowingArray(path, block, before)


def test_what_is_there_is_left_and_what_is_missing_is_said(tmp_path: Path) -> None:
    extract_parts(source, tmp_path, parts=3, numbers=[0, 2])
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")}
    with pytest.raises(StoreError, match=r"part 1 of 3 in .* are missing"):
        read_parts(tmp_path, "holdout")
    (tmp_path / ".unfinished-elsewhere-1-abc").mkdir()
    extract_parts(source, tmp_path, parts=3)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    check(tmp_path)


def test_other_networks_and_other_data_are_refused(tmp_path: Path) -> None:
    extract_parts(source, tmp_path, parts=2)
    with pytest.raises(StoreError, match="other network, head"):
        extract_parts(partial(source, 1), tmp_path, parts=2)
    with pytest.raises(StoreError, match=r"other head\)"):
        extract_parts(refitted, tmp_path, parts=2)
    x, y = points()
    with pytest.raises(StoreError, match="other data"):
        extract_parts(lambda: (network(), (x[::-1].copy(), y)), tmp_path, parts=2)
    x[140] += 1.0  # no first row of a part
    with pytest.raises(StoreError, match="other data"):
        extract_parts(lambda: (network(), (x, y)), tmp_path, parts=2)
    x, y = points()
    labelled = TensorDataset(torch.from_numpy(x), torch.from_numpy((y + 1) % C))
    for other in ((x, (y + 1) % C), labelled):
        with pytest.raises(StoreError, match="other data"):
            extract_parts(lambda other=other: (network(), other), tmp_path, parts=2)  # type: ignore[misc]
    with pytest.raises(StoreError, match="other n, data"):
        extract_parts(lambda: (network(), (x[1:], y[1:])), tmp_path, parts=2)


def test_parts_of_another_number_are_of_the_same_extraction(tmp_path: Path) -> None:
    """What a later call made, of another network or data, is not passed by for what was there."""
    x, y = points()
    extract_parts(source, tmp_path / "same", parts=3)
    extract_parts(source, tmp_path / "same", parts=4, numbers=[1])
    check(tmp_path / "same")
    extract_parts(source, tmp_path / "network", parts=3)
    extract_parts(partial(source, 1), tmp_path / "network", parts=2)
    extract_parts(source, tmp_path / "data", parts=3)
    extract_parts(lambda: (network(), (x, (y + 1) % C)), tmp_path / "data", parts=2, numbers=[1])
    for what in ("network", "data"):
        with pytest.raises(StoreError, match=f"differ in {what}"):
            read_parts(tmp_path / what, "holdout")


def test_precision_and_draws_of_parts_are_kept(tmp_path: Path) -> None:
    class Noisy(TensorDataset):
        def __getitem__(self, i: int) -> Any:
            return self.tensors[0][i] + torch.randn(4), self.tensors[1][i]

    def noisy() -> tuple[Classifier, Any]:
        return network().to(precision="bf16"), Noisy(*map(torch.from_numpy, points()))

    extract_parts(noisy, tmp_path, parts=2)
    found = read_parts(tmp_path, "holdout")
    assert (found.precision, found.other_rows) == ("bf16", True)
    about = about_parts(tmp_path)
    assert (about["device"], about["precision"]) == ("cpu", "bf16")
    assert len(about["sha256"]) == 64


def test_threads_of_an_executor(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as executor:
        extract_parts(source, tmp_path, parts=4, executor=executor)
    check(tmp_path)


def test_a_worker_is_killed_and_the_same_call_goes_on(tmp_path: Path) -> None:
    out, job = tmp_path / "parts", partial(dies_once, tmp_path / "marker")
    with (
        ProcessPoolExecutor(1, get_context("fork")) as executor,
        pytest.raises(StoreError, match=r"parts 1, 2 of 3 could not be made.*goes on there"),
    ):
        extract_parts(job, out, parts=3, executor=executor)
    assert [p.name for p in out.glob("part*")] == ["part-00000-of-00003"]
    before = next(out.glob("part*")).stat().st_mtime_ns
    extract_parts(job, out, parts=3)
    assert (out / "part-00000-of-00003").stat().st_mtime_ns == before
    assert not list(out.glob(".unfinished*"))
    check(out)


@pytest.mark.slow
def test_a_dask_cluster_of_which_a_worker_is_killed(tmp_path: Path) -> None:
    """Its scheduler gives the part that was lost to another worker."""
    distributed = pytest.importorskip("distributed")
    cloudpickle = pytest.importorskip("cloudpickle")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not find the tests
    out, job = tmp_path / "parts", partial(dies_once, tmp_path / "marker")
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        extract_parts(job, out, parts=4, executor=client.get_executor())
    assert (tmp_path / "marker" / "died").exists()
    check(out)


def test_datasets_and_loaders_in_their_own_order(tmp_path: Path) -> None:
    x, y = points()
    rows = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    for name, data in {"set": rows, "loader": DataLoader(rows, batch_size=16)}.items():
        extract_parts(lambda data=data: (network(), data), tmp_path / name, parts=3)  # type: ignore[misc]
        check(tmp_path / name)
    for other, why in ((DataLoader(rows, shuffle=True), "shuffles"), ([(x, y)], "found list")):
        with pytest.raises(DataError, match=f"{why}.*shuffle=False"):
            extract_parts(lambda other=other: (network(), other), tmp_path / "no", parts=2)  # type: ignore[misc]
    with pytest.raises(DataError, match="2 rows make at most 2 parts, found 3"):
        extract_parts(lambda: (network(), (x[:2], y[:2])), tmp_path / "no", parts=3)


def test_damage_is_found(tmp_path: Path) -> None:
    extract_parts(source, tmp_path, parts=2)
    folder = tmp_path / "part-00001-of-00002"
    labels = np.load(folder / "labels.npy")
    np.save(folder / "labels.npy", np.roll(labels, 1))
    with pytest.raises(StoreError, match=r"labels\.npy is not what was written; delete the folder"):
        read_parts(tmp_path, "holdout")
    np.save(folder / "labels.npy", labels)
    with np.load(folder / "moments.npz") as file:
        sums = dict(file)
    sums["mean"] = sums["mean"] + 1.0
    np.savez(folder / "moments.npz", **sums)
    with pytest.raises(StoreError, match=r"moments\.npz is not what was written"):
        read_moments(tmp_path)
    (folder / "features.npy").write_bytes(b"")
    with pytest.raises(StoreError, match=r"features\.npy had .* bytes, found 0"):
        read_parts(tmp_path, "holdout")


def test_values_that_are_not_finite_have_no_moments(tmp_path: Path) -> None:
    x, y = points()
    x[200] = np.nan
    extract_parts(lambda: (network(), (x, y)), tmp_path, parts=2)
    assert read_parts(tmp_path, "holdout").n == N
    with pytest.raises(InvalidSample, match="NaN"):
        read_moments(tmp_path)


USER = """
import os, signal
from pathlib import Path
import numpy as np
import torch
from ncbounds.checkpoints.architectures.small import MODELS

def build():
    return MODELS["mlp"](width=6, depth=1, in_features=4, classes=3)

class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 100

    def __getitem__(self, i):
        marker = Path(__file__ + ".died")
        if i == 80 and os.environ.get("RANK") == "1" and not marker.exists():
            marker.mkdir()
            os.kill(os.getpid(), signal.SIGKILL)
        x = np.random.default_rng(i).standard_normal(4).astype(np.float32)
        return x, i % 3

def load():
    return {"holdout": Rows()}
"""


def rank(number: int, command: list[str]) -> None:
    os.environ.update(RANK=str(number), WORLD_SIZE="2")
    app(command)


def test_ranks_are_read_as_torchrun_sets_them() -> None:
    assert ranks({}) == (0, 1)
    assert ranks({"RANK": "3", "WORLD_SIZE": "8"}) == (3, 8)
    for wrong in ({"RANK": "8", "WORLD_SIZE": "8"}, {"RANK": "1"}, {"WORLD_SIZE": "two"}):
        with pytest.raises(DataError, match="needed is 0 <= RANK < WORLD_SIZE"):
            ranks(wrong)


def test_each_process_of_a_machine_takes_its_own_gpu() -> None:
    assert own_device("cuda", {"LOCAL_RANK": "3"}) == "cuda:3"
    assert own_device("cuda:1", {"LOCAL_RANK": "3"}) == "cuda:1"
    assert own_device("cuda", {}) == "cuda"
    assert own_device("cpu", {"LOCAL_RANK": "3"}) == "cpu"


def gloo_rank(number: int, meeting: Path, command: list[str]) -> None:
    """One process of a script whose ranks know each other."""
    import torch.distributed as dist

    os.environ.update(RANK=str(number), WORLD_SIZE="2", GLOO_SOCKET_IFNAME="lo")
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=number, world_size=2)
    total = torch.ones(1)
    dist.all_reduce(total)
    assert total == dist.get_world_size() == 2
    app(command)


def test_two_gloo_ranks_of_which_one_is_killed_go_on(tmp_path: Path) -> None:
    from ncbounds.checkpoints.architectures.small import MODELS

    user, out = tmp_path / "user.py", tmp_path / "out"
    user.write_text(USER)
    torch.manual_seed(0)
    model = MODELS["mlp"](width=6, depth=1, in_features=4, classes=3)
    torch.save(model.state_dict(), tmp_path / "m.pt")
    code = ["--model", f"{user}:build", "--data", f"{user}:load"]
    command = ["extract", str(tmp_path / "m.pt"), *code, "--out", str(out), "--parts", "4"]
    context = get_context("fork")
    for meeting, wanted in (("first", [0, -signal.SIGKILL]), ("again", [0, 0])):
        ranks = [
            context.Process(target=gloo_rank, args=(r, tmp_path / meeting, command)) for r in (0, 1)
        ]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join(60)
        assert [process.exitcode for process in ranks] == wanted
    parts = sorted((out / "holdout").glob("part*"))
    assert [p.name for p in parts] == [f"part-0000{k}-of-00004" for k in range(4)]
    made = [(p / "part.json").stat().st_mtime_ns for p in parts]
    killed = Path(f"{user}.died").stat().st_mtime_ns
    assert made[1] <= killed < made[3]  # the second rank went on where it was
    sample = read_parts(out / "holdout", "holdout")
    np.testing.assert_array_equal(sample.labels, np.arange(100) % 3)
    assert len(np.unique(sample.input_hashes)) == 100
    assert not list((out / "holdout").glob(".unfinished*"))


def test_two_ranks_of_which_one_is_killed(tmp_path: Path) -> None:
    """Each makes its share with nothing said between them; one process alone finishes the rest."""
    from ncbounds.checkpoints.architectures.small import MODELS

    user = tmp_path / "user.py"
    user.write_text(USER)
    torch.manual_seed(0)
    model = MODELS["mlp"](width=6, depth=1, in_features=4, classes=3)
    torch.save(model.state_dict(), tmp_path / "m.pt")
    out = tmp_path / "out"
    command = [
        *("extract", str(tmp_path / "m.pt"), "--model", f"{user}:build"),
        *("--data", f"{user}:load", "--out", str(out), "--parts", "4"),
    ]
    context = get_context("fork")
    both = [context.Process(target=rank, args=(r, command)) for r in (0, 1)]
    for process in both:
        process.start()
    for process in both:
        process.join(100)
    assert [process.exitcode for process in both] == [0, -signal.SIGKILL]
    made = sorted(p.name for p in (out / "holdout").glob("part*"))
    assert made == [f"part-0000{k}-of-00004" for k in (0, 1, 2)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert f"written to {out}: holdout" in result.output
    sample = read_parts(out / "holdout", "holdout")
    np.testing.assert_array_equal(sample.labels, np.arange(100) % 3)
    linear = np.load(out / "holdout" / "head.npz")
    np.testing.assert_array_equal(linear["bias"], model.state_dict()["head.bias"].double())
    assert len(np.unique(sample.input_hashes)) == 100
    assert not list((out / "holdout").glob(".unfinished*"))
