"""Features at named places of a network: from one pass, pooled as declared, one row for one row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ncbounds as nb
from ncbounds.checkpoints.architectures.small import build_model
from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.errors import DataError, NcboundsError, StoreError, TapRefused, UnknownName
from ncbounds.extraction.extract import extract

DATA = Path(__file__).parents[2] / "data"


def points(n: int = 70, shape: tuple[int, ...] = (3, 12, 12), seed: int = 1) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n, *shape)).astype(np.float32)
    return x, generator.integers(0, 5, n)


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2, 1)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.down = nn.Conv2d(inputs, outputs, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = F.relu(self.conv2(self.relu(self.bn1(self.conv1(x)))) + self.down(x))
        return out


class ResNet(nn.Module):
    """Stem, two stages, average pooling; counts the rows that pass through."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 4, 3, 1, 1)
        self.layer1, self.layer2 = Residual(4, 6), Residual(6, 8)
        self.fc = nn.Linear(8, 5)
        self.rows = 0

    def forward(self, x: Tensor) -> Tensor:
        self.rows += len(x)
        f = self.layer2(self.layer1(self.stem(x)))
        out: Tensor = self.fc(f.mean((2, 3)))
        return out


class Encoder(nn.Module):
    """Small transformer over 9 patches of an image."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True) for _ in range(3)
        )
        self.norm = nn.LayerNorm(16)
        self.fc = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            tokens = block(tokens)
        out: Tensor = self.fc(self.norm(tokens)[:, 0])
        return out


class Beside(nn.Module):
    """A linear network, and a branch beside it that the logits do not see."""

    def __init__(self, branch: Callable[[Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.fc = nn.Linear(6, 8), nn.Linear(8, 5)
        self.branch = Branch(branch)
        self.last = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        f = self.body(x)
        self.branch(f)
        out: Tensor = self.last(self.fc(f.relu()))
        return out


class Branch(nn.Module):
    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, f: Tensor) -> Any:
        return self.function(f)


def by_hand(run: Callable[[Tensor], Tensor], x: Any, dtype: torch.dtype) -> Any:
    with torch.no_grad():
        return run(torch.from_numpy(x).to(dtype)).numpy()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_places_of_a_residual_network_are_what_separate_passes_give(dtype: torch.dtype) -> None:
    model = ResNet().to(dtype)
    x, y = points()
    at = {"stem": "average", "layer1": 3, "layer2.bn1": "average", "head": 2}
    found = extract(Classifier(model), (x, y), "holdout", at=at, batch_size=32, sampling="iid")
    assert list(found) == list(at)
    second = model.layer2
    wanted = {
        "stem": lambda z: model.stem(z).mean((2, 3)),
        "layer1": lambda z: (
            model.layer1(model.stem(z)).unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5)).flatten(1)
        ),
        "layer2.bn1": lambda z: second.bn1(second.conv1(model.layer1(model.stem(z)))).mean((2, 3)),
        "head": lambda z: second(model.layer1(model.stem(z))).mean((2, 3)),
    }
    precision = 1e-5 if dtype == torch.float32 else 1e-12
    for name, run in wanted.items():
        sample = found[name]
        np.testing.assert_allclose(
            sample.features, by_hand(run, x, dtype), rtol=0, atol=precision, err_msg=name
        )
        assert sample.features.dtype == str(dtype).removeprefix("torch.")
        assert (sample.tap, sample.role, sample.sampling) == (name, "holdout", "iid")
        np.testing.assert_array_equal(sample.labels, y)
    assert found["layer1"].dim == 6 * 9
    assert found["head"].module_disagreements == 0
    assert found["stem"].module_disagreements is None


def test_places_of_the_residual_network_of_the_zoo() -> None:
    checkpoint = nb.load_checkpoint(DATA / "zoo" / "rescnn8-wd5e-4.safetensors")
    model = build_model("res_bn_cnn")
    model.load_state_dict(checkpoint.tensors)
    x = np.load(DATA / "fashion14.npz")["images"][:60].astype(np.float32)[:, None] / 255
    y = np.arange(60) % 10
    blocks = [f"features.{k}" for k in (3, 4, 5)]
    found = extract(Classifier(model), (x, y), "holdout", at=(*blocks, "head"))
    for k, name in enumerate(blocks):
        wanted = by_hand(lambda z, k=k: model.features[: 4 + k](z).mean((2, 3)), x, torch.float32)
        np.testing.assert_allclose(found[name].features, wanted, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found["features.5"].features, found["head"].features)


def test_places_of_a_transformer_are_averages_over_tokens() -> None:
    model = Encoder()
    x, y = points()
    found = extract(Classifier(model), (x, y), "holdout", at=("blocks.0", "blocks.2", "head"))

    def after(blocks: int, z: Tensor) -> Tensor:
        tokens = model.patch(z).flatten(2).transpose(1, 2)
        for block in model.blocks[:blocks]:
            tokens = block(tokens)
        return tokens

    for name, count in (("blocks.0", 1), ("blocks.2", 3)):
        wanted = by_hand(lambda z, count=count: after(count, z).mean(1), x, torch.float32)
        np.testing.assert_allclose(found[name].features, wanted, rtol=0, atol=1e-5)
    wanted = by_hand(lambda z: model.norm(after(3, z))[:, 0], x, torch.float32)
    np.testing.assert_allclose(found["head"].features, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("make", [ResNet, Encoder])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_last_place_is_the_plain_extraction_bit_for_bit(
    make: type[nn.Module], dtype: torch.dtype
) -> None:
    data = points()
    plain = extract(Classifier(make().to(dtype)), data, "fit", batch_size=32)
    at = ("stem", "layer1") if make is ResNet else ("blocks.0", "norm")
    found = extract(Classifier(make().to(dtype)), data, "fit", at=(*at, "head"), batch_size=32)
    np.testing.assert_array_equal(found["head"].features, plain.features)
    np.testing.assert_array_equal(found[at[0]].input_hashes, plain.input_hashes)
    assert (plain.tap, found["head"].tap) == (None, "head")
    assert found["head"].module_disagreements == plain.module_disagreements


def test_all_places_are_read_in_one_forward_pass() -> None:
    data, plain, tapped = points(), ResNet(), ResNet()
    extract(Classifier(plain), data, "fit", batch_size=32)
    extract(Classifier(tapped), data, "fit", at=("stem", "layer1", "layer2"), batch_size=32)
    assert tapped.rows == plain.rows


def test_no_hook_is_left_behind_whatever_happens() -> None:
    model = ResNet()
    classifier = Classifier(model)
    extract(classifier, points(), "fit", at=("stem", "layer1"))
    with pytest.raises(TapRefused):
        extract(classifier, points(), "fit", at={"layer1": 100})
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_an_output_is_taken_before_a_later_layer_overwrites_it() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 5))
    x, y = points(shape=(6,))
    found = extract(Classifier(model), (x, y), "fit", at="0", pool=3)  # (n, 8): as it is
    np.testing.assert_allclose(
        found["0"].features, by_hand(model[0], x, torch.float32), rtol=0, atol=1e-6
    )
    assert (found["0"].features < 0).any()


class Texts(nn.Module):
    """Embeds tokens and averages those that are no padding."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(30, 6)
        self.mix = nn.Linear(6, 8)
        self.fc = nn.Linear(8, 5)
        self.halved = nn.Identity()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        f = self.mix(self.embed(input_ids)).relu()
        self.halved(f[:, ::2])
        real = attention_mask[..., None].to(f.dtype)
        out: Tensor = self.fc((f * real).sum(1) / real.sum(1))
        return out


