"""One pass over a network's places: collapse, probes and their certificates, layer by layer."""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ncbounds.arrays import Bools
from ncbounds.bounds.kind import judge
from ncbounds.bounds.needs import Needs
from ncbounds.depth.exits import (
    EPS,
    apart,
    better_than_network,
    early_exit,
    layer_error,
)
from ncbounds.depth.hashing import coordinates
from ncbounds.depth.layers import Geometry, Layer, LayerReport
from ncbounds.depth.measure import measure_place, wrong_rows
from ncbounds.depth.probes import PROBES
from ncbounds.depth.separation import effective_depth, separation_law
from ncbounds.errors import DataError, UnknownName, suggest
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.roles import Role, check_role
from ncbounds.evidence.sample import Sample
from ncbounds.extraction.tokens import MEAN, check_token

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier
    from ncbounds.extraction.places import Places

#: Samples that are read.
READ: tuple[Role, ...] = ("fit", "holdout", "test")
#: What there is for rows with several labels.
SEVERAL_LABELS = "ncbounds evaluate (nb.evaluate_files) bounds errors of several labels"
#: What a limit asks of the held-out rows: probes are functions of the fit rows.
NEEDS = Needs(kind="certificate", role="holdout")


def layers(
    classifier: "Classifier",
    loaders: Mapping[str, Any],
    at: str | Iterable[str] | None = None,
    *,
    draws: Mapping[str, Draw] | None = None,
    store: str | os.PathLike[str] | None = None,
    delta: float = 0.05,
    eps: float = EPS,
    exit_probe: str = "ridge",
    token: str | int = MEAN,
    ignore_label: int | None = None,
    batch_size: int | str | None = None,
    workers_per_loader: int | None = None,
    limit: int | None = None,
    store_dtype: str | None = None,
    checkpoint: str = "",
    say: Callable[[str], None] | None = None,
    **declared: Any,
) -> LayerReport:
    """Measure collapse from input to logits, and certify linear probes of every place.

    Every place is read in the same forward pass, one pass a sample, as a view that is fixed
    beforehand: all of its coordinates up to ``max(512, C)``, else as many signed hashes, which keep
    squared distances in the mean; of tokens (n, t, d) their mean or one is taken first. Nearest
    class mean and ridge are fitted on the fit sample alone and judged on the others.

    Parameters
    ----------
    classifier : Classifier
    loaders : mapping from role to data
        ``"fit"``, and ``"holdout"`` for certificates, ``"test"`` for measured errors; each a pair
        of arrays or an iterable of batches that can be read more than once.
    at : str or iterable of str, optional
        Names of modules, or patterns such as ``"layer*"``; by default outputs of blocks are found.
        Limits pay for all modules that could have been named; the early exit needs that these were
        named before the held-out rows were looked at.
    draws : mapping from role to Draw, optional
        What is declared about rows, in place of ``declared``.
    store : path, optional
        Folder that keeps the views for the next time; by default they lie in a temporary one.
    delta : float in (0, 1/2]
        Of each statement: the limits of all probes at once, the early exit, and which probes are
        better than the network.
    eps : float
        What a probe may err more often than the network; fixed before the held-out rows.
    exit_probe : {"ridge", "ncm"}
        Probe of the early exit, fixed before too.
    token : {"mean", "class", "last"} or int
        Which token a place with tokens is read at: the mean of those that are no padding, the
        first, the last one, or a position; fixed before the held-out rows too.
    ignore_label : int, optional
        Label of rows that are left out.
    batch_size, workers_per_loader, limit, store_dtype
        See :func:`ncbounds.extract`; with ``limit`` or ``store_dtype`` nothing is certified.
    checkpoint : str
        Name in the report.
    say : callable, optional
        Told, before the pass, which places were found and what they take.
    **declared
        ``sampling``, ``selected_among``, ... of :class:`~ncbounds.Draw`, for all roles.

    Returns
    -------
    LayerReport
        Its limits are certificates only if the draw of the held-out rows is declared and nothing
        speaks against it, as for any other row.

    Raises
    ------
    DataError
        If there is no fit sample.
    UnknownName
        If a pattern names no module that gives features, or there is no such probe.
    """
    from ncbounds.extraction.batches import check_again, check_one_label
    from ncbounds.extraction.places import find_places
    from ncbounds.extraction.views import announcement, read_views

    if exit_probe not in PROBES:
        raise UnknownName(f"no probe {exit_probe!r}; {suggest(exit_probe, list(PROBES))}")
    named = {check_role(role): loader for role, loader in loaders.items()}
    given = {role: named[role] for role in READ if role in named}
    if "fit" not in given:
        raise DataError(
            f"probes are fitted on the fit sample; found {', '.join(given) or 'none'}: pass "
            "{'fit': (inputs, labels), 'holdout': ..., 'test': ...}"
        )
    for role, loader in given.items():
        check_again(loader, role)
        check_one_label(loader, role, "probes of layers are", SEVERAL_LABELS)
    places = find_places(classifier, given["fit"], at)
    size, token = coordinates(classifier.head.classes), check_token(token)
    if say is not None:
        for line in announcement(places, size, given, limit, store_dtype):
            say(line)
    with ExitStack() as stack:
        folder = store
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ncbounds-layers-"))
        views: dict[Role, dict[str, Sample]] = {}
        options: dict[str, Any] = {
            **{"ignore_label": ignore_label, "batch_size": batch_size, "limit": limit},
            **{"workers_per_loader": workers_per_loader, "store_dtype": store_dtype},
        }
        options |= {"used_by": checkpoint} if store is not None and checkpoint else {}
        for role, loader in given.items():
            draw = (draws or {}).get(role) or Draw(role, **declared)
            views[role] = read_views(classifier, loader, draw, places, size, folder, options, token)
        report = _report(
            *(classifier.head, views, places, folder, delta, eps, exit_probe, checkpoint),
            named=at is not None,
        )
        return replace(report, token=token)


