"""From a manifest's entry to evidence: read, build, extract, declare."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ncbounds.datasets import load_npz, noisy_labels, standardise
from ncbounds.errors import DataError, NcboundsError
from ncbounds.evidence import Evidence
from ncbounds.heads import named_procedure
from ncbounds.linear_head import Ints
from ncbounds.manifest import Entry, Task, entry_rows
from ncbounds.samples.roles import Role
from ncbounds.samples.sample import Sample
from ncbounds.zoo.fashion14 import fashion_mnist, install_hint

if TYPE_CHECKING:
    from ncbounds.network.compress.counted import Compressed


class Arrays(NamedTuple):
    """Data of a task, before it is split into roles.

    ``inputs`` (N, ...) float32 or integer tokens; ``labels`` (N,) with the task's noise;
    ``groups`` (N,) or None; ``classes`` the number of classes that labels are drawn from;
    ``images`` (N, height, width) the 8-bit images that inputs were made of, or None.
    """

    inputs: NDArray[Any]
    labels: Ints
    groups: Ints | None
    classes: int
    images: NDArray[np.uint8] | None


def task_arrays(task: Task) -> Arrays:
    """Inputs and noisy labels of a task, kept for the next checkpoint on the same data.

    An ``.npz`` file holds ``labels`` and either ``images`` (uint8, standardised by fixed
    constants) or ``inputs`` (taken as they are), and optionally ``groups``; a folder holds the four
    idx files of Fashion-MNIST, which are pooled and permuted.

    Raises
    ------
    DataError
        If the data cannot be read.
    """
    if not task.data.exists():
        raise DataError(f"task {task.name}: no data at {task.data}{install_hint(task.data)}")
    inputs, labels, groups, images = _read(task.data, task.data.stat().st_mtime_ns)
    classes = int(labels.max()) + 1
    noisy = noisy_labels(labels, task.label_noise, task.noise_seed, classes)
    return Arrays(inputs, noisy, groups, classes, images)


@lru_cache(maxsize=2)
def _read(
    path: Path, time_ns: int
) -> tuple[NDArray[Any], Ints, Ints | None, NDArray[np.uint8] | None]:
    if path.is_dir():
        pool, labels = fashion_mnist(path)[:2]
        return standardise(pool), labels.astype(np.int64), None, pool
    arrays = load_npz(path, ("labels",))
    if "images" not in arrays and "inputs" not in arrays:
        raise DataError(f"{path} holds {sorted(arrays)}, needed 'images' or 'inputs' and 'labels'")
    raw = None if "inputs" in arrays else arrays["images"]
    inputs = arrays["inputs"] if raw is None else standardise(raw)
    # floating-point images are standardised already
    images = raw if raw is not None and raw.dtype == np.uint8 else None
    if len(inputs) != len(arrays["labels"]):
        raise DataError(f"{path}: {len(inputs)} inputs and {len(arrays['labels'])} labels")
    return inputs, arrays["labels"].astype(np.int64), arrays.get("groups"), images


def evidence_of(entry: Entry, task: Task, store: Path | None = None) -> Evidence:
    """Evidence of one checkpoint of a manifest: one forward pass per role, kept in ``store``.

    Raises
    ------
    NcboundsError
        If the checkpoint cannot be read or built, its head not be found, or its data not be read.
    """
    import torch

    from ncbounds.checkpoints.read import load_checkpoint
    from ncbounds.network import summarise
    from ncbounds.samples.extract import extract

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
            role,
            store=store,
            # rows picked by class follow another law than the task's
            sampling="unknown" if role in entry.classes else task.sampling,
            selected_among=entry.selected_among.get(role, 1),
            label_noise=task.label_noise,
            rows=rows,
            groups=None if arrays.groups is None else arrays.groups[rows],
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
        priors=_priors(task, classifier.head.classes),
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
            "versions": _versions(),
        },
    )


def code_word_of(
    entry: Entry, arrays: Arrays, rows: Mapping[Role, Ints], classes: int
) -> "Compressed | None":
    """Decode the code word of an entry for the images of its rows; None if it names none.

    One that cannot be decoded is no error here: it carries its reason, and the checkpoint's other
    rows do not depend on it.
    """
    from ncbounds.network.compress.counted import Compressed, counted

    if entry.code_word is None:
        return None
    try:
        if arrays.images is None:
            raise DataError("a code word reads 8-bit images; the data of this task hold 'inputs'")
        images = {role: arrays.images[r] for role, r in rows.items()}
        return counted(entry.code_word.read_bytes(), images, classes, tried=entry.tried)
    except OSError as error:
        return Compressed(reason=f"code word {entry.code_word.name}: {error.strerror}")
    except NcboundsError as error:
        return Compressed(reason=f"code word {entry.code_word.name}: {error}")


def facts_of(evidence: Evidence) -> dict[str, Any]:
    """Return what tables say about a checkpoint beside its bounds; JSON-able."""
    from ncbounds.geometry import collapse
    from ncbounds.results import _plain

    samples = evidence.samples()
    # NC4 asks for the nearest of the means that the network was trained to, where there are any
    means = None if evidence.fit is None else evidence.fit.moments.mean
    metrics = {
        role: collapse(samples[role], evidence.head, means=means).to_dict("records")
        for role in ("fit", "head", "holdout")
        if role in samples
    }
    facts = {
        "n": {role: s.n for role, s in samples.items()},
        "collapse": metrics,
        "duplicates": evidence.duplicates(),
        "module_disagreements": {r: s.module_disagreements for r, s in samples.items()},
        "provenance": evidence.provenance,
    }
    plain: dict[str, Any] = _plain(facts)
    return plain


def _priors(task: Task, classes: int) -> Any:
    if isinstance(task.priors, list) and task.label_noise > 0:
        # redrawing labels uniformly mixes the prior with the uniform one
        z = task.label_noise
        return [(1 - z) * p + z / classes for p in task.priors]
    return task.priors


def _versions() -> dict[str, str]:
    import torch

    from ncbounds import __version__

    return {"ncbounds": __version__, "numpy": np.__version__, "torch": torch.__version__}
