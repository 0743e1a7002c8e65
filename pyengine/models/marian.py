"""MarianMT (OPUS-MT), as transformers' modeling_marian.py computes it."""

import math
from typing import Any

from pyengine.models.config import ConfigFields, ModelConfig

MODEL_TYPE = "marian"


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of a Marian config.json, with the defaults of transformers' MarianConfig.

    Post-norm always, layer norms with PyTorch's epsilon: that code reads no field for either.

    Raises:
        ModelFormatError: a size is missing, or a field has the wrong type.
        UnsupportedModelError: an activation that pyengine does not run.
    """
    fields = ConfigFields(raw)
    hidden_size = fields.size("d_model")
    source_vocab_size = fields.size("vocab_size")
    shared = fields.flag("share_encoder_decoder_embeddings", True)
    decoder_vocab_size = fields.size("decoder_vocab_size", source_vocab_size)
    return ModelConfig(
        hidden_size=hidden_size,
        vocab_size=source_vocab_size if shared else decoder_vocab_size,
        source_vocab_size=source_vocab_size,
        max_positions=fields.size("max_position_embeddings"),
        encoder_layers=fields.size("encoder_layers"),
        decoder_layers=fields.size("decoder_layers"),
        encoder_num_heads=fields.size("encoder_attention_heads"),
        decoder_num_heads=fields.size("decoder_attention_heads"),
        encoder_head_dim=fields.head_dim(hidden_size, "encoder_attention_heads"),
        decoder_head_dim=fields.head_dim(hidden_size, "decoder_attention_heads"),
        encoder_ffn_dim=fields.size("encoder_ffn_dim"),
        decoder_ffn_dim=fields.size("decoder_ffn_dim"),
        activation=fields.activation("activation_function", "gelu"),
        normalize_before=False,
        embed_scale=math.sqrt(hidden_size) if fields.flag("scale_embedding", False) else 1.0,
        norm_eps=1e-5,
    )
