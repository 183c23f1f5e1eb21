"""The search for a short code word: distil, quantise, prune along a path, cool, polish.

Nothing here proves anything; the certificate is computed from the bytes that are found. The plan is
a list of stages, each a number of epochs, so that an interrupted search goes on where it stood;
the best code word is then polished, code by code, and is itself the state of that.
"""

import io
import json
import math
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ncbounds.code_words.code.certificate import certify
from ncbounds.code_words.code.coder import CodeWordError
from ncbounds.code_words.code.codeword import Network, decode, encode
from ncbounds.code_words.code.grammar import Architecture
from ncbounds.code_words.search.curve import Point, write_curve
from ncbounds.code_words.search.polish import Polish
from ncbounds.code_words.search.rate import Rate, nonzeros
from ncbounds.code_words.search.schedule import Stage, stretched
from ncbounds.code_words.search.student import Student, decided_class, prepare, student_logits
from ncbounds.data.images import as_images
from ncbounds.files import write_bytes
from ncbounds.numerics import occam_upper

#: Steps between two refreshes of the penalty's counts.
_REFRESH = 10
#: Running means of flips and codes: weight of the newest step.
_NEWEST = 0.02
TEMPERATURE = 2.0
#: About how often a stage is evaluated: counting takes as long as half an epoch of training.
EVALUATIONS = 20
#: Epochs after which the pace of a stage is known; the first may wait for a compiler.
PACED = 3
#: How much smaller a bound must be to be counted exactly before its stage ends.
WORTH_A_COUNT = 0.002
#: Share of the time that is kept for polishing.
POLISHING = 0.15
#: Root mean square of the latents of a tensor when rounding begins.
FINE = 1.0
#: Learning rate of biases, whose unit is coarse, beside that of kernels.
BIAS_RATE = 4.0


@dataclass
class State:
    """Where a search stands; saved after every epoch."""

    stage: int = 0
    epoch: int = 0
    seconds: float = 0.0
    best: float = math.inf
    best_saved: float = math.inf
    curve: list[Point] = field(default_factory=list)


