"""Pegasus: pre-norm, with a table of sines and cosines for the positions."""

import dataclasses
from typing import Any

from pyengine.models import bart
from pyengine.models.config import ModelConfig

MODEL_TYPE = "pegasus"


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of a Pegasus config.json; raises what ``bart.read_config`` does."""
    return dataclasses.replace(bart.read_common_config(raw), normalize_before=True)
