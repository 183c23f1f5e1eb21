"""Where and in which numbers a network runs: what is the same there, and what is said about it."""

import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ncbounds.checkpoints.head import arithmetic
from ncbounds.checkpoints.head.agreement import agreement
from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.checkpoints.head.device import find_device, is_out_of_memory
from ncbounds.checkpoints.head.steadiness import Regrouping
from ncbounds.errors import DataError, HeadNotFound, NcboundsError, OutOfMemory
from ncbounds.extraction.batches import first_rows
from ncbounds.extraction.extract import extract
from ncbounds.extraction.loading import with_workers
from ncbounds.extraction.pace import Pace
from ncbounds.extraction.running import Running

gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


class Net(nn.Module):
    """A small network with batch norm, which has room for so many rows at once."""

    def __init__(self, room: int = 10**9, error: Any = torch.OutOfMemoryError) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 8, 3, 2, 1)
        self.norm = nn.BatchNorm2d(8)
        self.norm.running_var.uniform_(0.5, 2.0)
        self.head = nn.Linear(8 * 16, 5)
        self.room, self.error = room, error
        self.sizes: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        if len(x) > self.room:
            raise self.error("out of memory")
        out: Tensor = self.head(self.norm(self.conv(x)).relu().flatten(1))
        return out


class Wide(Net):
    """Returns its logits in float32 whatever they were made in."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).float()


def data(n: int = 200) -> tuple[Any, Any]:
    generator = np.random.default_rng(1)
    x = generator.standard_normal((n, 1, 8, 8)).astype(np.float32)
    return x, generator.integers(0, 5, n)


def batched(n: int, size: int) -> list[Any]:
    x, y = (torch.from_numpy(a) for a in data(n))
    return [(x[i : i + size], y[i : i + size]) for i in range(0, n, size)]


@pytest.fixture
def tf32_allowed():
    products = torch.backends.cuda.matmul
    before = products.allow_tf32
    products.allow_tf32 = True
    yield
    products.allow_tf32 = before


def test_tf32_is_off_inside_and_as_before_outside(tf32_allowed: None) -> None:
    def values() -> list[Any]:
        return [read() for read, _, _ in arithmetic._settings()]

    before = values()
    wanted = [value for _, _, value in arithmetic._settings()]
    assert before != wanted
    leave, entered = threading.Event(), threading.Event()

    def beside() -> None:
        with arithmetic.as_named():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=beside)

    def fail() -> None:
        with arithmetic.as_named():
            thread.start()
            entered.wait(10)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert values() == wanted  # the other thread is still inside
    leave.set()
    thread.join()
    assert values() == before
    assert torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_another_precision_is_another_network(tmp_path: Any, precision: str) -> None:
    module = Net()
    weights = module.head.weight.detach().clone()
    classifier = Classifier(module)
    plain = extract(classifier, data(), "holdout", tmp_path, sampling="iid")
    head = classifier.head
    rounded = extract(
        classifier, data(), "holdout", tmp_path, precision=precision, batch_size=64, sampling="iid"
    )
    dtype = arithmetic.PRECISIONS[precision]
    assert (plain.precision, rounded.precision) == ("fp32", precision)
    assert torch.equal(module.head.weight, weights)  # the person's module is as it was
    np.testing.assert_array_equal(classifier.head.weight, weights.to(dtype).double().numpy())
    assert (classifier.head.weight != head.weight).any()
    share = float(torch.finfo(dtype).eps) ** 0.5
    assert 0 < np.abs(rounded.features - plain.features).max() < share * plain.features.max()
    assert len(list(tmp_path.glob("*/*.json"))) == 2
    again = extract(Classifier(Net()), data(), "holdout", tmp_path, precision=precision)
    np.testing.assert_array_equal(again.features, rounded.features)
    assert len(list(tmp_path.glob("*/*.json"))) == 2
    assert plain.input_hashes is not None
    np.testing.assert_array_equal(plain.input_hashes, rounded.input_hashes)


def test_a_row_says_that_it_is_about_the_rounded_network() -> None:
    from ncbounds.bounds import get
    from ncbounds.evidence.evidence import Evidence

    classifier = Classifier(Net())
    for precision, said in (("fp32", False), ("bf16", True)):
        sample = extract(classifier, data(), "holdout", precision=precision, sampling="iid")
        row = get("binomial")(Evidence(head=classifier.head, holdout=sample))
        assert row.kind == "certificate"
        assert any("computed in bf16" in reason for reason in row.reasons) == said


def test_widened_logits_are_held_to_the_precision_that_made_them() -> None:
    report = Classifier(Wide()).to(precision="bf16").verify(torch.from_numpy(data()[0]))
    assert 1e-6 < report.max_abs_diff <= report.tolerance


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_one_wrong_weight_is_noticed_in_each_precision(precision: str) -> None:
    """An error of twice what the logits themselves are rounded by, where no other is."""
    torch.manual_seed(0)
    dtype = arithmetic.PRECISIONS[precision]
    features = torch.rand(400, 64).to(dtype)
    weight = torch.rand(3, 64).to(dtype)
    logits = (features.float() @ weight.float().T).to(dtype)
    bias = torch.zeros(3).double()
    assert agreement(logits, features, weight.double(), bias).holds
    other = weight.double()
    other[1] *= 1 + 40 * float(torch.finfo(dtype).eps)
    assert not agreement(logits, features, other, bias).holds


def test_tiny_logits_in_float16_are_rounded_by_more_than_a_share_of_them() -> None:
    features = torch.full((2, 1), 2.0**-14, dtype=torch.float16)
    weight = torch.tensor([[0.40], [-0.35]], dtype=torch.float16)
    logits = features @ weight.T  # subnormal: a multiple of 2^-24
    assert agreement(logits, features, weight.double(), torch.zeros(2).double()).holds


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError, lambda text: RuntimeError("DefaultCPUAllocator: " + text)]
)
def test_batches_are_halved_until_they_fit(error: Any) -> None:
    wanted = extract(Classifier(Net()), data(), "holdout")
    module = Net(room=40, error=error)
    with pytest.raises(OutOfMemory, match=r"200 rows.*batch_size='auto' \(--batch-size auto\)"):
        extract(Classifier(module), data(), "holdout")
    with pytest.warns(UserWarning, match="out of memory at 50 rows: batches of 25 from here on"):
        found = extract(Classifier(module), data(), "holdout", batch_size="auto")
    np.testing.assert_allclose(found.features, wanted.features, atol=1e-6)
    np.testing.assert_array_equal(found.labels, wanted.labels)
    np.testing.assert_array_equal(found.input_hashes, wanted.input_hashes)


def test_one_row_that_does_not_fit_is_an_error() -> None:
    with (
        pytest.warns(UserWarning, match="out of memory"),
        pytest.raises(OutOfMemory, match="a batch of 1 rows"),
    ):
        extract(Classifier(Net(room=0)), data(4), "holdout", batch_size="auto")
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
    assert is_out_of_memory(MemoryError())


def test_a_batch_size_cuts_the_batches_of_a_loader() -> None:
    module = Net()
    paces: list[Pace] = []
    sample = extract(
        Classifier(module), batched(90, 60), "holdout", batch_size=25, progress=paces.append
    )
    assert max(module.sizes) == 25
    assert [p.batch_size for p in paces] == [25, 25, 10, 25, 5]
    assert [p.done for p in paces] == [25, 50, 60, 85, 90]
    np.testing.assert_array_equal(sample.labels, data(90)[1])


def test_progress_by_hand() -> None:
    pace = Pace(done=300, total=1000, seconds=1.5, batch_size=100)
    assert (pace.rate, pace.left) == (200.0, 3.5)
    assert str(pace) == "300 of 1,000 images, 200/s, 4 s left"
    assert str(Pace(300, None, 1.5, 100)) == "300 images, 200/s"
    assert "2 h 46 min left" in str(Pace(100, 1_000_100, 1.0, 100))


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read and settle as on a GPU: in a thread, one batch behind."""
    monkeypatch.setattr(Classifier, "lag", 1)


