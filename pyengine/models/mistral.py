"""Mistral: Llama whose tokens see a window of those before them.

Texts as long as the window see all of it, so that is how long they may be.
"""

import dataclasses
from typing import Any

from pyengine.models import llama
from pyengine.models.config import ConfigFields, ModelConfig

MODEL_TYPE = "mistral"

_DEFAULTS = {
    "num_key_value_heads": 8,
    "max_position_embeddings": 4096 * 32,
    "sliding_window": 4096,
}


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of a Mistral config.json, with the defaults of transformers' MistralConfig.

    Raises:
        ModelFormatError, UnsupportedModelError: as llama.read_config.
    """
    known = _DEFAULTS | raw
    config = llama.read_config(known)
    if known["sliding_window"] is None:
        return config
    return within_window(config, ConfigFields(known).size("sliding_window"))


def within_window(config: ModelConfig, window: int) -> ModelConfig:
    """The same with no more positions than the window has."""
    return dataclasses.replace(config, max_positions=min(config.max_positions, window))
