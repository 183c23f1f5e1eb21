"""How far a head and its features are from the best possible at their norms."""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.errors import InvalidArgument
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.loss import ASSUMED, declared_loss
from ncbounds.evidence.sample import Sample
from ncbounds.geometry.efficiency_groups import LOSSES, grouped, loss_and_response, targets_of
from ncbounds.geometry.focal import cross_entropy_of, focal, scaled
from ncbounds.geometry.free_features import ROUNDING, Task
from ncbounds.geometry.labelled import centred_rows, labelled
from ncbounds.geometry.least_budget import least_budget
from ncbounds.numerics.arguments import not_negative

#: Seconds after which the solver starts nothing new.
SECONDS = 10.0


@dataclass(frozen=True)
class Efficiency:
    """Share of the norms of a checkpoint that its loss needs at least, and what the rest went to.

    Attributes
    ----------
    lower, upper : float
        Bracket of the efficiency: no head and features with norms below ``lower`` times those of
        the checkpoint reach its loss on this sample; some with ``upper`` times do.
    within, alignment, outputs : float
        Factors whose product is the efficiency that the best response found proves, before it is
        rounded down to ``lower``: collapse of the points onto their means, alignment of means and
        head, and how well the logits are spent. nan where ``lower`` is 0.
    loss : float
        Mean loss on the sample, in nats for the entropies.
    budget : float
        ``||W||_F ||H||_F``, both centred as the loss and the bias allow.
    logits, bias : arrays of shape (T, C) and (C,), or None
        ``logits + bias`` prove ``upper``, one row per group of equal targets (in ascending order);
        ``logits`` are what head and features have to provide. Outputs that a free bias settles
        alone, like those of absent classes, are left out.
    reasons : tuple of str
        Why values are nan, or cannot be 1.
    """

    lower: float
    upper: float
    within: float
    alignment: float
    outputs: float
    loss: float
    budget: float
    reasons: tuple[str, ...] = ()
    logits: Floats | None = field(default=None, repr=False, compare=False)
    bias: Floats | None = field(default=None, repr=False, compare=False)


