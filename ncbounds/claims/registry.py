"""Claims by their word: what a bound can name in its metadata."""

from ncbounds.claims.averages import WorstClass
from ncbounds.claims.claim import Claim
from ncbounds.claims.decoded import Decoded
from ncbounds.claims.few_shot import FewShot
from ncbounds.claims.heads import OtherHead, Saved
from ncbounds.claims.unmeasured import Gibbs, UnseenClasses
from ncbounds.errors import UnknownName, suggest

#: Word -> the claim of a row whose bound returns no other.
CLAIMS: dict[str, Claim] = {
    "saved": Saved(),
    "worst class": WorstClass(),
    "ncm": OtherHead("ncm"),
    "refitted-head": OtherHead("refitted-head"),
    "restricted-head": OtherHead("restricted-head"),
    "few-shot": FewShot(),
    "gibbs": Gibbs(),
    "compressed": Decoded(),
    "unseen-classes": UnseenClasses(),
}


def register(word: str, claim: Claim) -> None:
    """Let bounds name ``claim`` as ``target=word``; also for claims of one's own.

    Raises
    ------
    UnknownName
        If the word stands for another claim already.
    """
    known = CLAIMS.setdefault(word, claim)
    if type(known) is not type(claim):
        raise UnknownName(f"{word!r} is the word of {type(known).__name__}; choose another")


def named(word: str) -> Claim:
    """Return the claim that ``word`` stands for.

    Raises
    ------
    UnknownName
        With the nearest known word.
    """
    if word not in CLAIMS:
        raise UnknownName(
            f"no claim {word!r}; {suggest(word, list(CLAIMS))}; "
            "ncbounds.claims.register(word, claim) adds one"
        )
    return CLAIMS[word]
