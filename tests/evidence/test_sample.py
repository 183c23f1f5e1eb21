"""Samples: labels, roles, ties, splitting."""

from dataclasses import replace

import numpy as np
import pytest

from ncbounds.errors import InvalidSample, RoleError
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.roles import ROLES
from ncbounds.evidence.sample import Sample
from ncbounds.evidence.split import split

HEAD = LinearHead([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])


def made(features=((1, 0), (0, 1), (2, 2)), labels=(0, 1, 0), **more):
    return Sample.from_arrays(features, labels, **{"role": "holdout", "sampling": "iid", **more})


def test_margins_by_hand():
    s = made(features=[[3, 1], [1, 3], [-1, -2]], labels=[0, 0, 2])
    assert s.margins(HEAD).tolist() == [2.0, -2.0, 1.0]


def test_a_tie_is_an_error_and_so_is_a_non_finite_logit():
    s = made(features=[[2, 2], [np.nan, 0], [np.inf, 0], [2, 1]], labels=[0, 0, 0, 0])
    assert s.margins(HEAD).tolist() == [0.0, -np.inf, -np.inf, 1.0]
    assert (~(s.margins(HEAD) > 0)).tolist() == [True, True, True, False]


def test_label_without_an_output_is_an_error():
    s = made(labels=[0, 1, 5])
    assert s.margins(HEAD)[2] == -np.inf
    assert s.classes == 6


@pytest.mark.parametrize(
    "labels", [[0, 1], [0, 1, -1], [0, 1, 0.5], [0, 1, np.nan], [[0], [1], [0]], None]
)
def test_bad_labels(labels):
    with pytest.raises(InvalidSample, match="label"):
        made(labels=labels)


def test_labels_of_other_types():
    for dtype in (np.int8, np.uint64, float, bool):
        assert made(labels=np.array([0, 1, 0], dtype=dtype)).labels.tolist() == [0, 1, 0]
    unlabelled = made(role="unlabelled", labels=None)
    assert unlabelled.labels.tolist() == [-1] * 3
    assert unlabelled.counts.tolist() == []


@pytest.mark.parametrize(
    "bad",
    [
        {"features": np.ones(3)},
        {"features": np.ones((3, 2, 1))},
        {"sampling": "random"},
        {"selected_among": 0},
        {"label_noise": 1.5},
        {"classes": 1},
        {"rows": [1, 2]},
        {"rows": [0.5, 1, 2]},
        {"groups": [[1], [2], [3]]},
    ],
)
def test_bad_declarations(bad):
    with pytest.raises(InvalidSample):
        made(**bad)


def test_unknown_role():
    with pytest.raises(RoleError, match="did you mean 'holdout'"):
        made(role="hold-out")


def test_sampling_is_unknown_unless_declared():
    assert Sample.from_arrays(np.eye(2), [0, 1], role="fit").sampling == "unknown"


def test_with_classes_only_grows():
    s = made()
    assert s.with_classes(2) is s
    assert s.with_classes(4).counts.tolist() == [2, 1, 0, 0]


def test_logits_are_kept_per_head_and_not_carried_over():
    s = made()
    assert np.shares_memory(s.logits(HEAD), s.logits(HEAD))
    other = LinearHead(-HEAD.weight)
    assert np.array_equal(s.logits(other), -s.logits(HEAD))
    # a copy with other features must not answer with the old logits
    moved = replace(s, features=np.asarray(s.features) + 1.0)
    assert np.array_equal(moved.logits(HEAD), HEAD.logits(moved.features))
    with pytest.raises(InvalidSample, match="takes 3 features"):
        s.logits(LinearHead(np.eye(3)))


def test_integer_features_become_floats():
    assert made().features.dtype == np.float64
    half = np.ones((3, 2), dtype=np.float16)
    assert made(features=half).features is half
    assert made(features=half).logits(HEAD).dtype == np.float64


def test_take():
    s = made(rows=[5, 6, 7], groups=[1, 1, 2], selected_among=3)
    part = s.take(np.array([2, 0]), "head")
    assert part.rows.tolist() == [7, 5]
    assert part.groups.tolist() == [2, 1]
    assert part.labels.tolist() == [0, 0]
    assert (part.role, part.selected_among, part.sampling) == ("head", 3, "unknown")


STRONGER = [
    ("fit", "head"),
    ("fit", "holdout"),
    ("fit", "test"),
    ("head", "holdout"),
    ("unlabelled", "holdout"),
    ("test", "holdout"),
    ("test", "head"),
]


@pytest.mark.parametrize(("own", "wanted"), STRONGER)
def test_no_part_is_stronger_than_the_whole(own, wanted):
    s = made(role=own)
    with pytest.raises(RoleError, match=f"{own} sample cannot become {wanted}"):
        s.take(np.arange(2), wanted)
    with pytest.raises(RoleError, match="only data that nothing was fitted on"):
        split(s, {wanted: 0.5}, seed=0)


@pytest.mark.parametrize("role", ROLES)
def test_a_holdout_sample_may_become_anything(role):
    assert made().take(np.arange(2), role).role == role


def test_split_is_disjoint_seeded_and_inherits():
    n = 100
    s = made(np.ones((n, 2)), np.arange(n) % 2, rows=np.arange(n), selected_among=4)
    parts = split(s, {"head": 0.5, "holdout": 0.3, "test": 0.2}, seed=3)
    assert [p.n for p in parts.values()] == [50, 30, 20]
    assert sorted(np.concatenate([p.rows for p in parts.values()])) == list(range(n))
    for role, part in parts.items():
        assert (part.role, part.sampling, part.selected_among) == (role, "iid", 4)
        assert part.rows.tolist() != list(range(part.rows[0], part.rows[0] + part.n))
    again = split(s, {"head": 0.5, "holdout": 0.3, "test": 0.2}, seed=3)
    assert np.array_equal(again["head"].rows, parts["head"].rows)
    other = split(s, {"head": 0.5}, seed=4)
    assert not np.array_equal(other["head"].rows, parts["head"].rows)


@pytest.mark.parametrize("parts", [{}, {"head": 0.7, "fit": 0.4}, {"head": -0.1}, {"head": 0.0}])
def test_impossible_shares(parts):
    with pytest.raises(InvalidSample, match="shares"):
        split(made(), parts, seed=0)


def test_norms():
    assert made(features=[[3, 4], [0, 0], [1, 0]]).norms.tolist() == [5.0, 0.0, 1.0]