def texts(size: int) -> list[tuple[dict[str, Tensor], Tensor]]:
    """Batches of texts, each batch padded to its longest."""
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(2, 12, (40,), generator=generator).tolist()
    rows = [torch.randint(1, 30, (k,), generator=generator) for k in lengths]
    batches = []
    for i in range(0, 40, size):
        ids = nn.utils.rnn.pad_sequence(rows[i : i + size], batch_first=True)
        batch = {"input_ids": ids, "attention_mask": (ids > 0).long()}
        batches.append((batch, torch.arange(i, min(i + size, 40)) % 5))
    return batches


def test_padding_of_a_text_is_left_out() -> None:
    model = Texts()
    found = [extract(Classifier(model), texts(s), "fit", at="mix")["mix"] for s in (40, 7, 1)]
    wanted = []
    with torch.no_grad():
        for batch, _ in texts(1):
            wanted.append(model.mix(model.embed(batch["input_ids"])).mean(1).numpy())
    for sample in found:
        np.testing.assert_allclose(sample.features, np.concatenate(wanted), rtol=0, atol=1e-6)
    with pytest.raises(TapRefused, match="which positions are padding is not known"):
        extract(Classifier(model), texts(40), "fit", at="halved")


@pytest.mark.parametrize(
    ("pool", "wanted"), [("average@last", -1), ("hash@1", 1), ("average@class", 0)]
)
def test_one_token_is_taken_whatever_the_padding(pool: str, wanted: int) -> None:
    model = Texts()
    with torch.no_grad():
        rows = [model.mix(model.embed(batch["input_ids"]))[0, wanted] for batch, _ in texts(1)]
    for size in (40, 7):
        found = extract(Classifier(model), texts(size), "fit", at={"mix": pool})["mix"]
        np.testing.assert_allclose(found.features, np.stack(rows), rtol=0, atol=1e-6)


