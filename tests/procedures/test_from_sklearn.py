"""Fitted scikit-learn classifiers become evidence whose head predicts what they predict."""

import re
import warnings

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, LinearSVC

import ncbounds as nb
from ncbounds.errors import InvalidSample


def points(classes, n=240, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    return rng.normal(size=(n, 3)) + np.eye(3)[y] * 1.5, y


def sigmoid_of_one(estimator):
    return CalibratedClassifierCV(estimator, method="sigmoid", ensemble=False, cv=3)


def mlp(activation):
    return MLPClassifier((5, 4), activation=activation, max_iter=40, random_state=0)


LINEAR = {
    "logistic regression": LogisticRegression(),
    "no intercept": LogisticRegression(fit_intercept=False),
    "support vectors": LinearSVC(),
    "ridge": RidgeClassifier(),
    "sgd": SGDClassifier(random_state=0),
    "lda": LinearDiscriminantAnalysis(),
    "one against the rest": OneVsRestClassifier(LogisticRegression()),
    "pipeline": make_pipeline(StandardScaler(), PolynomialFeatures(2), RidgeClassifier()),
    "pipeline of one": make_pipeline(LogisticRegression()),
    "nested": make_pipeline(StandardScaler(), make_pipeline(PolynomialFeatures(2), LinearSVC())),
    **{a: mlp(a) for a in ("relu", "tanh", "logistic", "identity")},
    "mlp in a pipeline": make_pipeline(StandardScaler(), mlp("relu")),
    "sigmoids": sigmoid_of_one(LinearSVC()),
    "sigmoids behind a scaler": make_pipeline(StandardScaler(), sigmoid_of_one(RidgeClassifier())),
}


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", LINEAR)
def test_errors_are_those_of_the_classifier(name, classes):
    (x, y), (fresh, labels) = points(classes), points(classes, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = LINEAR[name].fit(x, y)
    evidence = nb.from_sklearn(fitted, fit=(x, y), holdout=(fresh, labels), sampling="iid")
    predicted = evidence.decision.predicted(evidence.holdout, evidence.head)
    np.testing.assert_array_equal(predicted, fitted.predict(fresh))
    assert evidence.holdout.module_disagreements == 0
    row = nb.evaluate(evidence, bounds="binomial").rows[0]
    assert row.kind == "certificate"
    errors = (fitted.predict(fresh) != labels).sum()
    assert row.value == nb.formulas.binomial(errors, len(fresh), 0.05)
    if hasattr(fitted, "decision_function"):
        own, logits = fitted.decision_function(fresh), evidence.holdout.logits(evidence.head)
        ours = logits if own.ndim == 2 else logits[:, 1] - logits[:, 0]
        np.testing.assert_allclose(ours, own, atol=1e-9 * np.abs(own).max())


def test_features_are_what_stands_before_the_last_map():
    x, y = points(3)
    scaler = StandardScaler().fit(x)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    found = nb.from_sklearn(pipeline, holdout=(x, y)).holdout
    np.testing.assert_allclose(found.features, scaler.transform(x))
    network = mlp("relu").fit(x, y)
    hidden = np.maximum(x @ network.coefs_[0] + network.intercepts_[0], 0)
    hidden = np.maximum(hidden @ network.coefs_[1] + network.intercepts_[1], 0)
    evidence = nb.from_sklearn(network, holdout=(x, y))
    np.testing.assert_allclose(evidence.holdout.features, hidden)
    np.testing.assert_array_equal(evidence.head.weight, network.coefs_[2].T)


def test_candidates_of_a_search_are_counted_and_said():
    (x, y), (fresh, labels) = points(3), points(3, seed=1)
    grid = {"ridgeclassifier__alpha": [0.1, 1.0, 10.0]}
    search = GridSearchCV(make_pipeline(StandardScaler(), RidgeClassifier()), grid, cv=2)
    search.fit(x, y)
    known = {"fit": (x, y), "holdout": (fresh, labels), "sampling": "iid"}
    evidence = nb.from_sklearn(search, **known, test=(x, y))
    assert {r: s.selected_among for r, s in evidence.samples().items()} == {
        "fit": 3, "holdout": 3, "test": 1,
    }  # fmt: skip
    report = nb.evaluate(evidence, bounds="binomial")
    assert any("divided by 3 candidates" in reason for reason in report.rows[0].reasons)
    assert "compared 3 candidates" in " ".join(report.to_screen().split())
    apart = nb.evaluate(nb.from_sklearn(search, **known, selected_among=1), bounds="binomial")
    assert apart.rows[0].value < report.rows[0].value
    assert "candidates" not in apart.to_screen()
    for named, expected in (({"fit": 1}, (1, 3)), ({"holdout": 5}, (3, 5)), ({}, (3, 3))):
        found = nb.from_sklearn(search, **known, selected_among=named)
        assert tuple(s.selected_among for s in found.samples().values()) == expected
        [said] = found.provenance["remarks"]
        assert "on " + ", ".join(r for r in ("fit", "holdout") if r not in named) + ";" in said
    outer = make_pipeline(StandardScaler(), GridSearchCV(RidgeClassifier(), {"alpha": [1, 2]}))
    again = GridSearchCV(outer, {"standardscaler__with_mean": [True, False]}, cv=2).fit(x, y)
    assert nb.from_sklearn(again, holdout=(x, y)).holdout.selected_among == 4
    with pytest.raises(InvalidSample, match="refit=True"):
        nb.from_sklearn(
            GridSearchCV(RidgeClassifier(), {"alpha": [1]}, refit=False).fit(x, y), holdout=(x, y)
        )


def test_names_of_classes_texts_and_labels_that_it_does_not_know():
    texts = ["good fine", "bad poor", "fine good good", "poor bad bad"] * 5
    labels = ["plus", "minus"] * 10
    fitted = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, labels)
    asked = [*labels[:-1], "zero"]
    evidence = nb.from_sklearn(fitted, holdout=(texts, asked), unlabelled=texts, sampling="iid")
    assert evidence.decision.names == ("minus", "plus")
    np.testing.assert_array_equal(evidence.holdout.labels, [1, 0] * 9 + [1, 2])
    assert evidence.decision.wrong(evidence.holdout, evidence.head).sum() == 1
    assert evidence.unlabelled.n == 20


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianNB(),
        RandomForestClassifier(5, random_state=0),
        SVC(),
        SVC(kernel="linear"),  # one row for each pair of classes
        CalibratedClassifierCV(LinearSVC(), cv=3),
        CalibratedClassifierCV(LinearSVC(), method="isotonic", ensemble=False, cv=3),
        make_pipeline(StandardScaler(), GaussianNB()),
    ],
)
def test_what_has_no_linear_head_is_told_that_predictions_are_enough(estimator):
    x, y = points(3)
    fitted = estimator.fit(x, y)
    with pytest.raises(InvalidSample, match=r"no linear head.*from_predictions\(") as caught:
        nb.from_sklearn(fitted, holdout=(x, y))
    if hasattr(nb.Evidence, "from_predictions"):  # the advice, typed
        typed = re.search(r"nb\.Evidence\.from_predictions\(.*'iid'\)", str(caught.value))[0]
        evidence = eval(typed, {"nb": nb, "estimator": fitted, "X": x, "y": y})
        assert nb.evaluate(evidence, bounds="binomial").rows


