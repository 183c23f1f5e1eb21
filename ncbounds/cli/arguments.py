"""Options that several commands take, and how what is typed in them is read."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncbounds.errors import NcboundsError

if TYPE_CHECKING:
    from ncbounds.extraction.running import Running

#: Declarations that a zoo.toml makes itself, by the parameters of commands that take them.
DECLARED = (
    *("data_args", "transform", "role", "roles", "sampling", "selected_among", "best_of"),
    *("repeats", "ignore_label", "priors", "loss", "name", "decision"),
)
#: Headings that options stand under in ``--help``.
NETWORK, DATA, RUNNING = "Network", "Data", "Running"

Out = Annotated[Path | None, typer.Option(help="run folder (default: the user cache folder)")]
Bounds = Annotated[str, typer.Option(help="default, all, a family, or ids separated by commas")]
Delta = Annotated[float, typer.Option(help="probability with which a row may fail")]
Simultaneous = Annotated[bool, typer.Option("--simultaneous", help="divide delta over all rows")]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="print one table and nothing else, as text, markdown, latex, html, csv or jsonl; what "
        "is said beside it goes to standard error",
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", help="also show the head, output, device and seconds of each checkpoint"
    ),
]
Spec = Annotated[
    str | None,
    typer.Option(
        help="registered name, FILE.py:FUNCTION or package.module:FUNCTION", rich_help_panel=NETWORK
    ),
]
Arguments = Annotated[
    str,
    typer.Option(
        help="of the model: width=128,depth=2 or '{\"width\": 128}'", rich_help_panel=NETWORK
    ),
]
Claims = Annotated[
    list[str] | None,
    typer.Option(
        "--claim",
        help="ask for more than the error, fixed beforehand: balanced,worst,groups,top-5,"
        "answered:0.9, a group of classes rare=7+8, or weights; of several labels "
        "hamming,one-error,ranking,precision@3,misses:cat,false-alarms:cat",
        rich_help_panel=DATA,
    ),
]
Repeats = Annotated[
    str | None,
    typer.Option(
        help="why points repeat: 'by chance' (the law has atoms) or copies (count once)",
        rich_help_panel=DATA,
    ),
]
Sampling = Annotated[
    str,
    typer.Option(
        help="how the points were drawn: iid, stratified or unknown", rich_help_panel=DATA
    ),
]
IgnoreLabel = Annotated[
    int | None, typer.Option(help="label of rows to leave out, such as 255", rich_help_panel=DATA)
]
Priors = Annotated[
    str | None,
    typer.Option(help="balanced, or class probabilities 0.5,0.3,0.2", rich_help_panel=DATA),
]
#: What is declared of checkpoint files and their data, where no zoo.toml says it.
DataArgs = Annotated[
    str,
    typer.Option(help="of the data function: root=data,size=32 or JSON", rich_help_panel=DATA),
]
Transform = Annotated[
    str | None,
    typer.Option(
        help="with a folder of images: FILE.py:FUNCTION from an RGB PIL image to a tensor",
        rich_help_panel=DATA,
    ),
]
Rows = Annotated[
    list[str] | None,
    typer.Option(
        help="rows of a role, such as holdout=0:4000, in a file; a role alone: what data that "
        "are one sample were used for; repeatable",
        rich_help_panel=DATA,
    ),
]
Roles = Annotated[
    str | None,
    typer.Option(
        help="roles of parts that have other names: train=fit,val=holdout", rich_help_panel=DATA
    ),
]
DeclaredSampling = Annotated[
    str | None,
    typer.Option(help="with --data: iid, stratified or unknown (default)", rich_help_panel=DATA),
]
SelectedAmong = Annotated[
    list[str] | None,
    typer.Option(
        help="with --data: how many checkpoints could have been picked by comparing them, a "
        "list fixed before; a number, or ROLE=NUMBER for the sample that they were compared on",
        rich_help_panel=DATA,
    ),
]
BestOf = Annotated[
    int | None,
    typer.Option(
        help="with --data: these are the best, on the holdout sample, of so many checkpoints "
        "(in place of --selected-among holdout=NUMBER; beside it the two are multiplied)",
        rich_help_panel=DATA,
    ),
]
DeclaredIgnoreLabel = Annotated[
    int | None,
    typer.Option(help="with --data: label of rows to leave out, such as 255", rich_help_panel=DATA),
]
#: What is said of rows that may have several labels.
DECISION_HELP = "multi-class (one label a row) or multi-label (default: the labels' shape says it)"
Decision = Annotated[str | None, typer.Option(help=DECISION_HELP, rich_help_panel=DATA)]
DeclaredDecision = Annotated[
    str | None, typer.Option(help=f"with --data: {DECISION_HELP}", rich_help_panel=DATA)
]
Threshold = Annotated[
    str | None,
    typer.Option(
        help="of several labels: the logit that a label is given above, fixed before (default 0), "
        "or one for each label with commas between",
        rich_help_panel=DATA,
    ),
]
ProbabilityThreshold = Annotated[
    str | None, typer.Option(help="the same in probability, as in 0.3", rich_help_panel=DATA)
]
Ranked = Annotated[
    bool,
    typer.Option(
        "--ranked",
        help="of several labels: logits only rank them (pick-all-label, softmax); no thresholds",
        rich_help_panel=DATA,
    ),
]
#: What is said of tables of predictions or losses.
TableRole = Annotated[
    list[str] | None,
    typer.Option(
        help="what the rows were used for: holdout for all of them, or holdout=0:4000, "
        "repeatable; not needed with a column 'role'",
        rich_help_panel=DATA,
    ),
]
TableRoles = Annotated[
    str | None,
    typer.Option(
        help="what words of the column 'role' mean: train=fit,val=holdout", rich_help_panel=DATA
    ),
]
Use = Annotated[
    str | None,
    typer.Option(
        help="where a table has several: predicted, logits or probabilities", rich_help_panel=DATA
    ),
]
TableClasses = Annotated[
    int | None,
    typer.Option(
        help="of tables: how many classes, or labels, there are, of which predicted ones may lack "
        "some",
        rich_help_panel=DATA,
    ),
]
TableThreshold = Annotated[
    str | None,
    typer.Option(
        help="of one number per row, or of several labels (one, or one for each with commas "
        "between); default: 0 for logits, 0.5 for probabilities",
        rich_help_panel=DATA,
    ),
]
Names = Annotated[
    list[str] | None, typer.Option(help="of each table or checkpoint, in order; repeatable")
]
ZooFile = Annotated[Path | None, typer.Option(help="zoo.toml that describes them")]
#: What is meant where a file leaves a choice.
Key = Annotated[
    str | None,
    typer.Option(
        help="where the weights stand: an entry, a prefix like model., or several entries that are "
        "joined, backbone=model,classifier=head",
        rich_help_panel=NETWORK,
    ),
]
Averaged = Annotated[
    bool | None,
    typer.Option(
        "--ema/--raw", help="averaged weights, or those of the optimizer", rich_help_panel=NETWORK
    ),
]
Head = Annotated[
    str | None, typer.Option(help="name of the layer that is the head", rich_help_panel=NETWORK)
]
Output = Annotated[
    str | None,
    typer.Option(help="name or index of the logits among several outputs", rich_help_panel=NETWORK),
]


Parts = Annotated[
    list[Path] | None,
    typer.Option(
        "--part",
        help="another file of the network: its head, or an adapter's base",
        rich_help_panel=NETWORK,
    ),
]


#: How networks are run.
Device = Annotated[
    str,
    typer.Option(
        help="auto (cuda where it is available, else cpu), cpu, cuda, cuda:1 or mps",
        rich_help_panel=RUNNING,
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        help="fp32, bf16, fp16 (default: of the weights; another evaluates another network)",
        rich_help_panel=RUNNING,
    ),
]
BatchSize = Annotated[
    str | None,
    typer.Option(
        help="rows of a forward pass at most, or auto: halved where memory runs out",
        rich_help_panel=RUNNING,
    ),
]
LoaderWorkers = Annotated[
    int | None,
    typer.Option(
        help="processes that read a DataLoader (default: as it says)", rich_help_panel=RUNNING
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        help="only the first rows of each role: a look, all rows plug-ins", rich_help_panel=RUNNING
    ),
]

Trust = Annotated[bool, typer.Option("--trust", help="run the code that the zoo.toml names")]


Store = Annotated[
    str | None,
    typer.Option(
        help="float16: half the disk, and its rounding is paid for", rich_help_panel=RUNNING
    ),
]


def running(
    device: str,
    precision: str | None,
    batch_size: str | None,
    workers_per_loader: int | None,
    limit: int | None,
    store: str | None,
) -> "Running":
    """How networks are run, as it was typed, with a device in place of ``auto``."""
    from ncbounds.extraction.running import Running

    rows: int | str | None = batch_size
    if batch_size is not None and batch_size.isdecimal():
        rows = int(batch_size)
    return Running(device, precision, rows, workers_per_loader, limit, store).resolved()


def choice(
    key: str | None,
    ema: bool | None,
    head: str | None = None,
    output: str | None = None,
    parts: list[Path] | None = None,
) -> dict[str, Any]:
    """What was typed of ``--key``, ``--ema/--raw``, ``--head``, ..., by field."""
    weights = None if ema is None else "ema" if ema else "raw"
    files = tuple(part.resolve() for part in parts or ()) or None
    typed = {"key": key, "weights": weights, "head": head, "output": output, "parts": files}
    return {name: value for name, value in typed.items() if value is not None}


def label_choice(
    threshold: str | None, probability_threshold: str | None, ranked: bool
) -> dict[str, Any]:
    """What was typed of ``--threshold``, ``--probability-threshold`` and ``--ranked``, by field."""
    typed = {"thresholds": threshold, "probability_thresholds": probability_threshold}
    found: dict[str, Any] = {k: _thresholds(v, k) for k, v in typed.items() if v is not None}
    if len(found) + ranked > 1:
        raise NcboundsError(
            "--threshold, --probability-threshold and --ranked say different things: type one"
        )
    return found | ({"ranked": True} if ranked else {})


def _thresholds(text: str, field: str) -> Any:
    """One threshold, or one for each label."""
    option = "--threshold" if field == "thresholds" else "--probability-threshold"
    try:
        numbers = tuple(float(word) for word in text.split(","))
    except ValueError:
        numbers = (nan,)
    inside = field == "thresholds" or all(0 < t < 1 for t in numbers)
    if not all(map(isfinite, numbers)) or not inside:
        of = "a number" if field == "thresholds" else "a probability between 0 and 1"
        raise NcboundsError(
            f"{option} is {of}, or one for each label with commas between; found {text!r}"
        )
    return numbers[0] if len(numbers) == 1 else numbers


#: What is no word among values that are typed, as in JSON and in Python.
CONSTANTS = {"true": True, "false": False, "null": None}
CONSTANTS |= {"True": True, "False": False, "None": None}
#: What may stand without quotes: ``gelu``, ``resnet18.a1_in1k``, ``data/train``.
WORD = re.compile(r"[A-Za-z_][\w./-]*")


def model_arguments(text: str, option: str = "--args") -> dict[str, Any]:
    """Arguments written as JSON, or as ``name=value`` with commas between them."""
    try:
        if text.lstrip()[:1] in ("", "{"):
            found = json.loads(text or "{}")
        else:
            pairs = [pair.partition("=") for pair in text.split(",")]
            found = {name.strip(): _value(value.strip()) for name, _, value in pairs}
        if "" in found or any(isinstance(value, dict) for value in found.values()):
            raise ValueError
    except ValueError:
        raise NcboundsError(
            f"{option} is width=128,depth=2 or JSON such as '{{\"width\": 128}}' (where words "
            f"stand in double quotes), found {text!r}"
        ) from None
    return dict(found)


def _value(text: str) -> Any:
    """A value as in JSON or in Python; a plain word stands for itself."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    return text if WORD.fullmatch(text) else json.loads(text)


