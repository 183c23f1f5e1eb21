"""The command line: parsing and printing only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncbounds.errors import NcboundsError

if TYPE_CHECKING:
    from rich.console import Console

    from ncbounds.report import Report

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="What can be guaranteed about a saved classifier's error, under which assumption, "
    "beside the error that is measured.",
)

Paths = Annotated[list[Path], typer.Argument(help="a zoo (folder or zoo.toml) or checkpoints")]
Out = Annotated[Path | None, typer.Option(help="run folder (default: the user cache folder)")]
Spec = Annotated[str | None, typer.Option(help="registered name or FILE.py:FUNCTION")]
Arguments = Annotated[
    str, typer.Option(help="of a registered model: width=128,depth=2 or '{\"width\": 128}'")
]
DataSpec = Annotated[
    str | None, typer.Option(help="FILE.py:FUNCTION that returns {role: (inputs, labels)}")
]

IMAGES = "folder of Fashion-MNIST idx files, npz of 8-bit images, or FILE.py:FUNCTION"


def _version(asked: bool) -> None:
    from ncbounds import __version__

    if asked:
        typer.echo(f"ncbounds {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="show it and exit")
    ] = False,
) -> None:
    """What can be guaranteed about a saved classifier's error, and under which assumption."""


@app.command()
def evaluate(
    paths: Paths,
    manifest: Annotated[Path | None, typer.Option(help="zoo.toml that describes them")] = None,
    bounds: Annotated[
        str, typer.Option(help="default, all, a family, or ids separated by commas")
    ] = "default",
    delta: Annotated[float, typer.Option(help="probability with which a row may fail")] = 0.05,
    simultaneous: Annotated[bool, typer.Option(help="divide delta over all rows")] = False,
    out: Out = None,
    model: Spec = None,
    data: DataSpec = None,
    sampling: Annotated[
        str, typer.Option(help="with --data: iid, stratified or unknown")
    ] = "unknown",
    workers: Annotated[
        int | None, typer.Option(help="processes (default: one per core; 0: none)")
    ] = None,
    fresh: Annotated[bool, typer.Option(help="compute again what is already there")] = False,
) -> None:
    """Evaluate bounds on checkpoints, beside their measured error; resumes what was interrupted."""
    from ncbounds.report.write import write_report

    with _user_errors():
        folder = out or _cache_folder(paths[0])
        with _progress() as progress:
            if data is not None:
                from ncbounds.runs.direct import evaluate_files

                report = evaluate_files(
                    paths,
                    data=data,
                    model=model,
                    sampling=sampling,
                    bounds=bounds,
                    delta=delta,
                    simultaneous=simultaneous,
                    out=folder,
                    progress=progress,
                )
            else:
                from ncbounds.runs.sweep import select_files, sweep

                if model is not None or sampling != "unknown":
                    raise NcboundsError(
                        "--model and --sampling go with --data file.py:function; "
                        "a zoo.toml names models and sampling itself"
                    )

                book, only = select_files(paths, manifest)
                report = sweep(
                    book,
                    folder,
                    bounds=bounds,
                    delta=delta,
                    simultaneous=simultaneous,
                    workers=workers,
                    only=only,
                    fresh=fresh,
                    progress=progress,
                )
        written = write_report(report, folder)
        _show(report)
        typer.echo(f"written to {folder}: {', '.join(written)}")
        typer.echo(_stored(folder))
        if not report.rows:
            raise typer.Exit(1)


