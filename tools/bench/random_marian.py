"""Random-weight checkpoints of any size, saved as transformers saves a MarianMT model.

The weights say nothing, so these serve speed alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SEED = 20260923
END_TOKEN_ID = 0


@dataclass(frozen=True)
class Dimensions:
    """Sizes of an encoder-decoder with as many layers on either side and one vocabulary."""

    vocab_size: int
    d_model: int
    layers: int
    heads: int
    ffn_dim: int
    activation: str
    max_positions: int = 512

    @property
    def pad_token_id(self) -> int:
        """The last id, which also starts the decoder, as in OPUS-MT's models."""
        return self.vocab_size - 1


def save_random_marian(size: Dimensions, folder: Path) -> None:
    """Write config.json, generation_config.json and the weights; needs torch and transformers."""
    import torch
    from transformers import GenerationConfig, MarianConfig, MarianMTModel

    tokens = {
        "pad_token_id": size.pad_token_id,
        "eos_token_id": END_TOKEN_ID,
        "forced_eos_token_id": END_TOKEN_ID,
        "decoder_start_token_id": size.pad_token_id,
    }
    config = MarianConfig(
        vocab_size=size.vocab_size,
        d_model=size.d_model,
        encoder_layers=size.layers,
        decoder_layers=size.layers,
        encoder_attention_heads=size.heads,
        decoder_attention_heads=size.heads,
        encoder_ffn_dim=size.ffn_dim,
        decoder_ffn_dim=size.ffn_dim,
        max_position_embeddings=size.max_positions,
        activation_function=size.activation,
        scale_embedding=True,
        **tokens,
    )
    torch.manual_seed(SEED)
    model = MarianMTModel(config).eval()
    model.generation_config = GenerationConfig(
        max_length=size.max_positions, bad_words_ids=[[size.pad_token_id]], **tokens
    )
    model.save_pretrained(folder)
