"""A given linear head and files of features: evidence without a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Ints
from ncbounds.data.manifest import row_ids
from ncbounds.data.role_names import by_role, check_role_names
from ncbounds.data.tables import TABLES, inputs_and_labels, read_table
from ncbounds.errors import DataError, few
from ncbounds.evaluation.facts import versions
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.roles import LABELS_OPTIONAL, Role, check_repeats
from ncbounds.evidence.sample import Sample
from ncbounds.files import file_hash
from ncbounds.procedures.scikit_learn import per_class
from ncbounds.runs.files import chosen_among

#: What the last word of an array's name is, where it is the weight or the bias of a head.
WEIGHT = ("weight", "weights", "w", "coef", "coef_")
BIAS = ("bias", "b", "intercept", "intercept_")


def evidence_of_features(
    files: "Sequence[str | Path]",
    head: "str | Path",
    *,
    roles: Mapping[str, str] | None = None,
    role_names: Mapping[str, str] | None = None,
    sampling: str = "unknown",
    selected_among: "int | Mapping[str, int]" = 1,
    repeats: str | None = None,
    ignore_label: int | None = None,
    priors: Any = None,
) -> Evidence:
    """Read a linear head, and features with labels, from files.

    Parameters
    ----------
    files : sequence of paths
        npz, csv or parquet files with features (n, d) and labels (n,), which are found by their
        names. Several files are a role each, which their names say: ``holdout.npz``.
    head : path
        npz file, or any checkpoint that is read, with a weight (C, d) and perhaps a bias (C,), as
        :func:`read_head` finds them.
    roles : mapping from role to rows, optional
        Of one file, for example ``{"holdout": "0:4000", "test": "4000:8000"}`` or
        ``{"holdout": "all"}``.
    role_names : mapping from name to role, optional
        Where files have other names: ``{"val": "holdout"}``.
    sampling, selected_among, repeats, ignore_label, priors
        As for :func:`ncbounds.evaluate_files`.

    Raises
    ------
    DataError
        If a file cannot be read, or options do not go with the files.
    RoleError
        If a name is no role and mapped to none.
    InvalidSample
        If features do not fit the head.
    """
    names = check_role_names(role_names or {})
    linear, head_name = read_head(head)
    among = chosen_among(selected_among, names)
    samples: dict[Role, Sample] = {}
    for role, (features, labels, groups, rows) in _points(files, roles or {}, names).items():
        draw = Draw.of(
            role,
            sampling=sampling,
            selected_among=among.get(role, 1),
            rows=rows,
            groups=groups,
            repeats=check_repeats(repeats),
        )
        unlabelled = role in LABELS_OPTIONAL
        samples[role] = Sample.from_arrays(
            features,
            None if unlabelled else labels,
            role=draw,
            ignore_label=None if unlabelled else ignore_label,
        )
    path = Path(head)
    return Evidence.of(
        samples,
        head=linear,
        priors=priors,
        checkpoint=path.name,
        provenance={
            "checkpoint_sha256": file_hash(path),
            "head": head_name,
            "data": ", ".join(Path(f).name for f in files),
            "data_sha256": {Path(f).name: file_hash(Path(f)) for f in files},
            "versions": versions(),
        },
    )


Points = tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None, Ints | None]


def _points(
    files: "Sequence[str | Path]", roles: Mapping[str, str], names: Mapping[str, str]
) -> dict[Role, Points]:
    """Features, labels, groups and row numbers by role."""
    paths = [Path(f) for f in files]
    if not roles:
        stems = {p.stem: p for p in paths}
        if len(stems) < len(paths):
            raise DataError(f"files of one name, which says their role: {few(map(str, paths))}")
        parts = by_role(stems, names, "the list of files")
        return {role: (*_read(path), None) for role, path in parts.items()}
    if len(paths) != 1:
        raise DataError(
            f"--role names rows of one file, found {len(paths)} files, whose names say their roles "
            "(--roles val=holdout maps other names)"
        )
    features, labels, groups = _read(paths[0])
    found: dict[Role, Points] = {}
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
