"""M2M-100 and NLLB: pre-norm, scaled embeddings, sines and cosines for the positions."""

import dataclasses
from typing import Any

from pyengine.models import bart
from pyengine.models.config import ConfigFields, ModelConfig

MODEL_TYPE = "m2m_100"


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of an M2M-100 config.json; raises what ``bart.read_config`` does.

    The position of a text's first token is the row after that of the padding token, which counts
    for no position.
    """
    config = bart.read_common_config(raw, activation="relu", scale_embedding=True)
    rows = bart.POSITION_OFFSET + config.max_positions
    first = ConfigFields(raw).index("pad_token_id", 1) + 1
    return dataclasses.replace(
        config,
        normalize_before=True,
        position_offset=first,
        position_padding_id=first - 1,
        max_positions=rows - first,
    )
