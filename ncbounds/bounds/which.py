"""Which rows answer for what one has: read off what the bounds say that they need."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from ncbounds.bounds import catalogue
from ncbounds.bounds.bound import Bound
from ncbounds.bounds.needs import SOURCES, Part
from ncbounds.errors import InvalidArgument, UnknownName, suggest
from ncbounds.evidence.roles import Role, serves
from ncbounds.results import Kind

#: Parts that a bound is undefined without, though it gives a row that says so.
_DECISIVE: frozenset[Part] = frozenset({"code_word"})


@dataclass(frozen=True)
class Form:
    """What is known of the classifier.

    ``parts`` are those of the evidence that it gives, ``never`` those that cannot stand beside it;
    ``features`` says whether bounds that read features can be evaluated, ``losses`` that there are
    losses and no predictions, ``several`` that rows may have several labels.
    """

    word: str
    said: str
    parts: frozenset[Part]
    never: frozenset[Part] = frozenset()
    features: bool = True
    losses: bool = False
    several: bool = False

    def allows(self, b: Bound) -> bool:
        """Whether what is known of the classifier is enough for a bound."""
        if self.never & (b.needs.required | (b.needs.parts & _DECISIVE)):
            return False
        if (self.several and not b.several_labels) or (b.reads_features and not self.features):
            return False
        # a mean of losses is asked for by name, or of several labels; of errors are exact counts
        of_means = "means" in b.answers
        return of_means == self.losses or (of_means and self.several)


@dataclass(frozen=True)
class Thing:
    """Something that one may have beside the classifier: a sample of a role, or another part.

    ``declared`` is how a checkpoint in a ``zoo.toml`` names it, where no option of a command does.
    """

    word: str
    said: str
    role: Role | None = None
    part: Part | None = None
    unseen: bool = False
    declared: str = ""


FORMS = (
    Form("checkpoint", "the checkpoint of a network", frozenset({"head", "network"})),
    Form(
        "features",
        "features and a linear head on them",
        frozenset({"head"}),
        never=frozenset({"network", "code_word"}),
    ),
    Form(
        "predictions",
        "predictions alone",
        frozenset({"head"}),
        never=frozenset({"network", "code_word", "procedure"}),
        features=False,
    ),
    Form(
        "losses",
        "losses in [0, 1] alone",
        frozenset({"head"}),
        never=frozenset({"network", "code_word", "procedure"}),
        features=False,
        losses=True,
    ),
)

THINGS = (
    Thing("holdout", "labelled rows that nothing was fitted, stopped or chosen on", role="holdout"),
    Thing(
        "frozen",
        "labelled rows that its last layer (the head) may have been fitted on, but no other",
        role="head",
    ),
    Thing("train", "the labelled rows that it was trained on", role="fit", part="fit"),
    Thing(
        "unlabelled",
        "rows without labels that nothing was fitted or chosen on",
        role="unlabelled",
        part="unlabelled",
    ),
    Thing(
        "rule",
        "a rule, fixed beforehand, that fits the head again, such as nearest class mean",
        part="procedure",
        declared='procedure = { name = "ncm" }',
    ),
    Thing(
        "code-word",
        "a file of some hundred bytes that decodes to a network (`ncbounds compress` makes one "
        "from training images)",
        part="code_word",
        declared='code_word = "network.ncz"',
    ),
    Thing("new-classes", "held-out rows of classes that training never saw", unseen=True),
)
#: Word that says that a row may have several labels.
SEVERAL_LABELS = "several-labels"
_GUARANTEES: tuple[Kind, ...] = ("certificate", "conditional")


class Promise(NamedTuple):
    """A row that can be had, and what it is worth at best."""

    bound: Bound
    kind: Kind


@dataclass(frozen=True, eq=False)
class Answer:
    """What can be said with what one has.

    Attributes
    ----------
    form : Form
    things : tuple of Thing
    guarantees : tuple of Promise
        Certificates and conditional rows, in the order of the catalogue.
    others : tuple of Promise
        Plug-ins and measures.
    more : tuple of (Thing, tuple of Bound)
        What else would be guaranteed with one more thing.
    """

    form: Form
    things: tuple[Thing, ...]
    guarantees: tuple[Promise, ...]
    others: tuple[Promise, ...]
    more: tuple[tuple[Thing, tuple[Bound, ...]], ...]


def which(have: Iterable[str]) -> Answer:
    """Return what can be guaranteed with the things that one has.

    Parameters
    ----------
    have : iterable of str
        Words of :data:`FORMS` (at most one; by default ``"checkpoint"``) and :data:`THINGS`, and
        :data:`SEVERAL_LABELS`.

    Raises
    ------
    UnknownName
        For another word, with the nearest known one.
    InvalidArgument
        If two forms are named, or a thing that is of no use with the form.
    """
    words = dict.fromkeys(have)
    known = [*(x.word for x in (*FORMS, *THINGS)), SEVERAL_LABELS]
    for word in words:
        if word not in known:
            raise UnknownName(f"no thing {word!r}; {suggest(word, known)}")
    forms = [f for f in FORMS if f.word in words] or [FORMS[0]]
    if len(forms) > 1:
        raise InvalidArgument(
            f"{' and '.join(f.word for f in forms)} are two things about the classifier; name one: "
            "an earlier one of checkpoint, features, predictions includes the later ones"
        )
    form = forms[0]
    if SEVERAL_LABELS in words:
        form = with_several_labels(form)
    things = tuple(t for t in THINGS if t.word in words)
    for t in things:
        if t not in asked(form):
            raise InvalidArgument(
                f"{t.word} is of no use with {form.word}; what is: "
                f"{', '.join(x.word for x in asked(form))}"
            )
    rows = [Promise(b, k) for b in catalogue() if (k := _kind(b, form, things)) is not None]
    guarantees = tuple(r for r in rows if r.kind in _GUARANTEES)
    more = []
    for t in asked(form):
        if t not in things:
            found = (b for b in catalogue() if _kind(b, form, (*things, t)) in _GUARANTEES)
            new = tuple(b for b in found if b not in {r.bound for r in guarantees})
            more += [(t, new)] if new else []
    return Answer(
        form, things, guarantees, tuple(r for r in rows if r not in guarantees), tuple(more)
    )


def with_several_labels(form: Form) -> Form:
    """Return the same form where rows may have several labels.

    Raises
    ------
    InvalidArgument
        If there are losses alone, whatever they are of.
    """
    if form.losses:
        raise InvalidArgument(
            f"{SEVERAL_LABELS} is of no use with {form.word}: a bound of their mean holds whatever "
            "they are of"
        )
    return replace(form, several=True)


class Least(NamedTuple):
    """The least that a bound needs beside the classifier."""

    sample: Thing
    beside: tuple[Thing, ...]

    @property
    def things(self) -> tuple[Thing, ...]:
        """All of it."""
        return (self.sample, *self.beside)


def least(b: Bound, form: Form) -> Least | None:
    """Return the least that a bound needs; None if the form rules it out."""
    if not form.allows(b):
        return None
    # the weakest of the samples that it is evaluated on: all others serve in its place
    weakest = next(r for r in SOURCES[b.role] if all(serves(s, r) for s in SOURCES[b.role]))
    parts = (b.needs.required | (b.needs.parts & _DECISIVE)) - form.parts
    beside = tuple(t for t in THINGS if t.part in parts or (t.unseen and b.needs.unseen))
    if not parts <= {t.part for t in beside}:
        return None
    return Least(next(t for t in THINGS if t.role == weakest), beside)


def asked(form: Form) -> tuple[Thing, ...]:
    """Things that matter with a form: what some bound needs, and what rows are also shown on."""
    wanted = {t for b in catalogue() if (found := least(b, form)) for t in found.things}
    return tuple(t for t in THINGS if t in wanted or t.role == "fit")


def branches(form: Form) -> list[tuple[Least, tuple[Bound, ...]]]:
    """Return what is guaranteed with a form, by the least that it takes, simplest first."""
    found: dict[Least, list[Bound]] = {}
    for b in catalogue():
        needs = least(b, form)
        if needs is not None and b.kind in _GUARANTEES:
            found.setdefault(needs, []).append(b)
    order = sorted(found, key=lambda needs: (THINGS.index(needs.sample), len(needs.beside)))
    return [(needs, tuple(found[needs])) for needs in order]


def _kind(b: Bound, form: Form, things: tuple[Thing, ...]) -> Kind | None:
    """Best kind of the bound's rows with what one has; None if there is none that says anything."""
    needs = least(b, form)
    if needs is None or not {*needs.beside} <= {*things}:
        return None
    roles = {t.role for t in things}
    if roles & {*SOURCES[b.role]}:
        return b.kind
    if b.also_fit and "fit" in roles:
        return "measure" if b.kind == "measure" else "plug-in"
    return None
