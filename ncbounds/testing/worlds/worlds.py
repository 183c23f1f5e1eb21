"""Worlds with known error on which bounds are tried."""

from functools import cache, partial

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.evidence.head import LinearHead
from ncbounds.procedures.linear import ncm, ridge
from ncbounds.testing.worlds.laws import (
    Atoms,
    Elliptic,
    exponential_line,
    normal_line,
    student_line,
    two_bumps_line,
)
from ncbounds.testing.worlds.world import Population, World, fixed_threshold

#: delta at which the extremal worlds of the binomial tail are tightest.
TIGHT_DELTA = 0.05
GAUSSIAN = ("gaussian_tolerance",)


@cache
def worlds() -> tuple[World, ...]:
    """Return the worlds: laws of labelled features whose true errors are known.

    Errors are exact (closed forms, the cut of a line into intervals, enumeration of atoms) but for
    ``ten_simplex``, ``twenty_classes`` and ``t3_five_classes``, whose errors are counted on a fixed
    sample of 100,000 points; their standard error is part of :class:`Truth`.
    """
    return (*_gaussian(), *_heavy(), *_noisy(), *_discrete(), *_binomial(), _population())


def even(classes: int) -> Floats:
    """Equal class probabilities."""
    return np.full(classes, 1.0 / classes)


def simplex(classes: int, dim: int, size: float) -> Floats:
    """Simplex frame of shape (classes, dim): equal norms ``size``, equal angles."""
    centred = np.eye(classes) - 1.0 / classes
    _, _, basis = np.linalg.svd(centred)
    frame = centred @ basis[: classes - 1].T
    out = np.zeros((classes, dim))
    out[:, : classes - 1] = frame * size / np.linalg.norm(frame[0])
    return out


def _gaussian() -> list[World]:
    rng = np.random.default_rng(41)
    mix = rng.standard_normal((5, 5)) / np.sqrt(5)
    return [
        World(
            name="simplex3",
            law=Elliptic(simplex(3, 3, 2.0), np.ones((3, 3))),
            priors=even(3),
            holds=GAUSSIAN,
        ),
        World(
            name="collapsed3",
            law=Elliptic(simplex(3, 8, 1.0) + 3.0, np.full((3, 8), 0.3)),
            priors=even(3),
            holds=GAUSSIAN,
        ),
        World(
            name="two_round",
            law=Elliptic(np.array([[-1.0, 0.0], [1.0, 0.0]]), np.ones((2, 2))),
            priors=even(2),
            holds=GAUSSIAN,
            fit_head=ncm,
        ),
        World(
            name="two_anisotropic",
            law=Elliptic(
                np.array([np.zeros(5), np.r_[0.4, np.zeros(4)]]),
                np.tile(np.array([3.0, 1.0, 0.5, 0.2, 0.05]), (2, 1)),
                mix,
            ),
            priors=even(2),
            holds=GAUSSIAN,
        ),
        World(
            name="unequal_spreads",
            law=Elliptic(simplex(3, 3, 2.5), np.array([[0.2] * 3, [1.0] * 3, [2.0] * 3])),
            priors=even(3),
            holds=GAUSSIAN,
        ),
        World(
            name="imbalanced",
            law=Elliptic(simplex(3, 3, 2.0), np.ones((3, 3))),
            priors=np.array([0.8, 0.15, 0.05]),
            holds=GAUSSIAN,
            even=True,
        ),
        World(
            name="high_dimension",
            law=Elliptic(
                np.stack([np.r_[1.5, np.zeros(511)], np.r_[-1.5, np.zeros(511)]]),
                np.ones((2, 512)),
            ),
            priors=even(2),
            n=80,
            holds=GAUSSIAN,
        ),
        World(
            name="ten_simplex",
            law=Elliptic(simplex(10, 12, 3.0), np.ones((10, 12))),
            priors=even(10),
            n=300,
            holds=GAUSSIAN,
        ),
        World(
            name="twenty_classes",
            law=Elliptic(simplex(20, 20, 1.0), np.full((20, 20), 0.25)),
            priors=even(20),
            n=400,
            holds=GAUSSIAN,
        ),
        World(
            name="six_on_a_line",
            law=normal_line(np.arange(6.0), 0.3),
            priors=even(6),
            n=180,
            fit_head=ncm,
            holds=GAUSSIAN,
        ),
    ]


