"""What is in the zoo: 49 networks trained on ``fit`` and 12 of them with a refitted head.

All settings are fixed here, before any held-out or test image is looked at. Training stops by
training accuracy or by a fixed number of epochs, never by an error on other rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

Setting = int | float | bool | str


@dataclass(frozen=True)
class Task:
    """Label noise of a task on the images of ``fashion14``; one noise draw for all its roles."""

    label_noise: float
    noise_seed: int


TASKS = {
    "fashion14": Task(0.0, 0),
    "fashion14-z10": Task(0.1, 1),
    "fashion14-z50": Task(0.5, 2),
    "fashion14-z100": Task(1.0, 3),
}


@dataclass(frozen=True)
class Whole:
    """A network trained from scratch on the first ``n`` rows of ``fit``.

    Parameters
    ----------
    epochs : int or None
        Length of a cosine schedule; None: constant rate until every training point is classified
        correctly, then a fixed number of annealing epochs.
    loss : str
        What it is trained with, as a manifest declares it.
    group : mapping
        The block of the table that the checkpoint belongs to and what varies in it.
    layout : str
        How it is stored, a key of :data:`ncbounds.zoo.layouts.LAYOUTS`.
    classes : int
        Rows of later classes are left out.
    """

    name: str
    model: str
    args: Mapping[str, Setting]
    group: Mapping[str, Setting]
    n: int = 1000
    task: str = "fashion14"
    weight_decay: float = 0.0
    epochs: int | None = None
    loss: str = "cross-entropy"
    seed: int = 0
    layout: str = "safetensors"
    classes: int = 10


@dataclass(frozen=True)
class Refit:
    """The stored backbone of another checkpoint with a head fitted on the first ``n`` head rows."""

    name: str
    backbone: str
    n: int
    estimator: str
    layout: str = "safetensors"

    @property
    def procedure(self) -> dict[str, Setting]:
        """How the head is fitted, as a manifest says it."""
        name: dict[str, Setting] = {"name": self.estimator}
        return name if self.estimator == "ncm" else name | {"penalty": PENALTY}

    @property
    def group(self) -> dict[str, Setting]:
        """Block of the table, and what varies in it."""
        return {
            "block": "refit",
            "backbone": self.backbone,
            "estimator": self.estimator,
            "n": self.n,
        }


PENALTY = 0.01
"""L2 penalty of refitted ridge and logistic heads, fixed a priori."""

_LAYOUTS = {
    "mlp128x2-n500-z0": "state_dict",
    "mlp128x2-n500-z10": "training",
    "mlp128x2-n500-z50": "model_state_dict",
    "mlp128x2-n500-z100": "data_parallel",
    "mlp128x1": "namespace",
    "mlp128x2-s2": "ema",
    "bn128x2-wd0": "compiled",
    "bn128x2-wd5e-4": "lightning",
    "cnn8-z10": "lightning",
    "refit-mlp128x2-n1k-z0-h1k": "state_dict",
}
_NOISE = {0: "fashion14", 10: "fashion14-z10", 50: "fashion14-z50", 100: "fashion14-z100"}
_DECAY = {"0": 0.0, "5e-4": 5e-4, "5e-3": 5e-3}
_SHORT = {"bn_cnn": "bncnn", "res_bn_cnn": "rescnn"}
_SUFFIX = {"ridge": "", "ncm": "-ncm", "logistic": "-lr"}


def _size(n: int) -> str:
    return f"{n // 1000}k" if n % 1000 == 0 else str(n)


def _whole(name: str, model: str, args: Mapping[str, Setting], **settings: object) -> Whole:
    layout = _LAYOUTS.get(name, "safetensors")
    return Whole(name, model, args, layout=layout, **settings)  # type: ignore[arg-type]


def _mlp(name: str, width: int, depth: int, group: Mapping[str, Setting], **more: object) -> Whole:
    return _whole(name, "mlp", {"width": width, "depth": depth}, group=group, **more)


def _size_noise() -> list[Whole]:
    recipes = []
    for n, (z, task) in product((500, 1000, 2000, 4000), _NOISE.items()):
        group: dict[str, Setting] = {"block": "size-noise", "n": n, "noise": z / 100}
        recipes.append(_mlp(f"mlp128x2-n{_size(n)}-z{z}", 128, 2, group, n=n, task=task))
    return recipes


def _width_depth_seeds() -> list[Whole]:
    return [
        *(_mlp(f"mlp{w}x2", w, 2, {"block": "width", "width": w}) for w in (16, 32, 64, 256, 512)),
        *(_mlp(f"mlp128x{d}", 128, d, {"block": "depth", "depth": d}) for d in (1, 3, 4)),
        *(
            _mlp(f"mlp128x2-s{seed}", 128, 2, {"block": "seeds", "seed": seed}, seed=seed)
            for seed in (1, 2)
        ),
    ]


def _bn(
    name: str, depth: int, decay: float, epochs: int, z: int, group: Mapping[str, Setting]
) -> Whole:
    return _whole(
        name,
        "bn_mlp",
        {"width": 128, "depth": depth},
        group=group,
        task=_NOISE[z],
        weight_decay=decay,
        epochs=epochs,
    )


def _collapse() -> list[Whole]:
    recipes = []
    for depth, (wd, decay), z in product((2, 4), _DECAY.items(), (0, 10)):
        name = f"bn128x{depth}-wd{wd}{'-z10' if z else ''}"
        varies = {"depth": depth, "weight_decay": decay, "noise": z / 100}
        recipes.append(_bn(name, depth, decay, 200, z, {"block": "collapse", **varies}))
    for epochs in (50, 100, 400):
        name = f"bn128x4-ep{epochs}"
        recipes.append(_bn(name, 4, 5e-3, epochs, 0, {"block": "length", "epochs": epochs}))
    recipes.append(_bn("bn128x2-wd5e-4-z100", 2, 5e-4, 200, 100, {"block": "random", "noise": 1.0}))
    return recipes


def _conv() -> list[Whole]:
    recipes = [
        _whole(
            f"cnn8-z{z}",
            "cnn",
            {"channels": 8},
            group={"block": "conv", "model": "cnn", "noise": z / 100},
            task=_NOISE[z],
        )
        for z in (0, 10)
    ]
    recipes += [
        _whole(
            f"{_SHORT[model]}8-wd{wd}",
            model,
            {"channels": 8},
            group={"block": "conv", "model": model, "weight_decay": _DECAY[wd]},
            weight_decay=_DECAY[wd],
            epochs=60,
        )
        for model in ("bn_cnn", "res_bn_cnn")
        for wd in ("5e-4", "5e-3")
    ]
    return recipes


SIX = _whole(
    "bn128x4-six",
    "bn_mlp",
    {"width": 128, "depth": 4, "classes": 6},
    group={"block": "six classes", "classes": 6},
    n=4000,
    weight_decay=5e-3,
    epochs=200,
    classes=6,
)
"""A network that has seen classes 0 to 5 only: its features meet four new classes."""

WHOLE: tuple[Whole, ...] = (*_size_noise(), *_width_depth_seeds(), *_collapse(), *_conv(), SIX)
"""The 48 networks trained on ``fit``, and the one trained on six classes of it."""

_HEADS = (
    # six collapsed backbones
    ("bn128x4-wd5e-3", 500, "ridge"),
    ("bn128x4-wd5e-3", 4000, "ridge"),
    ("bn128x4-wd5e-3", 4000, "ncm"),
    ("bn128x4-ep400", 4000, "logistic"),
    ("bn128x2-wd5e-3", 4000, "ridge"),
    ("bn128x4-wd5e-3-z10", 4000, "ridge"),
    # six others
    ("mlp128x2-n1k-z0", 1000, "ridge"),
    ("mlp128x2-n4k-z0", 4000, "ridge"),
    ("mlp128x2-n1k-z100", 4000, "ridge"),
    ("cnn8-z0", 2000, "logistic"),
    ("rescnn8-wd5e-4", 4000, "ncm"),
    ("bn128x4-wd0", 4000, "ridge"),
)


def _refit(backbone: str, n: int, estimator: str) -> Refit:
    name = f"refit-{backbone}-h{_size(n)}{_SUFFIX[estimator]}"
    return Refit(name, backbone, n, estimator, layout=_LAYOUTS.get(name, "safetensors"))


REFIT: tuple[Refit, ...] = tuple(_refit(*head) for head in _HEADS)
"""The 12 heads refitted on frozen backbones."""

RECIPES: tuple[Whole | Refit, ...] = (*WHOLE, *REFIT)
"""All, in the manifest's order."""