def test_the_first_of_several_outputs_is_taken() -> None:
    x, y = points(shape=(6,))
    both = Beside(lambda f: (f, f * 2, None))
    found = extract(Classifier(both), (x, y), "fit", at="branch")["branch"]
    alone = extract(Classifier(Beside(lambda f: f)), (x, y), "fit", at="branch")["branch"]
    np.testing.assert_array_equal(found.features, alone.features)


DEPENDENT: dict[str, Callable[[Tensor], Tensor]] = {
    "contrast over the batch": lambda f: f - f.mean(0),
    "one scale for the batch": lambda f: (f / f.abs().max() * 127).round(),
    "place in the batch": lambda f: f + torch.arange(len(f))[:, None],
    "softmax over the rows": lambda f: f.softmax(0),
}


@pytest.mark.parametrize("branch", DEPENDENT.values(), ids=DEPENDENT)
@pytest.mark.parametrize("size", [1, 8, 64])
def test_a_place_that_depends_on_the_batch_is_refused(
    branch: Callable[[Tensor], Tensor], size: int
) -> None:
    x, y = points(n=64, shape=(6,))
    loader = [
        (torch.from_numpy(x[i : i + size]), torch.from_numpy(y[i : i + size]))
        for i in range(0, 64, size)
    ]
    classifier = Classifier(Beside(branch))
    plain = extract(classifier, loader, "fit")  # the logits do not see the branch
    np.testing.assert_allclose(extract(classifier, loader, "fit").features, plain.features)
    for c in (classifier, Classifier(Beside(branch))):
        with pytest.raises(TapRefused, match=r"'branch' of the same rows differ.*rows beside it"):
            extract(c, loader, "fit", at=("body", "branch"))
    again = extract(classifier, loader, "fit", at="body")["body"]
    np.testing.assert_allclose(
        again.features, by_hand(classifier.module.body, x, torch.float32), atol=1e-5
    )


def test_dependence_that_starts_in_a_later_batch_is_refused() -> None:
    x, y = points(n=640, shape=(6,))
    x[320:, 0] = 50.0

    def branch(f: Tensor) -> Tensor:
        return f - f.mean(0) if float(f.abs().max()) > 8 else f

    assert float(by_hand(Beside(branch).body, x[:320], torch.float32).max()) < 8
    with pytest.raises(TapRefused, match="rows beside it"):
        extract(Classifier(Beside(branch)), (x, y), "fit", at="branch", batch_size=64)


def test_a_place_that_draws_random_numbers_is_refused() -> None:
    model = Beside(lambda f: f + 1e-2 * torch.rand_like(f))
    with pytest.raises(TapRefused, match="'branch' of the same rows differ"):
        extract(Classifier(model), points(shape=(6,)), "fit", at="branch")


