"""What a search does when: a list of stages, and how they share a budget of time."""

from dataclasses import dataclass, replace
from typing import Any

#: Sizes of the stages that settle: where non-zeros are scaled to (0: not), and the largest code.
SIZES = ((0.0, 6.0), (1.4, 3.0), (0.0, 3.0))


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
        Weight of a bounded loss near the end, between 0 and 1.
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
    """Stages of a search of about ``epochs`` epochs with ``penalty`` per bit on the way down.

    Afterwards the zeros of the kernels are fixed, the codes made small, and the rest settles, once
    more for each of :data:`SIZES`.
    """
    real, down = max(1, min(5, epochs // 20)), max(1, round(0.36 * epochs))
    cool = max(1, round((epochs - real - down) / len(SIZES)))
    settled = {"rates": (5e-3, 2e-4), "fix": True, "freeze": (0.3, 0.04), "bounded": 0.3}
    return [
        Stage("real", real, (2e-2, 4e-3), rounding=False),
        Stage("down", down, (1e-2, 2e-3), penalty=penalty),
        *(
            Stage(f"cool {i}", cool, size=size, largest=largest, **settled)  # type: ignore[arg-type]
            for i, (size, largest) in enumerate(SIZES)
        ),
    ]


def stretched(stages: list[Stage], done: int, epochs: int) -> list[Stage]:
    """Return the stages with those from ``done`` on sharing ``epochs`` as they did before."""
    factor = max(0, epochs) / max(1, sum(stage.epochs for stage in stages[done:]))
    return [
        stage if i < done else replace(stage, epochs=max(1, round(factor * stage.epochs)))
        for i, stage in enumerate(stages)
    ]
