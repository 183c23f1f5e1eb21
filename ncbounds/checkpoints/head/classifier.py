"""A network in eval mode with its verified linear head."""

import copy
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncbounds.checkpoints.head.agreement import unit_roundoff
from ncbounds.checkpoints.head.arithmetic import PRECISIONS, as_named, device_of, precision_of
from ncbounds.checkpoints.head.device import find_device, is_out_of_memory
from ncbounds.checkpoints.head.examine import Classes, Twin, examine, steady
from ncbounds.checkpoints.head.fingerprint import code_of, state_hash
from ncbounds.checkpoints.head.forward import Forward
from ncbounds.checkpoints.head.head import HeadReport
from ncbounds.checkpoints.head.own_tensors import own_tensors
from ncbounds.checkpoints.head.passes import HeadFunction, check_task, unwrapped
from ncbounds.checkpoints.head.proof import Proof
from ncbounds.checkpoints.head.reading import FoundHead, Reading
from ncbounds.checkpoints.head.state import state_of, to_eval
from ncbounds.checkpoints.head.steadiness import BESIDE, SAVED_UP, Regrouping, check_same, cut
from ncbounds.checkpoints.head.trace import Taps, first_rows, rows_of
from ncbounds.errors import DataError, HeadNotFound, OutOfMemory
from ncbounds.evidence.head import LinearHead
from ncbounds.files import exactly

#: Of a network without parameters that has not run yet.
UNKNOWN_ROUNDOFF = 2.0**-24
#: Rows on which it is seen where the tensors of the head are used.
USED_ROWS = 2


