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
    MT5Config,
    MT5ForConditionalGeneration,
    PegasusConfig,
    PegasusForConditionalGeneration,
    PretrainedConfig,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
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
T5_IDS = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
T5_SIZES = {"d_model": 48, "num_layers": 2, "num_decoder_layers": 1, "vocab_size": 157}
SIZES = {"d_model": 48, "max_position_embeddings": 40, "vocab_size": 157}

FAMILY_FIXTURES = (
    Fixture(  # as bart-large-cnn
        name="bart",
        make=made_by(BartConfig, BartForConditionalGeneration),
        config={**FAIRSEQ, **SIZES, **stack_sizes((2, 1), (2, 2), (60, 77))},
        generation={
            **{"num_beams": 4, "early_stopping": True, "length_penalty": 2.0, "max_length": 24},
            **{"min_length": 5, "forced_bos_token_id": 0, "forced_eos_token_id": 2},
            "no_repeat_ngram_size": 3,
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
    Fixture(  # as NLLB and M2M-100; its ids are those of the tokenizer fixture m2m
        name="m2m",
        make=made_by(M2M100Config, M2M100ForConditionalGeneration),
        config={**FAIRSEQ, **SIZES, "vocab_size": 384, **stack_sizes((2, 1), (3, 3), (60, 77))},
        generation={"num_beams": 5, "max_length": 24, "forced_bos_token_id": 300},
        files=TWO,
        seed=14,
        first_id=4,
        lessons=400,
    ),
    Fixture(  # as T5 v1.0: ReLU, one table for all, heads as wide as the hidden size together
        name="t5",
        make=made_by(T5Config, T5ForConditionalGeneration),
        config={**T5_IDS, **T5_SIZES, "d_kv": 24, "d_ff": 77, "num_heads": 2},
        generation={"num_beams": 4, "max_length": 22},
        files=TWO,
        seed=15,
        first_id=2,
        lessons=400,
    ),
    Fixture(  # as T5 v1.1, FLAN-T5, MADLAD and mT5: gated GELU, an output projection of its own
        name="mt5",
        make=made_by(MT5Config, MT5ForConditionalGeneration),
        config={
            **{**T5_IDS, **T5_SIZES, "vocab_size": 131},
            **{"d_kv": 20, "d_ff": 52, "num_heads": 3},
            **{"relative_attention_num_buckets": 8, "relative_attention_max_distance": 20},
        },
        generation={"num_beams": 2, "max_length": 26, "length_penalty": 0.8},
        files=MERGED,
        seed=16,
        first_id=2,
        lessons=400,
    ),
)