@pytest.mark.parametrize("name", ["fc", "last"])
def test_a_place_behind_the_head_is_refused(name: str) -> None:
    """Its features would depend on the head, whatever the head was fitted on."""
    model = Beside(lambda f: f)
    with pytest.raises(TapRefused, match=f"{name!r} are others when the weights of the head"):
        extract(Classifier(model), points(shape=(6,)), "fit", at=name)


WRONG: dict[str, tuple[Callable[[Tensor], Any], Any, str]] = {
    "words first": (lambda f: ("f", f), "average", "returns a str; needed is a tensor, alone or"),
    "a mapping": (lambda f: {"f": f}, "average", "returns a dict; needed is a tensor"),
    "no such token": (lambda f: f[:, None], "average@3", r"\(32, 1, 8\), where position 3 is"),
    "per batch": (lambda f: f.mean(0, keepdim=True), "average", r"\(1, 8\) of torch.float32 for"),
    "rows and places": (lambda f: f.reshape(-1, 2), "average", r"\(128, 2\) .* for 32 rows"),
    "places first": (lambda f: f.T[..., None], "average", r"\(8, 32, 1\) .* for 32 rows"),
    "one number": (lambda f: f.sum(1), "average", r"returns \(32,\)"),
    "whole numbers": (lambda f: f.long(), "average", "needed are floating-point numbers"),
    "nothing": (lambda f: f[:, :0], "average", r"returns \(32, 0\)"),
    "tokens": (lambda f: f[:, None], 2, r"\(32, 1, 8\), which is no image to average to 2 x 2"),
    "small": (lambda f: f.reshape(-1, 2, 2, 2), 3, "images of 2 x 2, too small to average to 3"),
}


@pytest.mark.parametrize(("branch", "pool", "message"), WRONG.values(), ids=WRONG)
def test_a_place_that_gives_no_features(
    branch: Callable[[Tensor], Any], pool: Any, message: str
) -> None:
    with pytest.raises(TapRefused, match=f"the module 'branch' .*{message}"):
        extract(
            Classifier(Beside(branch)), points(shape=(6,)), "fit", at={"body": 1, "branch": pool}
        )


def test_a_module_that_runs_twice_or_not_at_all() -> None:
    class Twice(Beside):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.fc(self.last(self.last(self.body(x))))
            return out

    for name, message in (("last", "runs more than once"), ("branch", "does not run by itself")):
        with pytest.raises(TapRefused, match=message):
            extract(Classifier(Twice(lambda f: f)), points(shape=(6,)), "fit", at=name)


@pytest.mark.parametrize(
    ("at", "pool", "error", "message"),
    [
        ("layr1", "average", UnknownName, "no module 'layr1'; the nearest are layer1"),
        (("stem", ""), "average", UnknownName, "it has stem, layer1"),
        ((), "average", DataError, "names no place"),
        ({}, "average", DataError, "names no place"),
        ("stem", "max", DataError, "pool='max' for 'stem'; needed is \"average\", or p"),
        ("stem", 0, DataError, "pool=0"),
        ({"stem": True}, "average", DataError, "pool=True"),
        ({"stem": 2}, 3, DataError, "pool=3 beside at="),
        (None, 3, DataError, "pool=3 without at="),
    ],
)
def test_what_is_asked_for_is_checked_before_any_work(
    at: Any, pool: Any, error: type[NcboundsError], message: str
) -> None:
    model = ResNet()
    with pytest.raises(error, match=message):
        extract(Classifier(model), points(), "fit", at=at, pool=pool)
    assert model.rows == 0


def test_the_list_of_modules_that_a_message_says_to_type() -> None:
    classifier = Classifier(ResNet())
    with pytest.raises(UnknownName) as caught:
        extract(classifier, points(), "fit", at="layr1")
    typed = str(caught.value).partition("All of them: ")[2]
    assert "layer2.conv1" in eval(typed, {"classifier": classifier})


def folders(store: Path) -> set[str]:
    return {str(f) for f in store.glob("*/*.json")}


