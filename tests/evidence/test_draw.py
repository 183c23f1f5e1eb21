"""A draw is declared once, checked, and carried by whatever is made of the sample."""

from dataclasses import replace

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.errors import InvalidSample, RoleError

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 0, 1])
DECLARED = {
    "sampling": "iid",
    "selected_among": 3,
    "label_noise": 0.1,
    "rows": np.arange(6) + 10,
    "groups": np.array([0, 0, 1, 1, 2, 2]),
}


def test_a_sample_made_of_words_and_one_made_of_a_draw_are_the_same():
    words = nb.Sample.from_arrays(X, Y, role="holdout", **DECLARED)
    whole = nb.Sample.from_arrays(X, Y, role=nb.Draw("holdout", **DECLARED))
    for name in ("role", *DECLARED):
        assert np.array_equal(getattr(words, name), getattr(whole, name))
        assert np.array_equal(getattr(words, name), getattr(words.draw, name))


def test_a_part_keeps_its_ids_and_loses_its_sampling_and_a_split_keeps_both():
    s = nb.Sample.from_arrays(X, Y, role=nb.Draw("holdout", **DECLARED))
    part = s.take(np.array([4, 1]), "fit")
    assert (part.role, part.sampling, part.selected_among) == ("fit", "unknown", 3)
    assert part.rows.tolist() == [14, 11]
    assert part.groups.tolist() == [2, 0]
    halves = nb.split(s, {"head": 0.5, "holdout": 0.5}, seed=1)
    assert {h.sampling for h in halves.values()} == {"iid"}
    assert sorted([*halves["head"].rows, *halves["holdout"].rows]) == list(range(10, 16))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"role": "train"}, RoleError),
        ({"sampling": "random"}, InvalidSample),
        ({"selected_among": 0}, InvalidSample),
        ({"label_noise": 1.5}, InvalidSample),
        ({"rows": np.zeros((2, 2), dtype=int)}, InvalidSample),
        ({"groups": np.array([0.5, 1.0])}, InvalidSample),
    ],
)
def test_impossible_declarations_are_refused(wrong, error):
    with pytest.raises(error):
        nb.Draw(**{"role": "holdout", **wrong})


def test_ids_of_another_length_are_refused():
    with pytest.raises(InvalidSample, match="rows needs 6 integers"):
        nb.Sample.from_arrays(X, Y, role=nb.Draw("holdout", rows=np.arange(5)))


def test_nothing_is_declared_twice():
    draw = nb.Draw("holdout", sampling="iid")
    with pytest.raises(InvalidSample, match="replace"):
        nb.Sample.from_arrays(X, Y, role=draw, sampling="stratified")
    again = replace(draw, sampling="stratified")
    assert nb.Sample.from_arrays(X, Y, role=again).sampling == "stratified"


def test_extraction_carries_the_draw():
    torch = pytest.importorskip("torch")
    classifier = nb.Classifier(torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(2, 3)))
    draw = nb.Draw("holdout", **DECLARED)
    assert nb.extract(classifier, (X.astype(np.float32), Y), draw).draw is draw
