"""GPT-2, as transformers' modeling_gpt2.py computes it: pre-norm, one weight for Q, K and V."""

from typing import Any

from pyengine.models.config import ConfigFields, ModelConfig
from pyengine.models.tensors import Kind, Row

MODEL_TYPE = "gpt2"
ALIASES = {
    **{"hidden_size": "n_embd", "max_position_embeddings": "n_positions"},
    **{"num_attention_heads": "n_head", "num_hidden_layers": "n_layer"},
}
SUPPORTED = {"scale_attn_by_inverse_layer_idx": (False,), "add_cross_attention": (False,)}

_D = "hidden_size"
_A = "decoder_attention_size"
_F = "decoder_ffn_dim"

# fmt: off
TABLE: tuple[Row, ...] = (
    Row("decoder.embed_tokens",                    Kind.TABLE,  ("vocab_size", _D), "wte"),
    Row("decoder.embed_positions",                 Kind.TABLE,  ("position_rows", _D), "wpe"),
    Row("decoder.layers.{i}.self_attn.qkv_proj",   Kind.LINEAR, (_D, "decoder_qkv_size"),
        "h.{i}/attn/c_attn"),
    Row("decoder.layers.{i}.self_attn.out_proj",   Kind.LINEAR, (_A, _D), "h.{i}/attn/c_proj"),
    Row("decoder.layers.{i}.self_attn_layer_norm", Kind.NORM,   (_D,), "h.{i}/ln_1"),
    Row("decoder.layers.{i}.fc1",                  Kind.LINEAR, (_D, _F), "h.{i}/mlp/c_fc"),
    Row("decoder.layers.{i}.fc2",                  Kind.LINEAR, (_F, _D), "h.{i}/mlp/c_proj"),
    Row("decoder.layers.{i}.final_layer_norm",     Kind.NORM,   (_D,), "h.{i}/ln_2"),
    Row("decoder.layer_norm",                      Kind.NORM,   (_D,), "ln_f"),
    Row("lm_head",                                 Kind.LOGITS, (_D, "vocab_size"), bias=False,
        copy_of="decoder.embed_tokens"),
)
# fmt: on


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of a GPT-2 config.json, with the defaults of transformers' GPT2Config.

    Raises:
        ModelFormatError: a size is missing, or a field has the wrong type.
        UnsupportedModelError: an activation that pyengine does not run.
    """
    fields = ConfigFields(raw)
    hidden_size = fields.size("n_embd")
    return ModelConfig(
        hidden_size=hidden_size,
        vocab_size=fields.size("vocab_size"),
        max_positions=fields.size("n_positions"),
        decoder_layers=fields.size("n_layer"),
        decoder_num_heads=fields.size("n_head"),
        decoder_head_dim=fields.head_dim(hidden_size, "n_head"),
        decoder_ffn_dim=fields.size("n_inner", 4 * hidden_size),
        activation=fields.activation("activation_function", "gelu_new"),
        normalize_before=True,
        embed_scale=1.0,
        norm_eps=fields.positive("layer_norm_epsilon", 1e-5),
        scale_attention=fields.flag("scale_attn_weights", True),
    )
