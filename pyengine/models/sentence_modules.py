"""Folders of sentence-transformers: the modules that make a vector of a text's hidden states.

``modules.json`` lists them; each has a folder with a ``config.json`` of its own, but for the first,
the Transformer, whose settings are in ``sentence_bert_config.json`` beside the model's.

Source: ``SentenceTransformer`` of sentence-transformers 6.2.0, which reads the older forms too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyengine.errors import ModelFormatError
from pyengine.models.json_file import (
    read_json,
    read_json_object,
    read_optional_json_object,
    read_required_json_object,
)
from pyengine.models.source_file import is_source
from pyengine.pooling import POOLINGS

MODULES = "modules.json"
SETTINGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""Names of the Transformer's settings; the first that is there counts."""

_OLDER_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""Flags that older versions wrote in place of ``pooling_mode``, in the order of the vectors."""

_POOLED = "sentence_embedding"
"""What the modules call the vector; also the output of a graph that holds them."""


@dataclass(frozen=True)
class SentenceModules:
    """How a folder makes a vector of a text.

    Attributes:
        pooling: names of :data:`pyengine.pooling.POOLINGS`, whose vectors stand side by side;
            ``None``: the folder does not tell.
        normalize: whether the vector is divided by its length.
        max_tokens: of a text at most, the rest is cut; ``None``: the model's positions.
        lowercase: whether texts are lowercased first.
        prompts: texts to put before another, by name.
        default_prompt: the name of that which is put there where none is asked for.
        pools_prompt: whether the tokens of the prompt count in the vector.
        refused: what of it pyengine does not run, as an error says it; ``None``: nothing.
    """

    pooling: tuple[str, ...] | None = ("mean",)
    normalize: bool = False
    max_tokens: int | None = None
    lowercase: bool = False
    prompts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_prompt: str | None = None
    pools_prompt: bool = True
    refused: str | None = None


def is_sentence_transformer(folder: Path) -> bool:
    """Whether sentence-transformers wrote the folder."""
    return is_source(folder / MODULES)


def read_sentence_modules(
    folder: Path, outputs: Sequence[str], raw_config: Mapping[str, Any]
) -> SentenceModules:
    """What a model folder says of vectors; the mean where it says nothing.

    Args:
        folder: of the model.
        outputs: names of those of its graph.
        raw_config: its ``config.json``.

    Raises:
        ModelFormatError: a file is damaged, or has a value that cannot be.
    """
    if not is_sentence_transformer(folder):
        pooled = _POOLED in outputs
        return SentenceModules(pooling=None if pooled else ("mean",))
    settings, path = _settings(folder)
    found = SentenceModules(
        pooling=None,
        max_tokens=_max_tokens(folder, settings, path, raw_config),
        lowercase=bool(settings.get("do_lower_case")),
        refused=_refused_transformer(settings, path),
        **_prompts(folder / "config_sentence_transformers.json"),
    )
    for place, module in enumerate(_modules(folder / MODULES)):
        found = _with_module(found, folder, place, module)
    return found if found.pooling else _refuse(found, f"{MODULES} has no Pooling behind the model")


def lowercases(folder: Path) -> bool:
    """Whether a folder of sentence-transformers says that texts are lowercased first."""
    return is_sentence_transformer(folder) and bool(_settings(folder)[0].get("do_lower_case"))


def _modules(path: Path) -> list[dict[str, str]]:
    """Each with its ``type`` and ``path``."""
    modules = read_json(path)
    if not isinstance(modules, list) or not modules:
        raise ModelFormatError(f"{path.name}: expected a list of modules, found {modules!r:.60}")
    for module in modules:
        texts = [module.get(key) for key in ("type", "path")] if isinstance(module, dict) else [0]
        if not all(isinstance(text, str) for text in texts):
            raise ModelFormatError(f"{path.name}: expected a module, found {module!r:.80}")
    return modules


def _with_module(
    found: SentenceModules, folder: Path, place: int, module: dict[str, str]
) -> SentenceModules:
    """``found`` with what the module at ``place`` adds."""
    kind = module["type"].rpartition(".")[2]
    told = f"{MODULES}: module {module['path']!r:.60} of type {kind!r:.60}"
    if place == 0 and kind == "Transformer" and module["path"] in ("", "."):
        return found
    if place == 1 and kind == "Pooling":
        return _with_pooling(found, folder / module["path"] / "config.json")
    if place > 1 and kind == "Normalize":
        config = read_optional_json_object(folder / module["path"] / "config.json")
        names = [config.get(f"module_{way}_name") for way in ("input", "output")]
        if all(name in (None, _POOLED) for name in names):
            return dataclasses.replace(found, normalize=True)
    if place > 1 and kind == "Dropout":  # which does nothing outside of training
        return found
    expected = "a Transformer at the top of the folder, then Pooling, then Normalize or nothing"
    return _refuse(found, f"{told} is not run, expected {expected}")


def _with_pooling(found: SentenceModules, path: Path) -> SentenceModules:
    config = read_required_json_object(path)
    names = config.get("pooling_mode")
    if names is None:
        names = [name for flag, name in _OLDER_POOLINGS.items() if config.get(flag)] or "mean"
    names = tuple(names) if isinstance(names, list) else (names,)
    if not names or not all(isinstance(name, str) for name in names):
        raise ModelFormatError(f"{path.parent.name}/{path.name}: pooling_mode is {names!r:.60}")
    found = dataclasses.replace(found, pooling=names)
    if unknown := [name for name in names if name not in POOLINGS]:
        return _refuse(found, f"{path.parent.name}: pooling_mode {unknown[0]!r:.60} is not run")
    return dataclasses.replace(found, pools_prompt=config.get("include_prompt") is not False)


def _refuse(found: SentenceModules, message: str) -> SentenceModules:
    """``found`` with a reason to refuse it, unless there is one already."""
    return dataclasses.replace(found, refused=found.refused or message)


def _settings(folder: Path) -> tuple[dict[str, Any], str]:
    """The Transformer's settings, and the name of their file."""
    for name in SETTINGS:
        if is_source(folder / name):
            return read_json_object(folder / name), name
    return {}, SETTINGS[0]


