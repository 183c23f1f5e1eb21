"""The one road from an entry to evidence: read, build, extract, declare."""

import copy
import hashlib
from collections.abc import Callable, Iterable, Mapping
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ncbounds.code_words.counted import code_word_of
from ncbounds.data.manifest import Entry, Task
from ncbounds.data.points import Points, entry_points
from ncbounds.data.series import progress
from ncbounds.data.task import class_priors
from ncbounds.data.user import UserCode, user_function
from ncbounds.errors import NoLinearHead, few
from ncbounds.evaluation.versions import versions
from ncbounds.evidence.asked import asked_for
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import Head, NoHead
from ncbounds.evidence.roles import LABELS_OPTIONAL, Role
from ncbounds.evidence.sample import Sample
from ncbounds.extraction.batches import first_rows
from ncbounds.extraction.pace import Pace
from ncbounds.extraction.running import USUAL, Running
from ncbounds.network.network import Network
from ncbounds.procedures.linear import named_procedure
from ncbounds.runs.builders import code_key
from ncbounds.runs.decisions import decision_of

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier
    from ncbounds.checkpoints.loaded import Loaded


#: Seconds between two messages of an extraction.
SAID_EVERY = 0.5
#: Groups of weights passed over that a row names.
OTHERS = 8


def classifier_of(entry: Entry) -> "tuple[Loaded, Classifier]":
    """Read and build one checkpoint.

    Raises
    ------
    NcboundsError
        If it cannot be read or built.
    """
    import torch

    from ncbounds.checkpoints.read import load_checkpoint

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
    if rests_on := code_key(entry):
        classifier.rests_on(rests_on)
    return checkpoint, classifier


def network_of(entry: Entry, running: Running = USUAL) -> "Classifier":
    """Build the classifier of one checkpoint, where and in what precision it is run.

    Raises
    ------
    NcboundsError
        If it cannot be read or built.
    """
    return classifier_of(entry)[1].to(running.device, running.precision)


def evidence_of(
    entry: Entry,
    task: Task,
    store: Path | None = None,
    running: Running = USUAL,
    say: Callable[[str], None] | None = None,
) -> Evidence:
    """Evidence of one checkpoint: one forward pass per role, kept in ``store``.

    Parameters
    ----------
    entry : Entry
    task : Task
    store : path, optional
    running : Running
    say : callable, optional
        Told now and then how far an extraction is.

    Raises
    ------
    NcboundsError
        If the checkpoint cannot be read or built, its head not be found, or its data not be read.
    """
    from ncbounds.checkpoints.head.device import describe
    from ncbounds.extraction.predict import answered

    checkpoint, classifier = classifier_of(entry)
    classifier.to(running.device, running.precision)
    points = {
        role: first_points(drawn, running.limit)
        for role, drawn in entry_points(entry, task).items()
    }
    draws = {role: draw_of(entry, task, role, drawn) for role, drawn in points.items()}
    why, network = "", None
    try:
        samples = _extracted(classifier, points, draws, entry, task, store, running, say)
        if "fit" in samples:
            network = _network(classifier, points["fit"].loader, samples["fit"])
        head: Head = classifier.head
    except NoLinearHead as error:
        if entry.head is not None:
            raise
        classifier, why = classifier.predicting(), error.why
        samples = _extracted(classifier, points, draws, entry, task, store, running, say)
        head = NoHead(_width(classifier, task, samples), why)
    classes, disagree = _names(task, checkpoint, points.values(), head.classes)
    config = checkpoint.hints.get("config")
    decision, said = decision_of(entry, task, config, classifier, samples, classes)
    if classifier.predicts:
        samples = {role: answered(classifier, s, decision) for role, s in samples.items()}
    return Evidence.of(
        samples,
        head=head,
        network=network,
        code_word=code_word_of(
            entry,
            {role: _kept(drawn.images, samples[role]) for role, drawn in points.items()},
            head.classes,
        ),
        procedure=named_procedure(entry.procedure) if entry.procedure else None,
        priors=class_priors(task, head.classes),
        loss=entry.loss,
        decision=decision,
        asked=asked_for(task.claims),
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
            "device": describe(classifier.device),
            "precision": classifier.precision,
            "limit": running.limit,
            "store": running.store_dtype,
            "task": task.name,
            "data": task.data.name,
            "label_noise": task.label_noise,
            "noise_seed": task.noise_seed,
            "roles": dict(entry.roles),
            "versions": versions(),
            "remarks": [
                *classifier.remarks,
                *said,
                *disagree,
                *_other_rows(samples),
                *_one_class(samples),
            ],
        },
    )


def draw_of(entry: Entry, task: Task, role: Role, drawn: Points) -> Draw:
    """Return what is declared about the points of a role."""
    return Draw(
        role,
        # rows picked by class follow another law than the task's
        sampling="unknown" if role in entry.classes else task.sampling,
        selected_among=entry.selected_among.get(role, 1),
        label_noise=task.label_noise,
        rows=drawn.rows,
        groups=drawn.groups,
        repeats=task.repeats,
    )