def collapse_efficiency(
    sample: Sample,
    head: LinearHead,
    loss: str = ASSUMED,
    *,
    smoothing: float = 0.0,
    targets: object | None = None,
    seconds: float = SECONDS,
) -> Efficiency:
    r"""Efficiency of a checkpoint: least norms that reach its loss, over the norms that it has.

    With ``L`` the mean loss on the sample and ``B = ||W~||_F ||H~||_F`` the efficiency is
    ``B*(L)/B``, where ``B*(L)`` is the least product of norms of any head and any features, of any
    width, one per point, whose loss on these labels is ``L``. It is 1 exactly if the network is
    optimal at its norms, that is fully collapsed onto the ideal arrangement for these class counts.
    It says nothing about the error, on this or any other sample.

    Parameters
    ----------
    sample : Sample
        n points with features of shape (n, d), and labels, one or several each; of any role but
        test, and meant for fit.
    head : LinearHead
        Weight (C, d). Its ``has_bias`` declares whether the bias is free (and not penalised).
    loss : {"cross-entropy", "label-smoothing:0.1", "focal:2", "pick-all-label", "binary", "mse"}
        ``lse(s) - q's``, with label smoothing of the share behind the colon; ``c (1 - e^-c)^gamma``
        of the cross-entropy c, gamma behind the colon; ``|set| lse(s)`` less the logits of the set;
        logistic losses summed over the outputs; ``||s - q||^2/2``.
    smoothing : float in [0, 1)
        Label smoothing r of the cross-entropy, ``q = (1 - r) e_y + r/C``, if ``loss`` names none.
    targets : array-like of shape (n, C), optional
        0 and 1: the set of labels of each point, for "pick-all-label" and "binary". By default the
        sample's own: its indicators, else the one label of each point.
    seconds : float
        The solver starts nothing new after so long. The bracket is valid whenever it stops.

    Returns
    -------
    Efficiency
        nan with a reason where nothing is defined: one group of targets only, norms of zero,
        logits that are not finite, a loss at its infimum.

    Raises
    ------
    InvalidSample
        If shapes do not fit, a label has no output, ``targets`` are no indicators, a set is empty
        under pick-all-label, or there are more distinct sets than memory is meant for.
    InvalidArgument, UnknownName
        If ``smoothing`` or ``seconds`` is out of range, or ``loss`` is unknown.
    RoleError
        If the sample is of role test.

    Notes
    -----
    **Lower end.** For targets ``q_g`` of T groups of ``n_g`` points, factors ``a_g`` and any
    responses ``p_g`` (points of the simplex, of the cube, or any, by loss), every loss l is above
    its tangents, ``l(s) >= <u, s> + e`` with ``u = a (p - q)``, so that for every head, features
    and bias

    .. math:: \mathrm{loss} \ge \sum_g \tfrac{n_g}{n} e_g - \sigma \|W'\|_F \|H'\|_F , \qquad
        \sigma = \Big\| \Big[ \tfrac{\sqrt{n_g}}{n} a_g (p_g - q_g) \Big]_g \Big\|_2 ,

    provided that ``sum_g n_g a_g (p_g - q_g) = 0`` where a bias is free: it then drops out, and so
    does the mean of the features; with a softmax u sums to zero and the mean of the head's rows
    drops out too. The rest is ``|<V, W'H'>| <= ||V||_2 ||W'H'||_*`` and
    ``||W'H'||_* <= ||W'||_F ||H'||_F``. Any responses are valid; the solver only tightens. A loss
    without features at most L gives efficiency 0.

    **Upper end.** Logits Z whose loss is at most L can be had with norms whose product is the
    nuclear norm of ``Z`` with its points, by its singular vectors.

    **Focal loss.** Points of mean focal loss L have a mean cross-entropy of at most some ``c(L)``
    (:mod:`ncbounds.geometry.focal`), so that whatever needs more norm than this network at ``c(L)``
    needs more at L: everything above is then said of ``c(L)``. For classes of equal size this is
    exact; otherwise the lower end is below 1 for an optimal network too, and the upper end is that
    of the logits found, scaled until they reach L.

    **Factors.** With ``M_g`` the group means of the centred features and
    ``G = -sum_g (n_g/n) a_g <p_g - q_g, W~ M_g>``:
    ``sqrt(sum_g n_g ||M_g||^2)/||H~||``, ``G/(sigma ||W~|| sqrt(sum_g n_g ||M_g||^2))`` and
    ``1 - D/G``, D the mean divergence of the points from the responses, as
    ``L = gain - G + D``. Each is in [0, 1].

    Invariant to rotations, to a shift of the features where the bias is free, and to (W/c, c f).
    Where a bias is free the slopes balance up to rounding of themselves, no more: a bias beyond
    1e15 times the logits is outside of what float64 proves.

    References
    ----------
    Nuclear norm of factored matrices: Q. Li, Z. Zhu and G. Tang, arXiv:1704.01265. Optimal free
    features: Z. Zhu et al., "A geometric analysis of neural collapse with unconstrained features",
    NeurIPS 2021, arXiv:2105.02375. Sets of labels: P. Li et al., arXiv:2310.15903. The efficiency,
    its bracket and its factors: proved above.
    """
    labelled(sample, head, sets=True)
    name, share, gamma = declared_loss(loss)
    if not 0 <= smoothing < 1 or (smoothing and (share or name != "cross-entropy")):
        raise InvalidArgument(
            f"smoothing is {smoothing!r} with loss={loss!r}; needed: a number in [0, 1), and 0 "
            "unless loss='cross-entropy'"
        )
    seconds = not_negative("seconds", seconds)
    sets = targets_of(sample, head, name, targets)
    groups = grouped(sample, head, LOSSES[name], sets, smoothing or share)
    task = groups.task
    weight = centred_rows(head.weight) if task.loss.shifts else head.weight
    centre = groups.centre if task.bias else np.zeros(head.dim)
    means = groups.means - centre
    between = float(task.count @ np.einsum("ij,ij->i", means, means))
    norm = float(np.sqrt(groups.scatter + between))
    with np.errstate(over="ignore"):  # told below
        head_norm = float(np.linalg.norm(weight))
    budget = head_norm * norm
    small = task.restricted()
    of_point = partial(focal, gamma=gamma) if name == "focal" else None
    mean_loss, response = loss_and_response(sample, head, groups, small, of_point)
    reached = cross_entropy_of(mean_loss, gamma) if name == "focal" else mean_loss
    nan = float("nan")
    why = _undefined(task, small, reached, budget)
    if why:
        return replace(no_efficiency(why), loss=mean_loss, budget=budget)
    if reached >= task.idle:
        why = "a head reaches this loss without features"
        most = 0.0
        if name == "focal":
            why, most = f"a head reaches cross-entropy {reached:.3g} without features", 1.0
        return Efficiency(0.0, most, nan, nan, nan, mean_loss, budget, (why,))
    reasons = _width(small, head)
    kept = task.unsettled
    own = (means @ head.weight.T)[:, kept]
    offset = (head.bias + head.weight @ centre)[kept]
    found = least_budget(small, reached, budget, own + offset, response, seconds)
    if name == "focal":
        found = scaled(small, found, mean_loss, gamma)
    norms = (float(np.sqrt(between)), norm, head_norm)
    parts = _factors(small, found.response, own, reached, norms)
    lower = min(1.0, float(found.lower) / budget * (1 - ROUNDING))
    upper = max(lower, min(1.0, float(found.upper) / budget * (1 + ROUNDING)))
    best = small.centred(found.logits)
    best_bias = small.offset(found.logits)
    return Efficiency(lower, upper, *parts, mean_loss, budget, reasons, best, best_bias)


def no_efficiency(why: str) -> Efficiency:
    """Return nan everywhere, and why."""
    nan = float("nan")
    return Efficiency(nan, nan, nan, nan, nan, nan, nan, (why,))


def _undefined(task: Task, small: Task, loss: float, budget: float) -> str:
    if len(task.count) < 2:
        return "all points have the same target: a bias alone fits them"
    if not np.isfinite(loss) or not np.isfinite(budget):
        return "a logit or a norm is not finite"
    if budget == 0:
        return "the head or the centred features are zero"
    floor = small.floor
    if not loss - floor > ROUNDING * floor:
        return f"the loss {loss:.3g} is at its infimum {floor:.3g} in float64"
    return ""


def _width(task: Task, head: LinearHead) -> tuple[str, ...]:
    """What the feature dimension rules out, whatever was learnt."""
    groups, outputs = task.target.shape  # centred by points if a bias is free, by outputs if shifts
    needed = min(groups - task.bias, outputs - task.loss.shifts)
    if head.dim >= needed:
        return ()
    return (
        f"{head.dim} features are fewer than the {needed} that the best arrangement of "
        f"{groups} groups may need: the efficiency may be out of reach of 1",
    )


def _factors(
    task: Task, response: Floats, own: Floats, loss: float, norms: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Within, alignment and outputs of one response; ``own`` are the centred group logits.

    ``norms`` are those of the group means (weighted by count), of the features and of the head.
    """
    between, whole, head = norms
    gain, slope = task.line(response)
    if not gain > loss:
        return (float("nan"),) * 3
    fit = -task.mean(np.einsum("ij,ij->i", response, own))
    aligned = fit / (slope * head * between)
    return between / whole, min(1.0, aligned), min(1.0, (gain - loss) / fit)
