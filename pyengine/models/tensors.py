"""The table of tensors: their canonical names, the modules that hold them, and their shapes.

A row names a module of the graph by the end of its path, so "layers.{i}/fc1" stands for the nodes
of "/model/decoder/layers.0/fc1" and of "/layers.0/fc1" alike; exporters differ in the beginning.
Initializer names play no part: exporters rename and transpose them ("onnx::MatMul_1498"). Where the
paths name no modules, topology.py finds them by what the canonical names mean.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from pyengine.models.config import ModelConfig


class Kind(enum.Enum):
    """What a module computes: which tensors it has, and which operators hold them."""

    TABLE = "weight [rows, width], read by Gather (token ids) or Slice (positions)"
    LINEAR = "weight [in, out] in MatMul, bias [out] in the Add after it; or both in Gemm"
    NORM = "weight [width], bias [width] in Layer- or RMSNormalization, or in the parts Mul and Add"
    ANGLES = "weight [pairs], read by Expand, Mul or MatMul: the frequencies of rotary positions"
    LOGITS = "the LINEAR that computes the graph's output `logits`, wherever it stands"


@dataclass(frozen=True)
class Row:
    """One module of a model: the tensor "name.weight" and, but for a TABLE, "name.bias".

    Attributes:
        name: canonical; "{i}" runs over the layers of its stack.
        kind: which tensors it has.
        shape: of the weight, in field names of ModelConfig; the bias has the last of them.
        modules: ends of the module path in the graph, alternatives divided by "|"; "" for that of
            the name, without its stack and with "/" between modules: "layers.{i}/self_attn/q_proj".
        when: a boolean field of ModelConfig without which the module does not exist.
        bias: the bias must be there; otherwise it may be missing.
        copy_of: an earlier module whose weight this one often repeats, perhaps transposed; where
            the bits are equal both get the same memory.
    """

    name: str
    kind: Kind
    shape: tuple[str, ...]
    modules: str = ""
    when: str = ""
    bias: bool = True
    copy_of: str = ""

    @property
    def stack(self) -> str:
        """Whose file holds the module: "encoder" or "decoder"."""
        return "encoder" if self.name.startswith("encoder.") else "decoder"

    @property
    def may_be_int8(self) -> bool:
        """The engine takes an int8 weight as it is: those of products, and token tables."""
        if self.kind is Kind.TABLE:
            return self.name.endswith(".embed_tokens")
        return self.kind in (Kind.LINEAR, Kind.LOGITS)

    def paths(self, i: int) -> list[str]:
        """Alternative ends of the module path in layer `i`."""
        own_path = self.name.partition(".")[2].replace(".", "/").replace("layers/", "layers.")
        return (self.modules or own_path).format(i=i).split("|")


# A table that both stacks share stands under the module "shared" in an exported decoder.
_E = "embed_tokens|shared"
_D, _P = "hidden_size", "position_rows"
_EA, _DA = "encoder_attention_size", "decoder_attention_size"
_ATTENDS, _RECURS = "decoder_attends", "decoder_recurs"
_EMBED_NORM = "normalize_embeddings"

# fmt: off
ENCODER_DECODER: tuple[Row, ...] = (
    Row("encoder.embed_tokens",                       Kind.TABLE,  ("source_vocab_size", _D), _E),
    Row("encoder.embed_positions",                    Kind.TABLE,  (_P, _D)),
    Row("encoder.layernorm_embedding",                Kind.NORM,   (_D,), when=_EMBED_NORM),
    Row("encoder.layers.{i}.self_attn.q_proj",        Kind.LINEAR, (_D, _EA)),
    Row("encoder.layers.{i}.self_attn.k_proj",        Kind.LINEAR, (_D, _EA)),
    Row("encoder.layers.{i}.self_attn.v_proj",        Kind.LINEAR, (_D, _EA)),
    Row("encoder.layers.{i}.self_attn.out_proj",      Kind.LINEAR, (_EA, _D)),
    Row("encoder.layers.{i}.self_attn_layer_norm",    Kind.NORM,   (_D,)),
    Row("encoder.layers.{i}.fc1",                     Kind.LINEAR, (_D, "encoder_ffn_dim")),
    Row("encoder.layers.{i}.fc2",                     Kind.LINEAR, ("encoder_ffn_dim", _D)),
    Row("encoder.layers.{i}.final_layer_norm",        Kind.NORM,   (_D,)),
    Row("encoder.layer_norm",                         Kind.NORM,   (_D,), when="normalize_before"),

    Row("decoder.embed_tokens",                       Kind.TABLE,  ("vocab_size", _D), _E,
        copy_of="encoder.embed_tokens"),
    Row("decoder.embed_positions",                    Kind.TABLE,  (_P, _D)),
    Row("decoder.layernorm_embedding",                Kind.NORM,   (_D,), when=_EMBED_NORM),
    Row("decoder.layers.{i}.self_attn.q_proj",        Kind.LINEAR, (_D, _DA), when=_ATTENDS),
    Row("decoder.layers.{i}.self_attn.k_proj",        Kind.LINEAR, (_D, _DA), when=_ATTENDS),
    Row("decoder.layers.{i}.self_attn.v_proj",        Kind.LINEAR, (_D, _DA), when=_ATTENDS),
    Row("decoder.layers.{i}.self_attn.out_proj",      Kind.LINEAR, (_DA, _D), when=_ATTENDS),
    Row("decoder.layers.{i}.self_attn_layer_norm",    Kind.NORM,   (_D,), when=_ATTENDS),
    Row("decoder.layers.{i}.ssru.in_proj",            Kind.LINEAR, (_D, _D), bias=False,
        when=_RECURS),
    Row("decoder.layers.{i}.ssru.gate",               Kind.LINEAR, (_D, _D), when=_RECURS),
    Row("decoder.layers.{i}.ssru_layer_norm",         Kind.NORM,   (_D,), when=_RECURS),
    Row("decoder.layers.{i}.encoder_attn.q_proj",     Kind.LINEAR, (_D, _DA)),
    Row("decoder.layers.{i}.encoder_attn.k_proj",     Kind.LINEAR, (_D, _DA)),
    Row("decoder.layers.{i}.encoder_attn.v_proj",     Kind.LINEAR, (_D, _DA)),
    Row("decoder.layers.{i}.encoder_attn.out_proj",   Kind.LINEAR, (_DA, _D)),
    Row("decoder.layers.{i}.encoder_attn_layer_norm", Kind.NORM,   (_D,)),
    Row("decoder.layers.{i}.fc1",                     Kind.LINEAR, (_D, "decoder_ffn_dim")),
    Row("decoder.layers.{i}.fc2",                     Kind.LINEAR, ("decoder_ffn_dim", _D)),
    Row("decoder.layers.{i}.final_layer_norm",        Kind.NORM,   (_D,)),
    Row("decoder.layer_norm",                         Kind.NORM,   (_D,), when="normalize_before"),
    Row("lm_head",                                    Kind.LOGITS, (_D, "vocab_size"), bias=False,
        copy_of="decoder.embed_tokens"),
)
# fmt: on
"""BART and the families derived from it, and our reference Transformer."""


def modules_of(
    table: tuple[Row, ...], stack: str, config: ModelConfig
) -> Iterator[tuple[Row, str, list[str]]]:
    """The rows of one stack written out for every layer.

    Returns:
        (row, canonical name, alternative ends of the module path) for each module of the model.
    """
    num_layers = getattr(config, f"{stack}_layers")
    for row in table:
        if row.stack != stack or (row.when and not getattr(config, row.when)):
            continue
        for i in range(num_layers) if "{i}" in row.name else [0]:
            yield row, row.name.format(i=i), row.paths(i)