def test_places_are_stored_apart_and_found_again(tmp_path: Path) -> None:
    data, model = points(), ResNet()
    classifier = Classifier(model)
    first = extract(classifier, data, "fit", tmp_path, at=("stem", "layer1"))
    assert len(folders(tmp_path)) == 2
    assert isinstance(first["stem"].features, np.memmap)

    model.rows = 0
    again = extract(classifier, data, "fit", tmp_path, at=("layer1", "stem"))
    assert model.rows <= 32 + 1  # only the first rows are compared, one of them again
    np.testing.assert_array_equal(again["layer1"].features, first["layer1"].features)

    before = folders(tmp_path)
    both = extract(classifier, data, "fit", tmp_path, at={"stem": "average", "layer1": 2})
    assert len(folders(tmp_path) - before) == 1  # another pooling is another place
    np.testing.assert_array_equal(both["stem"].features, first["stem"].features)
    assert both["layer1"].dim == 4 * first["layer1"].dim

    before = folders(tmp_path)
    head = extract(classifier, data, "fit", tmp_path, at=("head", "stem"))["head"]
    assert len(folders(tmp_path) - before) == 1
    model.rows = 0
    plain = extract(classifier, data, "fit", tmp_path)  # the folder of the head
    assert model.rows == 32
    assert plain.tap is None
    np.testing.assert_array_equal(plain.features, head.features)
    assert plain.module_disagreements == head.module_disagreements == 0

    before = folders(tmp_path)
    extract(Classifier(nn.Sequential(ResNet())), data, "fit", tmp_path, at="0.stem")
    assert len(folders(tmp_path) - before) == 1  # another network


def test_stored_places_of_other_points_are_refused(tmp_path: Path) -> None:
    parts, classifier = {"file": "a"}, Classifier(ResNet())
    extract(classifier, points(), "fit", tmp_path, at="stem", key_parts=parts)
    changed = points()
    changed[0][50] += 1.0  # not among the first rows, which are compared
    with pytest.raises(StoreError, match=r"read on different points.*same key_parts"):
        extract(classifier, changed, "fit", tmp_path, at=("stem", "layer1"), key_parts=parts)
    changed[0][0] += 1.0
    with pytest.raises(StoreError, match="stored features differ"):
        extract(classifier, changed, "fit", tmp_path, at=("stem", "layer2"), key_parts=parts)


def test_nothing_is_stored_where_one_place_is_refused(tmp_path: Path) -> None:
    classifier = Classifier(Beside(DEPENDENT["contrast over the batch"]))
    with pytest.raises(TapRefused):
        extract(classifier, points(shape=(6,)), "fit", tmp_path, at=("body", "branch"))
    assert folders(tmp_path) == set()


def test_places_of_a_generator_that_is_read_once(tmp_path: Path) -> None:
    x, y = points()
    parts = {"file": "a"}

    def once() -> Any:
        for i in range(0, 70, 16):
            yield torch.from_numpy(x[i : i + 16]), torch.from_numpy(y[i : i + 16])

    classifier = Classifier(ResNet())
    first = extract(classifier, once(), "fit", tmp_path, at="stem", key_parts=parts)
    both = extract(classifier, once(), "fit", tmp_path, at=("stem", "layer1"), key_parts=parts)
    assert both["layer1"].n == first["stem"].n == 70
    whole = extract(Classifier(ResNet()), (x, y), "fit", at="layer1", batch_size=16)
    np.testing.assert_array_equal(both["layer1"].features, whole["layer1"].features)


def test_the_function_that_gives_the_head_can_be_tapped() -> None:
    model = ResNet()

    def given(batch: Tensor) -> tuple[Tensor, Tensor]:
        f = model.layer2(model.layer1(model.stem(batch))).mean((2, 3))
        return f, model.fc(f)

    found = extract(Classifier(model, head=given), points(), "fit", at=("layer1", "head"))
    plain = extract(Classifier(ResNet()), points(), "fit", at=("layer1", "head"))
    for name in found:
        np.testing.assert_array_equal(found[name].features, plain[name].features)
