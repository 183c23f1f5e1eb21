"""Which layer of which network to tap for a new task: one pass a network, and a certificate."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ncbounds.choosing.candidates import Origin, Tap
from ncbounds.choosing.choice import Choice
from ncbounds.choosing.choose import CHOSEN_ON, SHARE, choose_among, labelled_rows
from ncbounds.choosing.estimates import HEADS
from ncbounds.claims.claim import measured_error
from ncbounds.depth.hashing import coordinates
from ncbounds.errors import DataError, NcboundsError
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.roles import Role, check_role
from ncbounds.evidence.sample import Sample

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier


def choose(
    networks: "Mapping[str, Classifier | Callable[[], Classifier]]",
    loaders: Mapping[str, Any],
    at: str | Iterable[str] | None = None,
    *,
    heads: Sequence[str] = tuple(HEADS),
    delta: float = 0.05,
    share: float = SHARE,
    draws: Mapping[str, Draw] | None = None,
    ignore_label: int | None = None,
    batch_size: int | str | None = None,
    store: str | os.PathLike[str] | None = None,
    failed: Callable[[str, NcboundsError], None] | None = None,
    say: Callable[[str], None] | None = None,
    **declared: Any,
) -> Choice:
    r"""Choose a head on one layer of one network for a task, with a certificate on its error.

    Every layer of every network is read in one forward pass of the labelled rows, as a view of at
    most ``max(512, C)`` coordinates (see :func:`ncbounds.layers`). Beside them stand, always, the
    raw inputs and a copy of each architecture with fresh weights. Heads are fitted on a share of
    the rows; the five candidates of least leave-one-out error there are judged on the others, and
    that of fewest errors k is chosen:

    .. math:: \mathrm{error} \le \mathrm{BinInv}(k, |V|, \delta / 5) .

    Parameters
    ----------
    networks : mapping from name to Classifier
        Trained on other data, or functions that return one, which are called when their turn comes.
    loaders : mapping from role to data
        ``"head"`` or ``"holdout"``: the labelled rows of the task, which the networks have not
        seen. ``"fit"``, where it is given too, is looked through for rows that stand in both;
        ``"test"`` measures the error of what was chosen. Each a pair of arrays or an iterable of
        batches that can be read more than once.
    at : str or iterable of str, optional
        Names of modules, or patterns; by default outputs of blocks are found.
    heads : sequence of {"ncm", "ridge", "logistic"}
    delta : float in (0, 1/2]
        Of each statement: the certificate, the regret, and each comparison with a baseline.
    share : float in (0, 1)
        Of the rows that heads are fitted on, fixed beforehand: .5, or .3 for one collapsed network.
    draws : mapping from role to Draw, optional
        What is declared about rows, in place of ``declared``.
    ignore_label : int, optional
        Label of rows that are left out.
    batch_size : int, "auto" or None
        Rows per forward pass; see :func:`ncbounds.extract`.
    store : path, optional
        Folder that keeps the views for the next time.
    failed : callable, optional
        Given the name of a network that cannot be read, and why; the others go on.
    say : callable, optional
        Told which network is read.
    **declared
        ``sampling``, ``selected_among``, ... of :class:`~ncbounds.Draw`, for all roles.

    Returns
    -------
    Choice
        ``print`` shows it; ``.value``, ``.head``, ``.regret``, ``.to_frame()``, ``.curve()``,
        ``.write(folder)``.

    Raises
    ------
    DataError
        If there are no rows to choose on, or they are others each time that they are read.
    UnknownName, InvalidArgument
        If there is no such head or module, or delta or share is out of range.
    """
    named = {check_role(role): loader for role, loader in loaders.items()}
    role = next((r for r in CHOSEN_ON if r in named), None)
    if role is None or not networks:
        raise DataError(
            f"needed are networks, and labelled rows to choose on; found {len(networks)} networks "
            f"and roles {', '.join(named) or 'none'}: pass {{'holdout': (inputs, labels)}}"
        )
    drawn = {r: (draws or {}).get(r) or Draw(r, **declared) for r in named}
    read: list[Role] = [role]
    if role != "fit" and "fit" in named:
        read.append("fit")
    samples = {r: _labelled(named[r], drawn[r], ignore_label) for r in read}
    with ExitStack() as stack:
        folder = store
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ncbounds-choose-"))
        reader = _Reader(
            loader=named[role],
            sample=samples[role],
            folder=Path(folder),
            at=at,
            options={"ignore_label": ignore_label, "batch_size": batch_size},
            failed=failed,
            say=say,
        )
        found = choose_among(
            reader.taps(networks),
            samples,
            heads=heads,
            delta=delta,
            share=share,
            notes=reader.notes,
        )
        if "test" in named and found.head is not None:
            test = reader.test(networks, found, named["test"], drawn["test"])
            evidence = Evidence.of({"test": test}, head=found.head)
            claim = found.result.claim
            measured = measured_error(claim, evidence, label_noise=samples[role].label_noise)
            found = replace(found, result=replace(found.result, test=measured))
    place = found.place
    return replace(
        found, network="" if place.origin == "raw" else f"networks[{place.checkpoint!r}]"
    )


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
        sample = _labelled(loader, Draw(role), None)
        reader = _Reader(loader, sample, Path(folder), at, {}, None, None)
        return [replace(t, features=np.array(t.features)) for t in reader.taps(networks)]


def _labelled(loader: Any, draw: Draw, ignore_label: int | None) -> Sample:
    """Labels and hashes of the rows of a role: one pass over the data, no network."""
    from ncbounds.extraction.batches import DataDigest, batches, iter_again

    if not iter_again(loader):
        raise DataError(
            f"the {draw.role} data can be read only once; pass a DataLoader, a list of batches or "
            "(inputs, labels)"
        )
    digest = DataDigest()
    for inputs, labels in batches(loader, 256):
        digest.add(inputs, labels)
    if not digest.labels:
        raise DataError(f"the {draw.role} loader yields no rows")
    labels = np.concatenate(digest.labels)
    return labelled_rows(labels, draw, input_hashes=digest.hashes(), ignore_label=ignore_label)


@dataclass
class _Reader:
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
                found = self._layers(classifier, name, "checkpoint")
            except NcboundsError as error:
                if self.failed is None:
                    raise
                self.failed(name, error)
                self.notes.append(f"{name} is not among the candidates: {error}")
                continue
            inputs = found.pop(INPUT, None)
            if inputs is not None and not raw:
                raw = True
                yield replace(inputs, checkpoint="", origin="raw", weights="")
            yield from found.values()
            kind = architecture_of(classifier)
            if kind in kinds:
                continue
            kinds.add(kind)
            try:
                fresh = self._layers(untrained_copy(classifier), name, "untrained")
            except NcboundsError as error:
                self.notes.append(f"no untrained copy of {name} among the candidates: {error}")
                continue
            fresh.pop(INPUT, None)
            yield from fresh.values()
        if not raw:
            self.notes.append(
                "no raw inputs among the candidates: they are not one array of numbers"
            )

    def _layers(self, classifier: "Classifier", name: str, origin: Origin) -> dict[str, Tap]:
        from ncbounds.checkpoints.head.fingerprint import state_hash
        from ncbounds.extraction.places import find_places
        from ncbounds.extraction.taps import HEAD
        from ncbounds.extraction.views import counted_rows, read_views

        places = find_places(classifier, self.loader, self.at)
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