def by_role(option: str, words: Iterable[str], read: Callable[[str], Any]) -> dict[str, Any]:
    """Values given as ``ROLE=VALUE``, once for each role."""
    found: dict[str, Any] = {}
    for word in words:
        role, equals, value = word.partition("=")
        try:
            if not equals or role in found:
                raise ValueError
            found[role] = read(value)
        except ValueError:
            raise NcboundsError(
                f"{option} is ROLE=VALUE, once for each role; found {word!r}"
            ) from None
    return found


def role_rows(words: Iterable[str]) -> dict[str, str]:
    """Read ``--role``: ``ROLE=ROWS``, or a role alone for all rows."""
    from ncbounds.data.manifest import ALL_ROWS

    return by_role("--role", [w if "=" in w else f"{w}={ALL_ROWS}" for w in words], str)


def role_names(text: str) -> dict[str, str]:
    """Read ``--roles``: which role each part has, ``NAME=ROLE`` with commas between them."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    names = {name.strip(): role.strip() for name, _, role in pairs}
    if len(names) < len(pairs) or not all(names) or not all(names.values()):
        raise NcboundsError(
            f"--roles is NAME=ROLE with commas between them, as in train=fit,val=holdout; found "
            f"{text!r}"
        )
    return names


def candidates(words: list[str]) -> Any:
    """Read ``--selected-among``: one number, or ``ROLE=NUMBER`` for each role."""
    if len(words) == 1 and words[0].strip().isdecimal():
        return int(words[0])
    return by_role("--selected-among", words, int) or 1


def declarations(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of :func:`ncbounds.evaluate_files` for declarations by their option, as typed."""
    among = candidates(typed.get("--selected-among", []))
    return {
        "data_args": model_arguments(typed.get("--data-args", ""), "--data-args"),
        "transform": typed.get("--transform"),
        "roles": role_rows(typed.get("--role", [])),
        "role_names": role_names(typed["--roles"]) if "--roles" in typed else {},
        "sampling": typed.get("--sampling", "unknown"),
        "selected_among": best_among(among, chosen_of(typed.get("--best-of", 1))),
        "repeats": typed.get("--repeats"),
        "ignore_label": typed.get("--ignore-label"),
        "priors": class_priors(typed.get("--priors")),
        "loss": typed.get("--loss"),
        "names": typed.get("--name"),
        "decision": typed.get("--decision"),
    }


