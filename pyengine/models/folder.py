"""The two JSON files of a model folder."""

import json
from pathlib import Path
from typing import Any

from pyengine.errors import ModelFormatError, ModelNotFoundError

# Special ids that a generation_config.json may leave out while config.json has them.
TOKEN_FIELDS = ("decoder_start_token_id", "bos_token_id", "eos_token_id", "pad_token_id")

# What transformers' GenerationConfig.from_model_config takes from a config.json, as far as
# pyengine knows the option.
GENERATION_FIELDS = (
    *TOKEN_FIELDS,
    *("num_beams", "num_return_sequences", "length_penalty", "early_stopping"),
    *("max_length", "max_new_tokens", "min_length", "min_new_tokens", "renormalize_logits"),
    *("forced_bos_token_id", "forced_eos_token_id", "bad_words_ids", "suppress_tokens"),
    *("begin_suppress_tokens", "no_repeat_ngram_size", "repetition_penalty"),
    *("do_sample", "top_k", "top_p", "temperature"),
)


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in the file `path`.

    Raises:
        ModelNotFoundError: there is no such file.
        ModelFormatError: the file is not UTF-8 JSON, or not an object.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"{str(path.parent)!r} lacks {path.name}")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{path.name}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise ModelFormatError(
            f"{path.name}: found a JSON {type(value).__name__}, expected an object"
        )
    return value


def read_generation_config(folder: Path, raw_config: dict[str, Any]) -> dict[str, Any]:
    """Defaults of the generation options, in transformers' names and with its meaning.

    A generation_config.json rules alone, as in transformers; only the special ids that it lacks
    come from config.json. Without that file every option comes from config.json. Fields that are
    null count as absent.
    """
    path = folder / "generation_config.json"
    own = read_json_object(path) if path.is_file() else {}
    own = {name: value for name, value in own.items() if value is not None}
    inherited = TOKEN_FIELDS if path.is_file() else GENERATION_FIELDS
    for name in inherited:
        if name not in own and raw_config.get(name) is not None:
            own[name] = raw_config[name]
    return own
