"""Taps of networks, one network after the other, each in one forward pass."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ncbounds.choosing.candidates import Origin, Tap
from ncbounds.choosing.choice import Choice
from ncbounds.choosing.choose import labelled_rows
from ncbounds.depth.hashing import coordinates
from ncbounds.errors import DataError, NcboundsError
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.roles import Role
from ncbounds.evidence.sample import Sample

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier


def taps_of(
    networks: "Mapping[str, Classifier | Callable[[], Classifier]]",
    loader: Any,
    at: str | Iterable[str] | None = None,
    *,
    role: Role = "holdout",
) -> list[Tap]:
    """Read the taps of networks into memory, in the order in which :func:`choose` reads them.

    Raw inputs come first, then the layers of each network, those of an untrained copy behind the
    first network of an architecture.
    """
    with tempfile.TemporaryDirectory(prefix="ncbounds-taps-") as folder:
        sample = labelled(loader, Draw(role), None)
        reader = TapReader(loader, sample, Path(folder), at, {}, None, None)
        return [replace(t, features=np.array(t.features)) for t in reader.taps(networks)]


def labelled(loader: Any, draw: Draw, ignore_label: int | None) -> Sample:
    """Labels and hashes of the rows of a role: one pass over the data, no network."""
    from ncbounds.extraction.batches import DataDigest, batches, check_again, check_one_label

    check_again(loader, draw.role)
    check_one_label(
        *(loader, draw.role, "heads to choose among are"),
        "pass one column of the labels, labels[:, j], to choose a head for label j",
    )
    digest = DataDigest()
    for inputs, labels in batches(loader):
        digest.add(inputs, labels)
    if not digest.labels:
        raise DataError(f"the {draw.role} loader yields no rows")
    labels = np.concatenate(digest.labels)
    return labelled_rows(labels, draw, input_hashes=digest.hashes(), ignore_label=ignore_label)


@dataclass
class TapReader:
    """Reads the taps of networks, one network after the other."""

    loader: Any
    sample: Sample
    folder: Path
    at: str | Iterable[str] | None
    options: Mapping[str, Any]
    failed: Callable[[str, NcboundsError], None] | None
    say: Callable[[str], None] | None
    notes: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Coordinates of a view at most."""
        return coordinates(self.sample.classes)

    def taps(
        self, networks: "Mapping[str, Classifier | Callable[[], Classifier]]"
    ) -> Iterator[Tap]:
        """Raw inputs, then layers of each network, an untrained copy behind the first of a kind."""
        from ncbounds.checkpoints.architectures.untrained import architecture_of, untrained_copy
        from ncbounds.extraction.places import INPUT

        kinds: set[str] = set()
        raw = False
        for name, source in networks.items():
            if self.say is not None:
                self.say(f"reading {name}")
            try:
                classifier = made(source)
                found = self._layers(classifier, name, "checkpoint", inputs=not raw)
            except NcboundsError as error:
                if self.failed is None:
                    raise
                self.failed(name, error)
                self.notes.append(f"{name} is not among the candidates: {error}")
                continue
            if INPUT in found:
                raw = True
                yield replace(found.pop(INPUT), checkpoint="", origin="raw", weights="")
            yield from found.values()
            kind = architecture_of(classifier)
            if kind in kinds:
                continue
            kinds.add(kind)
            try:
                copy = untrained_copy(classifier)
                fresh = self._layers(copy, name, "untrained", inputs=False)
            except NcboundsError as error:
                self.notes.append(f"no untrained copy of {name} among the candidates: {error}")
                continue
            yield from fresh.values()
        if not raw:
            self.notes.append(
                "no raw inputs among the candidates: they are not one array of numbers"
            )

    def _layers(
        self, classifier: "Classifier", name: str, origin: Origin, *, inputs: bool
    ) -> dict[str, Tap]:
        """Taps of one network by place; with ``inputs`` also of what it reads."""
        from ncbounds.checkpoints.head.fingerprint import state_hash
        from ncbounds.extraction.places import INPUT, find_places
        from ncbounds.extraction.taps import HEAD
        from ncbounds.extraction.views import counted_rows, read_views

        places = find_places(classifier, self.loader, self.at)
        if not inputs:  # another pass over the data, for what is known already
            shapes = {place: shape for place, shape in places.shapes.items() if place != INPUT}
            places = replace(places, shapes=shapes)
        views = read_views(
            classifier, self.loader, self.sample.draw, places, self.size, self.folder, self.options
        )
        head = views[HEAD]
        same = np.array_equal(head.input_hashes, self.sample.input_hashes)  # type: ignore[arg-type]
        if not same or not np.array_equal(head.labels, self.sample.labels):
            raise DataError(
                f"the {self.sample.role} loader gives other rows, or another order, each time that "
                "it is read; pass it with shuffle=False and without augmentation"
            )
        weights = state_hash(classifier.module)
        return {
            layer: Tap(
                checkpoint=name,
                layer=layer,
                features=counted_rows(views[layer], head, head, self.size),
                dim=int(np.prod(shape)),
                origin=origin,
                last=layer == HEAD,
                weights=weights,
            )
            for layer, shape in places.shapes.items()
        }

    def test(
        self,
        networks: "Mapping[str, Classifier | Callable[[], Classifier]]",
        choice: Choice,
        loader: Any,
        draw: Draw,
    ) -> Sample:
        """Test rows on the view that was chosen, from a pass of that network alone."""
        from ncbounds.checkpoints.architectures.untrained import untrained_copy
        from ncbounds.extraction.views import one_view

        place = choice.place
        classifier = None
        if place.origin != "raw":
            classifier = made(networks[place.checkpoint])
        if place.origin == "untrained" and classifier is not None:
            classifier = untrained_copy(classifier)
        return one_view(
            classifier, loader, draw, place.layer, place.view, self.folder, self.options
        )


def made(source: "Classifier | Callable[[], Classifier]") -> "Classifier":
    """Return a classifier, made now where it is given as a function."""
    from ncbounds.checkpoints.head.classifier import Classifier

    return source if isinstance(source, Classifier) else source()
