"""Our weights in transformers' MarianMTModel, the oracle of the golden files."""

import torch
from transformers import MarianConfig, MarianMTModel

from tools.reference.model import Transformer


def marian_config(model: Transformer) -> MarianConfig:
    """The same architecture in Marian's words: post-norm, ReLU, scaled tied embeddings.

    Raises:
        ValueError: the model is pre-norm or its decoder recurrent, which Marian is not.
    """
    config = model.config
    if config.normalize_before:
        raise ValueError("MarianMTModel has no pre-norm layers")
    if config.decoder_kind != "self_attention":
        raise ValueError(f"MarianMTModel has no {config.decoder_kind} decoder")
    return MarianConfig(
        vocab_size=config.vocab_size,
        d_model=config.d_model,
        encoder_layers=config.encoder_layers,
        decoder_layers=config.decoder_layers,
        encoder_attention_heads=config.encoder_attention_heads,
        decoder_attention_heads=config.decoder_attention_heads,
        encoder_ffn_dim=config.encoder_ffn_dim,
        decoder_ffn_dim=config.decoder_ffn_dim,
        activation_function="relu",
        scale_embedding=True,
        max_position_embeddings=config.max_position_embeddings,
        pad_token_id=config.pad_token_id,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        decoder_start_token_id=config.decoder_start_token_id,
        forced_eos_token_id=None,
        attn_implementation="eager",
    )


def to_marian(model: Transformer, kind: type = MarianMTModel) -> MarianMTModel:
    """A MarianMTModel, or its subclass `kind`, with our weights and positions, in eval mode.

    Raises:
        RuntimeError: a weight has no counterpart.
    """
    marian = kind(marian_config(model)).eval()
    weights = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    weights["model.shared.weight"] = model.encoder.embed_tokens.weight
    weights["lm_head.weight"] = model.encoder.embed_tokens.weight
    weights["final_logits_bias"] = torch.zeros(1, model.config.vocab_size)
    marian.load_state_dict(weights)
    return marian
