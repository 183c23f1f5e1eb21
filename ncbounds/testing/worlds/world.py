"""A world: a law of labelled features, a way to get a head, and the head's true error."""

from dataclasses import dataclass, field
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np
from numpy.random import Generator
from scipy.special import ndtri

from ncbounds.arrays import Floats, Ints
from ncbounds.claims.claim import Truth
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.procedures.linear import Procedure, ncm, ncm_of_means, ridge
from ncbounds.testing.worlds.laws import Law, normal_line

#: Draws of the shots from which the few-shot error is averaged.
SHOT_DRAWS = 200
SHOT_SEED = 389


@dataclass(frozen=True, eq=False)
class Drawn:
    """Evidence drawn once from a world.

    Attributes
    ----------
    evidence : Evidence
        A head that may depend on its ``head`` sample; the other samples are fresh.
    training : Evidence
        A head that was fitted on its only sample, of role ``fit``: what plug-ins on training data
        see.
    """

    evidence: Evidence
    training: Evidence


@dataclass(frozen=True, eq=False, kw_only=True)
class World:
    """A law of labelled features with known errors.

    Attributes
    ----------
    name : str
    law : Law
    priors : array of shape (C,)
        Probabilities of the clean classes.
    label_noise : float
        Probability with which a label is replaced by a uniform draw from all classes.
    head : LinearHead or None
        A fixed head; by default ``fit_head`` is applied to the ``head`` sample of every draw.
    fit_head : callable
        Fitting procedure.
    n : int
        Points per sample.
    even : bool
        Whether samples drawn class by class have equal counts (else proportional to the priors).
    holds : tuple of str
        Ids of the conditional bounds whose assumption is true here.
    smooth : bool
        Whether ties have probability zero; if not, the law has atoms and points repeat by chance.
    """

    name: str
    law: Law
    priors: Floats
    label_noise: float = 0.0
    head: LinearHead | None = None
    fit_head: Procedure = field(default=partial(ridge, penalty=0.01))
    n: int = 150
    even: bool = False
    holds: tuple[str, ...] = ()
    smooth: bool = True
    _few_shot: dict[int, tuple[Floats, float]] = field(default_factory=dict, repr=False, init=False)
    _class_errors: WeakKeyDictionary[LinearHead, tuple[Floats, float]] = field(
        default_factory=WeakKeyDictionary, repr=False, init=False
    )

    @property
    def classes(self) -> int:
        """Number of labels that the law can produce."""
        return len(self.priors)

    @property
    def label_law(self) -> Floats:
        """Probabilities of the (noisy) labels, shape (C,)."""
        z = self.label_noise
        law: Floats = (1.0 - z) * self.priors + z / self.classes
        return law

    @property
    def samplings(self) -> tuple[str, ...]:
        """How samples can be drawn."""
        return ("iid", "stratified")

    def sample(
        self, role: str, rng: Generator, n: int | None = None, *, sampling: str = "iid"
    ) -> Sample:
        """Draw a sample of any role and size, at random or class by class."""
        n = self.n if n is None else n
        if sampling == "stratified":
            labels = np.repeat(np.arange(self.classes), self._design(n))
        else:
            labels = rng.choice(self.classes, size=n, p=self.label_law)
        labels = rng.permutation(labels)
        features = self.law.draw(self._components(labels, rng), rng)
        return Sample.from_arrays(
            features,
            labels,
            role=role,
            sampling=sampling,
            classes=self.classes,
            label_noise=self.label_noise,
            repeats=None if self.smooth else "by chance",
        )

    def draw(
        self,
        rng: Generator,
        n: int | None = None,
        *,
        sampling: str = "iid",
        head: LinearHead | None = None,
    ) -> Drawn:
        """Draw one sample of every role, and the heads."""
        fit, labelled, held = (
            self.sample(role, rng, n, sampling=sampling) for role in ("fit", "head", "holdout")
        )
        pool = self.sample("unlabelled", rng, n, sampling=sampling)
        head = self.head if head is None else head
        return Drawn(
            Evidence(
                head=self.fitted(labelled) if head is None else head,
                fit=fit,
                head_sample=labelled,
                holdout=held,
                unlabelled=pool,
                procedure=ncm,
                priors=self.label_law,
            ),
            Evidence(
                head=self.fitted(fit) if head is None else head, fit=fit, priors=self.label_law
            ),
        )

    def fitted(self, sample: Sample) -> LinearHead:
        """Head that this world's procedure fits on a sample."""
        return self.fit_head(sample.features, sample.labels, self.classes)

    def class_errors(self, head: LinearHead) -> tuple[Floats, float]:
        """``P(err | label c)`` of shape (C,), and the largest standard error of an entry.

        They are kept as long as the head is, since many rows ask for them.
        """
        if head not in self._class_errors:
            self._class_errors[head] = self._computed_class_errors(head)
        return self._class_errors[head]

    def _computed_class_errors(self, head: LinearHead) -> tuple[Floats, float]:
        right, se = self.law.predicted(head)
        c = self.classes
        if right.shape[1] < c:
            right = np.pad(right, ((0, 0), (0, c - right.shape[1])))
        # the clean class given the noisy label
        joint = self.priors[:, None] * ((1 - self.label_noise) * np.eye(c) + self.label_noise / c)
        return 1.0 - (joint * right[:, :c]).sum(axis=0) / joint.sum(axis=0), se

    def error(self, head: LinearHead, weights: Floats | None = None) -> Truth | None:
        """Error of a head under the law, or with given class weights."""
        errors, se = self.class_errors(head)
        w = self.label_law if weights is None else np.asarray(weights)
        return Truth(float(w @ errors), float(se * np.sqrt(w @ w)))

    def few_shot_errors(self, shots: int) -> tuple[Floats, float]:
        """Class errors (C,) of nearest class mean from ``shots`` points per class.

        Averaged over draws of the shots, which are simulated; computed once per number of shots.
        The second entry is the standard error of the uniform average over classes.
        """
        if shots not in self._few_shot:
            rng = np.random.default_rng(SHOT_SEED)
            every = np.arange(self.classes)
            labels = np.repeat(every, shots)
            errors = np.empty((SHOT_DRAWS, self.classes))
            for r in range(SHOT_DRAWS):
                f = self.law.draw(self._components(labels, rng), rng)
                means = f.reshape(self.classes, shots, -1).mean(axis=1)
                errors[r] = self._query_errors(means, rng)
            se = errors.mean(axis=1).std() / np.sqrt(SHOT_DRAWS)
            self._few_shot[shots] = errors.mean(axis=0), float(se)
        return self._few_shot[shots]

    def few_shot(self, shots: int, weights: Floats | None = None) -> Truth | None:
        """Few-shot error, uniform over classes unless other weights are given."""
        errors, se = self.few_shot_errors(shots)
        w = np.full(self.classes, 1 / self.classes) if weights is None else np.asarray(weights)
        return Truth(float(w @ errors), se)

    def unseen_classes(self, ways: int, shots: int) -> Truth | None:
        """Return None: the classes are fixed."""
        return None

    def _query_errors(self, means: Floats, rng: Generator) -> Floats:
        c = self.classes
        if self.law.exact_for(c):
            return self.class_errors(ncm_of_means(means, np.arange(c), c))[0]
        labels = np.repeat(np.arange(c), 4)
        f = self.law.draw(self._components(labels, rng), rng)
        square = ((f[:, None] - means) ** 2).sum(axis=2)
        own = square[np.arange(len(f)), labels]
        square[np.arange(len(f)), labels] = np.inf
        wrong: Floats = (own >= square.min(axis=1)).reshape(c, 4).mean(axis=1)
        return wrong

    def _components(self, labels: Ints, rng: Generator) -> Ints:
        """Clean classes given (noisy) labels."""
        c, z = self.classes, self.label_noise
        if z == 0:
            return labels
        joint = self.priors[:, None] * ((1 - z) * np.eye(c) + z / c)
        edges = (joint / joint.sum(axis=0)).cumsum(axis=0)
        u = rng.random(len(labels))
        clean: Ints = (u >= edges[:-1, labels]).sum(axis=0)
        return clean

    def _design(self, n: int) -> Ints:
        """Fixed class counts that add up to about n, at least one each."""
        p = np.full(self.classes, 1.0 / self.classes) if self.even else self.label_law
        return np.maximum(1, np.rint(n * p)).astype(np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class Population(World):
    """Classes that are themselves drawn: the class means are new in every draw.

    The head knows ``seen`` classes; the held-out sample has ``unseen`` more. Only the
    error on unseen classes is known.
    """

    seen: int = 4
    unseen: int = 20
    per_class: int = 8
    spread: float = 2.0
    _unseen: dict[tuple[int, int], Truth] = field(default_factory=dict, repr=False, init=False)

    @property
    def samplings(self) -> tuple[str, ...]:
        """Class counts are fixed by design."""
        return ("stratified",)

    def draw(
        self,
        rng: Generator,
        n: int | None = None,
        *,
        sampling: str = "iid",
        head: LinearHead | None = None,
    ) -> Drawn:
        """Draw classes, then samples: few classes in ``fit`` and ``head``, all in ``holdout``."""
        total = self.seen + self.unseen
        means = self.spread * rng.standard_normal((total, self.law.dim))

        def sample(role: str, classes: int, among: int | None = None) -> Sample:
            labels = np.repeat(np.arange(classes), self.per_class)
            f = means[labels] + rng.standard_normal((len(labels), self.law.dim))
            return Sample.from_arrays(f, labels, role=role, sampling="stratified", classes=among)

        fit = sample("fit", self.seen)
        labelled = sample("head", self.seen)
        head = ncm(labelled.features, labelled.labels, self.seen)
        evidence = Evidence(
            head=head,
            fit=fit,
            head_sample=labelled,
            holdout=sample("holdout", total, total),
        )
        return Drawn(evidence, Evidence(head=head, fit=fit))

    def error(self, head: LinearHead, weights: Floats | None = None) -> Truth | None:
        """Return None: the classes are new in every draw."""
        return None

    def few_shot(self, shots: int, weights: Floats | None = None) -> Truth | None:
        """Return None: the classes are new in every draw."""
        return None

    def unseen_classes(self, ways: int, shots: int) -> Truth | None:
        """Mean error of ways-way shots-shot nearest class mean on new classes, simulated."""
        if (ways, shots) not in self._unseen:
            self._unseen[ways, shots] = self._simulated(ways, shots)
        return self._unseen[ways, shots]

    def _simulated(self, k: int, m: int) -> Truth:
        rng = np.random.default_rng(SHOT_SEED)
        d = self.law.dim
        means = self.spread * rng.standard_normal((20_000, k, 1, d))
        shots = (means + rng.standard_normal((20_000, k, m, d))).mean(axis=2)
        query = means[:, :, 0] + rng.standard_normal((20_000, k, d))
        square = ((query[:, :, None] - shots[:, None]) ** 2).sum(axis=3)
        own = np.einsum("rkk->rk", square).copy()
        square[:, np.arange(k), np.arange(k)] = np.inf
        loss = (own >= square.min(axis=2)).mean(axis=1)
        return Truth(float(loss.mean()), float(loss.std() / np.sqrt(len(loss))))


def fixed_threshold(error: float) -> tuple[Law, LinearHead]:
    """Two Gaussians on a line and a fixed head whose error is ``error`` in both classes."""
    shift = -float(ndtri(error))
    law = normal_line(np.array([-shift, shift]), 1.0)
    return law, LinearHead(np.array([[-1.0], [1.0]]), np.zeros(2))