def declared(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Declarations that were typed, by their option, among the parameters of a command."""
    typed = {f"--{name.replace('_', '-')}": parameters.get(name) for name in DECLARED}
    return {option: value for option, value in typed.items() if value not in (None, [], "")}


def refuse_trust(trust: bool) -> None:
    """Raise where there is no zoo.toml that ``--trust`` could be about."""
    if trust:
        raise NcboundsError("--trust goes with a zoo.toml; code that is typed is trusted already")


def chosen_of(best_of: int) -> int:
    """Check ``--best-of``: how many there were, of which the best was kept."""
    if best_of < 1:
        raise NcboundsError(
            f"--best-of counts all of which one was kept, from 1 on; found {best_of}"
        )
    return best_of


def best_among(selected_among: Any, best_of: int) -> Any:
    """Candidates of each role, where the checkpoints are also the best of some on holdout."""
    if best_of == 1:
        return selected_among
    from ncbounds.runs.files import CHOSEN_ON

    each = selected_among
    if not isinstance(each, dict):
        each = dict.fromkeys(CHOSEN_ON, selected_among)
    return {**each, "holdout": each.get("holdout", 1) * best_of}


def of_each_role(among: Any) -> Any:
    """Candidates of every role: one of those that are not named."""
    from ncbounds.evidence.roles import ROLES

    return dict.fromkeys(ROLES, 1) | among if isinstance(among, dict) else among


def class_priors(text: str | None) -> Any:
    """Read ``--priors``: ``balanced``, or one probability for each class with commas between."""
    if text is None or text == "balanced":
        return text
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise NcboundsError(
            f"--priors is balanced, or one probability for each class as in 0.5,0.3,0.2; "
            f"found {text!r}"
        ) from None


def architecture(
    checkpoint: Path, model: str | None, args: str, manifest: Path | None = None
) -> tuple[Any, dict[str, Any]]:
    """Model and arguments as given, else of the manifest; what is missing the file may name."""
    from ncbounds.data.user import is_code, user_function

    given = model_arguments(args)
    if model is not None:
        return user_function(model) if is_code(model) else model, given
    name, found = _manifest_model(checkpoint, manifest)
    return name, found | given


def _manifest_model(checkpoint: Path, manifest: Path | None) -> tuple[Any, dict[str, Any]]:
    """Model and arguments of a checkpoint that a manifest (given, or in its folder) describes."""
    from ncbounds.data.manifest import load_manifest

    path = manifest or checkpoint.resolve().parent / "zoo.toml"
    if manifest is None and not path.exists():
        return None, {}
    for entry in load_manifest(path).checkpoints.values():
        if entry.file == checkpoint.resolve():
            return entry.model, dict(entry.args)
    return None, {}
