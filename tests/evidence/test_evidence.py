"""Evidence refuses contradictory declarations."""

import numpy as np
import pytest

from ncbounds.errors import InvalidSample, OverlapError, RoleError
from ncbounds.evidence.evidence import FIELD, Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample

HEAD = LinearHead(np.eye(3, 2))


def sample(role, n=4, features=None, **more):
    f = np.random.default_rng(sum(role.encode())).normal(size=(n, 2))
    f = f if features is None else features
    return Sample.from_arrays(f, np.arange(n) % 2, role=role, **more)


@pytest.mark.parametrize("role", FIELD)
def test_field_takes_only_its_role(role):
    for other in FIELD:
        if other == role:
            assert Evidence(head=HEAD, **{FIELD[role]: sample(role)}).sample(role).role == role
        else:
            with pytest.raises(RoleError, match=f"role {role!r}, found {other!r}"):
                Evidence(head=HEAD, **{FIELD[role]: sample(other)})


@pytest.mark.parametrize("one", FIELD)
@pytest.mark.parametrize("other", FIELD)
def test_one_row_in_two_roles(one, other):
    if one == other:
        return
    a, b = sample(one, rows=[1, 2, 3, 4]), sample(other, rows=[4, 5, 6, 7])
    with pytest.raises(OverlapError, match=r"row 4 is one"):
        Evidence(head=HEAD, **{FIELD[one]: a, FIELD[other]: b})
    c = sample(other, rows=[5, 6, 7, 8])
    Evidence(head=HEAD, **{FIELD[one]: a, FIELD[other]: c})


def test_dimension_must_fit():
    wide = Sample.from_arrays(np.ones((2, 3)), [0, 1], role="fit")
    with pytest.raises(InvalidSample, match="takes 2 features, the fit sample has 3"):
        Evidence(head=HEAD, fit=wide)


def test_counts_cover_the_heads_classes():
    e = Evidence(head=HEAD, holdout=sample("holdout"))
    assert e.holdout.counts.tolist() == [2, 2, 0]
    beyond = Sample.from_arrays(np.ones((2, 2)), [0, 4], role="holdout")
    assert Evidence(head=HEAD, holdout=beyond).holdout.counts.tolist() == [1, 0, 0, 0, 1]


def test_duplicates_are_counted_between_roles():
    hashes = np.array([7, 8, 8, 9], dtype=np.uint64)
    a = sample("fit", input_hashes=hashes, rows=np.arange(4))
    b = sample("test", input_hashes=hashes[[1, 1, 3, 0]] + [0, 0, 0, 1], rows=np.arange(4, 8))
    found = Evidence(head=HEAD, fit=a, test=b).duplicates()
    assert found == {"fit": 1, "test": 2, "fit/test": 4}
    c = sample("test", input_hashes=hashes + np.uint64(100))
    assert Evidence(head=HEAD, fit=a, test=c).duplicates() == {"fit": 1, "test": 1}
    d = sample("test", features=a.features, rows=np.arange(4, 8))
    assert Evidence(head=HEAD, fit=a, test=d).duplicates() == {"fit": 1, "fit/test": 4}
    assert Evidence(head=HEAD, fit=sample("fit"), test=sample("test")).duplicates() == {}


def test_shared_groups():
    a, b = sample("fit", groups=[0, 0, 1, 2]), sample("holdout", groups=[2, 1, 1, 5])
    e = Evidence(head=HEAD, fit=a, holdout=b)
    assert e.shared_groups("fit", "holdout") == 2
    assert e.shared_groups("fit", "head") == 0


def test_priors():
    assert Evidence(head=HEAD).class_priors() is None
    assert np.allclose(Evidence(head=HEAD, priors="balanced").class_priors(), 1 / 3)
    given = Evidence(head=HEAD, priors=[0.5, 0.25, 0.25]).class_priors()
    assert given.tolist() == [0.5, 0.25, 0.25]
    for bad in ("equal", [0.5, 0.5], [0.5, 0.6, -0.1], [np.nan] * 3, [0.2, 0.2, 0.2]):
        with pytest.raises(InvalidSample, match="priors"):
            Evidence(head=HEAD, priors=bad)


def test_without_test():
    e = Evidence(head=HEAD, test=sample("test"), fit=sample("fit"))
    assert e.without_test().test is None
    assert list(e.without_test().samples()) == ["fit"]


def test_what_is_shown_of_evidence_fits_a_line():
    found = Evidence(head=HEAD, checkpoint="a", holdout=sample("holdout", 2000, sampling="iid"))
    head, holdout = "LinearHead(3 classes, 2 features, with bias)", "2000 x 2 float64, iid"
    assert repr(found) == f"Evidence('a', {head}, Sample(holdout, {holdout}))"
    answers = Evidence.from_predictions(predicted=[0, 1], labels=[0, 0], role="holdout")
    assert "Sample(holdout, 2 x predictions, unknown)" in repr(answers)