@app.command()
def inspect(
    checkpoint: Annotated[Path, typer.Argument(help="a checkpoint file or folder")],
    model: Spec = None,
    args: Arguments = "",
    manifest: Annotated[Path | None, typer.Option(help="zoo.toml that names its model")] = None,
    key: Annotated[
        str | None, typer.Option(help="where the weights stand: an entry, or a prefix like model.")
    ] = None,
    ema: Annotated[
        bool | None, typer.Option("--ema/--raw", help="averaged weights, or those of the optimizer")
    ] = None,
    head: Annotated[str | None, typer.Option(help="name of the layer that is the head")] = None,
    output: Annotated[
        str | None, typer.Option(help="name or index of the logits among several outputs")
    ] = None,
) -> None:
    """Show what is in a file, whether it is safe, and how exactly a head reproduces the logits."""
    with _user_errors():
        from ncbounds.checkpoints.inspect import inspect_checkpoint, render

        chosen, given = _architecture(checkpoint, model, args, manifest)
        weights = None if ema is None else "ema" if ema else "raw"
        found = inspect_checkpoint(
            checkpoint, chosen, given, key=key, weights=weights, head=head, output=output
        )
        _console().print(render(found))


@app.command("certify-head")
def certify_head(
    data: Annotated[Path, typer.Argument(help="npz with features (n, d) and labels (n,)")],
    unlabelled: Annotated[
        Path | None, typer.Option(help="npz with features of fresh points")
    ] = None,
    test: Annotated[Path | None, typer.Option(help="npz like DATA; measures errors only")] = None,
    head: Annotated[
        Path | None, typer.Option(help="npz with weight and bias of a head that used all labels")
    ] = None,
    estimator: Annotated[
        str, typer.Option(help="how a head is fitted: ncm, ridge or logistic")
    ] = "ncm",
    delta: Annotated[float, typer.Option(help="probability with which a row may fail")] = 0.05,
    simultaneous: Annotated[bool, typer.Option(help="divide delta over all rows")] = False,
    sampling: Annotated[
        str, typer.Option(help="how the points were drawn: iid, stratified or unknown")
    ] = "iid",
    out: Annotated[Path | None, typer.Option(help="folder for the table and the heads")] = None,
) -> None:
    """Certify a linear head on frozen features, and say what each certificate is worth."""
    with _user_errors():
        from ncbounds.certify.certify import certify_head as certify
        from ncbounds.data.npz import load_npz
        from ncbounds.evidence.head import LinearHead

        def arrays(path: Path, *names: str) -> tuple[Any, ...]:
            found = load_npz(path, names)
            return tuple(found[name] for name in names)

        features, labels = arrays(data, "features", "labels")
        found = certify(
            features,
            labels,
            estimator,
            None if unlabelled is None else arrays(unlabelled, "features")[0],
            delta=delta,
            head=None if head is None else LinearHead(*arrays(head, "weight", "bias")),
            test=None if test is None else arrays(test, "features", "labels"),
            sampling=sampling,
            simultaneous=simultaneous,
        )
        _console().print(repr(found), markup=False, highlight=False, soft_wrap=True)
        if out is not None:
            typer.echo(f"written to {out}: {', '.join(found.write(out))}")


@app.command("list")
def list_bounds(
    family: Annotated[str | None, typer.Option(help="only this family")] = None,
    kind: Annotated[str | None, typer.Option(help="only this best kind")] = None,
) -> None:
    """List the catalogue: best kind, id, sample that it reads, whose error, statement."""
    from rich import box
    from rich.table import Table

    from ncbounds.bounds import catalogue
    from ncbounds.report.cells import legend
    from ncbounds.results import MARK

    with _user_errors():
        shown = [
            b
            for b in catalogue()
            if (family is None or b.family == family) and (kind is None or b.kind == kind)
        ]
        if not shown:
            families = sorted({b.family for b in catalogue()})
            raise NcboundsError(
                f"no such bounds; families: {', '.join(families)}; kinds: {', '.join(MARK)}"
            )
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=legend(), caption_justify="left")
        for title in ("bound", "sample", "about", "statement"):
            table.add_column(title, no_wrap=title != "statement")
        for name in dict.fromkeys(b.family for b in shown):
            table.add_section()
            table.add_row(f"[bold]{name}[/]")
            for b in shown:
                if b.family == name:
                    role = "any but test" if b.role == "any" else b.role
                    table.add_row(f"{MARK[b.kind]} {b.id}", role, b.target, b.title)
        _console().print(table)


