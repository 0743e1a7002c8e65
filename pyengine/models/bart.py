"""BART, as transformers' modeling_bart.py computes it: post-norm, and a norm of the embeddings."""

import dataclasses
import math
from typing import Any

from pyengine.models.config import ConfigFields, ModelConfig

MODEL_TYPE = "bart"
ALIASES = {"hidden_size": "d_model", "num_attention_heads": "encoder_attention_heads"}
"""Of all families here: transformers' `num_hidden_layers` is a copy of `encoder_layers`."""
POSITION_OFFSET = 2
"""Rows of the position tables before the first token's, as fairseq's padding left them."""


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of a BART config.json.

    Raises:
        ModelFormatError: a size is missing, or a field has the wrong type.
        UnsupportedModelError: an activation that pyengine does not run.
    """
    config = read_common_config(raw)
    return dataclasses.replace(config, normalize_embeddings=True, position_offset=POSITION_OFFSET)


def read_common_config(
    raw: dict[str, Any], activation: str = "gelu", scale_embedding: bool = False
) -> ModelConfig:
    """What BART and the families derived from it share, as a plain post-norm Transformer.

    Layer norms have PyTorch's epsilon: that code reads no field for it.

    Args:
        raw: the parsed config.json.
        activation, scale_embedding: the family's defaults.
    """
    fields = ConfigFields(raw)
    hidden_size = fields.size("d_model")
    vocab_size = fields.size("vocab_size")
    scaled = fields.flag("scale_embedding", scale_embedding)
    return ModelConfig(
        hidden_size=hidden_size,
        vocab_size=vocab_size,
        source_vocab_size=vocab_size,
        max_positions=fields.size("max_position_embeddings"),
        encoder_layers=fields.size("encoder_layers"),
        decoder_layers=fields.size("decoder_layers"),
        encoder_num_heads=fields.size("encoder_attention_heads"),
        decoder_num_heads=fields.size("decoder_attention_heads"),
        encoder_head_dim=fields.head_dim(hidden_size, "encoder_attention_heads"),
        decoder_head_dim=fields.head_dim(hidden_size, "decoder_attention_heads"),
        encoder_ffn_dim=fields.size("encoder_ffn_dim"),
        decoder_ffn_dim=fields.size("decoder_ffn_dim"),
        activation=fields.activation("activation_function", activation),
        normalize_before=False,
        embed_scale=math.sqrt(hidden_size) if scaled else 1.0,
        norm_eps=1e-5,
    )
