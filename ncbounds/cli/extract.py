"""``ncbounds extract``."""

import os
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ncbounds.cli.arguments import (
    DATA,
    RUNNING,
    Arguments,
    Averaged,
    BatchSize,
    DataArgs,
    Device,
    Head,
    Key,
    LoaderWorkers,
    Output,
    Parts,
    Precision,
    Roles,
    Rows,
    Spec,
    Store,
    Transform,
    Trust,
    choice,
    declarations,
    declared,
    model_arguments,
    refuse_trust,
    running,
)
from ncbounds.cli.console import echo, user_errors
from ncbounds.errors import NcboundsError


def extract(
    checkpoint: Annotated[Path, typer.Argument(help="a checkpoint file or folder")],
    out: Annotated[Path, typer.Option(help="folder of the parts: one folder in it for each role")],
    data: Annotated[
        str | None,
        typer.Option(
            help="FILE.py:FUNCTION that returns {role: (inputs, labels) or a data set}, or an npz "
            "file with --role (default: those of the zoo.toml that names the checkpoint)",
            rich_help_panel=DATA,
        ),
    ] = None,
    data_args: DataArgs = "",
    transform: Transform = None,
    role: Rows = None,
    roles: Roles = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="a role to extract (default: all); repeatable", rich_help_panel=DATA),
    ] = None,
    parts: Annotated[
        int | None, typer.Option(help="ranges of rows (default: one per process)")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="where to make parts: processes, threads, loky, dask://HOST:PORT (default: here, "
            "one after the other)",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="parts that an --engine makes at a time (default: one per core)",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    store: Store = None,
    device: Device = "auto",
    precision: Precision = None,
    batch_size: BatchSize = None,
    workers_per_loader: LoaderWorkers = None,
    manifest: Annotated[Path | None, typer.Option(help="zoo.toml that describes it")] = None,
    trust: Trust = False,
    model: Spec = None,
    args: Arguments = "",
    key: Key = None,
    ema: Averaged = None,
    head: Head = None,
    output: Output = None,
    part: Parts = None,
) -> None:
    """Extract features in parts, which one or many processes make, and which are added on reading.

    Under torchrun, or wherever RANK and WORLD_SIZE are set, each process makes its share. What was
    interrupted goes on at the next part, each being complete or absent:

    torchrun --nproc-per-node 8 --no-python ncbounds extract model.pt --model resnet.py:build
    --data data.py:load --out features --parts 64

    With CUDA each process takes the GPU of its local rank. --store float16 halves the disk: points
    whose prediction rounding could change count as errors, and rows that read features become
    plug-ins. nb.extract_parts takes any executor of concurrent.futures.

    `ncbounds evaluate-features OUT --sampling iid` evaluates
    them; nb.read_parts("OUT/holdout", "holdout") reads them.
    """
    with user_errors():
        from ncbounds.runs.files import described, of_zoo
        from ncbounds.runs.parts import extract_entry, own_device, ranks

        typed = declared(locals())
        rank, world = ranks()
        count, pool = _pool(engine, workers, world)
        how = running(device, precision, batch_size, workers_per_loader, None, store)
        how.check_here()
        how = replace(how, device=own_device(how.device))
        picked = choice(key, ema, head, output, part)
        code: dict[str, Any] = {"model": model, "args": model_arguments(args)}
        if data is None:
            if typed:
                raise NcboundsError(
                    "--role, --roles, --data-args and --transform go with --data; --only names a "
                    "role of a zoo.toml"
                )
            book, names = of_zoo([checkpoint], manifest, **code, trust=trust, **picked)
        else:
            refuse_trust(trust)
            book = described([checkpoint], data=data, **code, **declarations(typed), **picked)
            names = None
        found = list(book.checkpoints) if names is None else names
        if len(found) != 1:
            raise NcboundsError(
                f"{checkpoint} stands for {len(found)} checkpoints; extract takes one at a time"
            )
        ranges = count if parts is None else parts
        with pool as executor:
            made = extract_entry(
                book,
                found[0],
                out,
                parts=ranges,
                roles=only or (),
                rank=rank,
                world=world,
                executor=executor,
                running=how,
                done=lambda name, number: echo(f"{name}: part {number} of {ranges}"),
            )
        echo(f"written to {out}: {', '.join(made)} (device: {how})")


def _pool(
    engine: str | None, workers: int | None, world: int
) -> tuple[int, AbstractContextManager[Executor | None]]:
    """Parts where nothing else is said, and the executor that makes them, or None."""
    from ncbounds.runs.executors import check_engine, opened

    if engine is None:
        if workers is not None:
            raise NcboundsError(f"--workers {workers} goes with --engine processes")
        return world, nullcontext()
    check_engine(engine, workers)
    if world > 1:
        raise NcboundsError(
            f"WORLD_SIZE={world} in the environment already shares the parts out: leave --engine "
            "out, or start one process without it"
        )
    count = max(1, (os.cpu_count() or 1) if workers is None else workers)
    return count, opened(engine, count)
