"""Parts of the evidence that a bound can ask for, and where a row is evaluated."""

from typing import Literal

from ncbounds.evidence.roles import Role

#: Parts of the evidence beside the bound's own sample; each is a field of Evidence.
Part = Literal[
    "head", "fit", "head_sample", "unlabelled", "procedure", "priors", "network", "code_word"
]

RoleWanted = Role | Literal["any"]

#: Where a row is evaluated: the sample of the role that is asked for, else the next stronger one.
#: "any" (moment estimates) prefers the sample that nothing was fitted on.
SOURCES: dict[RoleWanted, tuple[Role, ...]] = {
    "holdout": ("holdout",),
    "head": ("head", "holdout"),
    "any": ("holdout", "head"),
    "fit": ("fit",),
}
