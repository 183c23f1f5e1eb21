"""Checkpoints without a manifest: a model and data given by the user's own functions."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ncbounds.bounds.selection import select
from ncbounds.data.user import user_function
from ncbounds.errors import DataError, InvalidSample, NcboundsError
from ncbounds.evaluation.evaluate import nothing_found
from ncbounds.evaluation.facts import facts_of
from ncbounds.evaluation.plan import check_delta, listed, planned_rows
from ncbounds.evaluation.rows import bound_rows
from ncbounds.evidence.evidence import FIELD, Evidence
from ncbounds.evidence.roles import SAMPLINGS, check_role
from ncbounds.report import Failure, Report


def evaluate_files(
    paths: list[Path],
    *,
    data: str,
    model: str | None,
    sampling: str,
    bounds: str,
    delta: float,
    simultaneous: bool,
    out: Path,
    progress: Callable[[int, int, str], None],
) -> Report:
    """Evaluate checkpoint files with a data function and a model that the user named.

    The data function returns a mapping from role to a loader of ``(inputs, labels)`` batches or to
    a pair of arrays. Features are kept under ``out/store``. A checkpoint that cannot be evaluated
    is a row with its reason.

    Raises
    ------
    DataError
        If the data function does not return such a mapping, or a checkpoint does not exist.
    InvalidSample
        If delta or the sampling is none.
    """
    check_delta(delta)
    if sampling not in SAMPLINGS:
        raise InvalidSample(f"--sampling is one of {', '.join(SAMPLINGS)}, found {sampling!r}")
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist")
    samples = user_function(data)()
    if not isinstance(samples, Mapping) or not samples:
        raise DataError(
            f"{data} returned {type(samples).__name__}; needed a dict such as "
            "{'holdout': (inputs, labels), 'test': loader}"
        )
    for role in samples:
        check_role(role)
    builder: Any = user_function(model) if model and ".py:" in model else model
    chosen = select(bounds)
    planned = len(paths) * planned_rows(chosen)
    each = delta / max(planned, 1) if simultaneous else delta
    rows, failures, facts = [], [], {}
    for done, path in enumerate(paths):
        progress(done, len(paths), path.name)
        try:
            evidence = _evidence(path, builder, samples, sampling, out / "store")
            found = listed((r for b in chosen for r in bound_rows(b, evidence, each)), bounds)
            if not found:
                raise nothing_found(chosen, evidence)
            rows += found
            facts[evidence.checkpoint] = facts_of(evidence)
        except NcboundsError as error:
            failures.append(Failure(path.name, f"{type(error).__name__}: {error}"))
    progress(len(paths), len(paths), "")
    return Report(rows, failures, facts, simultaneous=simultaneous)


def _evidence(
    path: Path, model: Any, samples: Mapping[str, Any], sampling: str, store: Path
) -> Evidence:
    from ncbounds.checkpoints.read import load_checkpoint
    from ncbounds.extraction.extract import extract

    checkpoint = load_checkpoint(path)
    classifier = checkpoint.build(model)
    fields: dict[str, Any] = {
        FIELD[check_role(role)]: extract(classifier, loader, role, store=store, sampling=sampling)
        for role, loader in samples.items()
    }
    return Evidence(
        head=classifier.head,
        checkpoint=path.name,
        provenance={"checkpoint_sha256": checkpoint.sha256, "head": classifier.head_report.name},
        **fields,
    )
