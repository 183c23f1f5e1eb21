"""The one road from an entry to evidence: read, build, extract, declare."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ncbounds.code_words.counted import code_word_of
from ncbounds.data.manifest import Entry, Task
from ncbounds.data.points import Points, entry_points
from ncbounds.data.series import progress
from ncbounds.data.task import class_priors
from ncbounds.data.user import UserCode, user_function
from ncbounds.evaluation.facts import versions
from ncbounds.evidence.decision import MultiClass
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.roles import Role
from ncbounds.evidence.sample import Sample
from ncbounds.network.network import Network
from ncbounds.procedures.linear import named_procedure

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier
    from ncbounds.checkpoints.loaded import Loaded


#: Groups of weights passed over that a row names.
OTHERS = 8


def evidence_of(entry: Entry, task: Task, store: Path | None = None) -> Evidence:
    """Evidence of one checkpoint: one forward pass per role, kept in ``store``.

    Raises
    ------
    NcboundsError
        If the checkpoint cannot be read or built, its head not be found, or its data not be read.
    """
    import torch

    from ncbounds.checkpoints.read import load_checkpoint
    from ncbounds.extraction.extract import extract

    torch.set_num_threads(1)  # cores are shared out over checkpoints
    checkpoint = load_checkpoint(
        entry.file, key=entry.key, weights=entry.weights, parts=entry.parts
    )
    model = entry.model
    if isinstance(model, UserCode):
        model = user_function(model.spec)
    classifier = checkpoint.build(
        model, args=dict(entry.args), head=entry.head, output=entry.output
    )
    points = entry_points(entry, task)
    samples: dict[Role, Sample] = {}
    network = None
    for role, drawn in points.items():
        samples[role] = extract(
            classifier,
            drawn.loader,
            Draw(
                role,
                # rows picked by class follow another law than the task's
                sampling="unknown" if role in entry.classes else task.sampling,
                selected_among=entry.selected_among.get(role, 1),
                label_noise=task.label_noise,
                rows=drawn.rows,
                groups=drawn.groups,
                repeats=task.repeats,
            ),
            store=store,
            ignore_label=task.ignore_label,
        )
        if role == "fit":
            network = _network(classifier, drawn.loader, samples[role])
    return Evidence(
        head=classifier.head,
        fit=samples.get("fit"),
        head_sample=samples.get("head"),
        holdout=samples.get("holdout"),
        unlabelled=samples.get("unlabelled"),
        test=samples.get("test"),
        network=network,
        code_word=code_word_of(
            entry,
            {role: _kept(drawn.images, samples[role]) for role, drawn in points.items()},
            classifier.head.classes,
        ),
        procedure=named_procedure(entry.procedure) if entry.procedure else None,
        priors=class_priors(task, classifier.head.classes),
        loss=entry.loss,
        decision=MultiClass(_names(task, checkpoint, points.values(), classifier.head.classes)),
        checkpoint=entry.name,
        provenance={
            "checkpoint_sha256": checkpoint.sha256,
            "weights": hashlib.sha256(classifier.identity.encode()).hexdigest(),
            "checkpoint_format": checkpoint.format,
            "checkpoint_notes": list(classifier.choices),
            "progress": progress(checkpoint.hints),
            "weights_place": checkpoint.place,
            "weights_averaged": checkpoint.averaged,
            "weights_passed_over": list(checkpoint.others[:OTHERS]),
            "head": classifier.head_report.name,
            "head_max_abs_diff": classifier.head_report.max_abs_diff,
            "task": task.name,
            "data": task.data.name,
            "label_noise": task.label_noise,
            "noise_seed": task.noise_seed,
            "roles": dict(entry.roles),
            "versions": versions(),
        },
    )


def _names(
    task: Task, checkpoint: "Loaded", points: Iterable[Points], classes: int
) -> tuple[str, ...]:
    """Names of the classes: declared, else in the checkpoint, else those that all data sets have.

    Data sets that disagree number their classes each in its own way, so that none is believed.
    """
    from ncbounds.checkpoints.class_names import class_names, tidy

    found = task.classes or class_names(checkpoint.hints, classes)
    named = {p.classes for p in points if p.classes}
    return found if found or len(named) != 1 else tidy(named.pop(), classes)


def _network(classifier: "Classifier", loader: Any, sample: Sample) -> Network:
    """Read the network on the inputs of the fit sample, row for row.

    An iterable is read once more, and only where the chain of layers covers the network.
    """
    from ncbounds.extraction.batches import as_array, batches, is_pair, whole_inputs
    from ncbounds.network.reading.summarise import summarise

    first = loader[0] if is_pair(loader) else next(batches(loader, 1))[0]
    if not hasattr(first, "shape"):
        return Network(layers=(), reason="inputs by keyword or position are no single real vectors")
    if is_pair(loader):
        return summarise(classifier.module, classifier.head, _kept(as_array(first), sample))
    found = summarise(classifier.module, classifier.head, as_array(first))
    if not found.layers:
        return found
    inputs, hashes = (_kept(part, sample) for part in whole_inputs(loader))
    if sample.input_hashes is None or not np.array_equal(hashes, sample.input_hashes):
        reason = (
            "the fit loader gives other inputs, or another order, each time that it is read; pass "
            "the training inputs as they are, without augmentation and with shuffle=False"
        )
        return Network(layers=(), reason=reason)
    return summarise(classifier.module, classifier.head, inputs)


def _kept(rows: Any, sample: Sample) -> Any:
    """Of the rows that a sample was made of, those that are part of it; None stays None."""
    return rows if rows is None or sample.kept is None else rows[sample.kept]
