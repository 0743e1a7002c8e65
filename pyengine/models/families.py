"""The supported families by config.json's model_type; a new one is a file and an entry here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyengine.models import bart, m2m_100, marian, mbart, pegasus, t5, transformer
from pyengine.models.config import ModelConfig
from pyengine.models.tensors import ENCODER_DECODER, Row


@dataclass(frozen=True)
class Family:
    """How the folders of one model_type are read.

    Attributes:
        model_type: as in config.json.
        read_config: from a parsed config.json.
        table: the model's tensors.
    """

    model_type: str
    read_config: Callable[[dict[str, Any]], ModelConfig]
    table: tuple[Row, ...]


FAMILIES = {
    family.model_type: family
    for family in (
        Family(bart.MODEL_TYPE, bart.read_config, ENCODER_DECODER),
        Family(m2m_100.MODEL_TYPE, m2m_100.read_config, ENCODER_DECODER),
        Family(marian.MODEL_TYPE, marian.read_config, ENCODER_DECODER),
        Family(mbart.MODEL_TYPE, mbart.read_config, ENCODER_DECODER),
        Family(pegasus.MODEL_TYPE, pegasus.read_config, ENCODER_DECODER),
        Family(t5.MODEL_TYPE, t5.read_config, t5.TABLE),
        Family(t5.MT5_MODEL_TYPE, t5.read_mt5_config, t5.TABLE),
        Family(transformer.MODEL_TYPE, transformer.read_config, ENCODER_DECODER),
    )
}
