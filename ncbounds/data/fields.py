"""Fields of a manifest's tables: which there may be, and what they may hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ncbounds.data.role_names import LEFT_OUT, USUAL
from ncbounds.errors import ManifestError, NcboundsError, shown, suggest
from ncbounds.evidence.asked import asked_for
from ncbounds.evidence.loss import declared_loss
from ncbounds.evidence.roles import ROLES
from ncbounds.procedures.linear import named_procedure

#: How many labels a point may have.
DECISIONS = ("multi-class", "multi-label")
#: Fields of a task that speak about one label a point, with what they are by default.
ONE_LABEL: dict[str, Any] = {
    "label_noise": 0.0,
    "imbalance": 1.0,
    "priors": None,
    "ignore_label": None,
}


def known(found: Mapping[str, Any], allowed: set[str], where: str) -> None:
    """Raise ManifestError if there is a key that is not ``allowed``, with the nearest that is."""
    for key in found:
        if key not in allowed:
            raise ManifestError(f"{where}: unknown key {key!r}; {suggest(key, list(allowed))}")


def typed(value: Any, kind: type | tuple[type, ...], where: str) -> None:
    """Raise ManifestError unless a value is of a type."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        names = kind.__name__ if isinstance(kind, type) else " or ".join(k.__name__ for k in kind)
        raise ManifestError(f"{where}: needs {names}, found {shown(repr(value))}")


def beside(manifest: Path, name: str, where: str) -> Path:
    """Path of a file that a manifest names, from the manifest's folder."""
    try:
        return (manifest.parent / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, links in a circle
        raise ManifestError(f"{where}: no file can be called {shown(name)} ({error})") from None


def priors(found: Any, where: str) -> None:
    """Raise ManifestError unless these are class probabilities."""
    if found == "balanced":
        return
    numbers = found if isinstance(found, list) else [None]
    if not all(isinstance(p, int | float) and not isinstance(p, bool) and p >= 0 for p in numbers):
        raise ManifestError(
            f"{where}: 'balanced' or one probability for each class, found {shown(found)}"
        )
    if not abs(sum(numbers) - 1) <= 1e-6:
        raise ManifestError(f"{where}: probabilities that sum to 1, found {sum(numbers)}")


def class_names(found: Any, where: str) -> tuple[str, ...]:
    """Return names of classes, of which no two are equal."""
    typed(found, list, where)
    seen: set[str] = set()
    for name in found:
        typed(name, str, where)
        if name in seen or not name.strip():
            raise ManifestError(f"{where}: every class has a name of its own; mend {name!r}")
        seen.add(name)
    return tuple(found)


def claims(found: Any, where: str) -> tuple[str, ...]:
    """Return words of what is asked beside the error."""
    words = [found] if isinstance(found, str) else found
    typed(words, list, where)
    for word in words:
        typed(word, str, where)
    try:
        asked_for(words)
    except NcboundsError as error:
        raise ManifestError(f"{where}: {error}") from None
    return tuple(words)


def check_decision(found: str | None, where: str = "--decision") -> str | None:
    """Return how many labels a row has, as it is declared.

    Raises
    ------
    ManifestError
        If it is none of :data:`DECISIONS`.
    """
    if found not in (None, *DECISIONS):
        raise ManifestError(f"{where}: one of {', '.join(DECISIONS)}, found {shown(found)!r}")
    return found


def decision(raw: Mapping[str, Any], where: str) -> None:
    """Check how many labels a task says that a point has, beside what needs one."""
    found = check_decision(raw.get("decision"), f"{where} decision")
    if raw.get("pairs") and found == "multi-class":
        raise ManifestError(
            f"{where} pairs: pictures of two images have several labels: decision = 'multi-label'"
        )
    if found == "multi-label" or raw.get("pairs"):
        for key, usual in ONE_LABEL.items():
            if raw.get(key, usual) != usual:
                raise ManifestError(
                    f"{where} {key}: is about points of one label each; leave it out beside "
                    "several labels"
                )


def thresholds(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Read what an entry says about the logits of points with several labels."""
    typed(raw.get("ranked", False), bool, f"{where} ranked")
    fields = [key for key in ("thresholds", "probability_thresholds") if key in raw]
    if len(fields) + raw.get("ranked", False) > 1:
        said = [*fields, *(["ranked = true"] if raw.get("ranked") else [])]
        raise ManifestError(f"{where}: {' and '.join(said)} say different things; keep one of them")
    found = {}
    for key in fields:
        listed = raw[key] if isinstance(raw[key], list) else [raw[key]]
        for number in listed:
            typed(number, (int, float), f"{where} {key}")
            if key == "probability_thresholds" and not 0 < number < 1:
                raise ManifestError(f"{where} {key}: between 0 and 1, found {number}")
        numbers = tuple(map(float, listed))
        found[key] = numbers if isinstance(raw[key], list) else numbers[0]
    return found


def procedure(settings: Mapping[str, Any], where: str) -> None:
    """Raise ManifestError unless settings name a procedure and what it takes."""
    if settings:
        try:
            named_procedure(settings)
        except NcboundsError as error:
            raise ManifestError(f"{where} procedure: {error}") from None


def loss(name: str, where: str) -> None:
    """Raise ManifestError unless this names what a network can be trained with."""
    try:
        declared_loss(name)
    except NcboundsError as error:
        raise ManifestError(f"{where}: {error}") from None


def by_role(raw: Mapping[str, Any], where: str) -> None:
    """Check what an entry says of each role: rows, candidates, classes that are kept."""
    for key in ("roles", "selected_among", "classes"):
        for role in raw.get(key, {}):
            if role not in ROLES:
                raise ManifestError(
                    f"{where} {key}: unknown role {role!r}; {suggest(role, [*ROLES])}"
                    f"{_mapped(role)}"
                )
    for role, rows in raw.get("roles", {}).items():
        typed(rows, str, f"{where} roles.{role}")
    for role, count in raw.get("selected_among", {}).items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ManifestError(
                f"{where} selected_among.{role}: how many candidates were compared on it, a whole "
                f"number from 1 on, found {shown(count)}"
            )
    for role, kept in raw.get("classes", {}).items():
        if role != "fit":
            raise ManifestError(
                f"{where} classes.{role}: only fit may keep some classes; a sample that a bound "
                "reads must follow the law that it speaks about"
            )
        typed(kept, list, f"{where} classes.{role}")
        for number in kept:
            typed(number, int, f"{where} classes.{role}")


def _mapped(name: str) -> str:
    """How a name that people use for a part of their data is mapped to a role."""
    usual = USUAL.get(name.lower())
    return f'; or, in its task, role_names = {{ {name} = "{usual}" }}' if usual else ""


def renamed(raw: Mapping[str, Any], names: Mapping[str, str], where: str) -> dict[str, Any]:
    """What an entry says by a person's names for parts of the data, by role."""
    found: dict[str, dict[str, Any]] = {}
    for key in {"roles", "selected_among", "classes"} & {*raw}:
        found[key] = {}
        for name, value in raw[key].items():
            role = names.get(name, name)
            if role in found[key]:
                raise ManifestError(f"{where} {key}: {role} is there twice, once as {shown(name)}")
            if role != LEFT_OUT:
                found[key][role] = value
    return found
