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
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ncbounds.code_words.code.codeword import decode
from ncbounds.code_words.code.grammar import Architecture
from ncbounds.code_words.search.curve import write_curve
from ncbounds.code_words.search.polish import Polish
from ncbounds.code_words.search.record import Record, State
from ncbounds.code_words.search.schedule import Stage, stretched
from ncbounds.code_words.search.student import decided_class, student_logits
from ncbounds.code_words.search.trainer import Settings, Trainer
from ncbounds.data.images import as_images
from ncbounds.files import write_bytes

#: About how often a stage is evaluated: counting takes as long as half an epoch of training.
EVALUATIONS = 20
#: Epochs after which the pace of a stage is known; the first may wait for a compiler.
PACED = 3
#: Share of the time that is kept for polishing.
POLISHING = 0.15


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
    settings : Settings
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
        settings: Settings | None = None,
        report: Callable[[str], None] = print,
    ) -> None:
        self.folder, self.stages, self.report = folder, stages, report
        self.settings = Settings() if settings is None else settings
        images = as_images(images)
        self.trainer = Trainer(architecture, images, labels, teacher, self.settings)
        self.record = Record(
            folder,
            images,
            self.trainer.labels.numpy(),
            teacher.shape[1],
            self.settings.delta,
            report,
        )
        self.interrupted = False
        self._clock = time.process_time()
        self._paces: list[float] = []
        self._end = math.inf
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def state(self) -> State:
        """Where the search stands."""
        return self.record.state

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
            first = state.stage == 0 or not self.stages[state.stage - 1].rounding
            self.trainer.enter(stage, first=first)
        self.trainer.epoch(stage, state.stage, state.epoch)
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

    def _evaluate(self, stage: Stage, *, last: bool) -> None:
        """Count errors as the torch form sees them, and see whether that is the best so far."""
        trainer = self.trainer
        found = decided_class(student_logits(trainer.student, trainer.inputs), 1)
        errors = int((found != trainer.labels).sum())
        differences = int((found != trainer.decided).sum())
        place = stage.name, self.state.epoch
        self._tick()
        self.record.weigh(place, trainer.student.network(), errors, differences, last=last)

    def _polish(self) -> None:
        """Change codes of the best code word one by one while that lowers what is sought."""
        self._clock = time.process_time()
        trainer, settings = self.trainer, self.settings
        network = decode(self._word.read_bytes(), trainer.student.shape, self.record.classes)
        if network.architecture != trainer.student.architecture:
            # its inputs may differ, and it may have no head
            self.report("not polished: the best word so far is of another architecture")
            return

        def told(found: Polish) -> None:
            place = "polish", found.changes
            self._tick()
            self.record.weigh(place, found.network, found.errors, found.differences, last=True)
            self._save()

        Polish(
            network,
            trainer.inputs,
            trainer.labels,
            trainer.decided,
            delta=settings.delta,
            likeness=settings.like,
            seed=settings.seed,
        ).run(self._going, told)

    @property
    def _word(self) -> Path:
        """The code word that is sought."""
        return self.folder / ("saved.ncz" if self.settings.like else "network.ncz")

    @property
    def _polishes(self) -> bool:
        # a frame has no head that could answer
        return self.settings.polished and not self.trainer.student.architecture.frame

    def _going(self) -> bool:
        return not (self.interrupted or self._late())

    def _save(self) -> None:
        stored = {
            **self.trainer.kept(),
            "state": self.state.kept(),
            "stages": json.dumps([asdict(stage) for stage in self.stages]),
            "architecture": repr(self.trainer.student.architecture),
        }
        buffer = io.BytesIO()
        torch.save(stored, buffer)
        write_bytes(self.folder / "search.pt", buffer.getvalue())
        write_curve(self.folder / "curve.csv", self.state.curve)

    def _resume(self) -> None:
        path = self.folder / "search.pt"
        if not path.exists():
            self.record.heed()
            return
        stored = torch.load(path, weights_only=True)
        self.record.state = State.of(stored["state"])
        stages = [Stage.of(stage) for stage in json.loads(stored["stages"])]
        same = stored.get("architecture") == repr(self.trainer.student.architecture)
        if not same or [s.name for s in stages] != [s.name for s in self.stages]:
            # another plan begins anew, but its words stay until there are better ones
            self.state.stage = self.state.epoch = 0
            return
        self.stages = stages
        self.trainer.restore(stored)