def _report(
    head: LinearHead,
    views: Mapping[Role, dict[str, Sample]],
    places: "Places",
    folder: str | os.PathLike[str],
    delta: float,
    eps: float,
    exit_probe: str,
    checkpoint: str,
    *,
    named: bool,
) -> LayerReport:
    from ncbounds.extraction.taps import HEAD
    from ncbounds.extraction.views import counted_rows

    at_head = {role: by_place[HEAD] for role, by_place in views.items()}
    evidence = Evidence.of(at_head, head=head, checkpoint=checkpoint)
    samples = evidence.samples()
    network = {role: wrong_rows(head, s.features, s.labels) for role, s in samples.items()}
    size = coordinates(head.classes)
    wrong: dict[str, dict[Role, dict[str, Bools]]] = {}
    geometry: dict[str, dict[Role, Geometry]] = {}
    for name in places.shapes:
        at = {
            r: counted_rows(views[r][name], views[r][HEAD], s, size, folder)
            for r, s in samples.items()
        }
        wrong[name], geometry[name] = measure_place(at, samples, head.classes)
    found = tuple(
        Layer(
            name=name,
            dim=int(np.prod(shape)),
            view=min(int(np.prod(shape)), size),
            geometry=geometry[name],
            errors={
                role: {probe: int(w.sum()) for probe, w in by.items()}
                for role, by in wrong[name].items()
            },
            limits={},
            better={},
        )
        for name, shape in places.shapes.items()
    )
    family = len(PROBES) * (places.nameable if named else len(places.shapes))
    report = LayerReport(
        layers=found,
        rows={role: s.n for role, s in samples.items()},
        network_errors={role: int(w.sum()) for role, w in network.items()},
        kind="measure",
        reasons=("no held-out rows, so nothing is certified: pass a holdout sample",),
        delta=delta,
        family=family,
        eps=eps,
        exit_probe=exit_probe,
        exit=None,
        law={
            role: separation_law([geometry[name][role].separation for name in geometry])
            for role in samples
            if role != "test"
        },
        effective_depth=effective_depth(
            [x.errors["fit"]["ncm"] / max(samples["fit"].n, 1) for x in found], eps
        ),
        checkpoint=checkpoint,
    )
    if "holdout" not in samples:
        return report
    held = {name: by["holdout"] for name, by in wrong.items()}
    return certified(report, evidence, held, network["holdout"])


def certified(
    report: LayerReport,
    evidence: Evidence,
    wrong: Mapping[str, Mapping[str, Bools]],
    network: Bools,
) -> LayerReport:
    """Add what held-out errors show to a report.

    Parameters
    ----------
    report : LayerReport
    evidence : Evidence
        With the held-out sample, by which the kind is judged.
    wrong : mapping from place to mapping from probe to bool array of shape (n,)
    network : bool array of shape (n,)
        Errors of the saved network on the same rows.
    """
    sample = evidence.samples()["holdout"]
    verdict = judge(NEEDS, sample, evidence, report.delta)
    n, stratified = sample.n, sample.sampling == "stratified"
    counts = np.array([[int(w.sum()) for w in by.values()] for by in wrong.values()])
    pairs = np.array([[apart(w, network) for w in by.values()] for by in wrong.values()])
    limits = layer_error(counts, n, verdict.delta, family=report.family, stratified=stratified)
    better = np.zeros(counts.shape, dtype=bool)
    if not stratified:
        better = better_than_network(
            pairs[..., 0], pairs[..., 1], n, verdict.delta, family=report.family
        )
    probe = list(PROBES).index(report.exit_probe)
    exit_at = early_exit(
        pairs[:, probe, 0].tolist(),
        pairs[:, probe, 1].tolist(),
        n,
        verdict.delta,
        report.eps,
        stratified=stratified,
    )
    found = tuple(
        replace(
            layer,
            limits=dict(zip(PROBES, map(float, limits[i]), strict=True)),
            better=dict(zip(PROBES, map(bool, better[i]), strict=True)),
        )
        for i, layer in enumerate(report.layers)
    )
    return replace(
        report, layers=found, exit=exit_at, kind=verdict.kind, reasons=tuple(verdict.reasons)
    )
