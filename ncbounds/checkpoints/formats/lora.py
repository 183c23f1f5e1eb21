"""Merge a LoRA adapter into its base: ``W + scale B A``.

The layout is that of the peft library (Hu et al. 2022, "LoRA"): ``adapter_config.json`` and tensors
named ``base_model.model.LAYER.lora_A.weight``. What is not covered here changes the network in
other ways and is refused.
"""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ncbounds.budgets import PATTERNS
from ncbounds.checkpoints.formats.groups import Tensors
from ncbounds.errors import CheckpointMismatch, few, shown

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
PREFIX = "base_model.model."
_PAIR = re.compile(r"(.+)\.lora_(embedding_)?([AB])(\.weight)?")
_WRAPPED = re.compile(r"\.(base_layer|modules_to_save(\.default)?)\.")
_ODD = ("use_dora", "lora_bias", "use_qalora", "alora_invocation_tokens", "arrow_config")
_PLAIN_START = (True, False, "gaussian", "eva", "orthogonal")  # the base stays as it was


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter.

    Raises
    ------
    CheckpointMismatch
        If the weights of one are named without their folder, in which its scale stands.
    """
    if folder.name in WEIGHTS and os.path.isfile(folder.parent / CONFIG):
        raise CheckpointMismatch(
            f"{folder} is a part of an adapter, whose {CONFIG} is needed too: name its folder, "
            f"{folder.parent}"
        )
    # os.path says no where pathlib raises: for a name that no file can have
    return os.path.isfile(folder / CONFIG) and any(os.path.isfile(folder / n) for n in WEIGHTS)


def merged(
    base: Tensors, adapter: Tensors, config: Mapping[str, Any], path: object
) -> tuple[Tensors, list[str]]:
    """Return the tensors of the base with an adapter merged into them, and notes.

    Parameters
    ----------
    base, adapter : dict of str to Tensor
    config : mapping
        Content of adapter_config.json.
    path : object
        The adapter, for messages.

    Returns
    -------
    tensors : dict of str to Tensor
        ``W + scale B A`` is computed in float64 and rounded to the type of ``W``.
    notes : list of str

    Raises
    ------
    CheckpointMismatch
        If the adapter is of another kind, does not fit the base, or has more than low-rank pairs
        and modules saved whole.
    """
    _check_kind(config, path)
    names = {n: _WRAPPED.sub(".", n.removeprefix(PREFIX)) for n in adapter}
    pairs: dict[str, dict[str, torch.Tensor]] = {}
    whole: Tensors = {}
    for name, tensor in adapter.items():
        found = _PAIR.fullmatch(names[name])
        if found:
            pairs.setdefault(f"{found[1]}.weight", {})[(found[2] or "") + found[3]] = tensor
        else:
            whole[names[name]] = tensor
    if not pairs:
        raise CheckpointMismatch(f"{path} has no tensors lora_A and lora_B")
    _check_whole(whole, base, config, path)
    out = base | whole
    for name, pair in pairs.items():
        out[name] = _sum(name, out.get(name), pair, config, path)
    scale = f"lora_alpha {config.get('lora_alpha')}, r {config.get('r')}"
    notes = [
        f"LoRA adapter {Path(str(path)).name} merged into {len(pairs)} matrices ({scale}): "
        "computed in float64, rounded to the type of the base"
    ]
    if whole:
        notes.append(f"taken whole from the adapter: {few(sorted(whole))}")
    return out, notes


def _check_kind(config: Mapping[str, Any], path: object) -> None:
    """Raise for all that changes the network in other ways than by adding low-rank matrices."""
    odd = [f"peft_type {config.get('peft_type')!r}"] * (config.get("peft_type") != "LORA")
    odd += [f"{key} {config[key]!r}" for key in _ODD if config.get(key)]
    if config.get("init_lora_weights", True) not in _PLAIN_START:
        odd.append(f"init_lora_weights {config['init_lora_weights']!r}, which changes the base")
    if odd:
        raise CheckpointMismatch(
            f"{path} is an adapter of a kind that is not merged here ({shown(', '.join(odd))}): "
            "merge it with peft, model.merge_and_unload().save_pretrained(FOLDER), and name that "
            "folder"
        )


def _check_whole(whole: Tensors, base: Tensors, config: Mapping[str, Any], path: object) -> None:
    """Raise for tensors that are neither of the base nor of a module that was saved whole."""
    saved = [m for m in config.get("modules_to_save") or () if isinstance(m, str)]
    unknown = [
        name
        for name, t in whole.items()
        if not any(f".{m}." in f".{name}" for m in saved)
        and (name not in base or base[name].shape != t.shape)
    ]
    if unknown:
        raise CheckpointMismatch(
            f"{path} does not fit the base: it has {few(unknown)}, which the base has not; give "
            f"the base that it was trained on ({shown(config.get('base_model_name_or_path'))})"
        )


def _sum(
    name: str,
    weight: torch.Tensor | None,
    pair: Mapping[str, torch.Tensor],
    config: Mapping[str, Any],
    path: object,
) -> torch.Tensor:
    embedding = "embedding_A" in pair
    a, b = (pair.get(("embedding_" if embedding else "") + side) for side in "AB")
    if weight is None or a is None or b is None or len(pair) != 2:
        raise CheckpointMismatch(
            f"{path} does not fit the base: it changes {shown(name)}, which the base has not; give "
            f"the base that it was trained on ({shown(config.get('base_model_name_or_path'))})"
        )
    layer, rank = name.removesuffix(".weight"), len(a)
    stated = _setting(config, "rank_pattern", "r", layer, path)
    transposed = embedding or bool(config.get("fan_in_fan_out"))
    shape = (*b.shape[:1], *a.shape[1:])
    shape = shape[::-1] if transposed else shape
    fits = b.ndim == a.ndim and b.shape[1:2] == a.shape[:1] and b[:1, :1].numel() == 1
    if not fits or shape != tuple(weight.shape) or rank != stated:
        raise CheckpointMismatch(
            f"{path} does not fit the base at {shown(name)}: matrices {tuple(b.shape)} and "
            f"{tuple(a.shape)} of rank {shown(stated)} for one of {tuple(weight.shape)}"
        )
    if not weight.is_floating_point() or weight.element_size() < 2:
        raise CheckpointMismatch(
            f"{path}: {shown(name)} of the base is of type {weight.dtype}, so that a sum would be "
            "rounded to 8 bits; give the base in float32, float16 or bfloat16"
        )
    root = math.sqrt(rank) if config.get("use_rslora") else rank
    scale = _setting(config, "alpha_pattern", "lora_alpha", layer, path) / root
    product = b.double().flatten(1) @ a.double().flatten(1)
    product = product.T if transposed else product.reshape(shape)
    return (weight.double() + scale * product).to(weight.dtype)


def _setting(
    config: Mapping[str, Any], patterns: str, default: str, layer: str, path: object
) -> float:
    """A number for one layer: the first pattern that fits its name, else the one for all."""
    value = config.get(default)
    special = config.get(patterns) or {}
    for pattern, other in special.items() if isinstance(special, dict) else ():
        if len(special) > PATTERNS or not re.fullmatch(
            r"[\w.]+", pattern
        ):  # a file's regular expression may never end
            raise CheckpointMismatch(
                f"{path}: {patterns} has {shown(pattern)}, needed are plain names; merge it with "
                "peft, model.merge_and_unload().save_pretrained(FOLDER), and name that folder"
            )
        if re.fullmatch(rf"(.*\.)?({pattern})", layer):
            value = other
            break
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CheckpointMismatch(f"{path}: {default} is a number, found {shown(value)}")
    return value