@pytest.mark.parametrize("stored", [False, True])
def test_working_ahead_gives_the_same(tmp_path: Any, stored: bool, monkeypatch: Any) -> None:
    store = tmp_path if stored else None
    wanted = extract(Classifier(Net()), data(), "holdout", batch_size=32)
    monkeypatch.setattr(Classifier, "lag", 1)
    classifier = Classifier(Net())
    found = extract(classifier, data(), "holdout", store, batch_size=32)
    for name in ("features", "labels", "input_hashes"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    assert found.module_disagreements == wanted.module_disagreements == 0
    # the first ones twice, and before where a store is looked into
    assert classifier.head_report.rows == (32 if stored else 0) + 32 + 200


@pytest.mark.parametrize("row", [50, 190])
def test_another_head_is_noticed_one_batch_later(ahead: None, row: int, tmp_path: Any) -> None:
    class Kink(Net):
        def forward(self, x: Tensor) -> Tensor:
            out = super().forward(x)
            return torch.where(x[:, 0, :1, 0] > 50, out.relu(), out)

    x, y = data()
    x[row, 0, 0, 0] = 60.0
    with pytest.raises(HeadNotFound, match="here it is off by"):
        extract(Classifier(Kink()), (x, y), "fit", tmp_path, batch_size=20)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_what_a_loader_raises_ahead_is_raised(ahead: None) -> None:
    def broken() -> Any:
        yield from batched(40, 20)
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        extract(Classifier(Net()), broken(), "fit")
    assert not [t for t in threading.enumerate() if t.name.endswith("(read)")]


def test_rows_that_a_gpu_owes_are_run_again_together() -> None:
    regrouping = Regrouping(saved_up=10)
    sizes = []
    for _ in range(40):
        regrouping._credit += 64 / 64
        sizes += [len(group) for group in regrouping._groups(64)]
    assert sizes[:3] == [1, 10, 1]
    assert 40 <= sum(sizes) + 10 <= 60  # one row in 64, whatever the size of a group


@pytest.mark.parametrize("form", ["arrays", "batches", "generator"])
def test_the_first_rows_only(tmp_path: Any, form: str) -> None:
    x, y = data()
    groups = np.arange(200) // 2
    source = {"arrays": (x, y), "batches": batched(200, 30), "generator": iter(batched(200, 30))}
    sample = extract(
        Classifier(Net()),
        source[form],
        "holdout",
        tmp_path,
        limit=50,
        sampling="iid",
        groups=groups,
    )
    assert sample.n == 50
    np.testing.assert_array_equal(sample.labels, y[:50])
    np.testing.assert_array_equal(sample.groups, groups[:50])
    assert extract(Classifier(Net()), (x, y), "holdout", tmp_path).n == 200
    assert extract(Classifier(Net()), (x, y), "holdout", tmp_path, limit=1000).n == 200


def test_rows_on_the_first_rows_are_plug_ins() -> None:
    import ncbounds as nb

    classifier = Classifier(Net())
    holdout, fit, test = (
        extract(classifier, data(), role, limit=100, sampling="iid")
        for role in ("holdout", "fit", "test")
    )
    evidence = nb.Evidence(head=classifier.head, holdout=holdout, fit=fit, test=test)
    rows = nb.evaluate(evidence, bounds="binomial,cantelli_union,ncm_leave_one_out").rows
    assert {row.kind for row in rows} == {"plug-in"}
    assert all(any("only the first 100 rows" in r for r in row.reasons) for row in rows)


def test_other_reading_processes_for_the_same_rows() -> None:
    tensors = torch.utils.data.TensorDataset(*(torch.from_numpy(a) for a in data()))
    loader = torch.utils.data.DataLoader(tensors, batch_size=30, num_workers=2)
    found = with_workers(first_rows(loader, 70), 0)
    assert (found.loader.num_workers, loader.num_workers) == (0, 2)
    sample = extract(Classifier(Net()), loader, "fit", workers_per_loader=0, limit=70)
    np.testing.assert_array_equal(sample.labels, data()[1][:70])
    assert with_workers(batched(60, 30), 4) is not None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "auto, cpu, cuda, cuda:0, ... or mps, found 'gpu'"),
        ("meta", "auto, cpu, cuda, cuda:0, ... or mps, found 'meta'"),
        ("cuda:7", "CUDA device"),
        ("mps", "no MPS device here; use device='cpu'"),
    ],
)
def test_a_device_that_is_not_there(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message.replace("...", r"\.\.\.")):
        find_device(name)


