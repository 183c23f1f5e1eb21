"""The one place that looks for evidence that speaks against itself.

What is declared about a sample is compared with its points, its labels and the other samples. What
no such draw gives lowers the kind of every row on the sample, with a reason that says what was
found and the ways out.
"""

from collections.abc import Iterable

import numpy as np
from scipy.special import bdtr, bdtrc, gammaln

from ncbounds.arrays import Ints
from ncbounds.evidence.copies import TOLERATED, repeated, shared
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import NoHead
from ncbounds.evidence.roles import APART, LABELS_OPTIONAL
from ncbounds.evidence.sample import Sample

#: Probability, over all classes of a sample, below which class frequencies are no such draw.
IMPOSSIBLE = 1e-9
#: Precisions in which a network is another one than in float32, rather than the same but rounding.
HALF = ("bf16", "fp16")
#: Labels that usually mean "do not count".
IGNORED = (254, 255, 65535)


def copies_found(sample: Sample, evidence: Evidence) -> dict[str, int]:
    """Rows of a sample whose point stands in it before (its own role), or in another role."""
    found = {sample.role: int(repeated(sample).sum())}
    for role in APART[sample.role]:
        other = evidence.sample(role)
        if other is not None:
            found[role] = int(shared(sample, other).rows.sum())
    return {role: count for role, count in found.items() if count}


def contradictions(
    sample: Sample, evidence: Evidence, *, beside: Iterable[Sample] = (), unseen: bool = False
) -> list[str]:
    """What speaks against the declarations of a sample: each lowers the kind of a row on it.

    Parameters
    ----------
    sample : Sample
    evidence : Evidence
    beside : iterable of Sample
        Other samples that the row reads and that have to be independent of this one.
    unseen : bool
        Whether the row is about classes that the head does not know.
    """
    return [
        *_copies(sample, evidence, beside),
        *([] if unseen or sample.classes_declared else _beyond(sample, evidence)),
        *_against_priors(sample, evidence),
        *_absent(sample, evidence),
        *_noised_after(sample, evidence),
    ]


def remarks(sample: Sample, evidence: Evidence) -> list[str]:
    """What has to be said about a sample, and lowers nothing."""
    found = [*_left_out(sample), *_of_answers(sample, evidence), *computed_in(sample)]
    beyond = int((sample.labels >= evidence.head.classes).sum())
    if beyond and (sample.classes_declared or not _beyond(sample, evidence)):
        found.append(
            f"{beyond} of {sample.n} {sample.role} labels are of classes that the head does not "
            "know; they count as errors (ignore_label=... leaves a label's rows out)"
        )
    if sample.other_rows:
        found.append(
            f"the {sample.role} loader gives other rows each time that it is read (augmentation or "
            "shuffling): the row is about the draw that was kept"
        )
    if sample.role in ("head", "holdout") and evidence.fit is None:
        found.append("overlap with training points is not checked: there is no fit sample")
    return found


def _of_answers(sample: Sample, evidence: Evidence) -> list[str]:
    """What has to be said where only predictions, or losses, are known."""
    if sample.dim:
        return []
    found = []
    if sample.answers is not None and (none := int((sample.answers < 0).sum())):
        found.append(_unanswered(sample, none))
    if sample.input_hashes is None:
        found.append(
            f"whether {sample.role} points repeat is not checked: "
            f"{'losses' if sample.answers is None else 'predictions'} hold no points "
            "(ids= finds rows with two roles, input_hashes= finds copies)"
        )
    if isinstance(evidence.head, NoHead) and evidence.head.counted:
        found.append(
            f"{evidence.head.classes} classes were counted among labels and predictions; classes=C "
            "says it where the law has more"
        )
    return found


