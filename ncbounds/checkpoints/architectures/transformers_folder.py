"""Build a classifier of the transformers library from its config.json alone.

Only the library's own classes are used: ``auto_map`` is never followed, and settings that make the
library fetch code or weights are dropped.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging import CRITICAL
from typing import Any

import torch
from torch import nn

from ncbounds.checkpoints.architectures.bounded_build import check_counts, counted
from ncbounds.checkpoints.architectures.match import (
    check_finite,
    check_size,
    precision_note,
    widened,
)
from ncbounds.checkpoints.head.passes import check_task
from ncbounds.errors import CheckpointMismatch, MissingExtra, UnknownArchitecture, few

DROPPED = frozenset(
    (
        *("auto_map", "custom_pipelines", "_name_or_path", "name_or_path", "_commit_hash"),
        *("attn_implementation", "_attn_implementation", "_attn_implementation_internal"),
        *("_attn_implementation_autoset", "experts_implementation", "_experts_implementation"),
        *("quantization_config", "compression_config", "use_pretrained_backbone"),
        *("dtype", "torch_dtype", "gguf_file", "transformers_weights", "distributed_config"),
        *("fusion_config", "kernel_config", "use_kernels"),
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
) -> tuple[nn.Module, tuple[str, ...]]:
    """Build a classifier from a configuration and put all tensors of the folder into it.

    The library's own loader does that, because it knows how names in files have changed; it is
    given the tensors, never a path.

    Parameters
    ----------
    config : mapping
        Content of config.json.
    tensors : mapping of str to Tensor
    path : object
        The folder, for messages.

    Returns
    -------
    module : nn.Module
        In float32, or float64 if the file is.
    notes : tuple of str

    Raises
    ------
    MissingExtra
        If transformers is not installed.
    UnknownArchitecture
        If the configuration names no classifier of the library.
    CheckpointMismatch
        If the library rejects the configuration, or tensors are missing, left over, of another
        shape or not finite.
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
    check_task(name, config.get("problem_type"), str(path), UnknownArchitecture)
    cls: Any = getattr(transformers, name, None) if name.endswith("Classification") else None
    if not _is_library_class(cls) or kind not in CONFIG_MAPPING:
        raise UnknownArchitecture(
            f"{path}: config.json names {name} of type {kind!r}; needed is a ...Classification "
            "class of the transformers library. Code that a folder brings along is never run: pass "
            "model=function, a function that returns the nn.Module"
        )
    stored = {t.dtype for t in tensors.values() if t.is_floating_point()}
    tensors = widened(tensors)
    check_finite(tensors, path)
    check_counts(config, tensors, path)
    dtype = torch.float64 if torch.float64 in stored else torch.float32
    try:
        settings = CONFIG_MAPPING[kind].from_dict(cleaned(config))
        with _silent(), torch.random.fork_rng(devices=[]):
            with counted(tensors, path):  # a file's settings must not set memory aside
                check_size(cls._from_config(settings, dtype=dtype), tensors, path)
            module, report = cls.from_pretrained(
                None,
                config=settings,
                state_dict=dict(tensors),
                dtype=dtype,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                local_files_only=True,
            )
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError, OSError) as error:
        raise CheckpointMismatch(f"{path}: transformers rejects the folder: {error}") from error
    _check_report(report, path)
    assert isinstance(module, nn.Module)
    return module, precision_note(stored, dtype)


def _check_report(report: Mapping[str, Any], path: object) -> None:
    """Accept a load only if every name and shape fitted."""
    shapes = [f"{n}: file {tuple(a)}, model {tuple(b)}" for n, a, b in report["mismatched_keys"]]
    parts = [f"the model needs {few(sorted(report['missing_keys']))}"] * bool(
        report["missing_keys"]
    )
    parts += [f"the file has {few(sorted(report['unexpected_keys']))} too many"] * bool(
        report["unexpected_keys"]
    )
    parts += [f"shapes differ: {few(sorted(shapes))}"] * bool(shapes)
    parts += [str(message) for message in report.get("error_msgs", ())]
    if parts:
        raise CheckpointMismatch(f"{path} does not fit its config.json: {'; '.join(parts)}")


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the library's progress bars and load reports off the screen."""
    from transformers.utils import logging as library_logging

    logging: Any = library_logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _is_library_class(cls: Any) -> bool:
    from transformers import PreTrainedModel

    own = isinstance(cls, type) and cls.__module__.startswith("transformers.models.")
    return own and issubclass(cls, PreTrainedModel)
