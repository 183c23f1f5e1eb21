"""Names of checkpoints: natural order, which are one run, and which step each is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.data.series import (
    in_order,
    named_steps,
    natural,
    progress,
    series_among,
    steps_of,
)


def test_order_is_natural_and_what_has_no_number_stands_last():
    names = ["epoch-10.pt", "final.pt", "epoch-2.pt", "epoch-1.pt"]
    assert in_order(names) == ["epoch-1.pt", "epoch-2.pt", "epoch-10.pt", "final.pt"]
    assert sorted(["r10/b", "r2/b", "r2/a", "r"], key=natural) == ["r", "r2/a", "r2/b", "r10/b"]


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=8, unique=True), st.booleans())
def test_numbers_of_names_are_steps_padded_or_not(numbers, padded):
    names = [f"m18-epoch_{n:07d}.pth.tar" if padded else f"m18-epoch_{n}.pth.tar" for n in numbers]
    assert list(named_steps(names).values()) == numbers
    assert in_order(names) == [name for _, name in sorted(zip(numbers, names, strict=True))]
    assert set(series_among(names, "run").values()) == {"run"}


@pytest.mark.parametrize(
    ("names", "series"),
    [
        (["epoch-001.st", "epoch-010.st", "final.st"], ["run"] * 3),
        (["a/epoch=3-step=12.ckpt", "a/epoch=4-step=16.ckpt", "a/last.ckpt"], ["a"] * 3),
        (["out/checkpoint-500", "out/checkpoint-1000"], ["out"] * 2),
        (["model_0004999.pth", "model_0009999.pth", "model_final.pth"], ["run"] * 3),
        (["0.pt", "10.pt", "other.pt"], ["run"] * 2),
        (["epoch_1.pt", "ema_epoch_1.pt", "epoch_2.pt", "ema_epoch_2.pt", "best.pt"],
         ["epoch_*", "ema_epoch_*"] * 2),
        (["w8-epoch-1.pt", "w8-epoch-2.pt", "w16-epoch-1.pt", "w16-epoch-2.pt"],
         ["w8-epoch-*"] * 2 + ["w16-epoch-*"] * 2),
        (["resnet18.pt", "resnet34.pt"], []),
        (["seed-1.pt", "seed-2.pt"], []),
        (["a/best.pt", "b/best.pt"], []),
        (["epoch-3.pt"], []),
    ],
)  # fmt: skip
def test_which_files_look_like_one_run(names, series):
    assert list(series_among(names, "run").values()) == series


def test_files_are_believed_before_names_where_all_that_were_read_say_it():
    said = {"epoch-1.pt": {"epoch": 0.0}, "epoch-2.pt": {"epoch": 1.0}, "epoch-3.pt": None}
    assert steps_of(said) == ({"epoch-1.pt": 0.0, "epoch-2.pt": 1.0}, "epoch")
    assert steps_of({**said, "best.pt": {"epoch": 1.0}}).of["best.pt"] == 1.0
    # an epoch that does not tell them apart is no step; another number may
    same = {name: {"epoch": 4.0, "global_step": float(i)} for i, name in enumerate(said)}
    assert steps_of(same).unit == "global_step"
    silent = {**said, "epoch-4.pt": {}}
    assert steps_of(silent) == ({f"epoch-{i}.pt": float(i) for i in (1, 2, 3, 4)}, "")


def test_what_a_file_says_of_its_progress():
    hints = {"epoch": 3, "global_step": "1200", "step": True, "iter": float("nan")}
    assert progress(hints) == {"epoch": 3.0, "global_step": 1200.0}
    assert progress({"meta": {"epoch": 7}, "iteration": -1, "epoch": [1]}) == {"epoch": 7.0}