def _unanswered(sample: Sample, none: int) -> str:
    if sample.indicators is None:
        return (
            f"{none} of {sample.n} {sample.role} rows have no single prediction (a tie within "
            "rounding, a value that is not finite); they count as errors"
        )
    if sample.answers is not None and sample.indicators.shape == sample.answers.shape:
        return (
            f"{none} of {sample.indicators.size} answers about {sample.role} labels are missing (a "
            "score at its threshold, a value that is not finite); they count as wrong"
        )
    return (
        f"{none} of {sample.n} {sample.role} rows have no single top label; they count as errors "
        "unless each that may be on top is one of the row"
    )


def about_test(test: Sample, evidence: Evidence) -> list[str]:
    """What has to be said about an error that is measured on ``test``."""
    found = [*_copies(test, evidence, ()), *_left_out(test), *only_first(test)]
    if not test.classes_declared:
        found += _beyond(test, evidence)
    among = test.selected_among
    if among != 1:
        chosen = "an unknown number of" if among is None else str(among)
        found.append(
            f"the test sample was chosen on, among {chosen} candidates: the measured error is "
            "too small on average"
        )
    return found


def only_first(sample: Sample) -> list[str]:
    """Rows that are the first of a file rather than a draw."""
    if sample.draw.limit is None:
        return []
    return [f"only the first {sample.draw.limit:,} rows of {sample.role} were read (limit)"]


def computed_in(sample: Sample) -> list[str]:
    """Which network the features are of, where that is not the one that was trained."""
    if sample.precision not in HALF:
        return []
    return [
        f"{sample.role} features were computed in {sample.precision}: the row is about the network "
        "as it runs in that precision, its head applied in float64"
    ]


def _left_out(sample: Sample) -> list[str]:
    found = [f"{k} {sample.role} rows left out: {why}" for why, k in sample.left_out.items()]
    if sample.rounded:
        found.append(
            f"{sample.role} features were rounded to float16; points whose prediction that could "
            "change count as errors"
        )
    return found


def _copies(sample: Sample, evidence: Evidence, beside: Iterable[Sample]) -> list[str]:
    reasons = []
    again, declared = int(repeated(sample).sum()), sample.draw.repeats
    if again > TOLERATED * sample.n and declared is None:
        reasons.append(
            f"{again} of {sample.n} {sample.role} points repeat others of the sample: declare "
            "repeats='by chance' if the law has such points, or repeats='copies' to count each once"
        )
    others = [s for role in APART[sample.role] if (s := evidence.sample(role)) is not None]
    for other in [*others, *(s for s in beside if s.role not in APART[sample.role])]:
        common = shared(sample, other)
        count = int(common.rows.sum())
        few = count <= TOLERATED * sample.n
        if not count or (common.chance and (few or declared == "by chance")):
            continue
        says = f"{count} of {sample.n} {sample.role} points stand in the {other.role} sample too"
        if declared == "by chance":
            reasons.append(
                f"{says}, more than repeats by chance explain: declare repeats='copies', which "
                f"leaves them out of {sample.role}, or draw the samples apart"
            )
        else:
            reasons.append(
                f"{says}: declare repeats='copies', which leaves them out of {sample.role}, or "
                "repeats='by chance' if the law has such points and these were drawn again"
            )
    return reasons


def _beyond(sample: Sample, evidence: Evidence) -> list[str]:
    """Labels without an output of the head that look like a mistake."""
    classes = evidence.head.classes
    values, counts = np.unique(sample.labels[sample.labels >= classes], return_counts=True)
    if not len(values):
        return []
    highest = int(values[-1])
    if sample.labels.min() == 1 and highest == classes:
        looks = f"they look shifted by one (1 to {classes}): subtract 1"
    elif highest in IGNORED or (len(values) == 1 and highest > classes):
        looks = f"{highest} looks like one to ignore: ignore_label={highest} leaves its rows out"
    else:
        return []
    return [
        f"{counts.sum()} of {sample.n} {sample.role} labels are beyond the head's {classes} "
        f"classes; {looks}, or classes={highest + 1} says that they are meant"
    ]