@app.command()
def explain(
    bound: Annotated[str, typer.Argument(help="id of a bound; see `ncbounds list`")],
    latex: Annotated[bool, typer.Option(help="the formulas alone, as LaTeX")] = False,
    bibtex: Annotated[bool, typer.Option(help="the references alone, as BibTeX")] = False,
) -> None:
    """Explain one bound: statement, formula, role, assumptions, source, when it is vacuous."""
    from ncbounds.bounds import get
    from ncbounds.bounds.explain import as_bibtex, as_latex, as_text

    with _user_errors():
        found = get(bound)
        typer.echo(as_latex(found) if latex else as_bibtex(found) if bibtex else as_text(found))


@app.command()
def report(run: Annotated[Path, typer.Argument(help="a run folder")]) -> None:
    """Write the tables and the page of a run again, from its stored results."""
    from ncbounds.report import load_report
    from ncbounds.report.write import write_report

    with _user_errors():
        found = load_report(run)
        written = write_report(found, run)
        _show(found)
        typer.echo(f"written to {run}: {', '.join(written)}")


@app.command()
def compress(
    checkpoint: Annotated[Path, typer.Argument(help="a checkpoint file or folder")],
    data: Annotated[str, typer.Option(help=IMAGES)],
    out: Annotated[Path, typer.Option(help="folder for network.ncz and its certificate")],
    budget: Annotated[str, typer.Option(help="time to search, such as 90s, 30m or 2h")] = "30m",
    unlabelled: Annotated[
        str | None, typer.Option(help="images without labels, of role unlabelled; as --data")
    ] = None,
    model: Spec = None,
    args: Arguments = "",
    rows: Annotated[str | None, typer.Option(help="rows of an npz file, such as 0:4000")] = None,
    seed: Annotated[int, typer.Option(help="of the search")] = 0,
    delta: Annotated[float, typer.Option(help="probability with which it may fail")] = 0.05,
    compiled: Annotated[
        bool, typer.Option("--compile", help="compile the training step (needs a C++ compiler)")
    ] = False,
) -> None:
    """Describe a classifier by a few hundred bytes, and certify it from its training sample."""
    with _user_errors():
        from ncbounds.cli.code_words import seconds_of, sentence
        from ncbounds.code_words.compress import compress_checkpoint
        from ncbounds.data.task import task_images

        chosen, given = _architecture(checkpoint, model, args)
        samples = {"fit": task_images(data, rows).get("fit")}
        if unlabelled is not None:
            samples["unlabelled"] = task_images(unlabelled).get("unlabelled")
        found = compress_checkpoint(
            checkpoint,
            {role: images for role, images in samples.items() if images is not None},
            out,
            seconds=seconds_of(budget),
            model=chosen,
            args=given,
            seed=seed,
            delta=delta,
            compiled=compiled,
            report=typer.echo,
        )
        typer.echo(f"{out / 'network.ncz'}: {sentence(found)}")


@app.command()
def verify(
    codeword: Annotated[Path, typer.Argument(help="a code word, network.ncz")],
    data: Annotated[
        str | None, typer.Option(help=f"{IMAGES} (default: those of the zoo.toml that names it)")
    ] = None,
    rows: Annotated[str | None, typer.Option(help="rows of an npz file, such as 0:4000")] = None,
    delta: Annotated[float, typer.Option(help="probability with which it may fail")] = 0.05,
) -> None:
    """Decode a code word, recount its errors and certify it; a file beside it is not trusted."""
    with _user_errors():
        from ncbounds.cli.code_words import claim, recount, sentence, word_images
        from ncbounds.errors import DataError

        try:
            samples, classes = word_images(codeword, data, rows)
        except DataError as error:
            if data is not None:
                raise
            typer.echo(f"{claim(codeword)}\nto recount: {error}")
            raise typer.Exit(1) from None
        found, lines = recount(codeword, samples, delta, classes)
        typer.echo(f"{codeword}: {sentence(found)}")
        for line in lines:
            typer.echo(line)


