"""The search: seeded, resumable, and never a word on disk that its certificate does not match."""

import copy
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from ncbounds.code_words import Architecture, FrontEnd, Layer, certify, encode, logits
from ncbounds.code_words.code.integers import HEAD_SCALE, UNIT
from ncbounds.code_words.compress import architecture_for
from ncbounds.code_words.search.rate import Rate, size_costs, tensor_costs
from ncbounds.code_words.search.schedule import Stage, stretched
from ncbounds.code_words.search.search import Search
from ncbounds.code_words.search.student import Student, decided_class, prepare, student_logits
from ncbounds.code_words.search.trainer import Settings
from ncbounds.numerics import occam_upper

SMALL = Architecture((Layer(6, 3, 4), Layer(8, 3, 2, "pool")), reduction=1)
STAGES = [
    Stage("real", 1, (1e-2, 1e-2), rounding=False),
    Stage("down", 3, (1e-2, 5e-3), penalty=3e-3),
    Stage("cool", 3, (5e-3, 1e-3), fix=True, freeze=(0.2, 0.05), bounded=0.5),
]

UNPOLISHED = Settings(polished=False)


@pytest.fixture(scope="module")
def digits():
    torch.set_num_threads(1)
    data = load_digits()
    images = np.minimum(16 * data.images, 255).astype(np.uint8)
    return images, data.target, 8.0 * np.eye(10)[data.target]


