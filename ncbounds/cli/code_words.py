"""``ncbounds compress`` and ``ncbounds verify``: what they read and say."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ncbounds.cli.arguments import Arguments, Averaged, Key, Spec, architecture, choice
from ncbounds.cli.console import NOTHING, echo, user_errors
from ncbounds.errors import NcboundsError

if TYPE_CHECKING:
    from ncbounds.code_words import Certificate

IMAGES = "folder of Fashion-MNIST idx files, npz of 8-bit images, or FILE.py:FUNCTION"
#: What nobody declares of images beside a code word, and what every number needs.
DRAWN = "the training images are independent draws of one law"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


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
    key: Key = None,
    ema: Averaged = None,
    rows: Annotated[str | None, typer.Option(help="rows of an npz file, such as 0:4000")] = None,
    seed: Annotated[int, typer.Option(help="of the search")] = 0,
    delta: Annotated[float, typer.Option(help="probability with which it may fail")] = 0.05,
    compiled: Annotated[
        bool, typer.Option("--compile", help="compile the training step (needs a C++ compiler)")
    ] = False,
) -> None:
    """Describe a classifier by a few hundred bytes, and certify it from its training sample."""
    with user_errors():
        from ncbounds.code_words.compress import compress_checkpoint
        from ncbounds.data.task import task_images

        chosen, given = architecture(checkpoint, model, args)
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
            **choice(key, ema),
            seed=seed,
            delta=delta,
            compiled=compiled,
            report=echo,
        )
        echo(f"{out / 'network.ncz'}: {sentence(found)}")


def verify(
    codeword: Annotated[Path, typer.Argument(help="a code word, network.ncz")],
    data: Annotated[
        str | None, typer.Option(help=f"{IMAGES} (default: those of the zoo.toml that names it)")
    ] = None,
    rows: Annotated[str | None, typer.Option(help="rows of an npz file, such as 0:4000")] = None,
    delta: Annotated[float, typer.Option(help="probability with which it may fail")] = 0.05,
) -> None:
    """Decode a code word, recount its errors and certify it; a file beside it is not trusted."""
    with user_errors():
        from ncbounds.code_words.recount import recount, word_images
        from ncbounds.errors import DataError

        try:
            samples, classes = word_images(codeword, data, rows)
        except DataError as error:
            if data is not None:
                raise
            echo(claim(codeword))
            echo(f"to recount: {error}")
            raise typer.Exit(NOTHING) from None
        found, lines = recount(codeword, samples, delta, classes)
        echo(f"{codeword}: {sentence(found)}")
        for line in lines:
            echo(line)


def seconds_of(text: str) -> float:
    """Seconds of a time such as ``90s``, ``30m`` or ``1.5h``.

    Raises
    ------
    NcboundsError
        If it is not one.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh])\s*", text)
    if match is None:
        raise NcboundsError(f"--budget is a time such as 90s, 30m or 2h, found {text!r}")
    return float(match[1]) * _UNITS[match[2]]


def sentence(found: "Certificate") -> str:
    """Say what a certificate says, and under which assumption."""
    granted = ", and ".join(filter(None, (DRAWN, found.assumption)))
    return (
        f"if {granted}, {_promise(found.value, found.delta)}: "
        f"{found.errors} errors on {found.n} training images, {found.bits} bits "
        f"({found.bits // 8} bytes), code version {found.codec_version}"
    )


def claim(path: Path) -> str:
    """Say what a code word would guarantee if the errors that stand beside it are right."""
    from ncbounds.code_words.recount import claimed

    found = claimed(path)
    if found is None:
        return f"{path}: not recounted"
    # without the images nobody knows whether the code was made on them
    return (
        f"{path}: not recounted; certificate.json claims {found.errors} errors on {found.n} "
        f"training images, and then, if {DRAWN}, and its version of the code was fixed before "
        f"these images were seen, {_promise(found.value, found.delta)}"
    )


def _promise(value: float, delta: float) -> str:
    from ncbounds.report.cells import number

    shown = number(value, 4, up=True)
    return f"error of the decoded network <= {shown} with probability {1 - delta:g}"
