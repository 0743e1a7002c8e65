"""RoBERTa and XLM-RoBERTa, as transformers' modeling_roberta.py computes them.

BERT, but for the positions: they count from the row after that of padding, which counts for none.
"""

import dataclasses
from typing import Any

from pyengine.errors import ModelFormatError
from pyengine.models import bert
from pyengine.models.config import ConfigFields, ModelConfig

MODEL_TYPE = "roberta"
MODEL_TYPE_XLM = "xlm-roberta"


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of a RoBERTa config.json, with the defaults of transformers' RobertaConfig.

    Raises:
        ModelFormatError, UnsupportedModelError: as bert.read_config.
    """
    fields = ConfigFields(raw)
    config = bert.read_config(raw)
    offset = fields.index("pad_token_id", 1) + 1
    if offset >= config.max_positions:
        raise ModelFormatError(
            f"config.json: max_position_embeddings is {config.max_positions}, "
            f"expected more than pad_token_id + 1 = {offset}"
        )
    return dataclasses.replace(
        config,
        position_offset=offset,
        position_padding_id=offset - 1,
        max_positions=config.max_positions - offset,
    )
