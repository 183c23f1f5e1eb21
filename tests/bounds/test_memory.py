"""No row holds a float64 copy of its sample: features are read a block or a class at a time."""

import sys
import tracemalloc

import numpy as np

from ncbounds.bounds import catalogue
from ncbounds.bounds.collapse import ncm_blocks
from ncbounds.bounds.distribution import _minimax
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.procedures.linear import ncm

DIM, CLASSES = 384, 4
#: Part of a float64 copy of the sample that a row may hold beside it.
SHARE = 0.6


def evidence(n):
    rng = np.random.default_rng(0)
    means = np.eye(CLASSES, DIM)
    y = np.arange(n) % CLASSES

    def features():
        noise = rng.standard_normal((n, DIM), dtype=np.float32) * np.float32(0.02)
        return noise + means[y].astype(np.float32)

    return Evidence(
        head=LinearHead(means),
        fit=Sample.from_arrays(features(), y, role="fit", sampling="iid"),
        holdout=Sample.from_arrays(features(), y, role="holdout", sampling="iid"),
        unlabelled=Sample.from_arrays(features(), role="unlabelled", sampling="iid"),
        procedure=ncm,
    )


def test_no_row_copies_its_sample_to_float64(monkeypatch):
    monkeypatch.setattr(_minimax, "SOLVES", 0)  # cone programs take seconds and no features
    monkeypatch.setattr(sys.modules[ncm_blocks.function.__module__], "NUMBERS", 1)  # few partitions
    small, large = evidence(20 * CLASSES), evidence(4000 * CLASSES)
    copy = 8 * large.holdout.features.size
    rows = [(b, *row) for b in catalogue() for row in b.planned(large)[:1]]
    for b, role, params in rows:  # imports are no memory of a row
        b(small, role=role, **params)
    peaks = {}
    tracemalloc.start()
    for b, role, params in rows:
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        b(large, role=role, **params)
        peaks[b.id] = (tracemalloc.get_traced_memory()[1] - held) / copy
    tracemalloc.stop()
    assert len(peaks) > 25
    assert {name: peak for name, peak in peaks.items() if peak > SHARE} == {}