def main() -> None:
    """Entry point of the ``ncbounds`` command."""
    app()


@contextmanager
def _user_errors() -> Iterator[None]:
    try:
        yield
    except NcboundsError as error:
        typer.echo(f"ncbounds: {error}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        typer.echo(
            "interrupted; finished work is kept, the same command goes on from there", err=True
        )
        raise typer.Exit(130) from None


@contextmanager
def _progress() -> Iterator[Callable[[int, int, str], None]]:
    """Progress bar on a terminal; silent elsewhere."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("checkpoints"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[name]}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        job = bar.add_task("", total=None, name="")
        yield lambda done, total, name: bar.update(job, completed=done, total=total, name=name)


def _console() -> "Console":
    from rich.console import Console

    console = Console()
    # a pipe or a file has no width of its own; tables are made for 120 columns
    return console if console.is_terminal else Console(width=120)


def _show(report: "Report") -> None:
    from ncbounds.report.views.screen import caption, table

    console = _console()
    if report.rows:
        console.print(table(report))
        console.print(caption(report), markup=False, highlight=False, style="dim")
    present = {r.checkpoint for r in report.rows}
    for failure in report.failures:
        what = "evaluated in part" if failure.checkpoint in present else "not evaluated"
        console.print(f"{what}: {failure.checkpoint}: {failure.reason}", markup=False)


def _stored(folder: Path) -> str:
    from ncbounds.extraction.store import store_size

    size = store_size(folder / "store") / 2**20
    return f"features kept in {folder / 'store'}: {size:.0f} MiB (delete it when you are done)"


def _arguments(text: str) -> dict[str, Any]:
    """Arguments written as JSON, or as ``name=value`` with commas between them."""
    import json

    try:
        if text.lstrip()[:1] in ("", "{"):
            found = json.loads(text or "{}")
        else:
            pairs = [pair.partition("=") for pair in text.split(",")]
            found = {name.strip(): json.loads(value) for name, _, value in pairs}
        if "" in found or any(isinstance(value, dict) for value in found.values()):
            raise ValueError
    except ValueError:
        raise NcboundsError(
            f"--args is width=128,depth=2 or JSON such as '{{\"width\": 128}}', found {text!r}"
        ) from None
    return dict(found)


def _model(spec: str | None) -> Any:
    if spec is None or ".py:" not in spec:
        return spec
    from ncbounds.data.user import user_function

    return user_function(spec)


def _architecture(
    checkpoint: Path, model: str | None, args: str, manifest: Path | None = None
) -> tuple[Any, dict[str, Any]]:
    """Model and arguments as given, else of the manifest; what is missing the file may name."""
    given = _arguments(args)
    if model is not None:
        return _model(model), given
    name, found = _manifest_model(checkpoint, manifest)
    return name, found | given


def _manifest_model(checkpoint: Path, manifest: Path | None) -> tuple[str | None, dict[str, Any]]:
    """Model and arguments of a checkpoint that a manifest (given, or in its folder) describes."""
    from ncbounds.data.manifest import load_manifest

    path = manifest or checkpoint.resolve().parent / "zoo.toml"
    if manifest is None and not path.exists():
        return None, {}
    for entry in load_manifest(path).checkpoints.values():
        if entry.file == checkpoint.resolve():
            return entry.model, dict(entry.args)
    return None, {}


def _cache_folder(path: Path) -> Path:
    import hashlib

    from platformdirs import user_cache_path

    full = path.resolve()
    mark = hashlib.sha256(str(full).encode()).hexdigest()[:8]
    return user_cache_path("ncbounds") / "runs" / f"{full.stem}-{mark}"


if __name__ == "__main__":
    main()
