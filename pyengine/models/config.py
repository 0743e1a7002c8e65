"""The architecture of a model in one flat record, the same fields as csrc/model/config.h."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyengine.errors import ModelFormatError, UnsupportedModelError

# The names of config.json's activation_function that pyengine runs, in ModelConfig's spelling.
# transformers' "gelu" is the exact one, x * Phi(x) with erf; its tanh form has several names.
ACTIVATIONS = {
    **{"relu": "relu", "silu": "silu", "swish": "silu", "gelu": "gelu"},
    **dict.fromkeys(("gelu_new", "gelu_pytorch_tanh", "gelu_fast"), "gelu_tanh"),
}

DECODER_KINDS = ("self_attention", "ssru")

# No size in a real configuration comes near this; a larger one is a damaged file.
MAX_SIZE = 1 << 24


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes and switches of one Transformer.

    Attributes:
        hidden_size: width of every hidden state.
        vocab_size: rows of the decoder's token table, and logits per position.
        source_vocab_size: rows of the encoder's token table.
        max_positions: the longest sequence in tokens.
        encoder_layers, decoder_layers: layers of each stack; 0: the model has no such stack.
        encoder_num_heads, decoder_num_heads: attention heads of each layer.
        decoder_num_key_value_heads: heads of keys and values, each shared by equally many attention
            heads; 0: as many as those.
        encoder_head_dim, decoder_head_dim: width of a head.
        encoder_ffn_dim, decoder_ffn_dim: inner width of the feed-forward networks.
        activation: between the feed-forward's two products: "relu", "silu", "gelu" (with erf) or
            "gelu_tanh".
        normalize_before: pre-norm, with one more norm after each stack.
        embed_scale: factor on the token embeddings before the positions are added.
        norm_eps: added to the variance, or the mean square, in every norm.
        decoder_kind: how a decoder position sees those before it: "self_attention" or "ssru", a
            simple recurrent unit.
        norm_kind: "layer_norm" or "rms_norm".
        normalize_embeddings: one more norm before the first layer of each stack.
        gated_ffn: activation(x Wg) * (x Wv) stands in place of activation(x W).
        position_kind: how tokens know their positions: "table", rows of a table that are added to
            the embeddings; "relative", a number for each distance that is added to the scores of
            self-attention; "rotary": queries and keys are turned; or "none".
        position_offset: rows of that table before the one of the first token.
        position_padding_id: source tokens that count for no position and get the row before the
            first token's; -1: there are none.
        relative_buckets: of distances, each with one such number for each head.
        relative_max_distance: from it on, all distances are in the last bucket.
        scale_attention: attention scores are divided by sqrt(head_dim).
        token_types: rows of the encoder's table of token types, one of which is added to each
            token; 0: there is none.
        num_labels: classes that the head of an encoder tells apart; 0: there is none.
        classifier_activation: between that head's two products, "tanh" or "relu".
        logit_scale: factor on the last hidden states of a pre-norm model.
    """

    hidden_size: int
    vocab_size: int = 0
    source_vocab_size: int = 0
    max_positions: int
    encoder_layers: int = 0
    decoder_layers: int = 0
    encoder_num_heads: int = 0
    decoder_num_heads: int = 0
    decoder_num_key_value_heads: int = 0
    encoder_head_dim: int = 0
    decoder_head_dim: int = 0
    encoder_ffn_dim: int = 0
    decoder_ffn_dim: int = 0
    activation: str
    normalize_before: bool
    embed_scale: float
    norm_eps: float
    decoder_kind: str = "self_attention"
    norm_kind: str = "layer_norm"
    normalize_embeddings: bool = False
    gated_ffn: bool = False
    position_kind: str = "table"
    position_offset: int = 0
    position_padding_id: int = -1
    relative_buckets: int = 0
    relative_max_distance: int = 0
    scale_attention: bool = True
    logit_scale: float = 1.0
    token_types: int = 0
    num_labels: int = 0
    classifier_activation: str = "none"

    @property
    def decoder_attends(self) -> bool:
        """Whether the decoder has self-attention."""
        return self.decoder_kind == "self_attention"

    @property
    def decoder_recurs(self) -> bool:
        """Whether the decoder has simple recurrent units."""
        return self.decoder_kind == "ssru"

    @property
    def classifies(self) -> bool:
        """Whether the encoder has a head that classifies."""
        return self.num_labels > 0

    @property
    def encoder_attention_size(self) -> int:
        """Width of the encoder's heads together."""
        return self.encoder_num_heads * self.encoder_head_dim

    @property
    def decoder_attention_size(self) -> int:
        """Width of the decoder's heads together."""
        return self.decoder_num_heads * self.decoder_head_dim

    @property
    def decoder_key_value_size(self) -> int:
        """Width of the decoder's heads of keys together."""
        return (self.decoder_num_key_value_heads or self.decoder_num_heads) * self.decoder_head_dim

    @property
    def decoder_qkv_size(self) -> int:
        """Width of queries, keys and values side by side."""
        return self.decoder_attention_size + 2 * self.decoder_key_value_size

    @property
    def decoder_rotary_size(self) -> int:
        """Pairs that rotary positions turn in each head."""
        return self.decoder_head_dim // 2

    @property
    def position_rows(self) -> int:
        """Rows of the position tables."""
        return self.position_offset + self.max_positions


