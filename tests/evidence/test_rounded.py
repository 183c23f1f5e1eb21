"""What is counted on features rounded to float16 holds for those of the network."""

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.errors import InvalidSample
from ncbounds.evidence.decided import strict_margins

HEAD = nb.LinearHead([[1.0], [0.0]], [0.0, 1.0])  # class 0 above 1
STEP = 2.0**-10  # of float16 from 1 to 2


def right(features, labels, head=HEAD):
    sample = nb.Sample.from_arrays(
        np.asarray(features, np.float16), labels, role="holdout", sampling="iid", rounded=True
    )
    return sample.margins(head) > 0


def test_by_hand():
    """Half a step is the band: a network's feature 1 + 0.49 steps may have become 1."""
    features = [[1.0], [1.0 + STEP], [1.0 - STEP / 2], [1.0 - STEP], [np.inf], [np.nan]]
    np.testing.assert_array_equal(right(features, [0] * 6), [0, 1, 0, 0, 0, 0])
    # below 1 steps are half as long: a quarter of STEP is the band there
    np.testing.assert_array_equal(right(features, [1] * 6), [0, 0, 1, 1, 0, 0])
    shifted = nb.LinearHead([[1.0], [0.0]], [0.0, 1.0 + 0.6 * STEP])  # 0.4 steps below 1 + STEP
    assert not right([[1.0 + STEP]], [0], shifted)
    nearer = nb.LinearHead([[1.0], [0.0]], [0.0, 1.0 + 0.4 * STEP])  # 0.6 steps below it
    assert right([[1.0 + STEP]], [0], nearer)
    tiny = nb.LinearHead([[1.0], [0.0]], [0.0, 0.0])  # a zero may have been 2^-25, on either side
    np.testing.assert_array_equal(right([[0.0], [2.0**-24]], [0, 0], tiny), [0, 1])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("scale", [1e-6, 1.0, 300.0])
def test_no_network_whose_features_round_so_errs_where_none_is_counted(seed, scale):
    """Of all features that round to those stored, the worst for each rival are tried."""
    rng = np.random.default_rng(seed)
    n, dim, classes = 400, (1, 3, 40)[seed % 3], 4
    head = nb.LinearHead(rng.standard_normal((classes, dim)), scale * 0.1 * rng.random(classes))
    stored = (scale * rng.standard_normal((n, dim))).astype(np.float16)
    # about as near to a boundary as rounding reaches, or exactly on it
    logits = head.logits(stored)
    labels = logits.argmax(1)
    rival = np.argsort(logits)[:, -2]
    bias = head.bias[None] + np.zeros((n, 1))
    gap = logits[np.arange(n), labels] - logits[np.arange(n), rival]
    bias[np.arange(n), rival] += gap * (1 - 10.0 ** rng.uniform(-6, 0, n))
    off = np.abs(np.spacing(stored)).astype(float) / 2
    found = counted = 0
    for i in range(n):
        own = nb.LinearHead(head.weight, bias[i])
        here = strict_margins(own, stored[i : i + 1], labels[i : i + 1], rounded=True)[0] > 0
        worst = []
        for k in set(range(classes)) - {int(labels[i])}:
            step = -np.sign(own.weight[labels[i]] - own.weight[k]) * off[i] * (1 - 1e-9)
            network = stored[i].astype(float) + step
            inside = network.astype(np.float16) == stored[i]  # at powers of 2 the band is shorter
            network = np.where(inside, network, stored[i].astype(float))
            lead = own.logits(network[None])[0]
            worst.append(lead[labels[i]] - lead[k])
        assert not here or min(worst) > 0
        found += here
        counted += min(worst) > 0
    assert counted * 0.97 - 3 <= found  # and hardly more are given up than have to be
    assert 20 < found < n


def test_many_rows_at_once_are_judged_as_one_by_one():
    rng = np.random.default_rng(0)
    stored = rng.standard_normal((3_000, 20)).astype(np.float16)
    head = nb.LinearHead(rng.standard_normal((5, 20)), np.zeros(5))
    labels = head.logits(stored).argmax(1)
    whole = right(stored, labels, head)
    np.testing.assert_array_equal(
        whole,
        np.concatenate(
            [right(stored[i : i + 7], labels[i : i + 7], head) for i in range(0, 3_000, 7)]
        ),
    )
    assert 0.9 < whole.mean() < 1.0


def test_counts_are_certificates_and_what_reads_features_is_a_plug_in():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 400)
    f = np.column_stack([labels * 4.0 - 2.0 + rng.standard_normal(400), rng.standard_normal(400)])
    head = nb.LinearHead([[-1.0, 0.0], [1.0, 0.0]])
    rows = {}
    for rounded, dtype in ((False, np.float32), (True, np.float16)):
        sample = nb.Sample.from_arrays(
            f.astype(dtype), labels, role="holdout", sampling="iid", rounded=rounded
        )
        for name in ("binomial", "gaussian_head"):
            rows[name, rounded] = nb.bounds.get(name)(nb.Evidence(head=head, holdout=sample))
    assert rows["gaussian_head", False].kind == "certificate"
    assert rows["gaussian_head", True].kind == "plug-in"
    assert "features were rounded to float16" in rows["gaussian_head", True].reasons[0]
    assert rows["binomial", True].kind == "certificate"
    assert rows["binomial", True].value >= rows["binomial", False].value
    assert any("rounded to float16" in reason for reason in rows["binomial", True].reasons)


def test_rounded_features_are_float16():
    with pytest.raises(InvalidSample, match="rounded features are float16, found float32"):
        nb.Sample.from_arrays(np.ones((2, 1), np.float32), [0, 0], role="fit", rounded=True)


def test_no_row_whose_answer_rounding_hides_is_passed_over_as_unanswered():
    """The network answers all rows, half of them wrongly; float16 leaves all, or some, open."""
    features = np.array([[1.0 + STEP / 4], [1.0 - STEP / 8]] * 50, np.float32)
    head = nb.LinearHead([[1.0], [0.0], [0.0]], [0.0, 1.0, -60000.0])
    stored = nb.Sample.from_arrays(
        np.concatenate([features, np.float32([[np.inf]])]).astype(np.float16),
        [0] * 100 + [1],
        role="holdout",
        sampling="iid",
        rounded=True,
        repeats="by chance",
    )
    evidence = nb.Evidence(head=head, holdout=stored).asking("answered,answered:0.3")
    for name in evidence.asked.counted[::2]:
        found = nb.bounds.get("binomial")(evidence, loss=name)
        assert (found.kind, found.value, found.n) == ("certificate", 1.0, 101)
    table = nb.confusion(evidence)
    assert {*table["kind"]} == {"plug-in"}  # its limits of answers 0 and 1 are near 0
    assert "rounded to float16" in table.attrs["reasons"][0]
