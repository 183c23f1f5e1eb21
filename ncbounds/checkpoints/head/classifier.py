"""A network in eval mode with its verified linear head."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ncbounds.checkpoints.head.fingerprint import code_of, state_hash
from ncbounds.checkpoints.head.head import HeadReport, find_head, match_given
from ncbounds.checkpoints.head.passes import HeadFunction, check_steady, given, shapes, unwrapped
from ncbounds.checkpoints.head.reading import FoundHead, Reading
from ncbounds.checkpoints.head.trace import Tracer, first_rows, logits_of, rows_of, run, watched
from ncbounds.errors import DataError, HeadNotFound, NcboundsError
from ncbounds.evidence.head import LinearHead

TRACED_ROWS = 32  # a whole batch would keep every layer's activations at once


class Classifier:
    """An ``nn.Module`` in eval mode, without gradients, plus its verified linear head.

    The features are what the head *multiplies*: after pooling, normalisation and dropout, which is
    off. The head is looked for on the first batch and checked on every batch after it.

    Parameters
    ----------
    module : nn.Module
        Takes a tensor, several tensors by position, or a mapping by keyword; returns logits of
        shape (n, C), or a tuple, mapping or object that holds them (``.logits``). It is put in
        eval mode.
    head : str or callable, optional
        Name of the layer to accept, or a function from a batch to ``(features, logits)``. Both are
        checked like any other.
    state_sha256 : str, optional
        Hash of the file that the weights came from; by default they are hashed.
    architecture : mapping, optional
        Name and arguments, for the identity under which features are stored.
    notes : tuple of str, optional
        What was done while reading and building.

    Raises
    ------
    HeadNotFound
        At the first batch, if no affine map reproduces the logits.
    """

    def __init__(
        self,
        module: nn.Module,
        head: str | HeadFunction | None = None,
        *,
        state_sha256: str | None = None,
        architecture: Mapping[str, Any] | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        module = unwrapped(module)
        if isinstance(head, str) and head not in dict(module.named_modules()):
            names = [n for n, m in module.named_modules() if n and not list(m.children())]
            raise HeadNotFound(
                f"the model has no layer {head!r}; its last layers are {', '.join(names[-6:])}"
            )
        self.module = module.eval().requires_grad_(False)
        self.wanted = head
        self.notes = notes
        self._state = state_sha256
        self._architecture = dict(architecture or {})
        self._found: FoundHead | None = None
        self._report: HeadReport | None = None
        self._head: LinearHead | None = None

    def __repr__(self) -> str:
        """Show the module's class and the head."""
        head = "not verified yet" if self._report is None else self._report.name
        return f"Classifier({type(self.module).__name__}, head={head})"

    @property
    def head(self) -> LinearHead:
        """Head of shape (C, d) in float64; known after the first batch."""
        if self._head is None:
            raise HeadNotFound("the head is not verified yet; call classifier.verify(batch)")
        return self._head

    @property
    def head_report(self) -> HeadReport:
        """What was found and how exactly it reproduces the logits so far."""
        if self._report is None:
            raise HeadNotFound("the head is not verified yet; call classifier.verify(batch)")
        return self._report

    @property
    def identity(self) -> str:
        """JSON of everything but the inputs that the features depend on."""
        if self._state is None:
            self._state = state_hash(self.module)
        wanted = self.wanted
        described = wanted if isinstance(wanted, str) else "auto" if wanted is None else "function"
        parts = {
            "architecture": self._architecture or {"class": type(self.module).__qualname__},
            "code": code_of(self.module, *([wanted] if callable(wanted) else [])),
            "head": described,
            "state": self._state,
        }
        return json.dumps(parts, sort_keys=True, default=str)

    def verify(self, batch: Any) -> HeadReport:
        """Find the head on the first rows of a batch and check it on all of them.

        Parameters
        ----------
        batch : Tensor, sequence or mapping of tensors
            Real inputs, without labels.

        Returns
        -------
        HeadReport

        Raises
        ------
        HeadNotFound
            If no affine map reproduces the logits, or the logits of a row change from pass to
            pass or with the rows beside it.
        DataError
            If the module cannot process the batch.
        """
        small = first_rows(batch, TRACED_ROWS)
        with torch.no_grad():
            found, report, logits = self._search(small)
            self._fix(found, report)
            features, whole = self.features_and_logits(batch)
        del features
        check_steady(logits, whole[: len(logits)])
        return self.head_report

    def features_and_logits(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Run one forward pass and check the head on it.

        Parameters
        ----------
        batch : Tensor, sequence or mapping of tensors
            Inputs of n rows, without labels.

        Returns
        -------
        features : Tensor of shape (n, d)
            In the module's precision; values that are not finite are passed on.
        logits : Tensor of shape (n, C)
            As the module returned them.

        Raises
        ------
        HeadNotFound
            If the head does not reproduce the logits of this batch.
        DataError
            If the module cannot process the batch.
        """
        if self._found is None:
            self.verify(batch)
        assert self._found is not None
        assert self._report is not None
        with torch.no_grad():
            reading = self._read(batch, self._found)
            agreed = self._found.check(reading)
        if agreed.rows and not agreed.holds:
            raise HeadNotFound(
                f"the head {self._report.name!r} reproduced the first logits, here it is off by "
                f"{agreed.max_abs_diff:.3g} where {agreed.tolerance:.2g} is allowed; the model is "
                "not one linear head on its features"
            )
        self._report = self._report.joined(agreed)
        return reading.features, reading.logits

    def _read(self, batch: Any, found: FoundHead) -> Reading:
        if callable(self.wanted):
            return given(self.wanted, self._inputs(batch))
        known = {s.shape for s in found.sources}
        tracer = Tracer(lambda shape: shape in known)
        logits = self._forward(batch, tracer)
        reading = found.read(tracer.calls, logits)
        if reading is None:
            raise HeadNotFound(
                f"the layer {found.name!r} that made the first logits was not used in the same way "
                "on this batch; the weights of the head must be the same for all inputs"
            )
        return reading

    def _search(self, batch: Any) -> tuple[FoundHead, HeadReport, Tensor]:
        tracer = Tracer(lambda shape: True)
        with watched(self.module, tracer):
            logits = self._forward(batch, tracer)
            if callable(self.wanted):
                with tracer:
                    reading = given(self.wanted, self._inputs(batch))
        if logits.shape[1] < 2:
            raise HeadNotFound(
                f"the model returns {logits.shape[1]} output per row; needed is one logit per "
                "class. For two classes with one logit z, return torch.cat([-z, z], 1)"
            )
        if callable(self.wanted):
            check_steady(logits, reading.logits)
            return *match_given(self.module, tracer.calls, reading), logits
        name = self.wanted if isinstance(self.wanted, str) else None
        return *find_head(self.module, tracer.calls, logits, name), logits

    def _forward(self, batch: Any, tracer: Tracer) -> Tensor:
        inputs = self._inputs(batch)
        try:
            with tracer:
                output = run(self.module, inputs)
        except NcboundsError:
            raise
        except Exception as error:  # it is the user's code, and asserts what it likes
            raise DataError(
                f"the model cannot process a batch of {shapes(batch)}: "
                f"{str(error) or type(error).__name__}"
            ) from error
        logits = logits_of(output)
        n = rows_of(batch)
        if logits is None or len(logits) != n:
            found = type(output).__name__ if logits is None else str(tuple(logits.shape))
            raise HeadNotFound(
                f"the model returned {found} for {n} rows; needed are logits of shape ({n}, C), or "
                "a tuple, mapping or object with .logits that holds them"
            )
        return logits

    def _inputs(self, batch: Any) -> Any:
        """Bring floating-point inputs to the module's precision; integers stay."""
        dtype = next((p.dtype for p in self.module.parameters() if p.is_floating_point()), None)

        def cast(value: Any) -> Any:
            change = dtype and isinstance(value, Tensor) and value.is_floating_point()
            return value.to(dtype) if change else value

        if isinstance(batch, Mapping):
            return {name: cast(value) for name, value in batch.items()}
        if isinstance(batch, tuple | list):
            return type(batch)(cast(value) for value in batch)
        return cast(batch)

    def _fix(self, found: FoundHead, report: HeadReport) -> None:
        bias = found.bias.numpy() if found.has_bias else None
        self._head = LinearHead(found.weight.numpy(), bias, has_bias=found.has_bias)
        self._found, self._report = found, report
