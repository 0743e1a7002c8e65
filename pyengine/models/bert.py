"""BERT, as transformers' modeling_bert.py computes it: post-norm, embeddings normalised."""

from typing import Any

from pyengine.models.config import ConfigFields, ModelConfig
from pyengine.models.tensors import Kind, Row

MODEL_TYPE = "bert"
SUPPORTED = {
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
}

_D = "hidden_size"
_A = "encoder_attention_size"
_F = "encoder_ffn_dim"

# fmt: off
TABLE: tuple[Row, ...] = (
    Row("encoder.embed_tokens",                    Kind.TABLE,  ("source_vocab_size", _D),
        "embeddings/word_embeddings"),
    Row("encoder.embed_positions",                 Kind.TABLE,  ("position_rows", _D),
        "embeddings/position_embeddings"),
    Row("encoder.embed_types",                     Kind.TABLE,  ("token_types", _D),
        "embeddings/token_type_embeddings"),
    Row("encoder.layernorm_embedding",             Kind.NORM,   (_D,), "embeddings/LayerNorm"),
    Row("encoder.layers.{i}.self_attn.q_proj",     Kind.LINEAR, (_D, _A),
        "layer.{i}/attention/self/query"),
    Row("encoder.layers.{i}.self_attn.k_proj",     Kind.LINEAR, (_D, _A),
        "layer.{i}/attention/self/key"),
    Row("encoder.layers.{i}.self_attn.v_proj",     Kind.LINEAR, (_D, _A),
        "layer.{i}/attention/self/value"),
    Row("encoder.layers.{i}.self_attn.out_proj",   Kind.LINEAR, (_A, _D),
        "layer.{i}/attention/output/dense"),
    Row("encoder.layers.{i}.self_attn_layer_norm", Kind.NORM,   (_D,),
        "layer.{i}/attention/output/LayerNorm"),
    Row("encoder.layers.{i}.fc1",                  Kind.LINEAR, (_D, _F),
        "layer.{i}/intermediate/dense"),
    Row("encoder.layers.{i}.fc2",                  Kind.LINEAR, (_F, _D), "layer.{i}/output/dense"),
    Row("encoder.layers.{i}.final_layer_norm",     Kind.NORM,   (_D,),
        "layer.{i}/output/LayerNorm"),
    Row("encoder.classifier.dense",                Kind.LINEAR, (_D, _D),
        "pooler/dense|classifier/dense", when="classifies"),
    Row("encoder.classifier.out_proj",             Kind.LOGITS, (_D, "num_labels"),
        when="classifies"),
)
# fmt: on
"""BERT and RoBERTa. The rows of the token types are added to the positions at load."""


def read_config(raw: dict[str, Any]) -> ModelConfig:
    """The fields of a BERT config.json, with the defaults of transformers' BertConfig.

    Raises:
        ModelFormatError: a size is missing, or a field has the wrong type.
        UnsupportedModelError: an activation that pyengine does not run.
    """
    fields = ConfigFields(raw)
    hidden_size = fields.size("hidden_size")
    return ModelConfig(
        hidden_size=hidden_size,
        source_vocab_size=fields.size("vocab_size"),
        max_positions=fields.size("max_position_embeddings"),
        encoder_layers=fields.size("num_hidden_layers"),
        encoder_num_heads=fields.size("num_attention_heads"),
        encoder_head_dim=fields.head_dim(hidden_size, "num_attention_heads"),
        encoder_ffn_dim=fields.size("intermediate_size"),
        activation=fields.activation("hidden_act", "gelu"),
        normalize_before=False,
        normalize_embeddings=True,
        embed_scale=1.0,
        norm_eps=fields.positive("layer_norm_eps", 1e-12),
        token_types=fields.size("type_vocab_size", 2),
        classifier_activation="tanh",
    )
