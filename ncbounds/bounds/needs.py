"""What a bound can ask of the evidence, and where a row is evaluated."""

from dataclasses import dataclass
from typing import Literal

from ncbounds.evidence.roles import Role
from ncbounds.results import Kind

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


@dataclass(frozen=True)
class Needs:
    """What a statement asks for, and what it is worth if it gets it.

    Attributes
    ----------
    kind : str
        The best kind that a row can have.
    role : str
        Role of the sample that the probability is over.
    parts : frozenset of str
        Parts of the evidence that it reads beside that sample, if they are there.
    required : frozenset of str
        Those of them that have to be there.
    assumptions : tuple of str
        Shown as reasons on every row that is not a certificate.
    unseen : bool
        Whether it is about classes that the head does not know.
    features : bool
        Whether it reads more of the classifier than what it predicts, or is not on the safe side
        where more rows count as errors than are.
    """

    kind: Kind
    role: RoleWanted
    parts: frozenset[Part] = frozenset()
    required: frozenset[Part] = frozenset()
    assumptions: tuple[str, ...] = ()
    unseen: bool = False
    features: bool = True
