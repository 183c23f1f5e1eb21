"""Numbers of any framework: what is taken as it is, and what is refused rather than cast."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

import ncbounds as nb
from ncbounds.arrays import numbers, plain_array
from ncbounds.errors import InvalidSample

F = np.random.default_rng(0).normal(size=(6, 3))

TAKEN = {
    "lists": F.tolist(),
    "a frame with an index": pd.DataFrame(F, index=list("fedcba")),
    "a frame of nullable columns": pd.DataFrame(F).convert_dtypes(),
    "objects that are numbers": F.astype(object),
    "negative strides": F[::-1, ::-1][::-1, ::-1],
    "read-only": np.broadcast_to(F, F.shape),
    "another byte order": F.astype(">f8"),
    "a tensor with a gradient": torch.tensor(F, requires_grad=True),
    "a matrix": np.matrix(F),
    "a mask of nothing": np.ma.array(F),
}

REFUSED = {
    "sparse": (scipy.sparse.csr_matrix(F), r"pass features.toarray\(\)"),
    "a sparse tensor": (torch.tensor(F).to_sparse(), r"pass features.to_dense\(\)"),
    "complex": (F + 0j, "real numbers, found complex128"),
    "a complex tensor": (torch.tensor(F + 1j), "real numbers, found complex128"),
    "strings of numbers": (F.astype(str), "real numbers, found <U"),
    "bytes": (b"abc", "real numbers"),
    "dates": (np.zeros((6, 3), "datetime64[s]"), "real numbers, found datetime64"),
    "objects": (np.array([[1, "a", 2.0]] * 6, dtype=object), "found str a"),
    "absent values": (pd.DataFrame({"a": [1.0, None]}, dtype=object), "found NoneType"),
    "complex objects": (np.array([[1j, 2]], dtype=object), "found complex"),
    "ragged": ([[1, 2], [3]], "make no array"),
    "masked": (np.ma.array(F, mask=F > 0), "are masked"),
    "a generator": ((row for row in F), "found generator"),
    "huge": ([[10**400] * 3] * 6, "real numbers"),
}


@pytest.mark.parametrize("what", TAKEN)
def test_the_same_numbers_give_the_same_rows(what):
    found = TAKEN[what]
    assert type(numbers(found, "features")) is np.ndarray
    sample = nb.Sample.from_arrays(found, [0, 1, 2] * 2, role="holdout", sampling="iid")
    np.testing.assert_array_equal(sample.features, F)
    np.testing.assert_array_equal(nb.LinearHead(found).weight, F)
    rows = nb.evaluate(nb.Evidence(head=nb.LinearHead(F[:3]), holdout=sample), "binomial")
    assert np.isfinite([r.value for r in rows]).all()


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_real_number_is_refused(what):
    found, says = REFUSED[what]
    for use in (
        lambda: nb.Sample.from_arrays(found, [0, 1, 2] * 2, role="holdout"),
        lambda: nb.certify_head(found, [0, 1, 2] * 2),
    ):
        with pytest.raises(InvalidSample, match=says):
            use()
    with pytest.raises(InvalidSample):
        nb.LinearHead(found)
    with pytest.raises(InvalidSample):
        nb.Sample.from_arrays(F, found, role="holdout")


def test_a_tensor_of_bfloat16_is_widened():
    x = torch.tensor(F).bfloat16()
    np.testing.assert_array_equal(plain_array(x, "x"), x.float().numpy())


@pytest.mark.parametrize("n", [1, 2, 5, 150])
def test_a_class_that_only_the_test_sample_has(n):
    rng = np.random.default_rng(0)
    head = nb.LinearHead(rng.normal(size=(4, 8)))
    f = rng.normal(size=(400, 8))
    y = head.logits(f).argmax(axis=1)
    some = np.flatnonzero(y[:200] != 3)[:n]
    parts = {
        "holdout": nb.Sample.from_arrays(f[some], y[some], role="holdout", sampling="iid"),
        "test": nb.Sample.from_arrays(f[200:], y[200:], role="test", sampling="iid"),
    }
    report = nb.evaluate(nb.Evidence(head=head, **parts))
    assert not [r for r in report if any("not computed" in reason for reason in r.reasons)]
    worst = [r for r in report if r.qualifier == "worst class" and r.kind == "certificate"]
    assert worst
    assert all(r.value == 1 for r in worst)  # nothing is known about the absent class
    assert report.to_html()


@pytest.mark.parametrize("what", ["one class", "no finite row first", "no finite row", "no row"])
def test_the_default_run_on_odd_samples(what):
    rng = np.random.default_rng(1)
    head = nb.LinearHead(rng.normal(size=(3, 4)))
    f, y = rng.normal(size=(90, 4)), rng.integers(0, 3, 90)
    if what == "one class":
        y[:60] = 1
    elif what != "no row":
        f[: 30 if what == "no finite row first" else 60] = np.nan
    n = 0 if what == "no row" else 30
    report = nb.evaluate(
        nb.Evidence(
            head=head,
            fit=nb.Sample.from_arrays(f[:n], y[:n], role="fit"),
            holdout=nb.Sample.from_arrays(f[30 : 30 + n], y[30 : 30 + n], role="holdout"),
            test=nb.Sample.from_arrays(f[60:], y[60:], role="test"),
        )
    )
    crashed = [r.reasons for r in report if any("computed:" in reason for reason in r.reasons)]
    assert all("InvalidSample" in reason for reasons in crashed for reason in reasons[:1])
    assert report.to_screen()
