"""Which layer of which network to tap for a new task: one pass a network, and a certificate."""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncbounds.choosing.choice import Choice
from ncbounds.choosing.choose import CHOSEN_ON, SHARE, choose_among
from ncbounds.choosing.estimates import HEADS
from ncbounds.claims.claim import measured_error
from ncbounds.errors import DataError, NcboundsError
from ncbounds.evaluation.taps import TapReader, labelled
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.roles import Role, check_role

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier


def choose(
    networks: "Mapping[str, Classifier | Callable[[], Classifier]]",
    loaders: Mapping[str, Any],
    at: str | Iterable[str] | None = None,
    *,
    heads: Sequence[str] = tuple(HEADS),
    delta: float = 0.05,
    share: float = SHARE,
    draws: Mapping[str, Draw] | None = None,
    ignore_label: int | None = None,
    batch_size: int | str | None = None,
    store: str | os.PathLike[str] | None = None,
    failed: Callable[[str, NcboundsError], None] | None = None,
    say: Callable[[str], None] | None = None,
    **declared: Any,
) -> Choice:
    r"""Choose a head on one layer of one network for a task, with a certificate on its error.

    Every layer of every network is read in one forward pass of the labelled rows, as a view of at
    most ``max(512, C)`` coordinates (see :func:`ncbounds.layers`). Beside them stand, always, the
    raw inputs and a copy of each architecture with fresh weights. Heads are fitted on a share of
    the rows; the five candidates of least leave-one-out error there are judged on the others, and
    that of fewest errors k is chosen:

    .. math:: \mathrm{error} \le \mathrm{BinInv}(k, |V|, \delta / 5) .

    Parameters
    ----------
    networks : mapping from name to Classifier
        Trained on other data, or functions that return one, which are called when their turn comes.
    loaders : mapping from role to data
        ``"head"`` or ``"holdout"``: the labelled rows of the task, which the networks have not
        seen. ``"fit"``, where it is given too, is looked through for rows that stand in both;
        ``"test"`` measures the error of what was chosen. Each a pair of arrays or an iterable of
        batches that can be read more than once.
    at : str or iterable of str, optional
        Names of modules, or patterns; by default outputs of blocks are found.
    heads : sequence of {"ncm", "ridge", "logistic"}
    delta : float in (0, 1/2]
        Of each statement: the certificate, the regret, and each comparison with a baseline.
    share : float in (0, 1)
        Of the rows that heads are fitted on, fixed beforehand: .5, or .3 for one collapsed network.
    draws : mapping from role to Draw, optional
        What is declared about rows, in place of ``declared``.
    ignore_label : int, optional
        Label of rows that are left out.
    batch_size : int, "auto" or None
        Rows per forward pass; see :func:`ncbounds.extract`.
    store : path, optional
        Folder that keeps the views for the next time.
    failed : callable, optional
        Given the name of a network that cannot be read, and why; the others go on.
    say : callable, optional
        Told which network is read.
    **declared
        ``sampling``, ``selected_among``, ... of :class:`~ncbounds.Draw`, for all roles.

    Returns
    -------
    Choice
        ``print`` shows it; ``.value``, ``.head``, ``.regret``, ``.to_frame()``, ``.curve()``,
        ``.write(folder)``.

    Raises
    ------
    DataError
        If there are no rows to choose on, or they are others each time that they are read.
    UnknownName, InvalidArgument
        If there is no such head or module, or delta or share is out of range.
    """
    named = {check_role(role): loader for role, loader in loaders.items()}
    role = next((r for r in CHOSEN_ON if r in named), None)
    if role is None or not networks:
        raise DataError(
            f"needed are networks, and labelled rows to choose on; found {len(networks)} networks "
            f"and roles {', '.join(named) or 'none'}: pass {{'holdout': (inputs, labels)}}"
        )
    drawn = {r: (draws or {}).get(r) or Draw(r, **declared) for r in named}
    read: list[Role] = [role]
    if role != "fit" and "fit" in named:
        read.append("fit")
    samples = {r: labelled(named[r], drawn[r], ignore_label) for r in read}
    with ExitStack() as stack:
        folder = store
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ncbounds-choose-"))
        reader = TapReader(
            loader=named[role],
            sample=samples[role],
            folder=Path(folder),
            at=at,
            options={"ignore_label": ignore_label, "batch_size": batch_size},
            failed=failed,
            say=say,
        )
        found = choose_among(
            reader.taps(networks),
            samples,
            heads=heads,
            delta=delta,
            share=share,
            notes=reader.notes,
        )
        if "test" in named and found.head is not None:
            test = reader.test(networks, found, named["test"], drawn["test"])
            evidence = Evidence.of({"test": test}, head=found.head)
            claim = found.result.claim
            measured = measured_error(claim, evidence, label_noise=samples[role].label_noise)
            found = replace(found, result=replace(found.result, test=measured))
    place = found.place
    return replace(
        found, network="" if place.origin == "raw" else f"networks[{place.checkpoint!r}]"
    )
