"""DistilBERT, as transformers' modeling_distilbert.py computes it: BERT without token types."""

from typing import Any

from pyengine.models.config import ConfigFields, ModelConfig
from pyengine.models.tensors import Kind, Row

MODEL_TYPE = "distilbert"
ALIASES = {"hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"}

_D = "hidden_size"
_A = "encoder_attention_size"
_F = "encoder_ffn_dim"

# fmt: off
TABLE: tuple[Row, ...] = (
    Row("encoder.embed_tokens",                    Kind.TABLE,  ("source_vocab_size", _D),
        "embeddings/word_embeddings"),
    Row("encoder.embed_positions",                 Kind.TABLE,  ("position_rows", _D),
        "embeddings/position_embeddings"),
    Row("encoder.layernorm_embedding",             Kind.NORM,   (_D,), "embeddings/LayerNorm"),
    Row("encoder.layers.{i}.self_attn.q_proj",     Kind.LINEAR, (_D, _A),
        "layer.{i}/attention/q_lin"),
    Row("encoder.layers.{i}.self_attn.k_proj",     Kind.LINEAR, (_D, _A),
        "layer.{i}/attention/k_lin"),
    Row("encoder.layers.{i}.self_attn.v_proj",     Kind.LINEAR, (_D, _A),
        "layer.{i}/attention/v_lin"),
    Row("encoder.layers.{i}.self_attn.out_proj",   Kind.LINEAR, (_A, _D),
        "layer.{i}/attention/out_lin"),
    Row("encoder.layers.{i}.self_attn_layer_norm", Kind.NORM,   (_D,), "layer.{i}/sa_layer_norm"),
    Row("encoder.layers.{i}.fc1",                  Kind.LINEAR, (_D, _F), "layer.{i}/ffn/lin1"),
    Row("encoder.layers.{i}.fc2",                  Kind.LINEAR, (_F, _D), "layer.{i}/ffn/lin2"),
    Row("encoder.layers.{i}.final_layer_norm",     Kind.NORM,   (_D,),
        "layer.{i}/output_layer_norm"),
    Row("encoder.classifier.dense",                Kind.LINEAR, (_D, _D), "pre_classifier",
        when="classifies"),
    Row("encoder.classifier.out_proj",             Kind.LOGITS, (_D, "num_labels"),
        when="classifies"),
)
# fmt: on


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of a DistilBERT config.json, with the defaults of transformers' DistilBertConfig.

    The norms' epsilon is fixed in that code.

    Raises:
        ModelFormatError: a size is missing, or a field has the wrong type.
        UnsupportedModelError: an activation that pyengine does not run.
    """
    fields = ConfigFields(raw)
    hidden_size = fields.size("dim")
    return ModelConfig(
        hidden_size=hidden_size,
        source_vocab_size=fields.size("vocab_size"),
        max_positions=fields.size("max_position_embeddings"),
        encoder_layers=fields.size("n_layers"),
        encoder_num_heads=fields.size("n_heads"),
        encoder_head_dim=fields.head_dim(hidden_size, "n_heads"),
        encoder_ffn_dim=fields.size("hidden_dim"),
        activation=fields.activation("activation", "gelu"),
        normalize_before=False,
        normalize_embeddings=True,
        embed_scale=1.0,
        norm_eps=1e-12,
        classifier_activation="relu",
    )
