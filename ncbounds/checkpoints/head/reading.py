"""Features of a head from the affine maps that one forward pass computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ncbounds.checkpoints.head.agreement import Agreement, compared
from ncbounds.checkpoints.head.trace import Affine

DIRECT, POOLED, TOKEN, GIVEN = "direct", "mean over positions", "one position per row", "given"
ONE_LOGIT = "one logit: class 1 where it is above 0, class 0 below, an error at 0"
OUTPUTS = "outputs"  # no head: what the network returns stands for features and logits


@dataclass(frozen=True, eq=False)
class Reading:
    """Features and logits of one batch.

    Attributes
    ----------
    features : Tensor of shape (n, d)
        What the head multiplies, after any pooling, normalisation and dropout (off).
    logits : Tensor of shape (n, C)
        As the network returned them.
    magnitude : Tensor of shape (n, d) or None
        Mean absolute value of what was averaged into the features.
    made_in : dtype or None
        Of the product, where the logits were widened after it.
    taps : mapping of str to Tensor of shape (n, d)
        What was kept of the outputs of named modules.
    """

    features: Tensor
    logits: Tensor
    magnitude: Tensor | None = None
    made_in: torch.dtype | None = None
    taps: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FoundHead:
    """A candidate head and how to take its features out of a forward pass.

    Attributes
    ----------
    name : str
        Of its layer.
    how : str
        ``"direct"``, ``"mean over positions"``, ``"one position per row"`` or ``"given"``.
    weight : float64 Tensor of shape (C, d)
    bias : float64 Tensor of shape (C,)
    has_bias : bool
        Whether the architecture has one.
    centred : bool
        The logits agree up to one constant per row (log-softmax), which no margin sees, but a
        threshold would.
    sources : tuple of Tensor
        Weights by which the calls are recognised in a forward pass.
    members : tuple of int
        Which of the recognised calls make the logits; several are averaged.
    expected : int
        How many calls are recognised in a pass.
    joined : bool
        The features of several calls stand side by side.
    binary : bool
        The network returns one logit; the head has two, the first of them 0.
    named : bool
        What the network returns is named, or known, to be no features.
    through : str
        The softmax or sigmoid that the network takes of its logits at the end; empty for none.
    reach : (Tensor of shape (C, d), Tensor of shape (C,)) or None
        Sizes of what is added up or subtracted behind the head, for ``|f|`` and by itself.
    output : str
        Name of the logits among what the network returns; empty if it returns one tensor.
    notes : tuple of str
    """

    name: str
    how: str
    weight: Tensor
    bias: Tensor
    has_bias: bool
    centred: bool = False
    sources: tuple[Tensor, ...] = ()
    members: tuple[int, ...] = (0,)
    expected: int = 1
    joined: bool = False
    binary: bool = False
    named: bool = False
    through: str = ""
    reach: tuple[Tensor, Tensor] | None = None
    output: str = ""
    notes: tuple[str, ...] = field(default=())

    def check(self, reading: Reading) -> Agreement:
        """Compare the logits of a batch with ``W f + b``."""
        return Agreement.of(self.compared(reading))

    def compared(self, reading: Reading) -> Tensor:
        """Return what :meth:`check` says as numbers that are still on the device."""
        if self.how == OUTPUTS:  # nothing to compare: rows, of which none is off
            rows = float(len(reading.logits))
            return torch.tensor([0.0, 0.0, 0.0, rows], dtype=torch.float64)
        weight, bias, logits = self.weight, self.bias, reading.logits
        spread = None
        if reading.magnitude is not None:
            spread = reading.magnitude.double() @ weight.abs().T
        if self.reach is not None:
            size = reading.features if reading.magnitude is None else reading.magnitude
            spread = size.double().abs() @ self.reach[0].T + self.reach[1]
        if self.centred:
            constant = (logits.double() - (reading.features.double() @ weight.T + bias)).mean(1)
            plain = (logits.double() - constant[:, None]).to(logits.dtype)
            logits, spread = plain, constant.abs()[:, None].expand(logits.shape) + plain.abs()
        return compared(
            logits, reading.features, weight, bias, spread=spread, made_in=reading.made_in
        )

    def read(self, calls: list[Affine], logits: Tensor) -> Reading | None:
        """Return the features of a pass, or None if its calls are not those that were traced."""
        if self.how == OUTPUTS:
            returned = self.two_columns(Reading(logits, logits))
            return replace(returned, features=returned.logits)
        known = [c for c in calls if any(same_weights(c.weight, s) for s in self.sources)]
        if len(known) != self.expected:
            return None
        chosen = [known[i] for i in self.members]
        if len(chosen[0].input) != len(logits):
            return None
        parts = chosen[:1]
        if self.joined:
            parts = chosen
        elif any(not torch.equal(c.input, chosen[0].input) for c in chosen[1:]):
            return None
        possible = ways(chosen[0], len(logits))  # a batch of one-token texts has one position
        how = self.how if self.how in possible else possible[0]
        readings = [r for c in parts if (r := take(c, logits, how)) is not None]
        if len(readings) < len(parts):
            return None
        return self.two_columns(side_by_side(readings))

    def two_columns(self, reading: Reading) -> Reading:
        """Return a reading with logits 0 and z in place of one logit z."""
        if not self.binary:
            return reading
        z = reading.logits
        return replace(reading, logits=torch.cat([torch.zeros_like(z), z], 1))

    def of_two_classes(self) -> "FoundHead":
        """Return the head of one logit as one of two classes, with the logits 0 and z."""

        def two(x: Tensor) -> Tensor:
            return torch.cat([torch.zeros_like(x), x])

        reach = None if self.reach is None else (two(self.reach[0]), two(self.reach[1]))
        weight, bias, notes = two(self.weight), two(self.bias), (*self.notes, ONE_LOGIT)
        return replace(self, weight=weight, bias=bias, reach=reach, binary=True, notes=notes)

    def scaled(self, factor: float) -> "FoundHead":
        """Return the head with logits multiplied by ``factor``."""
        note = f"constant factor {factor:.6g} after the head folded into it"
        return replace(
            self, weight=self.weight * factor, bias=self.bias * factor, notes=(*self.notes, note)
        )


def side_by_side(parts: list[Reading]) -> Reading:
    """Return readings of the same logits as one, with all features in one row."""
    if len(parts) == 1:
        return parts[0]
    sizes = [r.magnitude for r in parts if r.magnitude is not None]
    together = torch.cat(sizes, 1) if len(sizes) == len(parts) else None
    return Reading(torch.cat([r.features for r in parts], 1), parts[0].logits, together)


def positions(call: Affine) -> tuple[Tensor, Tensor]:
    """Return inputs (n, P, d) and outputs (n, P, C) of a call, P positions per row."""
    if call.channels == 1:
        return call.input.flatten(2).transpose(1, 2), call.output.flatten(2).transpose(1, 2)
    n, d, c = len(call.input), call.input.shape[-1], call.output.shape[-1]
    return call.input.reshape(n, -1, d), call.output.reshape(n, -1, c)


def ways(call: Affine, rows: int) -> tuple[str, ...]:
    """Return the ways in which features can be read from a call."""
    if len(call.input) != rows:
        return ()
    return (DIRECT,) if positions(call)[0].shape[1] == 1 else (TOKEN, POOLED)


def take(call: Affine, logits: Tensor, how: str) -> Reading | None:
    """Read features from a call; None if its shape does not allow it."""
    if how not in ways(call, len(logits)):
        return None
    inputs, outputs = positions(call)
    if how == DIRECT:
        return Reading(inputs[:, 0], logits, made_in=_made_in(call))
    if how == POOLED:
        return Reading(inputs.mean(1), logits, inputs.abs().mean(1), _made_in(call))
    # By value, never by place: padding may stand on either side.
    distance = (outputs.double() - logits.double()[:, None]).abs().amax(2)
    rows = torch.arange(len(inputs), device=inputs.device)
    return Reading(inputs[rows, distance.argmin(1)], logits, made_in=_made_in(call))


def _made_in(call: Affine) -> torch.dtype | None:
    """Type of a product, if its factors have it too: autocast rounds what it was given."""
    dtype = call.output.dtype
    return dtype if call.input.dtype == call.weight.dtype == dtype else None


def same_weights(a: Tensor, b: Tensor) -> bool:
    """Whether two weights are equal; of one and the same it is known without reading them."""
    one = (a.data_ptr(), a.shape, a.stride(), a.dtype) == (
        b.data_ptr(),
        b.shape,
        b.stride(),
        b.dtype,
    )
    return (one and a.device == b.device) or (a.shape == b.shape and torch.equal(a, b))


def ambiguous_rows(call: Affine, logits: Tensor) -> int:
    """Count rows where several positions with different inputs give the same logits."""
    inputs, outputs = positions(call)
    distance = (outputs.double() - logits.double()[:, None]).abs().amax(2)
    best = distance.amin(1, keepdim=True)
    rows = torch.arange(len(inputs), device=inputs.device)
    chosen = inputs[rows, distance.argmin(1)][:, None]
    differs = (inputs != chosen).any(2)
    return int(((distance == best) & differs).any(1).sum())
