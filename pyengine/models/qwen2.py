"""Qwen2 and Qwen2.5: Llama with biases in the projections of queries, keys and values."""

from typing import Any

from pyengine.errors import ModelFormatError, UnsupportedModelError
from pyengine.models import llama, mistral
from pyengine.models.config import ConfigFields, ModelConfig

MODEL_TYPE = "qwen2"

_LAYER_TYPES = ("full_attention", "sliding_attention")


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of a Qwen2 config.json, with the defaults of transformers' Qwen2Config.

    Raises:
        ModelFormatError, UnsupportedModelError: as llama.read_config.
    """
    fields = ConfigFields(raw)
    config = llama.read_config({"max_position_embeddings": 32768} | raw)
    _check_layer_types(raw, config.decoder_layers)
    if not fields.flag("use_sliding_window", False):
        return config
    return mistral.within_window(config, fields.size("sliding_window", 4096))


def _check_layer_types(raw: dict[str, Any], num_layers: int) -> None:
    """Layers see all tokens or a window of them; which does not matter within the window."""
    kinds = raw.get("layer_types")
    if kinds is None:
        return
    if not isinstance(kinds, list) or len(kinds) != num_layers:
        raise ModelFormatError(
            f"config.json: layer_types is {kinds!r:.60}, expected a kind for each of the "
            f"{num_layers} layers"
        )
    for kind in kinds:
        if kind not in _LAYER_TYPES:
            raise UnsupportedModelError(
                f"config.json: layer_types has {kind!r:.60}, supported are "
                f"{', '.join(_LAYER_TYPES)}"
            )