class Search:
    """A search in a folder; :meth:`run` returns when the plan is done or it is interrupted.

    Parameters
    ----------
    architecture : Architecture
    images, labels : uint8 array (n, height, width) or (n, channels, h, w), integer array (n,)
        The training sample.
    teacher : float array (n, classes)
        The saved network's logits on it.
    folder : Path
        ``network.ncz`` (the smallest bound for the decoded network) with ``certificate.json``,
        ``saved.ncz`` (the smallest sum of that bound and the difference from the teacher on the
        training sample), ``curve.csv`` and the state go here.
    stages : list of Stage
    seed, batch : int
    delta : float
    likeness : float
        Between 0, where labels and teacher both count, and 1, where only the teacher does.
    polished : bool
        Whether single codes are changed at the end.
    compiled : bool
        Let torch compile the training step, which needs a C++ compiler. Nearly twice as
        fast where the first layer reads pixels; behind a filter bank it gains nothing.
    report : callable
        Given a line of progress now and then.

    Attributes
    ----------
    interrupted : bool
        Whether it was asked to stop.
    """

    def __init__(
        self,
        architecture: Architecture,
        images: NDArray[np.uint8],
        labels: NDArray[Any],
        teacher: NDArray[Any],
        folder: Path,
        stages: list[Stage],
        *,
        seed: int = 0,
        batch: int = 64,
        delta: float = 0.05,
        likeness: float = 0.0,
        polished: bool = True,
        compiled: bool = False,
        report: Callable[[str], None] = print,
    ) -> None:
        self.images, self.folder, self.stages = as_images(images), folder, stages
        self.labels = torch.from_numpy(np.asarray(labels, dtype=np.int64))
        self.inputs = prepare(self.images, architecture)
        self.classes = teacher.shape[1]
        self.soft = functional.softmax(torch.from_numpy(teacher).float() / TEMPERATURE, dim=1)
        self.student = Student(architecture, self.images.shape[1:], self.classes, seed)
        self._trained = torch.compile(self.student, dynamic=False) if compiled else self.student
        self.decided = torch.from_numpy(teacher.argmax(1).astype(np.int64))
        self.batch, self.delta, self.seed, self.report = batch, delta, seed, report
        self.likeness, self.polished = likeness, polished
        self.state = State()
        kernels = [*self.student.latents, self.student.log_scale]
        groups = [{"params": kernels}, {"params": list(self.student.biases)}]
        self._optimizer = torch.optim.Adam(groups, lr=1e-2, betas=(0.95, 0.999))
        self._flips = [torch.zeros_like(p.data) for p in self.student.all_latents()]
        self._means = [torch.zeros_like(p.data) for p in self.student.all_latents()]
        self.interrupted = False
        self._clock = time.process_time()
        self._paces: list[float] = []
        self._end = math.inf
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, seconds: float = math.inf) -> State:
        """Train and polish until that is done, an interrupt arrives, or ``seconds`` have passed.

        When a stage begins, and again when its pace is known, it and those behind it are made to
        fit the time that is left. Time alone does not end the search before there is a first code
        word.
        """
        self._resume()
        end = time.monotonic() + seconds
        self._end = end - POLISHING * seconds if self._polishes and seconds < math.inf else end
        before = signal.signal(signal.SIGINT, self._stop)
        try:
            while self.state.stage < len(self.stages):
                if self.interrupted or (self._late() and math.isfinite(self.state.best)):
                    break
                began = time.monotonic()
                self._epoch()
                self._paces.append(time.monotonic() - began)
                if self.state.epoch in (0, PACED) and math.isfinite(self._end):
                    self._share_out(self._end - time.monotonic())
                if self.state.epoch == 0:
                    self._paces.clear()
            self._end = end
            if self._polishes and self._going() and self._word.exists():
                self._polish()
        finally:
            signal.signal(signal.SIGINT, before)
        return self.state

    def _late(self) -> bool:
        return time.monotonic() > self._end

    def _tick(self) -> None:
        """Add the processor time that has passed."""
        now = time.process_time()
        self.state.seconds += now - self._clock
        self._clock = now

    def _share_out(self, seconds: float) -> None:
        """Stretch or shrink the stages from the present one on, by the pace of the last epochs."""
        done, begun = self.state.stage, self.state.epoch
        self.stages = stretched(self.stages, done, begun + int(seconds / median(self._paces)))
        if begun:
            stage = self.stages[done]
            self.stages[done] = replace(stage, epochs=max(begun + 1, stage.epochs))
        self._save()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = True
        self.report("stopping soon; the best code word is kept")

    def _epoch(self) -> None:
        self._clock = time.process_time()
        stage, state = self.stages[self.state.stage], self.state
        if state.epoch == 0:
            self._enter(stage)
        self.student.rounding = stage.rounding
        self.student.train()
        generator = torch.Generator().manual_seed(
            self.seed + 1009 * state.epoch + 99991 * state.stage
        )
        batches = torch.split(torch.randperm(len(self.inputs), generator=generator), self.batch)
        self._rate = Rate(self.student)
        for i, rows in enumerate(batches):
            done = (state.epoch + i / len(batches)) / stage.epochs
            self._step(stage, rows, done, refresh=i % _REFRESH == 0)
        state.epoch += 1
        every = max(1, stage.epochs // EVALUATIONS)
        last = self.interrupted or self._late() or state.epoch >= stage.epochs
        if stage.rounding and (last or state.epoch % every == 0):
            self._evaluate(stage, last=last)
        else:
            self._tick()
            self.report(f"{stage.name} {state.epoch}/{stage.epochs}  {state.seconds:.0f} s")
        if state.epoch >= stage.epochs:
            state.stage, state.epoch = state.stage + 1, 0
        self._save()

    def _enter(self, stage: Stage) -> None:
        """Prepare masks and latents for a stage."""
        student = self.student
        first = self.state.stage == 0 or not self.stages[self.state.stage - 1].rounding
        if stage.rounding and first:
            with torch.no_grad():
                for p in student.latents:
                    p.mul_(FINE / p.pow(2).mean().sqrt().clamp_min(1e-6))
        codes = student.codes()
        for i, p in enumerate(student.all_latents()):
            # what was held goes on from where it was held, not from where its latent drifted
            held = ~torch.isnan(student.frozen[i])
            p.data.copy_(torch.where(held, student.frozen[i], p.data))
            student.frozen[i] = torch.full_like(p.data, torch.nan)
            # biases are few, and cheap beside what they do: they stay free
            fixed = stage.fix and i < len(student.latents)
            student.kept[i] = (codes[i] != 0).float() if fixed else torch.ones_like(p.data)
            self._flips[i].zero_()
        if stage.size:
            self._rescale(stage.size, codes)
        self._last = student.codes()
        for mean, code in zip(self._means, self._last, strict=True):
            mean.copy_(code)
        self._optimizer.state.clear()

    @torch.no_grad()
    def _rescale(self, size: float, codes: list[Tensor]) -> None:
        """Scale the latents of every tensor; the head's bias goes with the head."""
        student = self.student
        for i, p in enumerate(student.latents):
            present = p[codes[i] != 0]
            if len(present) == 0:
                continue
            factor = size / present.pow(2).mean().sqrt()
            p.mul_(factor)
            if i == len(student.architecture.layers):
                student.biases[i].mul_(factor)
                student.log_scale.sub_(torch.log(factor))

    def _step(self, stage: Stage, rows: Tensor, done: float, *, refresh: bool) -> None:
        low, high = stage.rates[1], stage.rates[0]
        rate = low + (high - low) * (1 + math.cos(math.pi * done)) / 2
        for group, times in zip(self._optimizer.param_groups, (1.0, BIAS_RATE), strict=True):
            group["lr"] = times * rate
        self._forward_backward(stage, rows, done, refresh=refresh)
        self._optimizer.step()
        if stage.rounding:
            self._watch(stage, done)

    def _forward_backward(self, stage: Stage, rows: Tensor, done: float, *, refresh: bool) -> None:
        student = self.student
        # a last, short batch is not worth a compilation
        forward = self._trained if len(rows) == self.batch else student
        logits = forward(self.inputs[rows])
        targets = (self.decided if self._like else self.labels)[rows]
        bounded = stage.bounded * min(1.0, 2 * done)
        loss = distillation(logits, self.soft[rows], targets, bounded, self.likeness)
        if stage.penalty:
            if refresh:
                self._rate.refresh(student)
            # it grows over the first half, so that coarse codes come gradually
            weight = stage.penalty * min(1.0, 0.1 + 2 * done)
            loss = loss + weight * self._rate.bits(student)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def _watch(self, stage: Stage, done: float) -> None:
        """Cut off large latents, follow codes that flip, and hold those that oscillate."""
        student = self.student
        for p in student.latents:
            p.clamp_(-stage.largest - 0.45, stage.largest + 0.45)
        codes = student.codes()
        for i, code in enumerate(codes):
            self._flips[i].lerp_((code != self._last[i]).float(), _NEWEST)
            self._means[i].lerp_(code, _NEWEST)
        self._last = codes
        if stage.freeze is None:
            return
        limit = stage.freeze[1] + (stage.freeze[0] - stage.freeze[1]) * (1 - done) ** 2
        for i, flips in enumerate(self._flips):
            held = torch.isnan(student.frozen[i]) & (flips > limit)
            student.frozen[i] = torch.where(held, self._means[i].round(), student.frozen[i])

    def _evaluate(self, stage: Stage, *, last: bool) -> None:
        """Count errors as the torch form sees them, and see whether that is the best so far."""
        found = decided_class(student_logits(self.student, self.inputs), 1)
        errors = int((found != self.labels).sum())
        differences = int((found != self.decided).sum())
        place = stage.name, self.state.epoch
        self._weigh(place, self.student.network(), errors, differences, last=last)

    def _polish(self) -> None:
        """Change codes of the best code word one by one while that lowers what is sought."""
        self._clock = time.process_time()
        network = decode(self._word.read_bytes(), self.student.shape, self.classes)
        if network.architecture != self.student.architecture:
            # its inputs may differ, and it may have no head
            self.report("not polished: the best word so far is of another architecture")
            return

        def told(found: Polish) -> None:
            place = "polish", found.changes
            self._weigh(place, found.network, found.errors, found.differences, last=True)
            self._save()

        Polish(
            network,
            self.inputs,
            self.labels,
            self.decided,
            delta=self.delta,
            likeness=self._like,
            seed=self.seed,
        ).run(self._going, told)

    @property
    def _like(self) -> bool:
        """Whether the code word is to be like the saved network more than right."""
        return self.likeness > 0.5

    @property
    def _word(self) -> Path:
        """The code word that is sought."""
        return self.folder / ("saved.ncz" if self._like else "network.ncz")

    @property
    def _polishes(self) -> bool:
        # a frame has no head that could answer
        return self.polished and not self.student.architecture.frame

    def _going(self) -> bool:
        return not (self.interrupted or self._late())

    def _weigh(
        self, place: tuple[str, int], network: Network, errors: int, differences: int, *, last: bool
    ) -> None:
        """Put a network on the curve, and on disk if it is the best of its kind."""
        state, n, data = self.state, len(self.labels), encode(network)
        bound = occam_upper(errors, n, 8 * len(data), self.delta)
        if bound < state.best - (0.0 if last else WORTH_A_COUNT):
            self._keep(data)
        if bound + differences / n < state.best_saved:
            state.best_saved = bound + differences / n
            write_bytes(self.folder / "saved.ncz", data)
        self._tick()
        state.curve.append(
            Point(
                *place,
                bits=8 * len(data),
                errors=errors,
                differences=differences,
                bound=bound,
                nonzeros=nonzeros(network),
                seconds=state.seconds,
            )
        )
        self.report(
            f"{place[0]} {place[1]}  {8 * len(data)} bits  {errors / n:.4f} errors  "
            f"{differences / n:.4f} differ  bound {bound:.4f}  best {state.best:.4f}  "
            f"{state.seconds:.0f} s"
        )

    def _keep(self, data: bytes) -> None:
        """Put a code word on disk if its exact certificate is better."""
        found = certify(
            data, self.images, self.labels.numpy(), classes=self.classes, delta=self.delta
        )
        if found.value < self.state.best:
            self.state.best = found.value
            write_bytes(self.folder / "network.ncz", data)
            found.save(self.folder / "certificate.json")

    def _heed(self) -> None:
        """Let a word that somebody has put into the folder count as the best so far."""
        try:
            data = (self.folder / "network.ncz").read_bytes()
            labels = self.labels.numpy()
            found = certify(data, self.images, labels, classes=self.classes, delta=self.delta)
        except (FileNotFoundError, CodeWordError):
            return
        self.state.best = found.value

    def _save(self) -> None:
        student = self.student
        stored = {
            "state": {**asdict(self.state), "curve": [asdict(p) for p in self.state.curve]},
            "weights": student.state_dict(),
            "kept": student.kept,
            "frozen": student.frozen,
            "flips": self._flips,
            "means": self._means,
            "optimizer": self._optimizer.state_dict(),
            "stages": json.dumps([asdict(stage) for stage in self.stages]),
            "architecture": repr(student.architecture),
        }
        buffer = io.BytesIO()
        torch.save(stored, buffer)
        write_bytes(self.folder / "search.pt", buffer.getvalue())
        write_curve(self.folder / "curve.csv", self.state.curve)

    def _resume(self) -> None:
        path = self.folder / "search.pt"
        if not path.exists():
            self._heed()
            return
        stored = torch.load(path, weights_only=True)
        curve = [Point(**point) for point in stored["state"].pop("curve")]
        self.state = State(**stored["state"], curve=curve)
        stages = [Stage.of(stage) for stage in json.loads(stored["stages"])]
        same = stored.get("architecture") == repr(self.student.architecture)
        if not same or [s.name for s in stages] != [s.name for s in self.stages]:
            # another plan begins anew, but its words stay until there are better ones
            self.state.stage = self.state.epoch = 0
            return
        self.stages = stages
        self.student.load_state_dict(stored["weights"])
        self.student.kept, self.student.frozen = stored["kept"], stored["frozen"]
        self._flips, self._means = stored["flips"], stored["means"]
        self._optimizer.load_state_dict(stored["optimizer"])
        self._last = self.student.codes()


def distillation(
    logits: Tensor, soft: Tensor, labels: Tensor, bounded: float, likeness: float
) -> Tensor:
    """Mean of cross-entropy with labels and with a softened teacher, or a bounded loss."""
    hard = functional.cross_entropy(logits, labels)
    log_soft = functional.log_softmax(logits / TEMPERATURE, dim=1)
    teach = -(soft * log_soft).sum(1).mean() * TEMPERATURE
    loss = (1 - likeness) * (0.5 * hard + 0.25 * teach) + likeness * teach
    if bounded:
        right = functional.softmax(logits, dim=1).gather(1, labels[:, None])
        loss = (1 - bounded) * loss + bounded * 3.0 * (1 - right).mean()
    return loss
