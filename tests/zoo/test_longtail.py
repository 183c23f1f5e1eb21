"""The long-tailed series: thinning keeps the law inside classes, and balanced errors turn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.data.manifest import entry_rows, load_manifest
from ncbounds.data.noise import long_tail
from ncbounds.data.points import entry_points
from ncbounds.errors import ManifestError
from ncbounds.runs.subject import evidence_of
from ncbounds.zoo import longtail

SHIPPED = Path(__file__).parents[2] / "data" / "longtail"


def test_each_row_stays_on_its_own_with_the_probability_of_its_class():
    y = np.random.default_rng(0).integers(0, 5, 20_000)
    kept = long_tail(y, 16, 3, 5)
    share = np.bincount(y[kept], minlength=5) / np.bincount(y)
    assert share == pytest.approx([1, 1 / 2, 1 / 4, 1 / 8, 1 / 16], abs=0.03)
    assert kept[y == 0].all()
    # whether a row stays hangs on its own label alone
    other = y.copy()
    other[10_000:] = 4
    assert (long_tail(other, 16, 3, 5)[:10_000] == kept[:10_000]).all()
    assert not (long_tail(y, 16, 4, 5) == kept).all()


def test_the_manifest_is_the_shipped_one_and_its_rows_are_a_tail():
    assert longtail.manifest() == (SHIPPED / "zoo.toml").read_text(encoding="utf-8")
    book = load_manifest(SHIPPED)
    entry, task = book.checkpoints["plain"], book.tasks["longtail14"]
    points = entry_points(entry, task)
    fit = np.bincount(points["fit"].loader[1], minlength=10)
    whole = entry_points(entry, replace(task, imbalance=1.0))
    assert len(whole["fit"].rows) == 8000
    assert fit[0] > 50 * fit[9] > 0
    assert set(points["fit"].rows) < set(whole["fit"].rows)
    assert sum(p.stat().st_size for p in SHIPPED.iterdir()) < 1e6
    assert entry_rows(entry, np.zeros(26_000, dtype=int))["test"].size == 10_000


def test_the_better_network_overall_is_the_worse_one_on_average_over_classes():
    book = load_manifest(SHIPPED)
    found = {}
    for name, entry in book.checkpoints.items():
        report = nb.evaluate(evidence_of(entry, book.tasks[entry.task]), ["binomial"])
        found[name] = {r.params.get("per"): r for r in report if r.role == "holdout"}
    plain, balanced = found["plain"], found["balanced"]
    assert {*plain} == {None, "worst class", "balanced", "many-shot", "medium-shot", "few-shot"}
    assert all(r.kind == "certificate" for r in (*plain.values(), *balanced.values()))
    assert plain[None].test.error < balanced[None].test.error
    assert plain["balanced"].test.error > balanced["balanced"].test.error + 0.05
    assert plain["balanced"].value > 2 * plain[None].value
    for row in (*plain.values(), *balanced.values()):
        assert row.test.low <= row.value


@pytest.mark.parametrize("imbalance", ["0.5", "'x'", "1e9"])
def test_an_imbalance_that_is_none(imbalance, tmp_path):
    (tmp_path / "zoo.toml").write_text(f"[tasks.t]\ndata = 'a.npz'\nimbalance = {imbalance}\n")
    with pytest.raises(ManifestError, match="imbalance"):
        load_manifest(tmp_path)


def test_claims_of_a_task_are_checked_where_it_is_read(tmp_path):
    (tmp_path / "zoo.toml").write_text("[tasks.t]\ndata = 'a.npz'\nclaims = ['balancd']\n")
    with pytest.raises(ManifestError, match="claims: no claim 'balancd'; did you mean"):
        load_manifest(tmp_path)
