"""Predictions and labels from a table or an npz file, found by the names of columns."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.data.label_columns import Columns, is_several, several
from ncbounds.data.label_sets import is_list
from ncbounds.data.manifest import row_ids
from ncbounds.data.npz import load_npz
from ncbounds.data.tables import exact_numbers
from ncbounds.data.unpacking import said
from ncbounds.errors import DataError, MissingExtra, few, shown, suggest
from ncbounds.evidence.roles import ROLES

if TYPE_CHECKING:
    import pandas as pd

#: Names of a column or an array, by what it holds; case does not matter.
NAMES: dict[str, tuple[str, ...]] = {
    "labels": ("label", "labels", "y", "y_true", "target", "targets"),
    "predicted": ("predicted", "prediction", "predictions", "pred", "preds", "y_pred"),
    "logits": ("logits", "logit", "scores", "score"),
    "probabilities": ("probabilities", "probability", "probs", "prob", "proba", "y_prob"),
    "role": ("role", "roles", "split"),
    "ids": ("id", "ids", "row_id"),
    "groups": ("group", "groups"),
}
#: Names of a column of losses.
LOSSES = ("loss", "losses")
KINDS = ("predicted", "logits", "probabilities")
SCORES = ("logits", "probabilities")
TABLES = {".csv": "read_csv", ".tsv": "read_csv", ".parquet": "read_parquet"}

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a file says of a classifier's answers.

    Attributes
    ----------
    kind : {"predicted", "logits", "probabilities", "losses"}
    outputs : array of shape (n,) or (n, C)
    labels : integer array of shape (n,), boolean of shape (n, L) for several labels, or None
        Losses need none.
    parts : dict of str to array of shape (n,)
        ``"role"``, ``"ids"`` and ``"groups"``, where they are there.
    names : tuple of str
        Names of the classes, in the order of their numbers; empty if they have none.
    said : str
        Which columns were taken for what.
    """

    kind: str
    outputs: Array
    labels: Array | None
    parts: Mapping[str, Array] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    said: str = ""

    @property
    def several(self) -> bool:
        """Whether rows may have several labels."""
        return self.labels is not None and self.labels.ndim == 2

    def by_role(
        self, words: "list[str] | None" = None, renamed: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Arguments of ``Evidence.from_predictions``, as mappings from role to rows.

        Parameters
        ----------
        words : list of str, optional
            ``"holdout"`` for all rows, or ``"holdout=0:4000"`` once for each role.
        renamed : mapping from str to role, optional
            What the words of a role column stand for.

        Raises
        ------
        DataError
            If roles are missing, said twice or unknown, or no row is left.
        """
        rows = self._rows(words or [], renamed or {})
        out: dict[str, Any] = {
            self.kind: {role: self.outputs[index] for role, index in rows.items()},
        }
        if self.labels is not None:
            out["labels"] = {role: self.labels[index] for role, index in rows.items()}
        # without names of their own, rows are called by their place: none may have two roles
        beside = {"ids": np.arange(len(self.outputs)), **self.parts}
        for name in ("ids", "groups"):
            if name in beside:
                out[name] = {role: beside[name][index] for role, index in rows.items()}
        return out

    def _rows(self, words: list[str], renamed: Mapping[str, str]) -> dict[str, Any]:
        column = self.parts.get("role")
        if words and column is not None:
            raise DataError("the file has a column of roles: leave --role out")
        if column is not None:
            return _of_column(column, renamed)
        if not words:
            raise DataError(
                "what the rows were used for is not said: --role holdout for all of them, --role "
                "holdout=0:4000 --role test=4000:8000, or a column 'role' in the file"
            )
        if renamed:
            raise DataError("--roles renames a column 'role', and the file has none: use --role")
        found: dict[str, Any] = {}
        for word in words:
            role, equals, ranges = word.partition("=")
            if role in found or (not equals and len(words) > 1):
                raise DataError(f"--role is ROLE=ROWS, once for each role; found {shown(word)}")
            n = len(self.outputs)
            found[role] = row_ids(ranges, n, f"--role {role}") if equals else np.arange(n)
        return found


def read_labels(path: "str | Path") -> tuple[Array, Array]:
    """Read ids and labels of the same rows, (n,) each, of a table or an npz file.

    Raises
    ------
    DataError
        If the file cannot be read, or has no columns ``id`` and ``label``.
    """
    path = Path(path)
    columns = _columns(path)
    found = {}
    for what in ("ids", "labels"):
        there = [c for c in columns if c.lower() in NAMES[what]]
        if len(there) != 1:
            raise DataError(f"{_found(path, columns)}; needed is one column 'id' and one 'label'")
        found[what] = columns[there[0]]
    if len(found["ids"]) != len(found["labels"]):
        raise DataError(f"{path}: ids and labels differ in length")
    if len(set(found["ids"].tolist())) < len(found["ids"]):
        raise DataError(f"{path}: an id stands more than once, so that its label is not known")
    return found["ids"], found["labels"]


def read_predictions(
    path: "str | Path",
    use: str | None = None,
    labels_of: "tuple[Array, Array] | None" = None,
    *,
    decision: str | None = None,
    count: int | None = None,
) -> Predictions:
    """Read predictions and labels of a ``.csv``, ``.tsv``, ``.parquet`` or ``.npz`` file.

    Columns (of an npz file, arrays) are found by :data:`NAMES`; logits or probabilities may also
    stand in one column for each class, named ``logit_0``, ``logit_1``, ... or by the classes.

    Rows with several labels have them as lists (in a text ``[0, 3]`` or ``['cat', 'dog']``, in all
    rows), in texts such as ``cat|dog``, or as 0 and 1 in an array (n, L) or in columns
    ``label_cat``, ``label_dog``; predictions may have each of these forms too.

    Parameters
    ----------
    path : path
    use : {"predicted", "logits", "probabilities"}, optional
        Which of them to take where a file has several.
    labels_of : pair of arrays, optional
        Ids and labels as :func:`read_labels` gives them, for a file that has ids and no labels.
    decision : {"multi-class", "multi-label"}, optional
        How many labels a row has; by default the form of the labels says it.
    count : int, optional
        How many labels there are, where rows have several and nothing else says it.

    Raises
    ------
    DataError
        If the file cannot be read, or what is needed is missing or there twice; the message lists
        what was found.
    MissingExtra
        If pandas needs another package for such a file.
    """
    path = Path(path)
    columns = _columns(path)
    taken: dict[str, str] = {}
    for what, known in NAMES.items():
        there = [c for c in columns if c.lower() in known]
        if len(there) > 1:
            raise DataError(f"{path}: {few(there)} could all be {what}; keep one of them")
        if there:
            taken[what] = there[0]
    if "labels" not in taken and labels_of is not None and "ids" in taken:
        columns["label"] = _looked_up(path, columns[taken["ids"]], *labels_of)
        taken["labels"] = "label"
    own = _wide(columns, {*taken.values()}, ("labels",)) if "labels" not in taken else {}
    if "labels" not in {*taken, *own}:
        raise DataError(f"{_found(path, columns)}; needed is a column 'label'")
    labels = _columns_of("labels", columns, taken, own)
    sets = is_several(labels, decision, str(path))
    kinds = (*SCORES, "predicted") if sets else SCORES
    wide = _wide(columns, {*taken.values(), *own.get("labels", ((), []))[1]}, kinds, rest=True)
    for kind in {*taken} & {*wide}:
        raise DataError(
            f"{path}: {few([taken[kind], *wide[kind][1]])} could all be {kind}; keep a column for "
            "each class, or the one alone"
        )
    options = [k for k in KINDS if k in taken or k in wide] or (["classes"] if wide else [])
    kind = _choice(path, columns, options, use)
    outputs = _columns_of(kind, columns, taken, wide)
    for c, array in zip(wide[kind][1] if kind in wide else (), outputs.arrays, strict=False):
        _floats(path, c, array)
    if sets:
        scored, answers, names = several(
            "logits" if kind == "classes" else kind, outputs, labels, count, str(path)
        )
    else:
        scored = outputs.arrays[0] if kind in taken else np.column_stack(outputs.arrays)
        scored, answers, names = _numbered(path, kind, scored, labels.arrays[0], outputs.names)
    kind = "logits" if kind == "classes" else kind
    beside_them: tuple[str, ...] = ("role", "ids", "groups")
    parts = {what: columns[taken[what]] for what in beside_them if what in taken}
    beside = "".join(f", {what}: {shown(taken[what])}" for what in parts)
    said_all = f"labels: {shown(labels.called)}, {kind}: {outputs.called}{beside}"
    lengths = {len(answers), len(scored), *map(len, parts.values())}
    if len(lengths) > 1:
        raise DataError(f"{path}: labels, {kind} and what stands beside differ in length")
    return Predictions(kind, scored, answers, parts, names, said_all)


def _columns_of(
    what: str,
    columns: Mapping[str, Array],
    taken: Mapping[str, str],
    wide: Mapping[str, tuple[tuple[str, ...], list[str]]],
) -> Columns:
    """Columns that hold one thing, and what they are called."""
    if what in taken:
        return Columns(taken[what], [columns[taken[what]]])
    names, members = wide[what]
    called = f"{len(members)} columns {few(members)}"
    return Columns(called, [columns[c] for c in members], names)


def _looked_up(path: Path, wanted: Array, ids: Array, labels: Array) -> Array:
    """Labels of the rows ``wanted``."""
    known = dict(zip(map(str, ids.tolist()), labels.tolist(), strict=True))
    names = [str(x) for x in wanted.tolist()]
    if missing := [name for name in names if name not in known]:
        raise DataError(f"{path}: {len(missing)} rows have no label, such as {shown(missing[0])}")
    found = [known[name] for name in names]
    if any(map(is_list, found)) and labels.ndim == 1:  # of any lengths
        return np.fromiter(found, dtype=object, count=len(found))
    return np.array(found)


def read_losses(path: "str | Path", column: str | None = None) -> Predictions:
    """Read a column of losses of a ``.csv``, ``.tsv``, ``.parquet`` or ``.npz`` file.

    Parameters
    ----------
    path : path
    column : str, optional
        Its name; ``loss`` or ``losses`` unless given.

    Raises
    ------
    DataError
        If the file cannot be read or has no such column; the message lists what was found.
    MissingExtra
        If pandas needs another package for such a file.
    """
    path = Path(path)
    columns = _columns(path)
    wanted = LOSSES if column is None else (column.lower(),)
    there = [c for c in columns if c.lower() in wanted]
    if len(there) != 1:
        ask = "a column 'loss', or its name, as in --column brier"
        needed = ask if column is None else f"one column called {shown(column)}"
        raise DataError(f"{_found(path, columns)}; needed is {needed}")
    taken = {
        what: c
        for what in ("labels", "role", "ids", "groups")
        for c in columns
        if c.lower() in NAMES[what] and c not in there
    }
    parts = {what: columns[c] for what, c in taken.items() if what != "labels"}
    labels = columns[taken["labels"]] if "labels" in taken else None
    if labels is not None and labels.dtype.kind not in "iub":
        labels = np.unique(labels.astype(str), return_inverse=True)[1]
    outputs = columns[there[0]]
    if len({len(outputs), *map(len, columns.values())}) > 1:
        raise DataError(f"{path}: losses and what stands beside differ in length")
    said_all = ", ".join([f"losses: {shown(there[0])}", *(f"{w}: {c}" for w, c in taken.items())])
    return Predictions("losses", outputs, labels, parts, (), said_all)


def _columns(path: Path) -> dict[str, Array]:
    suffix = path.suffix.lower()
    columns = load_npz(path, ()) if suffix == ".npz" else _table_columns(path, suffix)
    if not any(np.size(column) for column in columns.values()):
        raise DataError(f"{path} holds no rows")
    return columns


def _table_columns(path: Path, suffix: str) -> dict[str, Array]:
    if suffix not in TABLES:
        raise DataError(
            f"{path} is no table of predictions by its name; needed is .csv, .tsv, .parquet or .npz"
        )
    frame = read_frame(path, **exact_numbers())
    return {str(name): frame[name].to_numpy() for name in frame.columns}


def read_frame(path: Path, **of_text: Any) -> "pd.DataFrame":
    """Read a file of one of :data:`TABLES`; ``of_text`` says how pandas reads one that is text.

    Raises
    ------
    DataError
        If it is not there or damaged.
    MissingExtra
        If pandas needs another package for such a file.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist" if not path.exists() else f"{path} is no file")
    import pandas as pd

    suffix = path.suffix.lower()
    more = {} if suffix == ".parquet" else of_text
    more |= {"sep": "\t"} if suffix == ".tsv" else {}
    try:
        found: pd.DataFrame = getattr(pd, TABLES[suffix])(path, **more)
    except ImportError as error:
        raise MissingExtra(
            f"{path}: pandas reads it with another package: pip install pyarrow, or save it as .csv"
        ) from error
    except Exception as error:  # whatever a damaged table makes pandas raise
        raise DataError(f"{path} cannot be read as {suffix[1:]}: {said(error)}") from error
    return found


def _found(path: Path, columns: Mapping[str, Array]) -> str:
    listed = [f"{shown(name)} {np.shape(value)}" for name, value in columns.items()]
    return f"{path} holds {few(listed) or 'nothing'}"


def _choice(path: Path, columns: Mapping[str, Array], options: list[str], use: str | None) -> str:
    if use is not None and use not in KINDS:
        raise DataError(f"--use is one of {', '.join(KINDS)}; found {shown(use)}")
    if use is not None and use not in options:
        raise DataError(f"{_found(path, columns)}; there are no {use}")
    if use is not None or len(options) == 1:
        return use or options[0]
    if options:
        raise DataError(
            f"{_found(path, columns)}; {' and '.join(options)} may disagree: say which the "
            f"classifier answers by, as in --use {options[0]}"
        )
    raise DataError(
        f"{_found(path, columns)}; needed is a column 'predicted', arrays 'logits' or "
        "'probabilities' of shape (n, C), or one column of scores for each class"
    )


def _wide(
    columns: Mapping[str, Array], taken: set[str], kinds: tuple[str, ...], rest: bool = False
) -> dict[str, tuple[tuple[str, ...], list[str]]]:
    """Names of classes and their columns, for what stands in one column a class.

    With ``rest`` numbers in columns of other names are scores of the classes that these name, where
    there are no others.
    """
    own_index = re.compile(r"Unnamed: \d+|__index_level_\d+__|index")  # of a saved frame
    left = [
        c
        for c in columns
        if c not in taken and np.ndim(columns[c]) == 1 and not own_index.fullmatch(c)
    ]
    found: dict[str, dict[str, str]] = {}
    for c in left:
        kind, name = _of_class(c)
        if kind in kinds:
            found.setdefault(kind, {})[name] = c
    out = {kind: _ordered(members) for kind, members in found.items() if len(members) > 1}
    plain = {c: c for c in left if columns[c].dtype.kind in "fiu"}
    if rest and not out and len(plain) > 1:
        out["classes"] = _ordered(plain)
    return out


def _of_class(column: str) -> tuple[str, str]:
    """What a column such as ``logit_cat`` holds, and of which class; the longest word counts."""
    words = [(word, kind) for kind in ("labels", *KINDS) for word in NAMES[kind]]
    for word, kind in sorted(words, key=lambda pair: -len(pair[0])):
        if match := re.fullmatch(rf"{word}[_.\- ](.+)", column, re.IGNORECASE):
            return kind, match[1]
    return "", column


def _ordered(found: Mapping[str, str]) -> tuple[tuple[str, ...], list[str]]:
    """Columns by the numbers of the classes if these are numbered, else in their order."""
    names = list(found)
    if sorted(names) == sorted(map(str, range(len(names)))):
        names.sort(key=int)
        return (), [found[name] for name in names]
    return tuple(names), [found[name] for name in names]


def _floats(path: Path, name: str, values: Array) -> Array:
    if values.dtype.kind not in "fiub":
        raise DataError(f"{path}: the column {shown(name)} needs numbers, found {values.dtype}")
    return values


def _numbered(
    path: Path, kind: str, outputs: Array, labels: Array, names: tuple[str, ...]
) -> tuple[Array, Array, tuple[str, ...]]:
    """Put numbers in place of names of classes, the same for labels and predictions."""
    texts = labels.dtype.kind not in "iubf"
    if kind == "predicted" and texts != (outputs.dtype.kind not in "iubf"):
        raise DataError(
            f"{path}: labels are {labels.dtype}, predictions {outputs.dtype}; needed are class "
            "numbers, or names, in both"
        )
    if not texts and names:
        raise DataError(
            f"{path}: labels are class numbers, and which number each of the columns "
            f"{few(names)} has is not said: call them logit_0, logit_1, ..., or let the labels be "
            "these names"
        )
    if not texts:
        return outputs, labels, names
    written = [_text(path, x) for x in labels]
    answers = [_text(path, x) for x in outputs] if kind == "predicted" else []
    if kind != "predicted" and not names:
        raise DataError(
            f"{path}: labels are names such as {shown(written[0] if written else '')}, and the "
            f"{kind} do not say whose they are; needed are class numbers, or columns called by "
            "the classes"
        )
    names = names or tuple(sorted({*written, *answers}))
    number = {name: i for i, name in enumerate(names)}
    if unknown := sorted({*written} - {*names}):
        raise DataError(
            f"{path}: no column is called {shown(unknown[0])}, as a label is; "
            f"{suggest(unknown[0], list(names))}"
        )
    if kind == "predicted":
        outputs = np.array([number[x] for x in answers], dtype=np.int64)
    return outputs, np.array([number[x] for x in written], dtype=np.int64), names


def _text(path: Path, value: Any) -> str:
    if not isinstance(value, str | int | np.integer):
        raise DataError(
            f"{path}: a class is called {shown(repr(value))}; needed are names or numbers, one in "
            "every row"
        )
    return str(value)


def _of_column(column: Array, renamed: Mapping[str, str]) -> dict[str, Any]:
    words = np.array([str(x) for x in column.tolist()])
    found: dict[str, Any] = {}
    present = sorted(set(words.tolist()))
    for word in [*renamed, *renamed.values()]:
        if word in renamed and word not in present:
            raise DataError(f"--roles: no row has the role {shown(word)}; {suggest(word, present)}")
    unknown = [w for w in present if renamed.get(w, w) not in ROLES]
    if unknown:
        raise DataError(
            f"a row has the role {shown(unknown[0])}; roles are {', '.join(ROLES)}: say what it "
            f"stands for, as in --roles {shown(unknown[0])}=holdout"
        )
    for word in present:
        role = renamed.get(word, word)
        if role in found:
            raise DataError(f"--roles: two roles of the file would be {role}; rename one")
        found[role] = np.flatnonzero(words == word)
    return found
