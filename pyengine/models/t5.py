"""T5 v1.0, v1.1, FLAN-T5, MADLAD and mT5, as transformers' modeling_t5.py computes them.

Pre-norm with RMS norms, no biases, scores that are not scaled, and relative positions: the first
layer of each stack holds a table that all its layers use. T5 v1.0 multiplies the last hidden states
with d_model ** -0.5. transformers 4 does so where `tie_word_embeddings` is true; transformers 5,
which always writes that it is, where `scale_decoder_outputs` is, and never in mT5.
"""

from typing import Any

from pyengine.models.config import ConfigFields, ModelConfig
from pyengine.models.config_keys import given
from pyengine.models.tensors import Kind, Row

MODEL_TYPE, MT5_MODEL_TYPE = "t5", "mt5"
ALIASES = {
    **{"hidden_size": "d_model", "num_attention_heads": "num_heads", "head_dim": "d_kv"},
    "num_hidden_layers": "num_layers",
}

MAX_POSITIONS = 1 << 14
"""Relative positions end nowhere, but memory does."""

MAX_LENGTH = 1024
"""Of a translation where nothing says: a search that finds no end should not go on for long."""

_E = "embed_tokens|shared"
_D, _B = "hidden_size", "relative_buckets"
_EA, _DA = "encoder_attention_size", "decoder_attention_size"
_EF, _DF = "encoder_ffn_dim", "decoder_ffn_dim"
_POSITIONS = "block.0/layer.0/SelfAttention/relative_attention_bias"
_SELF, _CROSS = "block.{i}/layer.0/SelfAttention/", "block.{i}/layer.1/EncDecAttention/"
_FF1, _FF2 = "block.{i}/layer.1/DenseReluDense/", "block.{i}/layer.2/DenseReluDense/"
_WI1, _WI2 = f"{_FF1}wi|{_FF1}wi_1", f"{_FF2}wi|{_FF2}wi_1"  # plain, or gated beside wi_0


def _linear(name: str, rows: str, columns: str, modules: str, when: str = "") -> Row:
    return Row(name, Kind.LINEAR, (rows, columns), modules, when, bias=False)


def _norm(name: str, modules: str) -> Row:
    return Row(name, Kind.NORM, (_D,), modules, bias=False)