def _heavy() -> list[World]:
    return [
        World(
            name="t3_two_classes",
            law=Elliptic(np.array([[-1.5, 0, 0], [1.5, 0, 0]]), np.ones((2, 3)), None, 3.0),
            priors=even(2),
        ),
        World(
            name="t3_five_classes",
            law=Elliptic(simplex(5, 6, 3.0), np.ones((5, 6)), None, 3.0),
            priors=even(5),
            n=200,
        ),
        World(
            name="t3_line",
            law=student_line(np.array([0.0, 4.0, 8.0]), 0.7),
            priors=even(3),
            fit_head=ncm,
        ),
        World(
            name="exponential",
            law=exponential_line(np.array([0.0, 3.5]), np.array([1.0, 1.0])),
            priors=even(2),
            head=LinearHead([[-1.0], [1.0]], [3.5, -3.5]),
        ),
        World(
            name="exponential_trained",
            law=exponential_line(np.array([2.0, -2.0]), np.array([-1.0, 1.0])),
            priors=np.array([0.6, 0.4]),
        ),
        World(name="two_bumps", law=two_bumps_line(3.0), priors=even(2), fit_head=ncm),
    ]


def _noisy() -> list[World]:
    return [
        World(
            name="label_noise",
            law=Elliptic(simplex(3, 3, 3.0), np.ones((3, 3))),
            priors=even(3),
            label_noise=0.3,
        ),
        World(
            name="random_labels",
            law=Elliptic(simplex(3, 60, 2.0), np.ones((3, 60))),
            priors=even(3),
            label_noise=1.0,
            n=90,
            fit_head=partial(ridge, penalty=1e-4),
        ),
        World(
            name="noisy_collapsed",
            law=Elliptic(simplex(2, 4, 1.0), np.full((2, 4), 0.02)),
            priors=np.array([0.3, 0.7]),
            label_noise=0.2,
        ),
    ]


def _discrete() -> list[World]:
    grid = np.array([[i, j] for i in range(3) for j in range(3)], dtype=np.float64)
    mass = np.array([[6, 3, 1, 3, 1, 0, 1, 0, 0], [0, 0, 1, 0, 1, 3, 1, 3, 6.0]])
    sign = LinearHead([[-1.0], [1.0]], np.zeros(2))
    return [
        # the law with the largest error for a class mean and variance: two points, one at the tie
        World(
            name="cantelli_tight",
            law=Atoms(
                np.array([[-1.0], [0.0], [1.0]]),
                np.array([[0.985, 0.015, 0.0], [0.0, 0.015, 0.985]]),
            ),
            priors=even(2),
            head=sign,
            smooth=False,
        ),
        # rarely, and then far on the wrong side: what a sample often does not show
        World(
            name="rare_disaster",
            law=Atoms(
                np.array([[-1.0], [1.0], [-1.1], [1.1]]),
                np.array([[0.985, 0.015, 0.0, 0.0], [0.0, 0.0, 0.015, 0.985]]),
            ),
            priors=even(2),
            head=sign,
            smooth=False,
        ),
        World(
            name="ties",
            law=Atoms(grid, mass / mass.sum(axis=1, keepdims=True)),
            priors=even(2),
            head=LinearHead([[-1.0, -1.0], [1.0, 1.0]], [2.0, -2.0]),
            smooth=False,
        ),
        World(
            name="grid_trained",
            law=Atoms(grid, mass / mass.sum(axis=1, keepdims=True)),
            priors=np.array([0.4, 0.6]),
            smooth=False,
        ),
        World(
            name="point_masses",
            law=Atoms(simplex(4, 5, 2.0), np.eye(4)),
            priors=even(4),
            smooth=False,
        ),
    ]


def _binomial() -> list[World]:
    """Fixed heads whose error lies just above a value that the binomial bound can take."""
    from ncbounds.numerics import binomial_upper

    n = 60
    found = []
    for k in (0, 3, 30, n - 1):
        law, head = fixed_threshold(float(binomial_upper(k, n, TIGHT_DELTA)) * (1 + 1e-9))
        found.append(
            World(name=f"jump_at_{k}", law=law, priors=even(2), head=head, n=n, holds=GAUSSIAN)
        )
    return found


def _population() -> World:
    return Population(
        name="class_population",
        law=Elliptic(np.zeros((1, 3)), np.ones((1, 3))),
        priors=even(1),
        holds=("unseen_classes",),
    )
