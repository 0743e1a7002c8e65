"""The supported families by config.json's model_type; a new one is a file and an entry here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
from pyengine.models.config_keys import Supported
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
        aliases: second names of keys in config.json -> the first.
        supported: keys of config.json of which pyengine runs only these values.
    """

    model_type: str
    read_config: Callable[[dict[str, Any]], ModelConfig]
    table: tuple[Row, ...]
    stacks: tuple[str, ...] = ("encoder", "decoder")
    max_length: int = 0
    aliases: Mapping[str, str] = field(default_factory=dict)
    supported: Supported = field(default_factory=dict)


ENCODER_ONLY, DECODER_ONLY = ("encoder",), ("decoder",)

_BART: dict[str, Any] = {"table": ENCODER_DECODER, "aliases": bart.ALIASES}
_T5: dict[str, Any] = {"table": t5.TABLE, "max_length": t5.MAX_LENGTH, "aliases": t5.ALIASES}
_BERT: dict[str, Any] = {"table": bert.TABLE, "stacks": ENCODER_ONLY, "supported": bert.SUPPORTED}
_LLAMA: dict[str, Any] = {"table": llama.TABLE, "stacks": DECODER_ONLY}

FAMILIES = {
    family.model_type: family
    for family in (
        Family(bart.MODEL_TYPE, bart.read_config, **_BART),
        Family(m2m_100.MODEL_TYPE, m2m_100.read_config, **_BART),
        Family(marian.MODEL_TYPE, marian.read_config, **_BART),
        Family(mbart.MODEL_TYPE, mbart.read_config, **_BART),
        Family(pegasus.MODEL_TYPE, pegasus.read_config, **_BART),
        Family(t5.MODEL_TYPE, t5.read_config, **_T5),
        Family(t5.MT5_MODEL_TYPE, t5.read_mt5_config, **_T5),
        Family(transformer.MODEL_TYPE, transformer.read_config, ENCODER_DECODER),
        Family(bert.MODEL_TYPE, bert.read_config, **_BERT),
        Family(
            distilbert.MODEL_TYPE,
            distilbert.read_config,
            distilbert.TABLE,
            ENCODER_ONLY,
            aliases=distilbert.ALIASES,
        ),
        Family(roberta.MODEL_TYPE, roberta.read_config, **_BERT),
        Family(roberta.MODEL_TYPE_XLM, roberta.read_config, **_BERT),
        Family(
            gpt2.MODEL_TYPE,
            gpt2.read_config,
            gpt2.TABLE,
            DECODER_ONLY,
            aliases=gpt2.ALIASES,
            supported=gpt2.SUPPORTED,
        ),
        Family(llama.MODEL_TYPE, llama.read_config, **_LLAMA),
        Family(mistral.MODEL_TYPE, mistral.read_config, **_LLAMA),
        Family(qwen2.MODEL_TYPE, qwen2.read_config, **_LLAMA),
    )
}