# fmt: off
TABLE: tuple[Row, ...] = (
    Row("encoder.embed_tokens", Kind.TABLE, ("source_vocab_size", _D), _E),
    Row("encoder.relative_attention_bias", Kind.TABLE, (_B, "encoder_num_heads"), _POSITIONS),
    _linear("encoder.layers.{i}.self_attn.q_proj",      _D, _EA, _SELF + "q"),
    _linear("encoder.layers.{i}.self_attn.k_proj",      _D, _EA, _SELF + "k"),
    _linear("encoder.layers.{i}.self_attn.v_proj",      _D, _EA, _SELF + "v"),
    _linear("encoder.layers.{i}.self_attn.out_proj",    _EA, _D, _SELF + "o"),
    _norm("encoder.layers.{i}.self_attn_layer_norm",    "block.{i}/layer.0/layer_norm"),
    _linear("encoder.layers.{i}.gate", _D, _EF, _FF1 + "wi_0", "gated_ffn"),
    _linear("encoder.layers.{i}.fc1",                   _D, _EF, _WI1),
    _linear("encoder.layers.{i}.fc2",                   _EF, _D, _FF1 + "wo"),
    _norm("encoder.layers.{i}.final_layer_norm",        "block.{i}/layer.1/layer_norm"),
    _norm("encoder.layer_norm",                         "final_layer_norm"),

    Row("decoder.embed_tokens", Kind.TABLE, ("vocab_size", _D), _E, copy_of="encoder.embed_tokens"),
    Row("decoder.relative_attention_bias", Kind.TABLE, (_B, "decoder_num_heads"), _POSITIONS),
    _linear("decoder.layers.{i}.self_attn.q_proj",      _D, _DA, _SELF + "q"),
    _linear("decoder.layers.{i}.self_attn.k_proj",      _D, _DA, _SELF + "k"),
    _linear("decoder.layers.{i}.self_attn.v_proj",      _D, _DA, _SELF + "v"),
    _linear("decoder.layers.{i}.self_attn.out_proj",    _DA, _D, _SELF + "o"),
    _norm("decoder.layers.{i}.self_attn_layer_norm",    "block.{i}/layer.0/layer_norm"),
    _linear("decoder.layers.{i}.encoder_attn.q_proj",   _D, _DA, _CROSS + "q"),
    _linear("decoder.layers.{i}.encoder_attn.k_proj",   _D, _DA, _CROSS + "k"),
    _linear("decoder.layers.{i}.encoder_attn.v_proj",   _D, _DA, _CROSS + "v"),
    _linear("decoder.layers.{i}.encoder_attn.out_proj", _DA, _D, _CROSS + "o"),
    _norm("decoder.layers.{i}.encoder_attn_layer_norm", "block.{i}/layer.1/layer_norm"),
    _linear("decoder.layers.{i}.gate", _D, _DF, _FF2 + "wi_0", "gated_ffn"),
    _linear("decoder.layers.{i}.fc1",                   _D, _DF, _WI2),
    _linear("decoder.layers.{i}.fc2",                   _DF, _D, _FF2 + "wo"),
    _norm("decoder.layers.{i}.final_layer_norm",        "block.{i}/layer.2/layer_norm"),
    _norm("decoder.layer_norm",                         "final_layer_norm"),
    Row("lm_head", Kind.LOGITS, (_D, "vocab_size"), bias=False, copy_of="decoder.embed_tokens"),
)
# fmt: on


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of a T5 config.json, with the defaults of transformers' T5Config.

    Raises:
        ModelFormatError: a size is missing, or a field has the wrong type.
        UnsupportedModelError: an activation that pyengine does not run.
    """
    fields = ConfigFields(raw)
    scaled = fields.flag("scale_decoder_outputs", fields.flag("tie_word_embeddings", True))
    return _read(raw, "relu", scaled)


def read_mt5_config(raw: dict[str, Any]) -> ModelConfig:
    """The same with the defaults of MT5Config."""
    of_version_4 = str(raw.get("transformers_version", "")).startswith("4.")
    scaled = ConfigFields(raw).flag("tie_word_embeddings", False) and of_version_4
    return _read(raw, "gated-gelu", scaled)


def _read(raw: dict[str, Any], feed_forward: str, scaled: bool) -> ModelConfig:
    kind = str(raw.get("feed_forward_proj") or feed_forward)
    activation = "gelu_new" if kind == "gated-gelu" else kind.removeprefix("gated-")
    # What transformers derives from `feed_forward_proj` it also writes, and reads before that.
    fields = ConfigFields({"dense_act_fn": activation} | given(raw))
    gated = fields.flag("is_gated_act", kind.startswith("gated-"))
    hidden_size, vocab_size = fields.size("d_model"), fields.size("vocab_size")
    num_layers, num_heads, head_dim = (fields.size(n) for n in ("num_layers", "num_heads", "d_kv"))
    ffn_dim = fields.size("d_ff")
    return ModelConfig(
        hidden_size=hidden_size,
        vocab_size=vocab_size,
        source_vocab_size=vocab_size,
        max_positions=MAX_POSITIONS,
        encoder_layers=num_layers,
        decoder_layers=fields.size("num_decoder_layers", num_layers),
        encoder_num_heads=num_heads,
        decoder_num_heads=num_heads,
        encoder_head_dim=head_dim,
        decoder_head_dim=head_dim,
        encoder_ffn_dim=ffn_dim,
        decoder_ffn_dim=ffn_dim,
        activation=fields.activation("dense_act_fn"),
        normalize_before=True,
        embed_scale=1.0,
        norm_eps=fields.positive("layer_norm_epsilon", 1e-6),
        norm_kind="rms_norm",
        gated_ffn=gated,
        position_kind="relative",
        relative_buckets=fields.size("relative_attention_num_buckets", 32),
        relative_max_distance=fields.size("relative_attention_max_distance", 128),
        scale_attention=False,
        logit_scale=hidden_size**-0.5 if scaled else 1.0,
    )
