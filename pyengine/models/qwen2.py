"""Qwen2 and Qwen2.5: Llama with biases in the projections of queries, keys and values."""

from typing import Any

from pyengine.models import llama, mistral
from pyengine.models.config import ConfigFields, ModelConfig

MODEL_TYPE = "qwen2"


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of a Qwen2 config.json, with the defaults of transformers' Qwen2Config.

    Raises:
        ModelFormatError, UnsupportedModelError: as llama.read_config.
    """
    fields = ConfigFields(raw)
    config = llama.read_config({"max_position_embeddings": 32768} | raw)
    if not fields.flag("use_sliding_window", False):
        return config
    return mistral.within_window(config, fields.size("sliding_window", 4096))
