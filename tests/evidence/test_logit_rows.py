"""Logits beyond what is kept are computed a part at a time, and no row notices."""

import pickle
import tracemalloc

import numpy as np
import pytest

from ncbounds.bounds.selection import select
from ncbounds.evidence import sample as sample_module
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.geometry.alignment import nc4
from ncbounds.geometry.margin_efficiency import margin_efficiency

N, DIM, CLASSES = 3_000, 24, 60
MANY = 30_000
COUNTING = ("binomial", "kl_holdout", "hoeffding")
READERS = ("gaussian_head", "min_margin_cantelli")


def evidence(scale: float = 1.0, *, n: int = N, bad: bool = True) -> Evidence:
    rng = np.random.default_rng(0)
    means = rng.standard_normal((CLASSES, DIM))
    y = np.arange(n) % CLASSES
    f = (means[y] + 0.6 * rng.standard_normal((n, DIM))).astype(np.float32)
    if bad:
        f[7], f[8] = np.nan, 0.0  # no logit, and a tie without a bias
    head = LinearHead(scale * means, np.zeros(CLASSES))
    return Evidence(
        head=head,
        holdout=Sample.from_arrays(f, y, role="holdout", sampling="iid", rows=np.arange(n)),
    )


def values(e: Evidence, bounds: object) -> dict[str, float]:
    rows = ((b, r, p) for b in select(bounds) for r, p in b.planned(e))
    found = {f"{b.id} {p}": b(e, role=r, **p) for b, r, p in rows}
    return {name: getattr(result, "value", np.nan) for name, result in found.items()}


@pytest.fixture
def nothing_kept(monkeypatch):
    monkeypatch.setattr(sample_module, "KEPT_BYTES", 0)


@pytest.mark.parametrize("scale", [1.0, 2.0**600])
def test_what_is_counted_is_the_same_to_the_last_bit(monkeypatch, scale):
    e = evidence(scale)
    kept, head = e.holdout, e.head
    expected = (kept.margins(head), kept.predictions(head), kept.decided(head))
    assert expected[0][7] == -np.inf
    assert expected[0][8] == 0.0
    assert np.shares_memory(kept.logits(head), kept.logits(head))
    monkeypatch.setattr(sample_module, "KEPT_BYTES", 0)
    other = evidence(scale).holdout
    found = (other.margins(head), other.predictions(head), other.decided(head))
    for a, b in zip(expected, found, strict=True):
        assert a.tobytes() == b.tobytes()
    assert kept.undecided(head) == other.undecided(head) == 1
    assert not np.shares_memory(other.logits(head), other.logits(head))
    assert np.array_equal(kept.logits(head), other.logits(head), equal_nan=True)


def test_counting_rows_keep_no_logits(nothing_kept):
    values(evidence(), COUNTING)  # imports are no memory of a row
    e = evidence(n=MANY)
    tracemalloc.start()
    held = tracemalloc.get_traced_memory()[0]
    values(e, COUNTING)
    peak = tracemalloc.get_traced_memory()[1] - held
    tracemalloc.stop()
    assert peak < 0.5 * 8 * MANY * CLASSES


def test_rows_that_read_logits_are_the_same_up_to_rounding(monkeypatch):
    def found(e: Evidence) -> dict[str, float]:
        means = e.holdout.moments.mean
        return {
            **values(e, READERS),
            "nc4": nc4(
                e.holdout.features, e.head, means, logits=e.holdout.logit_rows(e.head)
            ).value,
            "minimum": margin_efficiency(e.holdout, e.head).minimum,
        }

    expected = found(evidence(bad=False))
    assert all(np.isfinite(v) for v in expected.values())
    monkeypatch.setattr(sample_module, "KEPT_BYTES", 0)
    assert found(evidence(bad=False)) == pytest.approx(expected, rel=1e-9)


def test_a_budget_is_for_all_heads_together(monkeypatch):
    e = evidence()
    monkeypatch.setattr(sample_module, "KEPT_BYTES", 8 * N * CLASSES)
    first, second = e.head, LinearHead(-e.head.weight)
    rows = [e.holdout.logit_rows(head).bytes_kept for head in (first, second)]
    assert rows == [8 * N * CLASSES, 0]


def test_a_sample_travels_without_what_it_kept(nothing_kept):
    e = evidence()
    margins = e.holdout.margins(e.head)
    again = pickle.loads(pickle.dumps(e.holdout))
    assert np.array_equal(again.margins(e.head), margins)