def _against_priors(sample: Sample, evidence: Evidence) -> list[str]:
    """Class frequencies that no draw at random from the prescribed class probabilities gives."""
    priors = evidence.class_priors()
    of_the_law = sample.sampling == "iid" and sample.role != "target"
    if priors is None or not of_the_law or (sample.labels < 0).any():
        return []
    # priors are those of the head's classes: points of others say nothing about them
    counts = sample.counts[: len(priors)]
    n, p = int(counts.sum()), np.minimum(priors, 1.0)
    tail = np.minimum(bdtr(counts, n, p), bdtrc(counts - 1, n, p))
    c = int(np.argmin(tail))
    if tail[c] >= IMPOSSIBLE / (2 * len(priors)):
        return []
    return [
        f"{counts[c]} of {n} {sample.role} points are of class {evidence.decision.name(c)}, "
        f"which priors of {priors[c]:.3g} do not give at random: mend priors, or declare "
        "sampling='stratified' if class counts were chosen"
    ]


def _absent(sample: Sample, evidence: Evidence) -> list[str]:
    """Classes without a point that the head, or another sample of the same draw, knows."""
    if sample.sampling == "unknown" or sample.role in LABELS_OPTIONAL:
        return []
    name = evidence.decision.name
    others = [s for r, s in evidence.samples().items() if r not in (sample.role, "target", "test")]
    if sample.sampling == "stratified":
        known = np.zeros(max(s.classes for s in (sample, *others)), dtype=np.bool_)
        known[: evidence.head.classes] = True
        for s in others:
            known[: s.classes] |= s.counts > 0
        absent = np.flatnonzero(known & (_padded(sample, len(known)) == 0))
        return [f"class {name(int(c))} has no point in a stratified sample" for c in absent[:1]]
    for other in (s for s in others if s.sampling == "iid"):
        total = sample.n + other.n
        mine = _padded(sample, other.classes)[: other.classes]
        for c in np.flatnonzero((mine == 0) & (other.counts > 0)):
            k = int(other.counts[c])
            if _never_drawn(k, sample.n, total) < IMPOSSIBLE / other.classes:
                return [
                    f"class {name(int(c))} has no point among {sample.n} {sample.role} points and "
                    f"{k} among {other.n} of {other.role}, which two draws of one law do not give: "
                    "draw both from one pool, or declare sampling='unknown' where classes were "
                    "selected"
                ]
    return []


def _never_drawn(marked: int, drawn: int, total: int) -> float:
    """Probability that none of the marked ones is among so many drawn of the total."""
    if marked + drawn > total:
        return 0.0
    rest = total - marked
    log = gammaln(rest + 1) - gammaln(rest - drawn + 1)
    return float(np.exp(log - gammaln(total + 1) + gammaln(total - drawn + 1)))


def _padded(sample: Sample, classes: int) -> Ints:
    """Rows per class, over at least so many classes."""
    return np.pad(sample.counts, (0, max(0, classes - len(sample.counts))))


def _noised_after(sample: Sample, evidence: Evidence) -> list[str]:
    """Class counts that were not fixed, as where labels are replaced after a draw by class."""
    if sample.sampling != "stratified" or not sample.label_noise:
        return []
    counts, priors = sample.counts, evidence.class_priors()
    designs = [np.full(len(counts), 1 / len(counts))]
    if priors is not None:
        designs.append(np.pad(priors, (0, len(counts) - len(priors))))
    for p in designs:
        # counts rounded for each class add up to a total that is off by up to C/2
        if (np.abs(counts - sample.n * p) <= 1 + len(counts) * p / 2).all():
            return []
    return [
        f"class counts of the stratified {sample.role} sample are not fixed ones, as where label "
        "noise came after a draw by clean label: fix the counts of the noisy labels, or draw at "
        "random (sampling='iid')"
    ]
