"""Firefox Translations models: a Marian file's tensors under the names of our own table.

Two things are added that Marian computes: the table of positions, and a last row of zeros in the
token tables. Marian's decoder starts from an embedding of zeros; here that is the row of a padding
token, whose logit is so low that it is never generated.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pyengine.errors import ModelFormatError, UnsupportedModelError
from pyengine.models import transformer
from pyengine.models.config import ModelConfig
from pyengine.models.firefox_config import raw_config_of
from pyengine.models.firefox_files import FirefoxFiles
from pyengine.models.firefox_options import read_decoding_options
from pyengine.models.marian_binary import MarianFile, MarianTensor, read_marian_binary
from pyengine.models.marian_npz import read_marian_npz

END_ID, UNKNOWN_ID = 0, 1  # </s> and <unk> of every Marian vocabulary
PADDING_LOGIT = -1e9


@dataclasses.dataclass(frozen=True)
class FirefoxModel:
    """A Firefox folder's model in the form of our own layout.

    Attributes:
        config: the architecture.
        raw_config, generation_config: what the two JSON files of our layout would hold.
        tensors: canonical name -> array. An int8 weight "x.weight" comes with "x.weight_scale",
            float32 [columns], or [rows] of a token table: value = int8 * scale.
    """

    config: ModelConfig
    raw_config: dict[str, Any]
    generation_config: dict[str, Any]
    tensors: dict[str, np.ndarray]


def read_firefox(files: FirefoxFiles) -> FirefoxModel:
    """Reads the model of a Firefox folder.

    Raises:
        ModelFormatError: a file is damaged, or a tensor missing or of another shape than the
            model's configuration says.
        UnsupportedModelError: an architecture that pyengine does not run.
    """
    is_npz = files.model.name.endswith(".npz")
    file = read_marian_npz(files.model) if is_npz else read_marian_binary(files.model)
    tensors = _Tensors(file)
    vocab_size = tensors.rows("decoder_Wemb") + 1
    raw_config = {
        **raw_config_of(file),
        "vocab_size": tensors.rows("encoder_Wemb") + 1,
        "decoder_vocab_size": vocab_size,
        "share_encoder_decoder_embeddings": tensors.is_shared,
        "eos_token_id": END_ID,
        "pad_token_id": vocab_size - 1,
        "decoder_start_token_id": vocab_size - 1,
    }
    config = transformer.read_config(raw_config)
    _add_tables(tensors, config)
    _add_layers(tensors, config)
    tensors.check_all_taken()
    generation_config = {
        "decoder_start_token_id": vocab_size - 1,
        "eos_token_id": END_ID,
        "pad_token_id": vocab_size - 1,
        "suppress_tokens": [UNKNOWN_ID],
        "max_length": config.max_positions,
        **read_decoding_options(files.model.parent),
    }
    return FirefoxModel(config, raw_config, generation_config, tensors.canonical)


class _Tensors:
    """Takes tensors out of a Marian file, each under its canonical name."""

    def __init__(self, file: MarianFile) -> None:
        self.canonical: dict[str, np.ndarray] = {}
        self._file = file
        # The multipliers of activations go unused: ours are those of each row (see the README).
        self._left = {name for name in file.tensors if not name.endswith("_QuantMultA")}

    @property
    def is_shared(self) -> bool:
        """Whether both languages have one token table."""
        return "Wemb" in self._file.tensors

    def rows(self, table: str) -> int:
        """Rows of a token table; its width is checked when it is taken."""
        values = self._get(self._table(table)).values
        return int(values.shape[0]) if values.ndim else 0

    def table(self, name: str, table: str, shape: tuple[int, int]) -> None:
        """A token table with a row of zeros after its own, [rows + 1, width]."""
        own = self._take(self._table(table), (shape[0] - 1, shape[1]))
        padded = np.zeros(shape, own.values.dtype)
        padded[:-1] = own.values
        self._put(name, padded, own, shape[0])

    def linear(self, name: str, marian: str, bias: str, shape: tuple[int, int]) -> None:
        """A weight [in, out], and its bias unless the Marian name of that is empty."""
        weight = self._take(marian, shape)
        self._put(name, weight.values, weight, shape[1])
        if bias:
            self.canonical[f"{name}.bias"] = self._vector(bias, shape[1])

    def norm(self, name: str, marian: str, width: int) -> None:
        """A layer norm's two vectors."""
        self.canonical[f"{name}.weight"] = self._vector(f"{marian}_ln_scale", width)
        self.canonical[f"{name}.bias"] = self._vector(f"{marian}_ln_bias", width)

    def output_bias(self, size: int) -> None:
        """The bias of the logits, with that of the padding token."""
        bias = np.full(size, PADDING_LOGIT, np.float32)
        bias[:-1] = self._vector("decoder_ff_logit_out_b", size - 1)
        self.canonical["lm_head.bias"] = bias

    def check_all_taken(self) -> None:
        """Raises UnsupportedModelError for a tensor without a place."""
        for name in sorted(self._left):
            raise UnsupportedModelError(
                f"{self._file.name}: {name!r} of shape {list(self._get(name).values.shape)} has "
                "no place in this architecture"
            )

    def _table(self, name: str) -> str:
        return "Wemb" if self.is_shared else name

    def _put(self, name: str, values: np.ndarray, tensor: MarianTensor, channels: int) -> None:
        self.canonical[f"{name}.weight"] = values
        if tensor.is_quantized:
            self.canonical[f"{name}.weight_scale"] = np.full(channels, tensor.scale, np.float32)

    def _vector(self, name: str, size: int) -> np.ndarray:
        tensor = self._take(name, (1, size))
        return (tensor.dequantized() if tensor.is_quantized else tensor.values).reshape(size)

    def _take(self, name: str, shape: tuple[int, ...]) -> MarianTensor:
        tensor = self._get(name)
        if tensor.values.shape != shape:
            raise ModelFormatError(
                f"{self._file.name}: {name!r} has shape {list(tensor.values.shape)}, "
                f"expected {list(shape)}"
            )
        self._left.discard(name)
        return tensor

    def _get(self, name: str) -> MarianTensor:
        if name not in self._file.tensors:
            raise ModelFormatError(f"{self._file.name}: found no tensor {name!r}")
        return self._file.tensors[name]