def _extracted(
    classifier: "Classifier",
    points: Mapping[Role, Points],
    draws: Mapping[Role, Draw],
    entry: Entry,
    task: Task,
    store: Path | None,
    running: Running,
    say: Callable[[str], None] | None,
) -> dict[Role, Sample]:
    from ncbounds.extraction.extract import extract

    # logits that stand for predictions are never rounded: a tie hangs on them
    kept_as = None if store is None or classifier.predicts else running.store_dtype
    return {
        role: extract(
            classifier,
            drawn.loader,
            draws[role],
            store=store,
            used_by=entry.name,
            batch_size=running.batch_size,
            workers_per_loader=running.workers_per_loader,
            limit=running.limit,
            store_dtype=kept_as,
            progress=None if say is None else _now_and_then(say, role),
            ignore_label=task.ignore_label,
        )
        for role, drawn in points.items()
    }


def _width(classifier: "Classifier", task: Task, samples: Mapping[Role, Sample]) -> int:
    """Number of classes that a network predicts, if what it returns are its logits."""
    from ncbounds.extraction.predict import check_classes

    width = next(iter(samples.values())).dim
    check_classes(classifier, width, len(task.classes) or max(s.classes for s in samples.values()))
    return width


def first_points(points: Points, limit: int | None) -> Points:
    """Only the first points, with all that belongs to them."""
    if limit is None:
        return points
    cut = {
        name: part[:limit]
        for name in ("rows", "groups", "images")
        if (part := getattr(points, name)) is not None
    }
    return points._replace(loader=first_rows(points.loader, limit), **cut)


def _now_and_then(say: Callable[[str], None], role: Role) -> Callable[[Pace], None]:
    """Pass on how far a role is, twice a second at most."""
    said = -inf

    def tell(pace: Pace) -> None:
        nonlocal said
        if pace.seconds - said >= SAID_EVERY:
            said = pace.seconds
            say(f"{role} {pace}")

    return tell


def _names(
    task: Task, checkpoint: "Loaded", points: Iterable[Points], classes: int
) -> tuple[tuple[str, ...], list[str]]:
    """Names of the classes: declared, else in the checkpoint, else those that all data sets have.

    Data sets that disagree number their classes each in its own way, so that none is believed.
    Where the checkpoint's names are shown and a data set has others, that is said.
    """
    from ncbounds.checkpoints.class_names import class_names, tidy

    named = {p.classes for p in points if p.classes}
    if task.classes:
        return task.classes, []
    found = class_names(checkpoint.hints, classes)
    if not found:
        return tidy(named.pop(), classes) if len(named) == 1 else (), []
    others = [names for names in named if tidy(names, classes) != found]
    return found, [_differ(found, names) for names in others]


def _differ(found: tuple[str, ...], others: tuple[str, ...]) -> str:
    """Say that a checkpoint and a data set name their classes differently."""
    says = (
        f"classes are called by the checkpoint's id2label ({few(found)}); the data call them "
        f"{few(others)}"
    )
    if {n.lower() for n in found} == {n.lower() for n in others} and len(found) == len(others):
        says += ": equal names in another order, so that labels may be numbered differently"
    return f"{says}. classes = [...] of the task in zoo.toml settles what they are called"


def _other_rows(samples: Mapping[Role, Sample]) -> list[str]:
    """Say which loaders give other rows each time that they are read."""
    found = [role for role, sample in samples.items() if sample.other_rows]
    if not found:
        return []
    return [
        f"the loader of {', '.join(found)} gives other rows each time that it is read "
        "(augmentation or shuffling): rows are about the one draw that the store "
        "keeps, another one in each run"
    ]


def _one_class(samples: Mapping[Role, Sample]) -> list[str]:
    """Say which samples hold one class alone, as the first rows of sorted data do."""
    found = {
        role: int(sample.labels[0])
        for role, sample in samples.items()
        if role not in LABELS_OPTIONAL and sample.indicators is None and sample.n > 1
        if (sample.labels == sample.labels[0]).all()
    }
    return [
        f"all labels of {role} are {label}: its rows are about such points alone"
        for role, label in found.items()
    ]


def _network(classifier: "Classifier", loader: Any, sample: Sample) -> Network:
    """Read the network on the inputs of the fit sample, row for row.

    An iterable is read once more, and only where the chain of layers covers the network.
    """
    from ncbounds.data.batched import is_pair
    from ncbounds.extraction.batches import as_array, batches, whole_inputs
    from ncbounds.network.reading.summarise import summarise

    module = classifier.module
    if classifier.device.type != "cpu":
        module = copy.deepcopy(module).cpu()
    first = loader[0] if is_pair(loader) else next(batches(loader, 1))[0]
    if not hasattr(first, "shape"):
        return Network(layers=(), reason="inputs by keyword or position are no single real vectors")
    if is_pair(loader):
        return summarise(module, classifier.head, _kept(as_array(first), sample))
    found = summarise(module, classifier.head, as_array(first))
    if not found.layers:
        return found
    inputs, hashes = (_kept(part, sample) for part in whole_inputs(loader))
    if sample.input_hashes is None or not np.array_equal(hashes, sample.input_hashes):
        reason = (
            "the fit loader gives other inputs, or another order, each time that it is read; pass "
            "the training inputs as they are, without augmentation and with shuffle=False"
        )
        return Network(layers=(), reason=reason)
    return summarise(module, classifier.head, inputs)


def _kept(rows: Any, sample: Sample) -> Any:
    """Of the rows that a sample was made of, those that are part of it; None stays None."""
    return rows if rows is None or sample.kept is None else rows[sample.kept]
