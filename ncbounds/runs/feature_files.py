"""A given linear head and files of features: evidence without a network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Ints
from ncbounds.data.fields import check_decision
from ncbounds.data.manifest import row_ids
from ncbounds.data.role_names import by_role, check_role_names
from ncbounds.data.tables import TABLES, inputs_and_labels, read_table
from ncbounds.errors import DataError, few
from ncbounds.evaluation.versions import versions
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.roles import LABELS_OPTIONAL, ROLES, Role, check_repeats
from ncbounds.evidence.sample import Sample
from ncbounds.extraction.part_folder import (
    HEAD_FILE,
    about_parts,
    folders_of_parts,
    read_parts,
)
from ncbounds.files import file_hash
from ncbounds.procedures.scikit_learn import per_class
from ncbounds.runs.decisions import decision_on
from ncbounds.runs.files import chosen_among

#: What the last word of an array's name is, where it is the weight or the bias of a head.
WEIGHT = ("weight", "weights", "w", "coef", "coef_")
BIAS = ("bias", "b", "intercept", "intercept_")


def evidence_of_features(
    files: "Sequence[str | Path]",
    head: "str | Path | None" = None,
    *,
    roles: Mapping[str, str] | None = None,
    role_names: Mapping[str, str] | None = None,
    sampling: str = "unknown",
    selected_among: "int | Mapping[str, int]" = 1,
    repeats: str | None = None,
    ignore_label: int | None = None,
    priors: Any = None,
    decision: str | None = None,
    **several: Any,
) -> Evidence:
    """Read a linear head, and features with labels, from files or parts of an extraction.

    Parameters
    ----------
    files : sequence of paths
        npz, csv or parquet files with features (n, d) and labels (n,), or 0 and 1 for each of
        several labels (n, L), which are found by their names. Several files are a role each, which
        their names say: ``holdout.npz``. Or folders
        that ``ncbounds extract`` wrote: one of parts, or the one that holds it for each role.
    head : path, optional
        npz file, or any checkpoint that is read, with a weight (C, d) and perhaps a bias (C,), as
        :func:`read_head` finds them; by default the one beside parts.
    roles : mapping from role to rows, optional
        Of one file, for example ``{"holdout": "0:4000", "test": "4000:8000"}`` or
        ``{"holdout": "all"}``.
    role_names : mapping from name to role, optional
        Where files have other names: ``{"val": "holdout"}``.
    sampling, selected_among, repeats, ignore_label, priors, decision
        As for :func:`ncbounds.evaluate_files`.
    **several
        ``thresholds``, ``probability_thresholds`` or ``ranked``, as there.

    Raises
    ------
    DataError
        If a file cannot be read, or options do not go with the files.
    RoleError
        If a name is no role and mapped to none.
    StoreError
        If parts are missing or damaged.
    InvalidSample
        If features do not fit the head.
    """
    names = check_role_names(role_names or {})
    paths = [folder for f in files for folder in folders_of_parts(Path(f)) or [Path(f)]]
    path = _head_beside(paths) if head is None else Path(head)
    linear, head_name = read_head(path)
    among = chosen_among(selected_among, names)
    samples: dict[Role, Sample] = {}
    for role, found in _points(paths, roles or {}, names).items():
        draw = Draw.of(
            role,
            sampling=sampling,
            selected_among=among.get(role, 1),
            repeats=check_repeats(repeats),
        )
        if isinstance(found, Path):
            samples[role] = read_parts(found, draw, ignore_label=ignore_label)
            continue
        features, labels, groups, rows = found
        unlabelled = role in LABELS_OPTIONAL
        samples[role] = Sample.from_arrays(
            features,
            None if unlabelled else labels,
            role=replace(draw, rows=rows, groups=groups),
            ignore_label=None if unlabelled else ignore_label,
        )
    parts = {p.name: about_parts(p) for p in paths if p.is_dir()}
    return Evidence.of(
        samples,
        head=linear,
        priors=priors,
        decision=decision_on(check_decision(decision), samples, **several),
        checkpoint=_extracted(path) if head is None else path.name,
        provenance={
            "checkpoint_sha256": file_hash(path),
            "head": head_name,
            "data": ", ".join(p.name for p in paths),
            "data_sha256": {
                p.name: parts[p.name]["sha256"] if p.name in parts else file_hash(p) for p in paths
            },
            **({"extracted": parts} if parts else {}),
            "versions": versions(),
        },
    )


Points = tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None, Ints | None]


def _extracted(head: Path) -> str:
    """Name of an extraction by the head beside its parts, which lie in a folder for each role."""
    folder = head.resolve().parent
    return folder.parent.name if folder.name in ROLES else folder.name


def _head_beside(paths: Sequence[Path]) -> Path:
    """The head that all folders of parts were extracted with."""
    heads = [p / HEAD_FILE for p in paths]
    missing = [h for h in heads if not h.is_file()]
    if missing:
        raise DataError(
            f"--head FILE is needed: an npz file or a checkpoint with the weight of the head that "
            f"multiplies the features ({missing[0]} is not there, which ncbounds extract writes)"
        )
    if len({file_hash(h) for h in heads}) > 1:
        raise DataError(
            f"{few(map(str, heads))} are different heads: the parts are of different networks; "
            "name folders of one extraction"
        )
    return heads[0]


def _points(
    paths: Sequence[Path], roles: Mapping[str, str], names: Mapping[str, str]
) -> "dict[Role, Points | Path]":
    """Features, labels, groups and row numbers by role; or the folder of its parts."""
    if not roles:
        stems = {p.stem: p for p in paths}
        if len(stems) < len(paths):
            raise DataError(f"files of one name, which says their role: {few(map(str, paths))}")
        parts = by_role(stems, names, "the list of files")
        return {r: p if p.is_dir() else (*_read(p), None) for r, p in parts.items()}
    if len(paths) != 1 or paths[0].is_dir():
        raise DataError(
            f"--role names rows of one file, found {len(paths)} files, whose names say their roles "
            "(--roles val=holdout maps other names)"
        )
    features, labels, groups = _read(paths[0])
    found: dict[Role, Points | Path] = {}
    for role, text in by_role(roles, names, "--role", all_named=False).items():
        rows = row_ids(text, len(features), f"--role {role}")
        found[role] = (
            features[rows],
            None if labels is None else labels[rows],
            None if groups is None else groups[rows],
            rows,
        )
    return found


def _read(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]:
    features, labels, *groups = inputs_and_labels(path)
    return features, labels, groups[0] if groups else None


def read_head(path: "str | Path") -> tuple[LinearHead, str]:
    """Read a linear head, and what its weight is called, from a file of arrays or a checkpoint.

    The weight is the array of two axes whose name ends with ``weight`` or ``coef_``, or the only
    one; the bias ends with ``bias`` or ``intercept_``, and is zero if no array can be meant. A
    weight of one row decides between two classes: 1 where its logit is positive.

    Raises
    ------
    DataError
        If there is no such array, or several could be meant.
    InvalidSample
        If shapes do not fit.
    """
    path = Path(path)
    if path.suffix in TABLES:
        arrays = read_table(path)
    else:
        from ncbounds.checkpoints.read import load_checkpoint

        tensors = load_checkpoint(path).tensors
        arrays = {name: t.double().numpy() for name, t in tensors.items()}
    matrices = [n for n, a in arrays.items() if a.ndim == 2]
    name = _one([n for n in matrices if _is(n, WEIGHT)] or matrices, "weight", arrays, path)
    if name is None:
        raise DataError(
            f"{path} has no weight (C, d) of a head, only {_shapes(arrays)}; call it 'weight', and "
            "its bias (C,) 'bias'"
        )
    weight = np.asarray(arrays[name], dtype=np.float64)
    vectors = [n for n, a in arrays.items() if a.ndim < 2 and a.size == len(weight)]
    found = _one([n for n in vectors if _is(n, BIAS)], "bias", arrays, path)
    others = [n for n in vectors if arrays[n].dtype.kind == "f"]
    if found is None and (others or any(_is(n, BIAS) for n in arrays)):
        raise DataError(
            f"{path} has no bias of shape ({len(weight)},) by its name, and may have one: "
            f"{_shapes(arrays)}; call it 'bias', or leave in the file only what is the head's"
        )
    bias = None if found is None else np.asarray(arrays[found], dtype=np.float64).reshape(-1)
    if len(weight) == 1:
        weight, bias = per_class(weight, np.zeros(1) if bias is None else bias, 2, path.name)
    return LinearHead(weight, bias), name


def _is(name: str, words: Sequence[str]) -> bool:
    return name.lower().rpartition(".")[2] in words


def _one(
    names: Sequence[str], what: str, arrays: Mapping[str, NDArray[Any]], path: Path
) -> str | None:
    if len(names) > 1:
        raise DataError(
            f"{path} has several arrays that could be the head's {what}: {_shapes(arrays)}; leave "
            "the head's alone in the file"
        )
    return names[0] if names else None


def _shapes(arrays: Mapping[str, NDArray[Any]]) -> str:
    return few(f"{name} {a.shape}" for name, a in arrays.items()) or "nothing"
