"""No row holds a float64 copy of its sample: features are read a block or a class at a time."""

import sys
import tracemalloc

import numpy as np

from ncbounds.bounds import catalogue
from ncbounds.bounds.collapse import ncm_blocks
from ncbounds.bounds.distribution import minimax_head
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.procedures.linear import ncm

DIM, CLASSES = 128, 10
#: Part of a float64 copy of the sample that a row may hold beside it. Rows that cut the sample hold
#: two parts of it as they are stored, which is half such a copy of float32, and the anchor's two
#: halves of the first part besides.
SHARE, ANCHORED = 0.9, 1.2


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
    # cone programs take seconds and no features
    monkeypatch.setattr(sys.modules[minimax_head.function.__module__], "minimax", lambda _, s: s)
    monkeypatch.setattr(sys.modules[ncm_blocks.function.__module__], "NUMBERS", 1)  # few partitions
    small, large = evidence(20 * CLASSES), evidence(2400 * CLASSES)
    copy = 8 * large.holdout.features.size
    # the others of the family read logits alone
    read = [b for b in catalogue() if b.family != "distribution" or b is minimax_head]
    rows = [(b, *row) for b in read for row in b.planned(large)[:1]]
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
    assert len(peaks) > 18
    assert peaks.pop("anchored_head") < ANCHORED
    assert {name: peak for name, peak in peaks.items() if peak > SHARE} == {}
