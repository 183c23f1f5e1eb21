"""The one road from an entry of a manifest to evidence: read, build, extract, declare."""

from pathlib import Path

from ncbounds.code_words.counted import code_word_of
from ncbounds.data.manifest import Entry, Task, entry_rows
from ncbounds.data.task import class_priors, task_arrays
from ncbounds.evaluation.facts import versions
from ncbounds.evidence.decision import MultiClass
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.roles import Role
from ncbounds.evidence.sample import Sample
from ncbounds.procedures.linear import named_procedure


def evidence_of(entry: Entry, task: Task, store: Path | None = None) -> Evidence:
    """Evidence of one checkpoint of a manifest: one forward pass per role, kept in ``store``.

    Raises
    ------
    NcboundsError
        If the checkpoint cannot be read or built, its head not be found, or its data not be read.
    """
    import torch

    from ncbounds.checkpoints.class_names import class_names
    from ncbounds.checkpoints.read import load_checkpoint
    from ncbounds.extraction.extract import extract
    from ncbounds.network.reading.summarise import summarise

    torch.set_num_threads(1)  # cores are shared out over checkpoints
    checkpoint = load_checkpoint(entry.file)
    classifier = checkpoint.build(entry.model, args=dict(entry.args))
    arrays = task_arrays(task)
    samples: dict[Role, Sample] = {}
    network = None
    chosen = entry_rows(entry, arrays.labels)
    for role, rows in chosen.items():
        samples[role] = extract(
            classifier,
            (arrays.inputs[rows], arrays.labels[rows]),
            Draw(
                role,
                # rows picked by class follow another law than the task's
                sampling="unknown" if role in entry.classes else task.sampling,
                selected_among=entry.selected_among.get(role, 1),
                label_noise=task.label_noise,
                rows=rows,
                groups=None if arrays.groups is None else arrays.groups[rows],
            ),
            store=store,
        )
        if role == "fit":
            network = summarise(classifier.module, classifier.head, arrays.inputs[rows])
    return Evidence(
        head=classifier.head,
        fit=samples.get("fit"),
        head_sample=samples.get("head"),
        holdout=samples.get("holdout"),
        unlabelled=samples.get("unlabelled"),
        test=samples.get("test"),
        network=network,
        code_word=code_word_of(entry, arrays, chosen, classifier.head.classes),
        procedure=named_procedure(entry.procedure) if entry.procedure else None,
        priors=class_priors(task, classifier.head.classes),
        decision=MultiClass(task.classes or class_names(checkpoint.hints, classifier.head.classes)),
        checkpoint=entry.name,
        provenance={
            "checkpoint_sha256": checkpoint.sha256,
            "checkpoint_format": checkpoint.format,
            "checkpoint_notes": list(checkpoint.notes),
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