def _add_tables(tensors: _Tensors, config: ModelConfig) -> None:
    width = config.hidden_size
    for stack, size in (("encoder", config.source_vocab_size), ("decoder", config.vocab_size)):
        name = f"{stack}.embed_tokens"
        if stack == "decoder" and tensors.is_shared:
            for key in ("weight", "weight_scale"):
                if (shared := tensors.canonical.get(f"encoder.embed_tokens.{key}")) is not None:
                    tensors.canonical[f"{name}.{key}"] = shared
        else:
            tensors.table(name, f"{stack}_Wemb", (size, width))
    # After the tables, which tell a width that is a lie before it costs memory.
    positions = sinusoidal_positions(config.max_positions, width)
    for stack in ("encoder", "decoder"):
        tensors.canonical[f"{stack}.embed_positions.weight"] = positions
    # Marian ties the output projection to the decoder's table.
    table = tensors.canonical["decoder.embed_tokens.weight"]
    tensors.canonical["lm_head.weight"] = table.T
    if table.dtype == np.int8:
        scale = tensors.canonical["decoder.embed_tokens.weight_scale"]
        tensors.canonical["lm_head.weight_scale"] = scale
    tensors.output_bias(config.vocab_size)


def _add_layers(tensors: _Tensors, config: ModelConfig) -> None:
    width = config.hidden_size
    for i in range(config.encoder_layers):
        name, marian = f"encoder.layers.{i}", f"encoder_l{i + 1}"
        _add_attention(tensors, f"{name}.self_attn", f"{marian}_self", width)
        _add_feed_forward(tensors, name, marian, (width, config.encoder_ffn_dim))
    for i in range(config.decoder_layers):
        name, marian = f"decoder.layers.{i}", f"decoder_l{i + 1}"
        square = (width, width)
        tensors.linear(f"{name}.ssru.in_proj", f"{marian}_rnn_W", "", square)
        tensors.linear(f"{name}.ssru.gate", f"{marian}_rnn_Wf", f"{marian}_rnn_bf", square)
        tensors.norm(f"{name}.ssru_layer_norm", f"{marian}_rnn_ffn", width)
        _add_attention(tensors, f"{name}.encoder_attn", f"{marian}_context", width)
        _add_feed_forward(tensors, name, marian, (width, config.decoder_ffn_dim))


def _add_attention(tensors: _Tensors, name: str, marian: str, width: int) -> None:
    for letter, part in zip("qkvo", ("q_proj", "k_proj", "v_proj", "out_proj"), strict=True):
        names = f"{marian}_W{letter}", f"{marian}_b{letter}"
        tensors.linear(f"{name}.{part}", *names, (width, width))
    tensors.norm(f"{name}_layer_norm", f"{marian}_Wo", width)


def _add_feed_forward(tensors: _Tensors, name: str, marian: str, shape: tuple[int, int]) -> None:
    tensors.linear(f"{name}.fc1", f"{marian}_ffn_W1", f"{marian}_ffn_b1", shape)
    tensors.linear(f"{name}.fc2", f"{marian}_ffn_W2", f"{marian}_ffn_b2", shape[::-1])
    tensors.norm(f"{name}.final_layer_norm", f"{marian}_ffn_ffn", shape[0])


def sinusoidal_positions(count: int, width: int) -> np.ndarray:
    """Marian's table of positions, float32 [count, width]: sines, then cosines.

    The wavelengths are tensor2tensor's, whose last is 10000 * 2 pi (marian-dev,
    src/graph/node_initializers.cpp).
    """
    half = width // 2
    rates = np.exp(np.arange(half) * (-np.log(10000.0) / max(half - 1, 1)))
    angles = np.arange(count)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
