"""The supported families by config.json's model_type; a new one is a file and an entry here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyengine.models import (
    bart,
    bert,
    distilbert,
    gpt2,
    llama,
    m2m_100,
    marian,
    mbart,
    mistral,
    pegasus,
    qwen2,
    roberta,
    t5,
    transformer,
)
from pyengine.models.config import ModelConfig
from pyengine.models.tensors import ENCODER_DECODER, Row


@dataclass(frozen=True)
class Family:
    """How the folders of one model_type are read.

    Attributes:
        model_type: as in config.json.
        read_config: from a parsed config.json.
        table: the model's tensors.
        stacks: what the model consists of: "encoder", "decoder" or both.
        max_length: of a generated text where neither the call nor the folder gives a length; 0: as
            many tokens as the model has positions.
    """

    model_type: str
    read_config: Callable[[dict[str, Any]], ModelConfig]
    table: tuple[Row, ...]
    stacks: tuple[str, ...] = ("encoder", "decoder")
    max_length: int = 0


ENCODER_ONLY, DECODER_ONLY = ("encoder",), ("decoder",)

FAMILIES = {
    family.model_type: family
    for family in (
        Family(bart.MODEL_TYPE, bart.read_config, ENCODER_DECODER),
        Family(m2m_100.MODEL_TYPE, m2m_100.read_config, ENCODER_DECODER),
        Family(marian.MODEL_TYPE, marian.read_config, ENCODER_DECODER),
        Family(mbart.MODEL_TYPE, mbart.read_config, ENCODER_DECODER),
        Family(pegasus.MODEL_TYPE, pegasus.read_config, ENCODER_DECODER),
        Family(t5.MODEL_TYPE, t5.read_config, t5.TABLE, max_length=t5.MAX_LENGTH),
        Family(t5.MT5_MODEL_TYPE, t5.read_mt5_config, t5.TABLE, max_length=t5.MAX_LENGTH),
        Family(transformer.MODEL_TYPE, transformer.read_config, ENCODER_DECODER),
        Family(bert.MODEL_TYPE, bert.read_config, bert.TABLE, ENCODER_ONLY),
        Family(distilbert.MODEL_TYPE, distilbert.read_config, distilbert.TABLE, ENCODER_ONLY),
        Family(roberta.MODEL_TYPE, roberta.read_config, bert.TABLE, ENCODER_ONLY),
        Family(roberta.MODEL_TYPE_XLM, roberta.read_config, bert.TABLE, ENCODER_ONLY),
        Family(gpt2.MODEL_TYPE, gpt2.read_config, gpt2.TABLE, DECODER_ONLY),
        Family(llama.MODEL_TYPE, llama.read_config, llama.TABLE, DECODER_ONLY),
        Family(mistral.MODEL_TYPE, mistral.read_config, llama.TABLE, DECODER_ONLY),
        Family(qwen2.MODEL_TYPE, qwen2.read_config, llama.TABLE, DECODER_ONLY),
    )
}
