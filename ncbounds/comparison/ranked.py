"""How one quantity orders checkpoints."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ranked:
    """How one quantity orders the checkpoints that have it; nan where too few pairs are resolved.

    Attributes
    ----------
    name, params, role, target, kind : str
        Which row of a report, or ``kind`` is ``"baseline"`` or ``"measure"`` of the geometry.
    checkpoints : int
        That have a value, and a measured error of its target.
    resolved : int
        Pairs of them whose order is known.
    sign_error, low, high : float
        Share of these ordered wrongly, with an interval from redrawing families.
    tau_b : float
    within_resolved, within, within_low, within_high
        The same inside strata: equal label law, fit rows and head rows.
    factor, factor_error : str, float
        Worst of the factors in which alone some pairs differ, and the sign error over these.
    regret, random_regret : float
        In the largest stratum, what the pick of the smallest value errs above the best, and a
        random pick on average.
    reason : str
        Why there is a dash.
    error : str
        What an error of these checkpoints is, where not that of a class.
    """

    name: str
    params: str
    role: str
    target: str
    kind: str
    checkpoints: int
    resolved: int = 0
    sign_error: float = np.nan
    low: float = np.nan
    high: float = np.nan
    tau_b: float = np.nan
    within_resolved: int = 0
    within: float = np.nan
    within_low: float = np.nan
    within_high: float = np.nan
    factor: str = ""
    factor_error: float = np.nan
    regret: float = np.nan
    random_regret: float = np.nan
    reason: str = ""
    error: str = ""