def test_impossible_settings() -> None:
    wrong: list[dict[str, Any]] = [
        {"device": "tpu"},
        {"precision": "fp8"},
        {"batch_size": 0},
        {"batch_size": "all"},
        {"limit": 0},
        {"workers_per_loader": -1},
    ]
    for settings in wrong:
        with pytest.raises(NcboundsError):
            Running(**settings)
        if settings != {"workers_per_loader": -1}:
            with pytest.raises(NcboundsError):
                extract(Classifier(Net()), data(), "fit", **settings)
    assert Running(device="cpu").key == Running(device="auto").resolved().key or (
        torch.cuda.is_available()
    )


def test_a_head_function_keeps_its_precision() -> None:
    module = Net()

    def head(x: Tensor) -> tuple[Tensor, Tensor]:
        f = module.norm(module.conv(x)).relu().flatten(1)
        return f, module.head(f)

    with pytest.raises(DataError, match="a function of it in that precision"):
        Classifier(module, head).to(precision="bf16")


class TestCuda:
    """What only a GPU shows."""

    pytestmark = gpu

    def test_nearly_all_rows_are_predicted_as_on_the_cpu(self, tmp_path: Any) -> None:
        x, y = data(5_000)
        here, there = Classifier(Net()), Classifier(Net())
        a = extract(here, (x, y), "holdout", tmp_path)
        b = extract(there, (x, y), "holdout", tmp_path, device="cuda")
        assert there.device.type == "cuda"
        assert len(list(tmp_path.glob("*/*.json"))) == 2
        np.testing.assert_allclose(a.features, b.features, atol=1e-4)
        same = a.predictions(here.head) == b.predictions(there.head)
        assert same.mean() > 0.999
        np.testing.assert_array_equal(a.input_hashes, b.input_hashes)
        np.testing.assert_array_equal(a.labels, b.labels)
        assert b.module_disagreements is not None
        assert b.module_disagreements < 5

    @pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
    def test_the_head_is_proved(self, precision: str, tf32_allowed: None) -> None:
        classifier = Classifier(Net())
        sample = extract(classifier, data(5_000), "holdout", device="cuda", precision=precision)
        report = classifier.head_report
        assert report.name == "head"
        assert report.rows > 5_000
        assert report.max_abs_diff <= report.tolerance
        assert sample.precision == precision
        assert torch.backends.cuda.matmul.allow_tf32

    def test_a_batch_that_is_too_large_is_halved(self) -> None:
        class Greedy(Net):
            """Sets more aside than there is for more than 64 rows."""

            def forward(self, x: Tensor) -> Tensor:
                total = torch.cuda.get_device_properties(x.device).total_memory
                torch.empty(2 * total * (len(x) > 64), dtype=torch.uint8, device=x.device)
                return super().forward(x)

        with pytest.warns(UserWarning, match="batches of 50 from here on"):
            sample = extract(Classifier(Greedy()), data(), "fit", device="cuda", batch_size="auto")
        assert sample.n == 200

    def test_a_row_that_depends_on_others_is_refused(self) -> None:
        class Contrast(Net):
            def forward(self, x: Tensor) -> Tensor:
                return super().forward(x - x.mean(0))

        with pytest.raises(HeadNotFound, match="depends on the rows beside it"):
            extract(Classifier(Contrast()), data(), "fit", device="cuda")