def test_the_advice_makes_no_class_of_a_label_that_was_never_seen():
    x, y = points(3)
    names = np.array(["a", "c", "e"])[y]
    fitted = GaussianNB().fit(x, names)
    with pytest.raises(InvalidSample) as caught:
        nb.from_sklearn(fitted, holdout=(x, names))
    typed = re.search(r"nb\.Evidence\.from_predictions\(.*'iid'\)", str(caught.value))[0]
    given = {"nb": nb, "estimator": fitted, "X": x}
    row = nb.evaluate(eval(typed, given | {"y": names}), bounds="binomial").rows[0]
    assert row.details["errors"] == (fitted.predict(x) != names).sum()
    with pytest.raises(ValueError, match="not in list"):
        eval(typed, given | {"y": np.where(names == "c", "b", names)})


def test_a_binary_linear_kernel_is_a_head_and_a_prefitted_one_too():
    x, y = points(2)
    fitted = SVC(kernel="linear").fit(x, y)
    assert nb.from_sklearn(fitted, holdout=(x, y)).holdout.module_disagreements == 0
    frozen = CalibratedClassifierCV(FrozenEstimator(LinearSVC().fit(x, y)), ensemble=False)
    fitted = frozen.fit(x, y)
    evidence = nb.from_sklearn(fitted, holdout=(x, y))
    predicted = evidence.decision.predicted(evidence.holdout, evidence.head)
    np.testing.assert_array_equal(predicted, fitted.predict(x))


@pytest.mark.parametrize(
    ("fitted", "most"),
    [
        (RandomForestClassifier(3), 1),
        (RandomForestClassifier(3), 2),
        (MLPClassifier((4,), max_iter=3), 1),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_several_labels_a_point_are_counted_as_the_message_says(fitted, most):
    x, y = points(3)
    labels = np.stack([np.minimum(y, most), np.minimum(2 - y, most)], axis=1)
    fitted.fit(x, labels)
    with pytest.raises(InvalidSample, match="several labels a point") as caught:
        nb.from_sklearn(fitted, holdout=(x, labels))
    typed = re.search(r"nb\.Evidence\.from_predictions\(.*'iid'\)", str(caught.value))[0]
    evidence = eval(typed, {"nb": nb, "estimator": fitted, "X": x, "y": labels, "j": 0})
    wrong = fitted.predict(x) != labels
    wrong = wrong.any(axis=1) if most == 1 else wrong[:, 0]
    found = evidence.decision.wrong(evidence.holdout, evidence.head)
    np.testing.assert_array_equal(found, wrong)


def test_a_head_that_predicts_otherwise_is_not_believed():
    x, y = points(3)
    fitted = LogisticRegression().fit(x, y)

    class Thresholded(LogisticRegression):
        def predict(self, X):
            return np.where(np.asarray(X)[:, 0] > 0, 1, super().predict(X))

    other = Thresholded()
    vars(other).update(vars(fitted))
    with pytest.raises(InvalidSample, match="predicts otherwise"):
        nb.from_sklearn(other, holdout=(x, y))


def test_wrong_arguments_say_what_is_needed():
    x, y = points(3)
    fitted = LogisticRegression().fit(x, y)
    for estimator, options, message in (
        (LogisticRegression(), {"holdout": (x, y)}, "after .fit"),
        (fitted, {}, r"holdout=\(X, y\)"),
        (fitted, {"holdout": x}, r"is \(X, y\)"),
        (fitted, {"holdout": (np.full((4, 3), np.nan), y[:4])}, "NaN|not finite"),
    ):
        with pytest.raises((InvalidSample, ValueError), match=message):
            nb.from_sklearn(estimator, **options)
