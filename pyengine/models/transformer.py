"""Our reference Transformer, as tools/reference writes it: Marian's fields and three more."""

import dataclasses
from typing import Any

from pyengine.models import marian
from pyengine.models.config import DECODER_KINDS, ConfigFields, ModelConfig

MODEL_TYPE = "transformer"


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of a reference config.json.

    The paper's choices are the defaults: ReLU, embeddings scaled by sqrt(d_model), post-norm.

    Raises:
        ModelFormatError: a size is missing, or a field has the wrong type.
        UnsupportedModelError: an activation that pyengine does not run.
    """
    fields = ConfigFields(raw)
    paper = {"activation_function": "relu", "scale_embedding": True}
    return dataclasses.replace(
        marian.read_config(paper | raw),
        normalize_before=fields.flag("normalize_before", False),
        norm_eps=fields.positive("layer_norm_eps", 1e-5),
        decoder_kind=fields.choice("decoder_kind", DECODER_KINDS),
    )
