"""The architecture of a model in one flat record, the same fields as csrc/model/config.h."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyengine.errors import ModelFormatError, UnsupportedModelError

# The names of config.json's activation_function that pyengine runs, in ModelConfig's spelling.
# transformers' "gelu" is the exact one, x * Phi(x) with erf; its tanh forms have other names.
ACTIVATIONS = {"relu": "relu", "silu": "silu", "swish": "silu", "gelu": "gelu"}

DECODER_KINDS = ("self_attention", "ssru")

# No size in a real configuration comes near this; a larger one is a damaged file.
MAX_SIZE = 1 << 24


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and switches of one encoder-decoder Transformer.

    Attributes:
        hidden_size: width of every hidden state; a multiple of both head counts.
        vocab_size: rows of the decoder's token table, and logits per position.
        source_vocab_size: rows of the encoder's token table.
        max_positions: rows of the position tables, so the longest sequence in tokens.
        encoder_layers, decoder_layers: layers of each stack.
        encoder_num_heads, decoder_num_heads: attention heads of each layer.
        encoder_ffn_dim, decoder_ffn_dim: inner width of the feed-forward networks.
        activation: between the feed-forward's two products: "relu", "silu" or "gelu" (with erf).
        normalize_before: pre-norm, with one more layer norm after each stack.
        embed_scale: factor on the token embeddings before the positions are added.
        layer_norm_eps: added to the variance in every layer norm.
        decoder_kind: how a decoder position sees those before it: "self_attention" or "ssru", a
            simple recurrent unit.
    """

    hidden_size: int
    vocab_size: int
    source_vocab_size: int
    max_positions: int
    encoder_layers: int
    decoder_layers: int
    encoder_num_heads: int
    decoder_num_heads: int
    encoder_ffn_dim: int
    decoder_ffn_dim: int
    activation: str
    normalize_before: bool
    embed_scale: float
    layer_norm_eps: float
    decoder_kind: str = "self_attention"

    @property
    def decoder_attends(self) -> bool:
        """Whether the decoder has self-attention."""
        return self.decoder_kind == "self_attention"

    @property
    def decoder_recurs(self) -> bool:
        """Whether the decoder has simple recurrent units."""
        return self.decoder_kind == "ssru"

    def __post_init__(self) -> None:
        for stack, num_heads in (
            ("encoder", self.encoder_num_heads),
            ("decoder", self.decoder_num_heads),
        ):
            if self.hidden_size % num_heads:
                raise ModelFormatError(
                    f"config.json: d_model is {self.hidden_size}, expected a multiple of the "
                    f"{num_heads} {stack} attention heads"
                )


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

    def flag(self, name: str, default: bool | None = None) -> bool:
        """A boolean; ModelFormatError if absent without default or of another type."""
        value = self._get(name, default)
        if type(value) is not bool:
            raise self._wrong(name, value, "true or false")
        return value

    def positive(self, name: str, default: float | None = None) -> float:
        """A finite number above 0; ModelFormatError otherwise."""
        value = self._get(name, default)
        if type(value) not in (int, float) or not 0 < value < math.inf:
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
