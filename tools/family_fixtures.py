"""The fixtures of the encoder-decoder families beside MarianMT: one or two small models of each.

Sizes fit no vector width: hidden 48, heads of 24 and 16, unequal stacks.
"""

from collections.abc import Callable
from typing import Any

from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    M2M100Config,
    M2M100ForConditionalGeneration,
    MBartConfig,
    MBartForConditionalGeneration,
    PegasusConfig,
    PegasusForConditionalGeneration,
    PretrainedConfig,
    PreTrainedModel,
)

from tools.fixture import MERGED, TWO, Fixture, randomize, stack_sizes


def made_by(
    config_class: type[PretrainedConfig], model_class: type[PreTrainedModel]
) -> Callable[[dict[str, Any]], PreTrainedModel]:
    """What builds a random model from the arguments of its configuration."""

    def make(config: dict[str, Any]) -> PreTrainedModel:
        model = model_class(config_class(**config)).eval()
        randomize(model, model.config.d_model)
        return model

    return make


FAIRSEQ = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
SIZES = {"d_model": 48, "max_position_embeddings": 40, "vocab_size": 157}

FAMILY_FIXTURES = (
    Fixture(  # as bart-large-cnn, but without no_repeat_ngram_size
        name="bart",
        make=made_by(BartConfig, BartForConditionalGeneration),
        config={**FAIRSEQ, **SIZES, **stack_sizes((2, 1), (2, 2), (60, 77))},
        generation={
            **{"num_beams": 4, "early_stopping": True, "length_penalty": 2.0, "max_length": 24},
            **{"min_length": 5, "forced_bos_token_id": 0, "forced_eos_token_id": 2},
        },
        files=TWO,
        seed=11,
        first_id=4,
        lessons=400,
    ),
    Fixture(  # as mBART-50: embeddings scaled, a language first on both sides, a merged decoder
        name="mbart",
        make=made_by(MBartConfig, MBartForConditionalGeneration),
        config={
            **{**FAIRSEQ, **SIZES, "scale_embedding": True, "activation_function": "relu"},
            **stack_sizes((1, 2), (3, 3), (60, 44)),
        },
        generation={"num_beams": 5, "max_length": 22, "forced_eos_token_id": 2},
        files=MERGED,
        seed=12,
        first_id=4,
        lessons=400,
    ),
    Fixture(
        name="pegasus",
        make=made_by(PegasusConfig, PegasusForConditionalGeneration),
        config={
            **{**SIZES, "scale_embedding": True, "activation_function": "relu"},
            **{"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0},
            **stack_sizes((1, 2), (2, 2), (60, 77)),
        },
        generation={"num_beams": 8, "length_penalty": 0.6, "max_length": 22},
        files=TWO,
        seed=13,
        first_id=4,
        lessons=400,
    ),
    Fixture(  # as NLLB and M2M-100
        name="m2m",
        make=made_by(M2M100Config, M2M100ForConditionalGeneration),
        config={**FAIRSEQ, **SIZES, **stack_sizes((2, 1), (3, 3), (60, 77))},
        generation={"num_beams": 5, "max_length": 24, "forced_bos_token_id": 150},
        files=TWO,
        seed=14,
        first_id=4,
        lessons=400,
    ),
)
