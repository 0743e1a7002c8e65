"""The core against the float64 twin, on random models of every variant that a configuration has."""

from __future__ import annotations

import dataclasses

import model_twin
import numpy as np
import pytest

from pyengine import _core
from pyengine.cache import core_config
from pyengine.models import ModelConfig

# No size is a multiple of a vector.
SMALL = ModelConfig(
    hidden_size=40,
    vocab_size=83,
    source_vocab_size=51,
    max_positions=24,
    encoder_layers=2,
    decoder_layers=1,
    encoder_num_heads=4,
    decoder_num_heads=2,
    encoder_head_dim=10,
    decoder_head_dim=20,
    encoder_ffn_dim=52,
    decoder_ffn_dim=37,
    activation="relu",
    normalize_before=False,
    embed_scale=40**0.5,
    norm_eps=1e-5,
)
VARIANTS = {
    "plain": SMALL,
    "pre-norm": dataclasses.replace(SMALL, normalize_before=True, logit_scale=40**-0.5),
    "rms-norm": dataclasses.replace(
        SMALL, norm_kind="rms_norm", norm_eps=1e-6, normalize_before=True
    ),
    "post-rms-norm": dataclasses.replace(SMALL, norm_kind="rms_norm"),
    "embedding-norm": dataclasses.replace(SMALL, normalize_embeddings=True),
    "head-dims": dataclasses.replace(
        SMALL, encoder_num_heads=3, encoder_head_dim=24, decoder_num_heads=5, decoder_head_dim=3
    ),
    "wide-heads": dataclasses.replace(SMALL, encoder_head_dim=32, decoder_head_dim=32),
    "unscaled-attention": dataclasses.replace(SMALL, scale_attention=False),
    "no-positions": dataclasses.replace(SMALL, position_kind="none"),
    "no-positions-unscaled": dataclasses.replace(SMALL, position_kind="none", embed_scale=1.0),
    "position-offset": dataclasses.replace(SMALL, position_offset=2),
    "position-padding": dataclasses.replace(SMALL, position_offset=2, position_padding_id=17),
    "relative": dataclasses.replace(
        SMALL, position_kind="relative", relative_buckets=8, relative_max_distance=16
    ),
    "relative-wide-heads": dataclasses.replace(
        SMALL,
        position_kind="relative",
        relative_buckets=32,
        relative_max_distance=128,
        encoder_head_dim=32,
        decoder_head_dim=32,
    ),
    "gated": dataclasses.replace(SMALL, gated_ffn=True, activation="gelu_tanh"),
    "gated-silu": dataclasses.replace(SMALL, gated_ffn=True, activation="silu"),
    "gelu-tanh": dataclasses.replace(SMALL, activation="gelu_tanh"),
    "ssru": dataclasses.replace(SMALL, decoder_kind="ssru", decoder_head_dim=4),
}
SOURCE = [5, 50, 17, 17, 3, 29, 44, 0, 12, 8, 31, 2, 9, 40, 11, 23, 1, 36, 2]
TARGET = [7, 82, 0, 33, 33, 61]


def random_tensors(config: ModelConfig, with_biases: bool = True) -> dict[str, np.ndarray]:
    """Every tensor that `config` asks for, under its canonical name."""
    rng = np.random.default_rng(3)
    tensors: dict[str, np.ndarray] = {}
    size = config.hidden_size

    def add(name: str, *shape: int, scale: float = 1.0, mean: float = 0.0) -> None:
        tensors[name] = (mean + scale * rng.standard_normal(shape)).astype(np.float32)

    def linear(name: str, rows: int, columns: int) -> None:
        add(f"{name}.weight", rows, columns, scale=rows**-0.5)
        if with_biases:
            add(f"{name}.bias", columns, scale=0.3)

    def norm(name: str) -> None:
        add(f"{name}.weight", size, scale=0.3, mean=1.0)
        if config.norm_kind == "layer_norm":
            add(f"{name}.bias", size, scale=0.3)

    def attention(name: str, width: int) -> None:
        for part in ("q_proj", "k_proj", "v_proj"):
            linear(f"{name}.{part}", size, width)
        linear(f"{name}.out_proj", width, size)
        norm(f"{name}_layer_norm")

    for stack, vocab_size in (
        ("encoder", config.source_vocab_size),
        ("decoder", config.vocab_size),
    ):
        add(f"{stack}.embed_tokens.weight", vocab_size, size, scale=size**-0.5)
        if config.position_kind == "table":
            add(f"{stack}.embed_positions.weight", config.position_rows, size)
        if config.position_kind == "relative":
            shape = config.relative_buckets, getattr(config, f"{stack}_num_heads")
            add(f"{stack}.relative_attention_bias.weight", *shape)
        if config.normalize_embeddings:
            norm(f"{stack}.layernorm_embedding")
        width = getattr(config, f"{stack}_attention_size")
        ffn_dim = getattr(config, f"{stack}_ffn_dim")
        for i in range(getattr(config, f"{stack}_layers")):
            layer = f"{stack}.layers.{i}"
            if stack == "decoder" and config.decoder_recurs:
                linear(f"{layer}.ssru.in_proj", size, size)
                linear(f"{layer}.ssru.gate", size, size)
                norm(f"{layer}.ssru_layer_norm")
            else:
                attention(f"{layer}.self_attn", width)
            if stack == "decoder":
                attention(f"{layer}.encoder_attn", width)
            if config.gated_ffn:
                linear(f"{layer}.gate", size, ffn_dim)
            linear(f"{layer}.fc1", size, ffn_dim)
            linear(f"{layer}.fc2", ffn_dim, size)
            norm(f"{layer}.final_layer_norm")
        if config.normalize_before:
            norm(f"{stack}.layer_norm")
    linear("lm_head", size, config.vocab_size)
    return tensors


def core_logits(
    config: ModelConfig, tensors: dict[str, np.ndarray], compute_type: str, isa: str = ""
) -> np.ndarray:
    weights = _core.Weights.pack(core_config(config), tensors, compute_type)
    engine = _core.Engine(weights, isa, 2)
    return engine.logits(np.array(SOURCE, np.int32), np.array(TARGET, np.int32))


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float((np.abs(found - expected).max(-1) / np.abs(expected).max(-1)).max())


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("with_biases", [True, False])
def test_core_computes_what_the_twin_does(name: str, with_biases: bool) -> None:
    config = VARIANTS[name]
    tensors = random_tensors(config, with_biases)
    expected = model_twin.logits(config, tensors, SOURCE, TARGET)
    assert difference(core_logits(config, tensors, "float32"), expected) < 1e-5
    assert difference(core_logits(config, tensors, "bfloat16"), expected) < 4e-2
    assert difference(core_logits(config, tensors, "int8"), expected) < 1e-1


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("compute_type", ["float32", "bfloat16", "int8"])
def test_every_isa_gives_the_same_bits(name: str, compute_type: str) -> None:
    config = VARIANTS[name]
    tensors = random_tensors(config)
    expected = core_logits(config, tensors, compute_type, "scalar")
    for isa in _core.available_isas():
        found = core_logits(config, tensors, compute_type, isa)
        np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32), err_msg=isa)
