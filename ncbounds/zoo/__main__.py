"""Train the zoo again: ``python -m ncbounds.zoo --out data/zoo``."""

import argparse
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from ncbounds.errors import NcboundsError, UnknownName, suggest
from ncbounds.zoo.make import make
from ncbounds.zoo.manifest import write_manifest, write_summary
from ncbounds.zoo.recipes import RECIPES, REFIT, WHOLE, Refit, Whole


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ncbounds.zoo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/zoo"), help="folder to write to")
    parser.add_argument("--data", type=Path, default=Path("data/fashion14.npz"))
    parser.add_argument("--only", action="append", metavar="NAME", help="may be repeated")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    options = parser.parse_args(arguments)
    try:
        whole, refit = chosen(WHOLE, options.only), chosen(REFIT, options.only)
        if unknown := set(options.only or ()) - {recipe.name for recipe in (*whole, *refit)}:
            known = [recipe.name for recipe in RECIPES]
            name = min(unknown)
            raise UnknownName(f"no checkpoint {name!r}; {suggest(name, known)}")
        options.out.mkdir(parents=True, exist_ok=True)
        # Heads come second: they stand on stored backbones.
        rows = run(whole, options.data, options.out, options.workers)
        rows += run(refit, options.data, options.out, options.workers)
    except NcboundsError as error:
        print(error, file=sys.stderr)
        return 1
    write_manifest(options.out, options.data)
    write_summary(options.out / "summary.csv", rows)
    seconds = sum(row["cpu_seconds"] for row in rows)
    megabytes = sum(row["bytes"] for row in rows) / 1e6
    print(f"{len(rows)} checkpoints, {seconds:.0f} CPU s, {megabytes:.2f} MB in {options.out}")
    return 0


def chosen(recipes: Sequence[Whole | Refit], only: list[str] | None) -> list[Whole | Refit]:
    """Recipes named in ``only``, or all."""
    return [recipe for recipe in recipes if not only or recipe.name in only]


def run(
    recipes: Sequence[Whole | Refit], data: Path, folder: Path, workers: int
) -> list[dict[str, Any]]:
    """Make the checkpoints in worker processes, printing a line for each as it is done."""
    if not recipes:
        return []
    rows = []
    context = multiprocessing.get_context("spawn")  # a forked torch may hang in its thread pool
    with ProcessPoolExecutor(min(workers, len(recipes)), mp_context=context) as pool:
        futures = [pool.submit(make, recipe, data, folder) for recipe in recipes]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                rows.append(row := future.result())
                print(
                    f"{done:3d}/{len(recipes)}  {row['name']:34s} epochs {row['epochs']:3d}  "
                    f"train {row['train_accuracy']:.4f}  NC1 {row['nc1_train']:>8s}  "
                    f"{row['cpu_seconds']:6.2f} s  {row['bytes'] / 1e3:6.0f} kB",
                    flush=True,
                )
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return rows


if __name__ == "__main__":
    sys.exit(main())