def _refused_transformer(settings: Mapping[str, Any], path: str) -> str | None:
    """What of the settings asks for something else than the last hidden states."""
    task = settings.get("transformer_task", "feature-extraction")
    if task != "feature-extraction":
        return f"{path}: transformer_task is {task!r:.60}, expected 'feature-extraction'"
    modalities = settings.get("modality_config")
    text = modalities.get("text") if isinstance(modalities, dict) else None
    output = text.get("method_output_name") if isinstance(text, dict) else None
    if output not in (None, "last_hidden_state"):
        return f"{path}: method_output_name is {output!r:.60}, expected 'last_hidden_state'"
    return None


def _max_tokens(
    folder: Path, settings: Mapping[str, Any], path: str, raw_config: Mapping[str, Any]
) -> int | None:
    """The limit that the settings give, else the tokenizer's and the model's."""
    for name in ("processor_kwargs", "tokenizer_args"):
        options = settings.get(name)
        if isinstance(options, dict) and options.get("model_max_length") is not None:
            return _length(options["model_max_length"], f"{path}: model_max_length")
    if settings.get("max_seq_length") is not None:
        return _length(settings["max_seq_length"], f"{path}: max_seq_length")
    tokenizer = read_optional_json_object(folder / "tokenizer_config.json").get("model_max_length")
    positions = raw_config.get("max_position_embeddings")
    limits = {"tokenizer_config.json: model_max_length": tokenizer}
    limits["config.json: max_position_embeddings"] = positions
    given = [_length(value, name) for name, value in limits.items() if value is not None]
    return min(given, default=None)


def _length(value: object, name: str) -> int:
    """A number of tokens; transformers writes 1e30 where there is no limit."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 1:
        raise ModelFormatError(f"{name} is {value!r:.60}, expected a number of tokens above 0")
    return int(min(value, 2**31))


def _prompts(path: Path) -> dict[str, Any]:
    """``prompts`` and ``default_prompt`` of :class:`SentenceModules`."""
    config = read_optional_json_object(path)
    prompts = config.get("prompts") or {}
    default = config.get("default_prompt_name")
    texts = [*prompts.values()] if isinstance(prompts, dict) else [0]
    if not all(text is None or isinstance(text, str) for text in texts):
        raise ModelFormatError(f"{path.name}: expected prompts by name, found {prompts!r:.60}")
    prompts = {name: text or "" for name, text in prompts.items()}
    if default is not None and default not in [*prompts]:  # which need not be hashable
        raise ModelFormatError(
            f"{path.name}: default_prompt_name is {default!r:.60}, "
            f"expected one of {', '.join(map(repr, prompts)) or 'no prompts'}"
        )
    return {"prompts": prompts, "default_prompt": default}
