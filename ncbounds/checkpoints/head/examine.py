"""Find the head on some rows, and see that the network is a function of each row and its file."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor, nn

from ncbounds.checkpoints.head.alone import (
    ORDER,
    check_one_number,
    check_two_classes,
    outputs_alone,
)
from ncbounds.checkpoints.head.arithmetic import device_of, dtype_of
from ncbounds.checkpoints.head.extreme_draws import Extreme
from ncbounds.checkpoints.head.forward import Forward
from ncbounds.checkpoints.head.free_features import check_free
from ncbounds.checkpoints.head.head import HeadReport, find_head, match_given
from ncbounds.checkpoints.head.outputs import Output, Undecided, choose, per_row, undecided
from ncbounds.checkpoints.head.passes import given, in_precision_of, unwrapped
from ncbounds.checkpoints.head.reading import GIVEN, FoundHead, Reading
from ncbounds.checkpoints.head.state import check_twin, draws
from ncbounds.checkpoints.head.steadiness import (
    BESIDE,
    RANDOM,
    check_same,
    cut,
    first_groups,
    largest,
    largest_change,
)
from ncbounds.checkpoints.head.trace import Affine, Tracer, first_rows, rows_at, rows_of, watched
from ncbounds.errors import HeadNotFound

TRACED_ROWS = 32  # a whole batch would keep every layer's activations at once
REPEATED_ROWS = 8  # run again in other groups, and by a network built once more
MORE_PASSES = 5  # over the same rows, where a pass draws random numbers

Classes = Callable[[], int | None]
Twin = Callable[[], nn.Module]


def examine(
    forward: Forward,
    batch: Any,
    output: str | None = None,
    classes: Classes | None = None,
    twin: Twin | None = None,
) -> tuple[FoundHead, HeadReport, Reading]:
    """Find the head on the first rows of a batch and run them again in every other way.

    Parameters
    ----------
    forward : Forward
    batch : Tensor, sequence or mapping of tensors
    output : str, optional
        Name or index of the logits among what the network returns.
    classes : callable, optional
        Gives the number of classes of the data; asked only where the output is undecided.
    twin : callable, optional
        Builds the network once more from the same file.

    Returns
    -------
    FoundHead, HeadReport
    Reading
        Of the first rows.

    Raises
    ------
    HeadNotFound
        If no affine map reproduces the logits; if they change from pass to pass, with the rows
        beside a row, or from one building of the network to the next; or if the features change
        with the head.
    """
    small = first_rows(batch, TRACED_ROWS)
    device = device_of(forward.module)
    before = draws(device)
    found, report, logits = _search(forward, small, output, classes)
    first = steady(forward, batch, found, logits, drawn=draws(device) != before)
    if twin is not None:
        few = first_rows(batch, REPEATED_ROWS)
        _check_twin(forward, unwrapped(twin()), few, found, first.logits[:REPEATED_ROWS])
    return found, report, first


def steady(
    forward: Forward,
    batch: Any,
    found: FoundHead,
    logits: Tensor | None = None,
    *,
    drawn: bool = False,
) -> Reading:
    """Run the first rows of a batch again: once more, in other groups, and under another head.

    Parameters
    ----------
    forward : Forward
    batch : Tensor, sequence or mapping of tensors
    found : FoundHead
    logits : Tensor of shape (n, C), optional
        Of the same first rows, from a pass before.
    drawn : bool
        Whether that pass drew random numbers.

    Returns
    -------
    Reading
        Of the first rows.

    Raises
    ------
    HeadNotFound, TapRefused
        If something changes from pass to pass, with the rows beside a row, or with the head.
    """
    small, few = first_rows(batch, TRACED_ROWS), first_rows(batch, REPEATED_ROWS)
    first = forward.features(small, found)
    if logits is not None:
        check_same(replace(first, logits=logits), first, first, found.how, RANDOM)
    modes: list[AbstractContextManager[Any]] = [nullcontext()] * MORE_PASSES
    for mode in (*modes, Extreme(largest=False), Extreme(largest=True)) if drawn else ():
        with mode:
            again = forward.features(small, found)
        check_same(first, again, first, found.how, RANDOM)
    part = cut(first, slice(REPEATED_ROWS))
    for group in (list(range(len(part.logits))), *first_groups(len(part.logits))):
        again = forward.features(rows_at(few, group), found)
        check_same(cut(part, group), again, first, found.how, BESIDE)
    check_free(found, first, lambda head, tracer: forward.read(small, head, tracer))
    return first


def _check_twin(
    forward: Forward, other: nn.Module, batch: Any, found: FoundHead, logits: Tensor
) -> None:
    other.to(device=device_of(forward.module), dtype=dtype_of(forward.module))
    again = Forward(other).logits(batch, found.output, Tracer(lambda shape: False))
    check_twin(forward.module, logits, found.two_columns(Reading(again, again)).logits)


def _search(
    forward: Forward, batch: Any, output: str | None, classes: Classes | None
) -> tuple[FoundHead, HeadReport, Tensor]:
    tracer = Tracer(lambda shape: True)
    reading = None
    with watched(forward.module, tracer):
        returned = forward.returned(batch, tracer)
        own = len(tracer.calls)
        if callable(forward.wanted):
            with tracer:
                reading = given(forward.wanted, in_precision_of(forward.module, batch))
    n = rows_of(batch)
    if reading is not None:
        made = _output_like(per_row(returned, n), reading.logits)
        found, report = _given_head(forward, batch, (tracer.calls, own), reading, made.name)
        return replace(found, output=made.name), replace(report, output=made.name), reading.logits
    chosen, notes = _choice(forward.module, tracer, returned, n, output, classes)
    logits = tracer.monotone.before(chosen.value)
    if logits is not chosen.value:
        notes = (*notes, ORDER.format(tracer.monotone.name))
    if chosen.width == 1:
        check_two_classes(classes)
    if forward.predicting:
        if chosen.width == 1 and logits is chosen.value:
            check_one_number(logits)
        found, report = outputs_alone(chosen, logits, output is not None)
    else:
        name = forward.wanted if isinstance(forward.wanted, str) else None
        again = partial(forward.logits, batch, chosen.name)
        found, report = find_head(forward.module, tracer.calls, logits, name, again)
    if logits is not chosen.value:
        found = replace(found, through=tracer.monotone.name)
    if chosen.width == 1:
        found = found.of_two_classes()
    report = replace(report, notes=(*notes, *found.notes), output=chosen.name)
    logits = found.two_columns(Reading(logits, logits)).logits
    return replace(found, output=chosen.name), report, logits


def _given_head(
    forward: Forward, batch: Any, traced: tuple[list[Affine], int], reading: Reading, output: str
) -> tuple[FoundHead, HeadReport]:
    """Find the head on features that the user gives: a weight, or one with maps behind it.

    ``traced`` are all calls, and how many of them the network made before the user's function ran.
    """
    try:
        return match_given(forward.module, traced[0], reading)
    except HeadNotFound as error:
        refused = error
    calls = traced[0][: traced[1]]
    try:
        again = partial(forward.logits, batch, output)
        found, report = find_head(forward.module, calls, reading.logits, run=again)
    except HeadNotFound:
        raise refused from None
    own = found.read(calls, reading.logits)
    if own is None or own.features.shape != reading.features.shape:
        raise refused
    if largest_change(own.features, reading.features, largest(own.features)) > 1.0:
        raise refused
    return replace(found, how=GIVEN), replace(report, kind=GIVEN)


def _choice(
    module: nn.Module,
    tracer: Tracer,
    returned: Any,
    rows: int,
    wanted: str | None,
    classes: Classes | None,
) -> tuple[Output, tuple[str, ...]]:
    """Choose the logits; ask for the number of classes, and describe the options, if need be."""
    try:
        return choose(returned, rows, wanted)
    except Undecided as error:
        options = error.options
    try:
        return choose(returned, rows, None, None if classes is None else classes())
    except Undecided:
        heads = {}
        for option in options:
            try:
                heads[option.name] = find_head(module, tracer.calls, option.value)[1].name
            except HeadNotFound:
                continue
        raise HeadNotFound(undecided(options, heads)) from None


def _output_like(outputs: list[Output], logits: Tensor) -> Output:
    """Return the output that a function given by the user took for the logits."""
    same = [o for o in outputs if o.value.shape == logits.shape]
    for option in same:
        if largest_change(option.value, logits, largest(logits)) <= 1.0:
            return option
    listed = ", ".join(map(str, outputs)) or "nothing of that form"
    by = f" by {min(float((o.value - logits).abs().max()) for o in same):.3g}" if same else ""
    raise HeadNotFound(
        f"the logits {tuple(logits.shape)} that head= returned differ{by} from what the model "
        f"returns ({listed}): the model draws random numbers, or head= returns something else. "
        "Return an output of the model as the logits"
    )