def search(digits, folder, **options):
    images, labels, teacher = digits
    return Search(
        SMALL,
        images,
        labels,
        teacher,
        folder,
        STAGES,
        Settings(batch=16, **{"polished": False, **options}),
        report=lambda text: None,
    )


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory):
    """A search that has come to its end, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    found = search(digits, folder)
    found.run()
    return found, folder


def test_word_on_disk_is_what_its_certificate_says(digits, finished):
    found, folder = finished
    state = found.state
    data = (folder / "network.ncz").read_bytes()
    found = certify(data, digits[0], digits[1], classes=10)
    stated = json.loads((folder / "certificate.json").read_text())
    assert stated["value"] == found.value == state.best
    assert state.best < 0.95
    assert (folder / "saved.ncz").exists()
    lines = (folder / "curve.csv").read_text().splitlines()
    assert len(lines) == 1 + len(state.curve) == 7
    assert state.curve[2].bits < state.curve[0].bits
    for point in state.curve:
        assert point.bound == occam_upper(point.errors, len(digits[1]), point.bits, 0.05)


def test_interrupted_search_goes_on_to_the_same_end(digits, finished, tmp_path):
    whole, folder = finished[0].state, finished[1]
    part = search(digits, tmp_path / "part")
    while part.state.stage < 1:
        part._epoch()
    for _ in range(2):
        again = search(digits, tmp_path / "part")
        again._resume()
        again._epoch()
    end = search(digits, tmp_path / "part").run()
    assert [(p.bits, p.errors) for p in end.curve] == [(p.bits, p.errors) for p in whole.curve]
    assert (tmp_path / "part/network.ncz").read_bytes() == (folder / "network.ncz").read_bytes()


def test_stages_to_come_share_what_time_is_left():
    found = stretched(STAGES, 1, 12)
    assert [stage.epochs for stage in found] == [1, 6, 6]
    assert [stage.epochs for stage in stretched(STAGES, 2, -3)] == [1, 3, 1]
    assert [stage.name for stage in found] == [stage.name for stage in STAGES]


def test_stages_are_shared_out_by_the_pace_of_the_last(digits, tmp_path):
    found = search(digits, tmp_path)
    found.state.stage, found._paces = 1, [2.0, 0.5, 0.4]
    found._share_out(6.0)
    assert [stage.epochs for stage in found.stages] == [1, 6, 6]
    # in the middle of a stage: its epochs so far count
    found.state.epoch, found._paces = 3, [9.0, 0.5, 0.5]
    found._share_out(3.0)
    assert [stage.epochs for stage in found.stages] == [1, 4, 4]
    found._share_out(0.0)
    assert [stage.epochs for stage in found.stages] == [1, 4, 2]
    found.state.epoch, found._paces = 0, [0.5]
    found._share_out(6.0)
    assert [stage.epochs for stage in found.stages] == [1, 8, 4]
    # a search that goes on takes the plan as it then stood
    again = search(digits, tmp_path)
    again._resume()
    assert again.stages == found.stages
    assert again.state.stage == 1


def test_another_architecture_begins_anew_and_heeds_the_word_on_disk(digits, finished, tmp_path):
    before = finished[0].state
    shutil.copytree(finished[1], tmp_path, dirs_exist_ok=True)
    images, labels, teacher = digits
    other = replace(SMALL, front=FrontEnd("roots", 3, 1))
    found = Search(other, images, labels, teacher, tmp_path, STAGES[:1], UNPOLISHED, str)
    found._resume()
    assert (found.state.stage, found.state.best) == (0, before.best)
    # of the same shapes, but with another meaning
    other = replace(SMALL, norm="channel")
    found = Search(other, images, labels, teacher, tmp_path, STAGES, UNPOLISHED, str)
    found._resume()
    assert (found.state.stage, found.state.best) == (0, before.best)


@pytest.mark.parametrize(
    ("shape", "reduction", "widths"),
    [((1, 1, 40), 1, 5), ((3, 7, 9), 1, 5), ((1, 14, 14), 2, 5), ((3, 32, 32), 2, 8)],
)
def test_an_architecture_for_every_shape(shape, reduction, widths):
    a = architecture_for(shape)
    assert a.front == FrontEnd("roots", 3, 2)
    assert a.reduction == reduction
    assert [layer.width for layer in a.layers] == [widths, widths]
    images = np.random.default_rng(0).integers(0, 256, (5, *shape), dtype=np.uint8)
    student = Student(a, shape, 3)
    exact = logits(student.network(), images)
    near = student_logits(student, prepare(images, a)).numpy() * HEAD_SCALE * UNIT
    assert np.abs(near - exact).max() < 0.02 * np.abs(exact).max() + 100


def test_no_time_left_still_ends_with_a_word(digits, tmp_path):
    state = search(digits, tmp_path).run(0.0)
    assert state.best < 1.0
    assert (tmp_path / "network.ncz").exists()


def test_seed_decides():
    first = [Student(SMALL, (1, 8, 8), 10, seed).latents[0] for seed in (0, 0, 1)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


def test_penalty_counts_what_the_coder_writes():
    student = Student(Architecture((Layer(12, 5, 4), Layer(16), Layer(16)), 1), (1, 14, 14), 10)
    with torch.no_grad():
        for p, code in zip(student.all_latents(), student.codes(), strict=True):
            p.copy_(code.clamp(-2, 2))
    estimate = float(Rate(student).bits(student).detach())
    real = 8 * len(encode(student.network()))
    # the coder also pays for learning the counts and for the architecture
    assert estimate < real < 1.08 * estimate + 100


def test_costs_by_hand():
    codes = torch.tensor([0.0, 0.0, 0.0, 1.0])
    zero, one = tensor_costs(codes)
    assert float(one[0]) == pytest.approx(-np.log2(1.5 / 5))
    assert float(zero[0]) == pytest.approx(-np.log2(3.5 / 5))
    sizes = size_costs([torch.tensor([1.0, -1.0, 2.0, 0.0])])
    assert sizes[0] == pytest.approx(1 - np.log2(1 - 1.5 / 4))
    assert sizes[1] == pytest.approx(1 - np.log2(1.5 / 4) - np.log2(1 - 0.5 / 2))


def test_held_codes_and_fixed_zeros_stay(finished):
    student = copy.deepcopy(finished[0].trainer.student)
    assert any((kept == 0).any() for kept in student.kept)
    with torch.no_grad():
        for p in student.all_latents():
            p.fill_(3.0)
    for code, kept, frozen in zip(student.codes(), student.kept, student.frozen, strict=True):
        held = ~torch.isnan(frozen)
        assert (code[(kept == 0) & ~held] == 0).all()
        assert (code[held] == frozen[held]).all()


def test_ties_are_errors_of_the_search_as_well():
    logits = torch.tensor([[0.0, 2.0, 1.0], [1.0, 1.0, 0.0], [3.0, 0.0, 3.0]])
    assert decided_class(logits, 1).tolist() == [1, -1, -1]
