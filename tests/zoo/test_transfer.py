"""The tables of the transfer study are what README says of them."""

from pathlib import Path

import pandas as pd
import pytest

from ncbounds.zoo.transfer import DRAWS, LABELS, table

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "data" / "transfer"


@pytest.fixture(scope="module")
def draws():
    return pd.read_csv(STUDY / "draws.csv")


def test_readme_shows_the_table_of_the_study(draws):
    assert table(draws) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_combination_was_measured():
    found = pd.read_csv(STUDY / "combinations.csv")
    assert len(found) >= 300
    assert found["error"].between(0, 1).all()
    keys = ["task", "network", "origin", "layer", "head"]
    assert not found.duplicated(keys).any()
    assert {"checkpoint", "raw", "untrained"} == {*found["origin"]}


def test_each_task_was_drawn_equally_often(draws):
    assert (draws.groupby("task").size() == DRAWS).all()
    assert LABELS == 400
    assert (draws["certificate"] > draws["least_leave_one_out"]).any()
