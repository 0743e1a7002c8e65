"""MarianMT (OPUS-MT), as transformers' modeling_marian.py computes it."""

import dataclasses
from typing import Any

from pyengine.models import bart
from pyengine.models.config import ConfigFields, ModelConfig

MODEL_TYPE = "marian"


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of a Marian config.json, with the defaults of transformers' MarianConfig.

    Post-norm always. The two languages may have vocabularies of their own.

    Raises:
        ModelFormatError: a size is missing, or a field has the wrong type.
        UnsupportedModelError: an activation that pyengine does not run.
    """
    config = bart.read_common_config(raw)
    fields = ConfigFields(raw)
    own_size = fields.size("decoder_vocab_size", config.vocab_size)
    if fields.flag("share_encoder_decoder_embeddings", True):
        return config
    return dataclasses.replace(config, vocab_size=own_size)
