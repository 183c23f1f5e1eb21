"""Seconds of CPU that the margin bounds take; run as a script, prints a table.

``gaussian_head`` has limits at full size. At the size of the shipped checkpoints every bound of the
family is timed, since the demo evaluates them hundreds of times.
"""

import time

import numpy as np

from ncbounds.bounds import Bound, margin
from ncbounds.bounds.margin import gaussian_head
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.roles import Role
from ncbounds.evidence.sample import Sample

#: n, C, d, limit in seconds (the logits are made before the clock starts).
CASES = ((60_000, 10, 512, 10.0), (50_000, 1000, 512, 60.0))
SMALL = ((4000, 10, 128), (4000, 10, 512))
SMALL_LIMIT = {"gaussian_head": 0.3}
OTHER_LIMIT = 0.1


def evidence(n: int, classes: int, d: int, noise: float = 0.5) -> Evidence:
    """Float32 features around class means, a head that points to them, and a fit sample."""
    rng = np.random.default_rng(0)
    means = rng.standard_normal((classes, d))
    means /= np.linalg.norm(means, axis=1)[:, None]

    def sample(role: str, size: int) -> Sample:
        y = rng.integers(classes, size=size)
        f = means[y] + noise * rng.standard_normal((size, d)) / np.sqrt(d)
        return Sample.from_arrays(f.astype(np.float32), y, role=role, sampling="iid")

    head = LinearHead(means, 0.05 * rng.standard_normal(classes))
    found = Evidence(head=head, head_sample=sample("head", n), fit=sample("fit", 4000))
    for s in found.samples().values():
        s.logits(head)
    return found


def timed(bound: Bound, e: Evidence, role: Role) -> tuple[str, float, float]:
    """Name, seconds of CPU and value of one row."""
    start = time.process_time()
    row = bound(e, role=role)
    seconds = time.process_time() - start
    return f"{bound.id} ({role})", seconds, row.value if hasattr(row, "value") else row.measure


def report(name: str, seconds: float, value: float, e: Evidence, limit: float) -> None:
    """Print one line, marked where it was too slow: a busy machine is no error."""
    n, classes, d = e.head_sample.n, e.head.classes, e.head.dim
    mark = "OVER" if seconds > limit else ""
    print(f"{name:24} {n:6} {classes:5} {d:4} {seconds:8.3f} {limit:6.1f}  {value:.4f} {mark}")


def main() -> None:
    """Print the table."""
    print(f"{'bound':24} {'n':>6} {'C':>5} {'d':>4} {'seconds':>8} {'limit':>6}  value")
    for n, classes, d, limit in CASES:
        e = evidence(n, classes, d)
        report(*timed(gaussian_head, e, "head"), e, limit)
    for n, classes, d in SMALL:
        e = evidence(n, classes, d)
        for bound in margin.BOUNDS:
            for role in ("head", "fit"):
                limit = SMALL_LIMIT.get(bound.id, OTHER_LIMIT)
                best = min((timed(bound, e, role) for _ in range(3)), key=lambda t: t[1])
                report(*best, e, limit)


if __name__ == "__main__":
    main()
