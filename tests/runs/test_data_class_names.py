"""Names of classes come along with a data set that has them, and never from one that may err."""

import json

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset

import ncbounds as nb
from ncbounds.checkpoints.architectures.small import build_model
from ncbounds.data.points import own_points

NAMES = ["bag", "boot", "crane"]


class Folder(Dataset):
    """As torchvision's ImageFolder."""

    def __init__(self, classes=NAMES, target_transform=None, seed=0, **other):
        generator = np.random.default_rng(seed)
        self.x = torch.from_numpy(generator.standard_normal((120, 4)).astype(np.float32))
        self.classes, self.target_transform = classes, target_transform
        vars(self).update(other)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], i % 3


def loader(**options):
    return DataLoader(Folder(**options), batch_size=40)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, NAMES),
        ({"class_to_idx": {"boot": 1, "crane": 2, "bag": 0}}, NAMES),
        ({"classes": None, "class_to_idx": {"crane": 0, "bag": 1}}, ["crane", "bag"]),
        ({"class_to_idx": {"bag": 1, "boot": 2}}, []),
        ({"target_transform": lambda y: 2 - y}, []),
        ({"classes": [0, 1, 2]}, []),
        ({"classes": "abc"}, []),
        ({"classes": None}, []),
    ],
)
def test_names_of_a_data_set(options, names):
    data = loader(**options)
    part = DataLoader(Subset(Subset(data.dataset, range(60)), range(30)))
    assert own_points(data).classes == own_points(part).classes == tuple(names)


def test_data_without_a_data_set_has_no_names():
    x, y = np.ones((3, 4)), np.arange(3)
    assert own_points((x, y)).classes == own_points([(x, y)]).classes == ()


def evaluated(tmp_path, **data):
    torch.manual_seed(0)
    args = {"width": 8, "depth": 1, "in_features": 4, "classes": 3}
    torch.save(build_model("mlp", args).state_dict(), tmp_path / "m.pt")
    report = nb.evaluate_files(
        [tmp_path / "m.pt"],
        model="mlp",
        args=args,
        data=data,
        bounds="binomial",
        out=tmp_path / "out",
    )
    assert not report.failures
    assert json.loads(report.to_json())["facts"] == report.facts
    (facts,) = report.facts.values()
    return facts["classes"]


def test_names_reach_what_is_said_about_a_checkpoint(tmp_path):
    assert evaluated(tmp_path, holdout=loader(), test=loader(seed=1)) == NAMES
    # the same points under other names are another run
    other = ["bag\x1b", "bag", "crane"]
    found = evaluated(tmp_path, holdout=loader(classes=other), test=loader(classes=other, seed=1))
    assert found == ["bag (0)", "bag (1)", "crane"]
    assert evaluated(tmp_path, holdout=loader(classes=None), test=loader(seed=1)) == NAMES


def test_names_that_disagree_or_do_not_fit_are_left_out(tmp_path):
    turned = loader(classes=NAMES[::-1], seed=1)
    assert evaluated(tmp_path, holdout=loader(), test=turned) == []
    four = [*NAMES, "sandal"]
    data = {"holdout": loader(classes=four), "test": loader(classes=four, seed=1)}
    assert evaluated(tmp_path, **data) == []
