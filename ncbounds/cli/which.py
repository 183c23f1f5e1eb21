"""``ncbounds which``."""

import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from shutil import get_terminal_size
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from ncbounds.cli.console import echo, user_errors
from ncbounds.errors import NcboundsError

if TYPE_CHECKING:
    from ncbounds.bounds.which import Answer, Form

#: Columns of a line at most, and a space that no line is broken at.
WIDTH, _TOGETHER = 110, "\xa0"
#: What a bound of means is about where rows may have several labels.
MEANS = "means of losses, such as the share of labels that are wrong (--claim asks for others)"
#: What follows every answer: declarations are the user's, and they decide.
DECLARATIONS = (
    "What a row is worth is computed when it is run; this is the most that it can be.",
    "--sampling iid is your declaration that the rows were drawn independently (stratified: class "
    "by class); without it no row is a certificate.",
    "Rows by which the checkpoint was picked among N, from a list fixed before: add "
    "--selected-among N. Rows of an adaptive search or of early stopping are not held out.",
)


def which(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="your files, to stand in the command: checkpoints, features, a table"),
    ] = None,
    have: Annotated[
        list[str] | None,
        typer.Option(
            help="what you have, repeatable: checkpoint (if nothing is said), features, "
            "predictions or losses; several-labels if a row may have more than one; and holdout, "
            "frozen, train, unlabelled, rule, code-word, new-classes. Without it you are asked"
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="of the command: FILE.py:FUNCTION")] = "net.py:build",
    data: Annotated[str, typer.Option(help="of the command: FILE.py:FUNCTION")] = "data.py:load",
) -> None:
    """Ask what you have, and answer with the rows that it allows and the command that runs them."""
    with user_errors():
        from ncbounds.bounds.which import which as answer

        try:
            found = answer(have or _asked())
        except typer.Abort:  # at a question
            raise KeyboardInterrupt from None
        lines = [*_said(found), "", *_typed(found, paths or [], model, data)]
        for line in lines:  # a terminal folds a long command, and copies it whole
            echo(line)


def _asked() -> list[str]:
    """Ask for the form and the things that matter with it.

    Raises
    ------
    NcboundsError
        Where nobody can answer.
    """
    from ncbounds.bounds.which import FORMS, SEVERAL_LABELS, asked, with_several_labels

    if not _answers():
        words = ", ".join(f"--have {f.word}" for f in FORMS)
        more = ", ".join(f"--have {t.word}" for t in asked(FORMS[0]))
        raise NcboundsError(
            f"nobody is there to be asked; say it with flags: {words} (one of them), and {more}; "
            f"--have {SEVERAL_LABELS} where a row may have more than one; for example `ncbounds "
            "which --have holdout --have train`"
        )
    for f in FORMS:
        typer.echo(f"  {f.word:<12} {f.said}")
    word = _choose("What is there of the classifier?", [f.word for f in FORMS])
    form: Form = next(f for f in FORMS if f.word == word)
    labels = []
    if not form.losses and typer.confirm("May a row have several labels at once?", default=False):
        form, labels = with_several_labels(form), [SEVERAL_LABELS]
    typer.echo("Which of these are there beside it?")
    things = [
        t.word for t in asked(form) if typer.confirm(f"  {t.said}?", default=t.word == "holdout")
    ]
    return [form.word, *labels, *things]


def _answers() -> bool:
    """Whether somebody sits at the keyboard."""
    return sys.stdin.isatty()


def _choose(question: str, words: Sequence[str]) -> str:
    while True:
        word: str = typer.prompt(question, default=words[0])
        if word in words:
            return word
        typer.echo(f"one of {', '.join(words)}")


def _said(found: "Answer") -> Iterator[str]:
    """What is guaranteed, if what, and what would add to it."""
    from ncbounds.bounds.explain import WHOSE, when_vacuous
    from ncbounds.results import MARK

    words = "; ".join(t.said for t in found.things) or "nothing else"
    yield from _wrapped(f"You have {found.form.said}; {words}.")
    if found.form.several:
        yield from _wrapped(
            "A row may have several labels: it is an error if any of them is wrong (with --ranked, "
            "if the top one is)."
        )
    titles = {
        "certificate": "Guaranteed with probability 1 - delta, over rows drawn as declared:",
        "conditional": "Guaranteed if its assumption holds, too:",
    }
    for kind, title in titles.items():
        rows = [r.bound for r in found.guarantees if r.kind == kind]
        if not rows:
            continue
        yield from ("", title)
        for b in rows:
            whose = WHOSE.get(b.target, b.target)
            if "means" in b.answers:
                whose = MEANS if found.form.several else "the mean of the losses"
            yield f"  {MARK[b.kind]} {b.id}: {whose}"
            for assumption in b.assumptions:
                yield from _wrapped(f"assumes: {assumption}", 6)
            vacuous = re.split(r"[.;] ", when_vacuous(b))[0].rstrip(".")
            yield from _wrapped(f"vacuous: {vacuous}", 6)
    if not found.guarantees:
        yield from ("", "No guarantee can be had with that.")
    if found.others:
        ids = ", ".join(f"{MARK[r.kind]}{_TOGETHER}{r.bound.id}" for r in found.others)
        yield ""
        yield from _wrapped(f"Estimates and measures, no guarantee: {ids}", 2)
    if found.more:
        yield from ("", "What else would be guaranteed with one more thing (--have):")
        for t, bounds in found.more:
            yield from _wrapped(f"{t.word}, {t.said}: {', '.join(b.id for b in bounds)}", 2)


