"""mBART and mBART-50: BART with the norms before each block and after the last layer."""

import dataclasses
from typing import Any

from pyengine.models import bart
from pyengine.models.config import ModelConfig

MODEL_TYPE = "mbart"


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of an mBART config.json; raises what ``bart.read_config`` does."""
    return dataclasses.replace(bart.read_config(raw), normalize_before=True)
