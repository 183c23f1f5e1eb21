"""What a search does when: a list of stages, and how they share a budget of time."""

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Stage:
    """A stretch of training.

    Attributes
    ----------
    name : str
    epochs : int
    rates : (float, float)
        Learning rate at its two ends (cosine between them).
    rounding : bool
    penalty : float
        Weight of one bit beside the loss, reached at the middle of the stage.
    fix : bool
        Keep the present zeros of the kernels.
    freeze : (float, float) or None
        Share of steps with a flip above which a code is held at its running mode, at both ends.
    size, largest : float
        Root mean square that the latents of the non-zeros of each tensor are scaled to first (the
        norms undo it, and small codes are cheap; 0: as they are), and where they are cut off.
    bounded : float
        Weight of a bounded loss from the middle of the stage on, between 0 and 1.
    """

    name: str
    epochs: int
    rates: tuple[float, float]
    rounding: bool = True
    penalty: float = 0.0
    fix: bool = False
    freeze: tuple[float, float] | None = None
    size: float = 0.0
    largest: float = 15.0
    bounded: float = 0.0

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "Stage":
        """Stage from its fields as JSON keeps them."""
        pairs = {key: tuple(stored[key]) for key in ("rates", "freeze") if stored[key] is not None}
        return cls(**{**stored, **pairs})


def plan(epochs: int, penalty: float) -> list[Stage]:
    """Stages of a search of about ``epochs`` epochs with ``penalty`` per bit.

    On the way down zeros come; then they are fixed and the rest settles, first as it is, then twice
    with small codes. Few errors count in the end, so a loss that is bounded in each point takes
    over.
    """
    real, down = max(1, min(5, epochs // 20)), max(1, round(0.4 * epochs))
    settle = max(1, round((epochs - real - down) / 3))
    settled = Stage(
        "cool", settle, (2e-3, 1e-4), penalty=penalty, fix=True, freeze=(0.3, 0.04), bounded=0.8
    )
    return [
        Stage("real", real, (2e-2, 4e-3), rounding=False),
        Stage("down", down, (1e-2, 2e-3), penalty=penalty),
        settled,
        replace(settled, name="shrink", rates=(4e-3, 1e-4), size=1.4, largest=3.0),
        replace(settled, name="settle", rates=(3e-3, 5e-5), largest=3.0),
    ]


def stretched(stages: list[Stage], done: int, epochs: int) -> list[Stage]:
    """Return the stages with those from ``done`` on sharing ``epochs`` as they did before."""
    factor = max(0, epochs) / max(1, sum(stage.epochs for stage in stages[done:]))
    return [
        stage if i < done else replace(stage, epochs=max(1, round(factor * stage.epochs)))
        for i, stage in enumerate(stages)
    ]
