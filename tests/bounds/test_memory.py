"""No row holds a float64 copy of its sample: features are read a block or a class at a time."""

import sys
import tracemalloc

import numpy as np

from ncbounds.bounds import catalogue
from ncbounds.bounds.collapse import (
    _projected,
    anchored_head,
    collapsed_head,
    ncm_blocks,
    ridge_leave_one_out,
    unlabelled_head,
)
from ncbounds.bounds.distribution import minimax_head
from ncbounds.bounds.holdout import split_head
from ncbounds.bounds.homogeneous import gaussian, search
from ncbounds.bounds.margin import gaussian_head
from ncbounds.evidence import sample as sample_module
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.procedures.linear import ncm

DIM, CLASSES = 128, 10
#: Part of a float64 copy of the sample that a row may hold beside it, its blocks most of all.
SHARE = 0.7
#: Classes of a sample of which a block, a class and what is kept are few, and numbers for each
#: further row that a bound may hold then; its features are 128 and its logits 64.
MANY_CLASSES, NUMBERS_A_ROW = 64, 16


def evidence(n, classes=CLASSES):
    rng = np.random.default_rng(0)
    means = np.eye(classes, DIM)
    y = np.arange(n) % classes

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


def peak(b, e, role, params):
    """Bytes that a row holds at most beside its evidence."""
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    b(e, role=role, **params)
    return tracemalloc.get_traced_memory()[1] - held


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
    tracemalloc.start()
    peaks = {b.id: peak(b, large, role, params) / copy for b, role, params in rows}
    tracemalloc.stop()
    assert len(peaks) > 18
    assert {name: peak for name, peak in peaks.items() if peak > SHARE} == {}


def test_a_further_row_costs_a_few_numbers(monkeypatch):
    """Rows that cut the sample, project it or read every logit hold blocks of that alone."""
    for module in (sample_module, _projected):
        monkeypatch.setattr(module, "KEPT_BYTES", 0)
    for name in ("START_ROWS", "COARSE_ROWS", "FINE_ROWS"):  # a short search
        monkeypatch.setattr(search, name, 4)
    for module in (gaussian, sys.modules[anchored_head.function.__module__]):  # and no quadrature
        monkeypatch.setattr(module, "gaussian_loss", lambda t: np.full(len(t), 0.5))
    bounds = (
        *(anchored_head, collapsed_head, gaussian_head),
        *(ridge_leave_one_out, split_head, unlabelled_head),
    )
    tiny, small, large = (evidence(n, MANY_CLASSES) for n in (640, 16_640, 25_600))
    for b in bounds:  # imports are no memory of a row
        b(tiny, role="holdout")
    tracemalloc.start()
    more = {b.id: peak(b, large, "holdout", {}) - peak(b, small, "holdout", {}) for b in bounds}
    tracemalloc.stop()
    most = 8 * NUMBERS_A_ROW * (large.holdout.n - small.holdout.n)
    assert {name: rise / most for name, rise in more.items() if rise > most} == {}
