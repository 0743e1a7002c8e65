"""One description of a model, in the names of the transformers library's `config.json`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

DECODER_KINDS = ("self_attention", "ssru")


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes and special ids of a model; the defaults are "Transformer-Tiny".

    Args:
        vocab_size: rows of the embedding shared by source, target and output (section 3.4).
        d_model: width of every hidden state; a multiple of both head counts.
        encoder_layers, decoder_layers: the paper's N.
        encoder_attention_heads, decoder_attention_heads: the paper's h.
        encoder_ffn_dim, decoder_ffn_dim: the paper's d_ff.
        max_position_embeddings: rows of the position table, hence the longest sequence in tokens.
        dropout: probability of zeroing an element (section 5.4).
        normalize_before: False is the paper's post-norm, True pre-norm with a last layer norm.
        layer_norm_eps: added to the variance.
        decoder_kind: how a target position sees those before it, one of DECODER_KINDS.
        pad_token_id, bos_token_id, eos_token_id, decoder_start_token_id: SentencePiece ids.

    Raises:
        ValueError: d_model is odd or not a multiple of a head count; an unknown decoder_kind.
    """

    vocab_size: int
    d_model: int = 128
    encoder_layers: int = 4
    decoder_layers: int = 4
    encoder_attention_heads: int = 4
    decoder_attention_heads: int = 4
    encoder_ffn_dim: int = 256
    decoder_ffn_dim: int = 256
    max_position_embeddings: int = 512
    dropout: float = 0.3
    normalize_before: bool = False
    layer_norm_eps: float = 1e-5
    pad_token_id: int = 0
    bos_token_id: int = 1
    eos_token_id: int = 2
    decoder_start_token_id: int = 1
    decoder_kind: str = "self_attention"

    def __post_init__(self):
        for num_heads in (self.encoder_attention_heads, self.decoder_attention_heads):
            if self.d_model % num_heads:
                raise ValueError(f"d_model {self.d_model} is not a multiple of {num_heads} heads")
        if self.d_model % 2:
            raise ValueError(f"d_model {self.d_model} is odd: positions pair sines with cosines")
        if self.decoder_kind not in DECODER_KINDS:
            raise ValueError(f"decoder_kind {self.decoder_kind!r} is not one of {DECODER_KINDS}")

    def save(self, path: str | Path) -> None:
        """Write the fields as JSON."""
        Path(path).write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "TransformerConfig":
        """Read what `save` wrote; unknown fields are a TypeError."""
        return cls(**json.loads(Path(path).read_text()))
