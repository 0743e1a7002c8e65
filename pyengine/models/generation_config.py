"""The generation options of a model folder: generation_config.json, or those of config.json."""

from pathlib import Path
from typing import Any

from pyengine.models.config_keys import given
from pyengine.models.json_file import read_json_object
from pyengine.models.source_file import is_source
from pyengine.option_names import NAMES_IN_FILES

# Special ids that a generation_config.json may leave out while config.json has them.
TOKEN_FIELDS = ("decoder_start_token_id", "bos_token_id", "eos_token_id", "pad_token_id")

# What says so in the config.json of BART models from before transformers 4.2.
_OLD_FORCED_BOS = "force_bos_token_to_be_generated"
# What transformers' configuration classes have for options that config.json leaves out.
_FAIRSEQ = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
_T5 = {"pad_token_id": 0, "eos_token_id": 1}
_LLAMA = {"bos_token_id": 1, "eos_token_id": 2}
_DEFAULTS = {
    "bart": {**_FAIRSEQ, "decoder_start_token_id": 2, "forced_eos_token_id": 2},
    "m2m_100": {**_FAIRSEQ, "decoder_start_token_id": 2},
    "mbart": {**_FAIRSEQ, "forced_eos_token_id": 2},
    "marian": {
        **{"decoder_start_token_id": 58100, "pad_token_id": 58100},
        **{"eos_token_id": 0, "forced_eos_token_id": 0},
    },
    "pegasus": {**_T5, "decoder_start_token_id": 0, "forced_eos_token_id": 1},
    "t5": _T5,
    "mt5": {**_T5, "decoder_start_token_id": 0},
    "gpt2": {"bos_token_id": 50256, "eos_token_id": 50256},
    "llama": _LLAMA,
    "mistral": _LLAMA,
}
# Parts of a config.json that may hold generation options for what the rest leaves out.
_DECODERS = ("decoder", "generator", "text_config")


def read_generation_config(
    folder: Path, raw_config: dict[str, Any], model_type: str
) -> dict[str, Any]:
    """Defaults of the generation options, in transformers' names and with its meaning.

    A generation_config.json rules alone, as in transformers; only the special ids that it lacks
    come from config.json. Without that file every option comes from config.json, as
    GenerationConfig.from_model_config of transformers 4.57 takes it. Fields that are null count as
    absent.

    Args:
        folder: of the model.
        raw_config: its config.json.
        model_type: decides what stands for fields that are missing there.
    """
    path = folder / "generation_config.json"
    if not is_source(path):
        return _from_config({**_DEFAULTS.get(model_type, {}), **raw_config})
    own = read_json_object(path)
    tokens = {name: raw_config.get(name) for name in TOKEN_FIELDS}
    return given(tokens) | given(own)


def _from_config(config: dict[str, Any]) -> dict[str, Any]:
    """The generation options in a config.json."""
    options = {name: config.get(name) for name in NAMES_IN_FILES}
    if config.get(_OLD_FORCED_BOS) and options["forced_bos_token_id"] is None:
        options["forced_bos_token_id"] = config.get("bos_token_id")
    for part in _DECODERS:
        inner = config.get(part)
        if isinstance(inner, dict):
            options = {name: inner.get(name) for name in NAMES_IN_FILES} | given(options)
    return given(options)
