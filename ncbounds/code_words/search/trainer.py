"""Train a student by stages: distil, round, prune by its price in bits, hold what oscillates."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ncbounds.code_words.code.grammar import Architecture
from ncbounds.code_words.search.rate import Rate
from ncbounds.code_words.search.schedule import Stage
from ncbounds.code_words.search.student import Student, prepare

#: Steps between two refreshes of the penalty's counts.
_REFRESH = 10
#: Running means of flips and codes: weight of the newest step.
_NEWEST = 0.02
TEMPERATURE = 2.0
#: Root mean square of the latents of a tensor when rounding begins.
FINE = 1.0
#: Learning rate of biases, whose unit is coarse, beside that of kernels.
BIAS_RATE = 4.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a search is told beside its plan.

    Attributes
    ----------
    seed, batch : int
    delta : float
        Of the bound that is sought.
    likeness : float
        Between 0, where labels and teacher both count, and 1, where only the teacher does.
    polished : bool
        Whether single codes are changed at the end.
    compiled : bool
        Let torch compile the training step, which needs a C++ compiler. Nearly twice as
        fast where the first layer reads pixels; behind a filter bank it gains nothing.
    """

    seed: int = 0
    batch: int = 64
    delta: float = 0.05
    likeness: float = 0.0
    polished: bool = True
    compiled: bool = False

    @property
    def like(self) -> bool:
        """Whether the code word is to be like the saved network more than right."""
        return self.likeness > 0.5


class Trainer:
    """A student, its optimizer, and what is followed of its codes while they flip.

    Parameters
    ----------
    architecture : Architecture
    images : uint8 array (n, channels, height, width)
    labels : integer array (n,)
    teacher : float array (n, classes)
        The saved network's logits on the images.
    settings : Settings
    """

    def __init__(
        self,
        architecture: Architecture,
        images: NDArray[np.uint8],
        labels: NDArray[Any],
        teacher: NDArray[Any],
        settings: Settings,
    ) -> None:
        self.settings = settings
        self.labels = torch.from_numpy(np.asarray(labels, dtype=np.int64))
        self.decided = torch.from_numpy(teacher.argmax(1).astype(np.int64))
        self.inputs = prepare(images, architecture)
        self.student = Student(architecture, images.shape[1:], teacher.shape[1], settings.seed)
        self._soft = functional.softmax(torch.from_numpy(teacher).float() / TEMPERATURE, dim=1)
        compiled = settings.compiled
        self._trained = torch.compile(self.student, dynamic=False) if compiled else self.student
        kernels = [*self.student.latents, self.student.log_scale]
        groups = [{"params": kernels}, {"params": list(self.student.biases)}]
        self._optimizer = torch.optim.Adam(groups, lr=1e-2, betas=(0.95, 0.999))
        self._flips = [torch.zeros_like(p.data) for p in self.student.all_latents()]
        self._means = [torch.zeros_like(p.data) for p in self.student.all_latents()]

    def epoch(self, stage: Stage, number: int, epoch: int) -> None:
        """Go once over the sample: epoch ``epoch`` of ``stage``, which is the plan's ``number``."""
        self.student.rounding = stage.rounding
        self.student.train()
        seed = self.settings.seed + 1009 * epoch + 99991 * number
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.inputs), generator=generator)
        batches = torch.split(order, self.settings.batch)
        self._rate = Rate(self.student)
        for i, rows in enumerate(batches):
            done = (epoch + i / len(batches)) / stage.epochs
            self._step(stage, rows, done, refresh=i % _REFRESH == 0)

    def enter(self, stage: Stage, *, first: bool) -> None:
        """Prepare masks and latents for a stage; ``first``: none before it was rounded."""
        student = self.student
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
        forward = self._trained if len(rows) == self.settings.batch else student
        logits = forward(self.inputs[rows])
        targets = (self.decided if self.settings.like else self.labels)[rows]
        bounded = stage.bounded * min(1.0, 2 * done)
        loss = distillation(logits, self._soft[rows], targets, bounded, self.settings.likeness)
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

    def kept(self) -> dict[str, Any]:
        """All that :meth:`restore` needs to go on exactly from here."""
        return {
            "weights": self.student.state_dict(),
            "kept": self.student.kept,
            "frozen": self.student.frozen,
            "flips": self._flips,
            "means": self._means,
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, stored: dict[str, Any]) -> None:
        """Go on from what :meth:`kept` returned."""
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
