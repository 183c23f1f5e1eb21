"""How fast an extraction goes, and how long it will take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """What is known after a batch.

    Attributes
    ----------
    done : int
        Rows so far.
    total : int or None
        Rows in all, if the data say so.
    seconds : float
        Since the first batch was asked for.
    batch_size : int
        Rows of the last forward pass.
    """

    done: int
    total: int | None
    seconds: float
    batch_size: int

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds that are left at this rate; None if nobody knows."""
        if self.total is None or not self.rate:
            return None
        return max(0, self.total - self.done) / self.rate

    def __str__(self) -> str:
        """Say it in words: ``12,800 of 50,000 images, 3,214/s, 12 s left``."""
        of = "" if self.total is None else f" of {self.total:,}"
        left = "" if self.left is None else f", {_time(self.left)} left"
        return f"{self.done:,}{of} images, {self.rate:,.0f}/s{left}"


def _time(seconds: float) -> str:
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h {whole % 3600 // 60} min"