def _wrapped(text: str, indent: int = 0) -> list[str]:
    blank, width = " " * indent, min(WIDTH, get_terminal_size((WIDTH, 0)).columns)
    lines = wrap(text, width, initial_indent=blank, subsequent_indent=f"{blank}  ")
    return [line.replace(_TOGETHER, " ") for line in lines]


def _typed(found: "Answer", paths: list[str], model: str, data: str) -> list[str]:
    """Commands, and what they need to be told."""
    if not found.guarantees:
        return ["`ncbounds list` shows all rows, and `ncbounds explain ID` what each one means."]
    commands = _COMMANDS[found.form.word](found, paths, model, data)
    return [
        "Type:",
        *(f"  {c}" for c in commands),
        "",
        *(line for text in DECLARATIONS for line in _wrapped(text)),
        "`ncbounds explain ID` says what a row means and what it is confused with.",
    ]


def _checkpoint(found: "Answer", paths: list[str], model: str, data: str) -> list[str]:
    from pathlib import Path

    from ncbounds.runs.paths import is_zoo

    zoo = any(is_zoo(Path(p)) for p in paths)
    elsewhere = [] if zoo else [t for t in found.things if t.declared]
    parts = {t.part for t in elsewhere}
    ids = [r.bound.id for r in found.guarantees if not parts & r.bound.needs.parts]
    files = shlex.join(paths or ["model.pt"])
    how = f" --model {shlex.quote(model)} --data {shlex.quote(data)}{_drawn(found)}"
    how = "" if zoo else how
    commands = [f"ncbounds evaluate {files}{how} --bounds {','.join(ids)} --out runs/mine"]
    if not ids:
        commands = []
    if "code-word" in {t.word for t in elsewhere}:
        commands.append(f"ncbounds verify network.ncz --data {shlex.quote(data)}")
    for t in elsewhere:
        rows = ", ".join(r.bound.id for r in found.guarantees if t.part in r.bound.needs.parts)
        commands.append(
            f"# {rows}: `{t.declared}` of the checkpoint in a zoo.toml; `ncbounds init`"
        )
    return commands


def _features(found: "Answer", paths: list[str], model: str, data: str) -> list[str]:
    things = {t.word for t in found.things}
    refits = [r.bound for r in found.guarantees if "procedure" in r.bound.needs.required]
    ids = [r.bound.id for r in found.guarantees if r.bound not in refits]
    roles = ["fit" if t.word == "train" else t.word for t in found.things if t.role]
    files = paths or [f"{name}.npz" for name in roles]
    names = " --roles frozen=head" if "frozen" in things and not paths else ""
    commands = [
        f"ncbounds evaluate-features {shlex.join(files)}{names} --head head.npz{_drawn(found)} "
        f"--bounds {','.join(ids)} --out runs/mine"
    ]
    if refits:
        rows = "frozen.npz" if "frozen" in things else "holdout.npz"
        pool = " --unlabelled unlabelled.npz" if "unlabelled" in things else ""
        commands.append(f"ncbounds certify-head {rows}{pool} --head head.npz --sampling iid")
    return commands


def _predictions(found: "Answer", paths: list[str], model: str, data: str) -> list[str]:
    return [_table("evaluate-predictions", "answers.csv", found, paths)]


def _losses(found: "Answer", paths: list[str], model: str, data: str) -> list[str]:
    return [_table("evaluate-losses", "losses.csv", found, paths)]


def _table(command: str, file: str, found: "Answer", paths: list[str]) -> str:
    """A table says in a column which role each row has, unless all have one."""
    role = " --role holdout" if len(found.things) == 1 else "  # with a column role: holdout, fit"
    return f"ncbounds {command} {shlex.join(paths or [file])}{_drawn(found)}{role}"


def _drawn(found: "Answer") -> str:
    """What is declared of the rows."""
    return f" --sampling iid{' --decision multi-label' if found.form.several else ''}"


_COMMANDS: dict[str, Callable[["Answer", list[str], str, str], list[str]]] = {
    "checkpoint": _checkpoint,
    "features": _features,
    "predictions": _predictions,
    "losses": _losses,
}
