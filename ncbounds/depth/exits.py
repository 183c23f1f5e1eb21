"""What held-out errors of probes say about layers: limits for all of them, and an early exit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ncbounds.errors import InvalidArgument
from ncbounds.numerics import (
    binomial_upper,
    down,
    paired_at_least,
    paired_lower_stratified,
    stratified_upper,
)
from ncbounds.numerics.arguments import counts, not_negative, probability, whole

#: Excess of a probe over the network that counts as none, fixed beforehand.
EPS = 0.01
#: Above this delta the limit of a stratified count is not proved.
_STRATIFIED = 0.25


def layer_error(
    errors: ArrayLike, n: int, delta: float, *, family: int | None = None, stratified: bool = False
) -> Any:
    r"""Upper limits of the error rates of probes at all layers at once, rounded up.

    .. math:: \mathrm{BinInv}(k_l, n, \delta / Q)

    Parameters
    ----------
    errors : integer array, often of shape (layers, probes)
        Held-out errors of probes that were fitted on other rows.
    n : int
        Held-out rows.
    delta : float in (0, 1)
    family : int, optional
        Q, the layers x probes x views that could be shown; by default those of ``errors``. What is
        left out of a table counts.
    stratified : bool
        Whether class counts were fixed by design: the limit is then that of the mean error rate of
        these rows, with Hoeffding's rule at one error from all.

    Returns
    -------
    ndarray of the shape of ``errors``
        With probability at least ``1 - delta`` none is below its error rate.

    Raises
    ------
    InvalidArgument
        Impossible counts, a family smaller than what is given, or a stratified share of delta above
        1/4.

    Notes
    -----
    A union over Q exact binomial limits: each probe is a fixed classifier once its fit rows are.
    """
    k = counts("errors", errors)
    q = k.size if family is None else whole("family", family, 1)
    if q < k.size:
        raise InvalidArgument(f"family is {q}; needed: at least the {k.size} limits that are shown")
    share = float(down(probability("delta", delta) / max(q, 1)))
    if not stratified:
        return np.asarray(binomial_upper(k, whole("n", n), share))
    if share > _STRATIFIED:
        raise InvalidArgument(
            f"delta / {q} is {share:g}; a stratified sample needs at most {_STRATIFIED}"
        )
    each = [stratified_upper(int(x), whole("n", n), share) for x in k.ravel()]
    return np.reshape(each, k.shape)


def within(
    only_probe: int,
    only_network: int,
    n: int,
    eps: float,
    delta: float,
    *,
    stratified: bool = False,
) -> bool:
    """Whether held-out rows show that a probe errs at most ``eps`` more often than the network.

    At ``eps = 0`` on draws of one law: that it errs less often.

    Parameters
    ----------
    only_probe, only_network : int
        Rows on which only the probe, and only the network errs.
    n : int
        Held-out rows; probe and network were fixed before.
    eps : float
        At least 0, fixed beforehand.
    delta : float in (0, 1/2]
        Probability with which the answer may be a wrong yes.
    stratified : bool
        Whether class counts were fixed by design.
    """
    gap = -not_negative("eps", eps)
    if not stratified:
        return paired_at_least(only_network, only_probe, n, gap, delta)
    return bool(paired_lower_stratified(only_network, only_probe, n, delta) >= gap)


def early_exit(
    only_probe: Sequence[int],
    only_network: Sequence[int],
    n: int,
    delta: float,
    eps: float = EPS,
    *,
    stratified: bool = False,
) -> int | None:
    """First layer from which on every probe is shown to be within ``eps`` of the saved network.

    Layers are tested from the deepest on, each at the whole of delta, and the first that fails ends
    it.

    Parameters
    ----------
    only_probe, only_network : sequences of int, one number a layer, from input to logits
        Held-out rows on which only the probe of a layer, and only the network errs. One probe and
        one view a layer, fixed with ``eps`` before the rows.
    n, delta, eps, stratified
        See :func:`within`.

    Returns
    -------
    int or None
        Index of the last layer that passed. With probability at least ``1 - delta`` every probe
        from it on errs at most ``eps`` more often than the network. None: nothing is claimed.

    Notes
    -----
    Let l be the deepest layer whose probe does err more than eps more often. A false claim needs
    that the test of l passes, which has probability at most delta; layers before it do not matter.
    Nothing is said of layers above the returned one: passing over a failed layer would be wrong.
    Several eps, probes or views divide delta by their number.

    References
    ----------
    Fixed-sequence testing, as in Angelopoulos et al., "Learn then test", arXiv:2110.01052.
    """
    if len(only_probe) != len(only_network):
        raise InvalidArgument(
            f"{len(only_probe)} counts of probes and {len(only_network)} of the network; needed is "
            "one of each a layer"
        )
    passed = None
    for layer in reversed(range(len(only_probe))):
        pair = (int(only_probe[layer]), int(only_network[layer]))
        if not within(*pair, n, eps, delta, stratified=stratified):
            break
        passed = layer
    return passed


def better_than_network(
    only_probe: ArrayLike, only_network: ArrayLike, n: int, delta: float, *, family: int
) -> Any:
    """Which probes are shown to err less often than the network, all at once.

    Rows have to be draws of one law; ``family`` as in :func:`layer_error`.

    Returns
    -------
    bool array of the shape of the counts
        With probability at least ``1 - delta`` each probe that is marked errs less often.
    """
    a, b = np.broadcast_arrays(
        counts("only_probe", only_probe), counts("only_network", only_network)
    )
    if whole("family", family, 1) < a.size:
        raise InvalidArgument(f"family is {family}; needed: at least the {a.size} that are shown")
    share = float(down(probability("delta", delta) / family))
    pairs = zip(a.ravel(), b.ravel(), strict=True)
    # one that errs as often here shows nothing: no need to ask
    found = [p < q and within(int(p), int(q), n, 0.0, share) for p, q in pairs]
    return np.reshape(np.array(found, dtype=bool), a.shape)


def apart(p: NDArray[np.bool_], q: NDArray[np.bool_]) -> tuple[int, int]:
    """Count rows on which only p, and only q errs, from error indicators of shape (n,)."""
    if p.shape != q.shape or p.ndim != 1:
        raise InvalidArgument(
            f"errors of shapes {p.shape} and {q.shape}; needed are those of the same n rows"
        )
    return int((p & ~q).sum()), int((q & ~p).sum())
