"""The catalogue as a page: which guarantee under which assumption, then every bound."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from markupsafe import Markup

from ncbounds.bounds import catalogue
from ncbounds.bounds.bound import Bound
from ncbounds.bounds.explain import WHOSE
from ncbounds.bounds.which import FORMS, Form, branches
from ncbounds.report.page.assets import own, rendered
from ncbounds.report.page.page import KINDS
from ncbounds.report.page.statements import paragraphs, sources, words
from ncbounds.results import MARK

#: What each family goes by.
FAMILIES = {
    "holdout": "counting on rows that were held out",
    "margin": "by how far the head keeps features from its boundaries",
    "collapse": "by how features of a class gather around their mean",
    "distribution": "by moments of margins, under an assumption on their law",
    "network": "by all weights of the network, from its training rows",
}


class Branch(NamedTuple):
    """What is guaranteed by rows of one kind: by themselves, and with more beside them."""

    sample: str
    bounds: tuple[Bound, ...]
    beside: tuple[tuple[tuple[str, ...], tuple[Bound, ...]], ...]


class Entry(NamedTuple):
    """One bound as the page shows it."""

    bound: Bound
    needs: str
    confused: Markup
    text: Markup
    notes: Markup
    sources: Markup


def catalogue_page(bounds: Iterable[Bound] | None = None) -> str:
    """Return the page of the whole catalogue, or of some of its bounds without the first chapter.

    Nothing is loaded from outside, which the page itself forbids its browser; it has no scripts.
    """
    chosen = tuple(catalogue() if bounds is None else bounds)
    families: dict[str, list[Entry]] = {}
    for b in chosen:
        families.setdefault(b.family, []).append(_entry(b))
    text = rendered(
        "catalogue.html",
        title="ncbounds: what can be guaranteed" if bounds is None else "ncbounds: explained",
        tree=[(form, _tree(form)) for form in FORMS] if bounds is None else [],
        families=families,
        about=FAMILIES,
        marks=MARK,
        kinds=KINDS,
        whose=WHOSE,
        roles=_ROLES,
        css=Markup(own("page.css") + own("catalogue.css")),
    )
    return str(text)


#: What rows of a role were used for, in the words of a table.
_ROLES: dict[str, str] = {
    "holdout": "held-out rows",
    "head": "rows that the features did not see",
    "fit": "training rows",
    "any": "any rows but test",
}


def _tree(form: Form) -> list[Branch]:
    found: dict[str, list[tuple[tuple[str, ...], tuple[Bound, ...]]]] = {}
    for least, bounds in branches(form):
        more = tuple(t.said.replace("`", "") for t in least.beside)
        found.setdefault(least.sample.said, []).append((more, bounds))
    return [
        Branch(
            sample,
            tuple(b for more, bounds in answers if not more for b in bounds),
            tuple((more, bounds) for more, bounds in answers if more),
        )
        for sample, answers in found.items()
    ]


def _entry(b: Bound) -> Entry:
    text, notes = paragraphs(b)
    return Entry(b, _needs(b), words(b.confused_with), text, notes, sources(b))


def _needs(b: Bound) -> str:
    """What it reads beside its sample, in words."""
    said = {
        "head": "the linear head" if b.reads_features else "predictions",
        "fit": "training rows",
        "head_sample": "rows that the head was fitted on",
        "unlabelled": "rows without labels",
        "procedure": "a rule that fits the head",
        "priors": "class probabilities",
        "network": "all layers of the network",
        "code_word": "a code word",
    }
    needs: dict[str, Any] = {
        "needs": [said[p] for p in b.requires],
        "uses if there": [said[p] for p in b.optional],
    }
    return "; ".join(f"{what} {', '.join(names)}" for what, names in needs.items() if names)
