"""Build a classifier of the transformers library from its config.json alone.

Only the library's own classes are used: ``auto_map`` is never followed, and settings that make the
library fetch code or weights are dropped.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ncbounds.checkpoints.match import check_size
from ncbounds.errors import CheckpointMismatch, MissingExtra, UnknownArchitecture

DROPPED = frozenset(
    (
        *("auto_map", "custom_pipelines", "_name_or_path", "name_or_path", "_commit_hash"),
        *("attn_implementation", "_attn_implementation", "_attn_implementation_internal"),
        *("_attn_implementation_autoset", "experts_implementation", "_experts_implementation"),
        *("quantization_config", "compression_config", "use_pretrained_backbone"),
        *("dtype", "torch_dtype"),
    )
)


def cleaned(config: Any) -> Any:
    """Return a configuration without what would fetch code or weights, at any depth."""
    if isinstance(config, Mapping):
        return {k: cleaned(v) for k, v in config.items() if k not in DROPPED}
    return [cleaned(v) for v in config] if isinstance(config, list) else config


def config_identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a configuration the architecture depends on."""
    return {"transformers": (config.get("architectures") or ["?"])[0], "config": cleaned(config)}


def build_transformer(
    config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], path: object
) -> nn.Module:
    """Build an untrained classifier from a configuration.

    Parameters
    ----------
    config : mapping
        Content of config.json.
    tensors : mapping of str to Tensor
        The weights, against whose number the configuration is checked.
    path : object
        The folder, for messages.

    Returns
    -------
    nn.Module
        In float32.

    Raises
    ------
    MissingExtra
        If transformers is not installed.
    UnknownArchitecture
        If the configuration names no classifier of the library.
    CheckpointMismatch
        If the library rejects the configuration.
    """
    try:
        import transformers
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    except ImportError:
        raise MissingExtra(
            f"{path} is a transformers folder; type: pip install transformers"
        ) from None
    name = str((config.get("architectures") or ["none"])[0])
    kind = str(config.get("model_type"))
    cls = getattr(transformers, name, None) if name.endswith("Classification") else None
    if not _is_library_class(cls) or kind not in CONFIG_MAPPING:
        raise UnknownArchitecture(
            f"{path}: config.json names {name} of type {kind!r}; needed is a ...Classification "
            "class of the transformers library. Code that a folder brings along is never run: pass "
            "model=function, a function that returns the nn.Module"
        )
    try:
        settings = CONFIG_MAPPING[kind].from_dict(cleaned(config))
        with torch.device("meta"):  # sizes first: a file's settings must not set memory aside
            check_size(_make(cls, settings), tensors, path)
        return _make(cls, settings)
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise CheckpointMismatch(f"{path}: transformers rejects config.json: {error}") from error


def _make(cls: Any, settings: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        module = cls._from_config(settings, dtype=torch.float32, attn_implementation="eager")
    assert isinstance(module, nn.Module)
    return module


def _is_library_class(cls: Any) -> bool:
    from transformers import PreTrainedModel

    own = isinstance(cls, type) and cls.__module__.startswith("transformers.models.")
    return own and issubclass(cls, PreTrainedModel)
