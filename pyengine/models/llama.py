"""Llama, as transformers' modeling_llama.py computes it: rotary positions, RMS norms, gated."""

from typing import Any

from pyengine.errors import ModelFormatError
from pyengine.models.config import ConfigFields, ModelConfig
from pyengine.models.rope import rotary_frequencies
from pyengine.models.tensors import Kind, Row

MODEL_TYPE = "llama"

_D = "hidden_size"
_A = "decoder_attention_size"
_K = "decoder_key_value_size"
_F = "decoder_ffn_dim"

# fmt: off
TABLE: tuple[Row, ...] = (
    Row("decoder.embed_tokens",                    Kind.TABLE,  ("vocab_size", _D)),
    Row("decoder.rotary",                          Kind.ANGLES, ("decoder_rotary_size",),
        "rotary_emb"),
    Row("decoder.layers.{i}.self_attn.q_proj",     Kind.LINEAR, (_D, _A), bias=False),
    Row("decoder.layers.{i}.self_attn.k_proj",     Kind.LINEAR, (_D, _K), bias=False),
    Row("decoder.layers.{i}.self_attn.v_proj",     Kind.LINEAR, (_D, _K), bias=False),
    Row("decoder.layers.{i}.self_attn.out_proj",   Kind.LINEAR, (_A, _D),
        "layers.{i}/self_attn/o_proj", bias=False),
    Row("decoder.layers.{i}.self_attn_layer_norm", Kind.NORM,   (_D,),
        "layers.{i}/input_layernorm", bias=False),
    Row("decoder.layers.{i}.gate",                 Kind.LINEAR, (_D, _F),
        "layers.{i}/mlp/gate_proj", bias=False),
    Row("decoder.layers.{i}.fc1",                  Kind.LINEAR, (_D, _F),
        "layers.{i}/mlp/up_proj", bias=False),
    Row("decoder.layers.{i}.fc2",                  Kind.LINEAR, (_F, _D),
        "layers.{i}/mlp/down_proj", bias=False),
    Row("decoder.layers.{i}.final_layer_norm",     Kind.NORM,   (_D,),
        "layers.{i}/post_attention_layernorm", bias=False),
    Row("decoder.layer_norm",                      Kind.NORM,   (_D,), "model/norm", bias=False),
    Row("lm_head",                                 Kind.LOGITS, (_D, "vocab_size"), bias=False,
        copy_of="decoder.embed_tokens"),
)
# fmt: on


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of a Llama config.json, with the defaults of transformers' LlamaConfig.

    Raises:
        ModelFormatError: a size is missing, or a field has the wrong type.
        UnsupportedModelError: an activation or a scaling of the positions that pyengine does not
            run.
    """
    fields = ConfigFields(raw)
    hidden_size, num_heads = fields.size("hidden_size"), fields.size("num_attention_heads")
    num_key_value_heads = fields.size("num_key_value_heads", num_heads)
    if num_heads % num_key_value_heads:
        raise ModelFormatError(
            f"config.json: num_key_value_heads is {num_key_value_heads}, "
            f"expected a divisor of the {num_heads} attention heads"
        )
    if raw.get("head_dim") is None:
        head_dim = fields.head_dim(hidden_size, "num_attention_heads")
    else:
        head_dim = fields.size("head_dim")
    rotary_frequencies(raw, head_dim)
    return ModelConfig(
        hidden_size=hidden_size,
        vocab_size=fields.size("vocab_size"),
        max_positions=fields.size("max_position_embeddings"),
        decoder_layers=fields.size("num_hidden_layers"),
        decoder_num_heads=num_heads,
        decoder_num_key_value_heads=num_key_value_heads,
        decoder_head_dim=head_dim,
        decoder_ffn_dim=fields.size("intermediate_size"),
        activation=fields.activation("hidden_act", "silu"),
        gated_ffn=True,
        norm_kind="rms_norm",
        normalize_before=True,
        position_kind="rotary",
        embed_scale=1.0,
        norm_eps=fields.positive("rms_norm_eps", 1e-6),
    )