class Classifier:
    """An ``nn.Module`` in eval mode, without gradients, plus its verified linear head.

    The features are what the head *multiplies*: after pooling, normalisation and dropout, which is
    off. The head is looked for on the first batch and checked on every batch after it, where the
    network runs and in the precision that it has there (:meth:`to`); TF32 is off meanwhile.

    Parameters
    ----------
    module : nn.Module
        Takes a tensor, several tensors by position, or a mapping by keyword; returns logits of
        shape (n, C), or a tuple, mapping or object that holds them (``.logits``). It is put in
        eval mode.
    head : str or callable, optional
        Name of the layer to accept, or a function from a batch to ``(features, logits)``. Both are
        checked like any other.
    output : str or int, optional
        Name or index of the logits, where the module returns several things. By default a name
        that says so decides, else the number of classes of the data.
    state_sha256 : str, optional
        Hash of the file that the weights came from; by default they are hashed.
    architecture : mapping, optional
        Name and arguments, for the identity under which features are stored.
    notes : tuple of str, optional
        What was done while reading and building.
    remarks : tuple of str, optional
        What has to be said beside every row about it.
    twin : callable, optional
        Builds the network once more from the same file; the two must agree on the first rows.

    Raises
    ------
    HeadNotFound
        At once, if the module says that it is for another task than labels of rows; at the
        first batch, if no affine map reproduces the logits, or the module is no fixed function of
        each row.
    """

    def __init__(
        self,
        module: nn.Module,
        head: str | HeadFunction | None = None,
        output: str | int | None = None,
        *,
        state_sha256: str | None = None,
        architecture: Mapping[str, Any] | None = None,
        notes: tuple[str, ...] = (),
        remarks: tuple[str, ...] = (),
        twin: Twin | None = None,
    ) -> None:
        module = unwrapped(module)
        problem = getattr(getattr(module, "config", None), "problem_type", None)
        check_task(type(module).__name__, problem, "the model", HeadNotFound)
        if isinstance(head, str) and head not in dict(module.named_modules()):
            names = [n for n, m in module.named_modules() if n and not list(m.children())]
            raise HeadNotFound(
                f"the model has no layer {head!r}; its last layers are {', '.join(names[-6:])}"
            )
        to_eval(module)
        for parameter in module.parameters():  # a scripted module cannot do it as a whole
            parameter.requires_grad_(False)
        self.module = module
        self.wanted = head
        self.output = None if output is None else str(output)
        self.notes = notes
        self.remarks = remarks
        self._state = state_sha256
        self._architecture = dict(architecture or {})
        self._twin = self._built_by = twin
        self._forward = Forward(self.module, head)
        self._found: FoundHead | None = None
        self._backbone: str | None = None
        self._proof: Proof | None = None
        self._head: LinearHead | None = None
        self._precisions: set[torch.dtype] = set()
        self._steady: set[tuple[str, Any]] = set()  # taps whose first rows were run again
        self._regrouping: dict[frozenset[tuple[str, Any]], Regrouping] = defaultdict(
            lambda: Regrouping(SAVED_UP if self.device.type == "cuda" else 1)
        )

    def __repr__(self) -> str:
        """Show the module's class and the head."""
        head = "not verified yet" if self._proof is None else self._proof.report.name
        return f"Classifier({type(self.module).__name__}, head={head})"

    def rests_on(self, code: str) -> None:
        """Say what its features depend on beside the module: a hash of what builds that."""
        known = self._architecture or {"class": type(self.module).__qualname__}
        self._architecture = {**known, "built by": code}

    @property
    def predicts(self) -> bool:
        """Whether it was made by :meth:`predicting`, so that its features are its logits."""
        return self._forward.predicting

    @property
    def found(self) -> FoundHead | None:
        """How logits, and features, are taken out of a pass; None before the first batch."""
        return self._found

    def predicting(self) -> "Classifier":
        """Return the same network without a head, for what it predicts alone.

        Its features are its logits, of which it is checked in the same ways that each row gives its
        own; no head is looked for.
        """
        alone = Classifier(
            self.module,
            output=self.output,
            state_sha256=self._state,
            architecture=self._architecture,
            notes=self.notes,
            remarks=self.remarks,
            twin=self._built_by,
        )
        alone._forward.predicting = True
        return alone

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return device_of(self.module)

    @property
    def precision(self) -> str:
        """In which numbers it runs: ``"fp32"``, ``"bf16"``, ``"fp16"`` or ``"fp64"``."""
        return precision_of(self.module)

    def to(
        self, device: str | torch.device | None = None, precision: str | None = None
    ) -> "Classifier":
        """Run the network elsewhere, or in other numbers, from now on; the head is found anew.

        In another precision it is another network: its weights are rounded, head included, and all
        that it computes. That one is evaluated then, with its head applied in float64. It is a copy
        of the module; a device alone is changed as by ``nn.Module.to``, in place.

        Parameters
        ----------
        device : str or torch.device, optional
            ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, or ``"auto"``: CUDA where it is
            available, else the CPU. By default where it is.
        precision : {"fp32", "bf16", "fp16"}, optional
            By default that of its weights.

        Returns
        -------
        Classifier
            Itself.

        Raises
        ------
        DataError
            If the device is not there, no precision has that name, or ``head`` is a function, which
            runs a network of its own.
        """
        place = self.device if device is None else find_device(device)
        if precision is not None and precision not in PRECISIONS:
            raise DataError(f"precision is one of {', '.join(PRECISIONS)}, found {precision!r}")
        other = precision not in (None, self.precision)
        if place == self.device and not other:
            return self
        if other and callable(self.wanted):
            raise DataError(
                f"head= is a function, which runs a network in {self.precision}: for {precision} "
                "give Classifier a network and a function of it in that precision"
            )
        if other and self._state is None:
            self._state = state_hash(self.module)
        module = copy.deepcopy(self.module) if other else self.module
        dtype = None if precision is None else PRECISIONS[precision]
        self.module = module.to(device=place, dtype=dtype).requires_grad_(False)
        to_eval(self.module)
        self._forward = Forward(self.module, self.wanted, predicting=self.predicts)
        self._forget()
        return self

    def _forget(self) -> None:
        self._found = self._forward.verified = self._backbone = None
        self._precisions.clear()
        self._steady.clear()
        self._regrouping.clear()

    @property
    def head(self) -> LinearHead:
        """Head of shape (C, d) in float64; known after the first batch."""
        if self.predicts:
            raise HeadNotFound("no linear head is known: this classifier gives predictions only")
        if self._head is None:
            raise HeadNotFound("the head is not verified yet; call classifier.verify(batch)")
        return self._head

    @property
    def head_report(self) -> HeadReport:
        """What was found and how exactly it reproduces the logits so far."""
        if self._proof is None:
            raise HeadNotFound("the head is not verified yet; call classifier.verify(batch)")
        return self._proof.settle()

    @property
    def roundoff(self) -> float:
        """Unit roundoff of the coarsest type among the parameters and the logits so far."""
        kinds = {p.dtype for p in self.module.parameters() if p.is_floating_point()}
        return max(map(unit_roundoff, kinds | self._precisions), default=UNKNOWN_ROUNDOFF)

    @property
    def identity(self) -> str:
        """JSON of everything but the inputs that the features depend on.

        The kind of device is part of it: rounding differs there, so that rows near a tie may be
        decided otherwise, and samples of two kinds of device would be of two classifiers.
        """
        if self._state is None:
            self._state = state_hash(self.module)
        return self._identity(self._state)

    def backbone(self, batch: Any) -> str:
        """JSON of everything but the inputs that the features depend on, without the head.

        Refitted heads of one backbone share it. Where it is not seen on the first rows of
        ``batch`` that the head is a plain one (:mod:`ncbounds.checkpoints.head.own_tensors`), it
        is :attr:`identity`.

        Raises
        ------
        HeadNotFound
            If the head is not verified yet.
        """
        if self._backbone is None:
            found, few = self._verified(), first_rows(batch, USED_ROWS)
            with torch.no_grad():
                own = own_tensors(
                    self.module, found, lambda mode: self._forward.returned(few, mode)
                )
            if own:
                state = state_hash(self.module, own)
                self._backbone = self._identity(state, found.name, found.how)
            else:
                self._backbone = self.identity
        return self._backbone

    def logits_of(self, features: Tensor) -> Tensor:
        """Logits (n, C) of a plain head, in its own precision, for features (n, d) of its backbone.

        Raises
        ------
        HeadNotFound
            If ``W f + b`` does not reproduce them.
        """
        found = self._verified()
        weight = found.sources[0]
        bias = found.bias.to(weight) if found.has_bias else None
        features = features.to(weight)
        with torch.no_grad(), as_named():
            logits = F.linear(features, weight, bias)
            assert self._proof is not None
            self._proof.add(found.compared(Reading(features, logits)))
            self._proof.settle()
        return logits

    def _verified(self) -> FoundHead:
        if self._found is None:
            raise HeadNotFound("the head is not verified yet; call classifier.verify(batch)")
        return self._found

    def _identity(self, state: str, *found: str) -> str:
        wanted = self.wanted
        described = wanted if isinstance(wanted, str) else "auto" if wanted is None else "function"
        if self.predicts:
            described = "predictions"
        parts: dict[str, Any] = {
            "architecture": self._architecture or {"class": type(self.module).__qualname__},
            "code": code_of(self.module, *([wanted] if callable(wanted) else [])),
            "head": described,
            "state": state,
        }
        if found:
            parts["found"] = found
        if self.output is not None:
            parts["output"] = self.output
        if self.precision != "fp32":
            parts["precision"] = self.precision
        if self.device.type != "cpu":
            parts["device"] = self.device.type
        return json.dumps(parts, sort_keys=True, default=exactly)

    @property
    def choices(self) -> tuple[str, ...]:
        """What was chosen among several: weights, output, a rewritten head. Known once verified."""
        return (*self.notes, *self.head_report.notes)

    def verify(self, batch: Any, classes: Classes | None = None) -> HeadReport:
        """Find the head on the first rows of a batch and check it on all of them.

        Parameters
        ----------
        batch : Tensor, sequence or mapping of tensors
            Real inputs, without labels.
        classes : callable, optional
            Gives the number of classes of the data; asked only where several outputs of the model
            could be the logits.

        Returns
        -------
        HeadReport

        Raises
        ------
        HeadNotFound
            If no affine map reproduces the logits, or the module is no fixed function of each row
            and of its file alone.
        DataError
            If the module cannot process the batch.
        """
        self._forget()
        self.features_and_logits(batch, classes)
        return self.head_report

    def features_and_logits(
        self, batch: Any, classes: Classes | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run one forward pass and check the head on it, and some rows in other company.

        Parameters
        ----------
        batch : Tensor, sequence or mapping of tensors
            Inputs of n rows, without labels.
        classes : callable, optional
            See :meth:`verify`.

        Returns
        -------
        features : Tensor of shape (n, d)
            In the module's precision; values that are not finite are passed on.
        logits : Tensor of shape (n, C)
            As the module returned them.

        Raises
        ------
        HeadNotFound, DataError
            See :meth:`reading`.
        """
        reading = self.reading(batch, classes)
        return reading.features, reading.logits

    def reading(
        self,
        batch: Any,
        classes: Classes | None = None,
        taps: Taps | None = None,
        *,
        ahead: bool = False,
    ) -> Reading:
        """Run one pass as :meth:`features_and_logits` does, and read named modules in it.

        Parameters
        ----------
        batch, classes
            See :meth:`features_and_logits`.
        taps : mapping of str to callable, optional
            For names of modules, a function from their output and the batch to what is kept of it,
            of shape (n, d). It is checked as the features are.
        ahead : bool
            Let a GPU work on while the host goes on: a head that does not reproduce the logits of
            this batch is found at one of the next, or by :meth:`settle`.

        Raises
        ------
        HeadNotFound
            If the head does not reproduce the logits of this batch, or what a row gives depends on
            the rows beside it.
        TapRefused
            If a module gives no features, or none that are a function of each row alone.
        DataError
            If the module cannot process the batch.
        OutOfMemory
            If it does not fit on the device.
        """
        try:
            with as_named():
                return self._reading(batch, classes, taps or {}, ahead)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # raised out here: in there the error would hold on to what fills the memory
        raise OutOfMemory(
            f"{self.device} has no room for a batch of {rows_of(batch)} rows: take fewer at a "
            "time, or batch_size='auto' (--batch-size auto), which finds how many fit"
        )

    @property
    def lag(self) -> int:
        """Batches whose results the host may leave waiting: one where a GPU works by itself."""
        return 1 if self.device.type == "cuda" else 0

    def head_logits(self, features: Tensor) -> Tensor:
        """Logits of the head in float64, shape (n, C), where the features (n, d) are."""
        if self._found is None:
            raise HeadNotFound("the head is not verified yet; call classifier.verify(batch)")
        logits: Tensor = features.double() @ self._found.weight.T + self._found.bias
        return logits

    def settle(self) -> None:
        """Wait for what was read ahead.

        Raises
        ------
        HeadNotFound
            If the head does not reproduce the logits of all batches.
        """
        if self._proof is not None:
            self._proof.settle()

    def _reading(self, batch: Any, classes: Classes | None, taps: Taps, ahead: bool) -> Reading:
        forward = replace(self._forward, taps=taps)
        with torch.no_grad():
            found, first = self._found, None
            if found is None:
                found, first = self._examined(forward, batch, classes)
            elif not self._steady.issuperset(forward.taps.items()):
                first = steady(forward, batch, found)
            reading = forward.features(batch, found)
            if first is not None:
                part = cut(reading, slice(len(first.logits)))
                check_same(first, part, reading, found.how, BESIDE)
            assert self._proof is not None
            self._proof.add(found.compared(reading))
            self._proof.settle(ahead=self.lag if ahead and self._found is not None else 0)
            self._regrouping[frozenset(forward.taps.items())].check(
                lambda part: forward.features(part, found), batch, reading, found.how
            )
        if self._found is None:  # only now: a network that failed is examined again
            self._found, self._forward.verified = found, state_of(self.module)
        self._precisions.add(reading.logits.dtype)
        self._steady.update(forward.taps.items())
        return reading

    def _examined(
        self, forward: Forward, batch: Any, classes: Classes | None
    ) -> tuple[FoundHead, Reading]:
        found, report, first = examine(forward, batch, self.output, classes, self._twin)
        self._twin, self._proof = None, Proof(report)
        if self.predicts:
            return found, first
        bias = found.bias.cpu().numpy() if found.has_bias else None
        self._head = LinearHead(found.weight.cpu().numpy(), bias, has_bias=found.has_bias)
        return found, first
