"""What tables say about a checkpoint beside its bounds."""

from typing import Any

import numpy as np

from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead


def facts_of(evidence: Evidence) -> dict[str, Any]:
    """Return what tables say about a checkpoint beside its bounds; JSON-able."""
    from ncbounds.results import plain

    samples = evidence.samples()
    facts = {
        "classes": list(evidence.decision.names),
        "n": {role: s.n for role, s in samples.items()},
        "collapse": _collapse(evidence),
        "duplicates": evidence.duplicates(),
        "module_disagreements": {r: s.module_disagreements for r, s in samples.items()},
        "provenance": evidence.provenance,
    }
    return dict(plain(facts))


def _collapse(evidence: Evidence) -> dict[str, Any]:
    """Collapse metrics by role; none where only predictions are known."""
    from ncbounds.geometry import collapse

    head, samples = evidence.head, evidence.samples()
    if not isinstance(head, LinearHead):
        return {}
    # NC4 asks for the nearest of the means that the network was trained to, where there are any
    means = None if evidence.fit is None else evidence.fit.moments.mean
    return {
        role: collapse(samples[role], head, means=means).to_dict("records")
        for role in ("fit", "head", "holdout")
        if role in samples
    }


def versions() -> dict[str, str]:
    """Versions that a result may depend on."""
    import torch

    from ncbounds import __version__

    return {"ncbounds": __version__, "numpy": np.__version__, "torch": torch.__version__}