class ConfigFields:
    """Typed access to the fields of a config.json, with errors that name field, value and type.

    Args:
        raw: the parsed file.
        source: how errors call it.
    """

    def __init__(self, raw: Mapping[str, Any], source: str = "config.json") -> None:
        self._raw = raw
        self._source = source

    def size(self, name: str, default: int | None = None) -> int:
        """An integer above 0; ModelFormatError if absent without default, or of another type."""
        value = self._get(name, default)
        if type(value) is not int or not 1 <= value <= MAX_SIZE:
            raise self._wrong(name, value, f"an integer from 1 to {MAX_SIZE}")
        return value

    def index(self, name: str, default: int | None = None) -> int:
        """An integer of at least 0; ModelFormatError if absent without default, or another."""
        value = self._get(name, default)
        if type(value) is not int or not 0 <= value < MAX_SIZE:
            raise self._wrong(name, value, f"an integer from 0 to {MAX_SIZE - 1}")
        return value

    def head_dim(self, hidden_size: int, name: str) -> int:
        """The width of one of so many heads as the field `name` says, which divide `hidden_size`.

        Raises:
            ModelFormatError: they do not.
        """
        num_heads = self.size(name)
        if hidden_size % num_heads:
            raise self._wrong(name, num_heads, f"a divisor of the hidden size {hidden_size}")
        return hidden_size // num_heads

    def flag(self, name: str, default: bool | None = None) -> bool:
        """A boolean; ModelFormatError if absent without default or of another type."""
        value = self._get(name, default)
        if type(value) is not bool:
            raise self._wrong(name, value, "true or false")
        return value

    def positive(self, name: str, default: float | None = None) -> float:
        """A finite number above 0; ModelFormatError otherwise."""
        value = self._get(name, default)
        if type(value) not in (int, float) or not 0 < value <= sys.float_info.max:
            raise self._wrong(name, value, "a positive number")
        return float(value)

    def activation(self, name: str, default: str | None = None) -> str:
        """In ModelConfig's spelling; UnsupportedModelError names an activation we do not run."""
        value = self._get(name, default)
        if not isinstance(value, str):
            raise self._wrong(name, value, "the name of an activation")
        if value not in ACTIVATIONS:
            raise UnsupportedModelError(
                f"{self._source}: {name} is {value!r}, supported are {', '.join(ACTIVATIONS)}"
            )
        return ACTIVATIONS[value]

    def choice(self, name: str, values: tuple[str, ...]) -> str:
        """One of `values`, the first if absent; UnsupportedModelError for another."""
        value = self._get(name, values[0])
        if value not in values:
            raise UnsupportedModelError(
                f"{self._source}: {name} is {value!r:.60}, supported are {', '.join(values)}"
            )
        return str(value)

    def _get(self, name: str, default: Any) -> Any:
        value = self._raw.get(name)
        if value is None:
            value = default
        if value is None:
            raise ModelFormatError(f"{self._source}: field {name!r} is missing")
        return value

    def _wrong(self, name: str, value: Any, expected: str) -> ModelFormatError:
        return ModelFormatError(f"{self._source}: {name} is {value!r:.60}, expected {expected}")
