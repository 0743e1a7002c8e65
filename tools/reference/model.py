"""Section 3: the encoder-decoder Transformer."""

import math

from torch import Tensor, nn
from torch.nn import functional

from tools.reference.attention import causal_mask, padding_mask
from tools.reference.cache import LayerCache
from tools.reference.config import TransformerConfig
from tools.reference.dropout import Dropout
from tools.reference.embedding import PositionTable, shared_embedding
from tools.reference.layers import DecoderLayer, EncoderLayer


class Stack(nn.Module):
    """Embedded tokens, and the last layer norm that pre-norm models have (identity otherwise)."""

    def __init__(self, config: TransformerConfig, embed_tokens: nn.Embedding):
        super().__init__()
        self.embed_tokens = embed_tokens
        self.embed_positions = PositionTable(config.max_position_embeddings, config.d_model)
        self.embed_scale = math.sqrt(config.d_model)
        self.dropout = Dropout(config.dropout)
        last = nn.LayerNorm(config.d_model, config.layer_norm_eps)
        self.layer_norm = last if config.normalize_before else nn.Identity()

    def embed(self, input_ids: Tensor, start: int = 0) -> Tensor:
        """dropout(sqrt(d_model) E[token] + PE[position]), sections 3.4, 3.5 and 5.4.

        Args:
            input_ids: [batch, length], at positions start ... start + length - 1.

        Returns:
            [batch, length, d_model].
        """
        positions = self.embed_positions(start, input_ids.shape[1])
        return self.dropout(self.embed_tokens(input_ids) * self.embed_scale + positions)

    def logits(self, hidden_states: Tensor) -> Tensor:
        """h E^T, the tied output projection of section 3.4: [..., d_model] -> [..., vocab_size]."""
        return functional.linear(hidden_states, self.embed_tokens.weight)


class Encoder(Stack):
    """Section 3.1, left half of figure 1. Alone it is the encoder-only model."""

    def __init__(self, config: TransformerConfig, embed_tokens: nn.Embedding):
        super().__init__(config, embed_tokens)
        self.layers = nn.ModuleList(
            EncoderLayer(config, config.encoder_attention_heads, config.encoder_ffn_dim)
            for _ in range(config.encoder_layers)
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Hidden states of the source.

        Args:
            input_ids: [batch, src_len].
            attention_mask: [batch, src_len], 1 for a token and 0 for padding.

        Returns:
            [batch, src_len, d_model].
        """
        hidden_states = self.embed(input_ids)
        mask = padding_mask(attention_mask, hidden_states.dtype)
        for layer in self.layers:
            hidden_states, _ = layer(hidden_states, mask)
        return self.layer_norm(hidden_states)


class Decoder(Stack):
    """Section 3.1, right half of figure 1."""

    def __init__(self, config: TransformerConfig, embed_tokens: nn.Embedding):
        super().__init__(config, embed_tokens)
        self.layers = nn.ModuleList(
            DecoderLayer(config, config.decoder_attention_heads, config.decoder_ffn_dim)
            for _ in range(config.decoder_layers)
        )

    def forward(
        self,
        input_ids: Tensor,
        encoder_attention_mask: Tensor,
        encoder_hidden_states: Tensor | None = None,
        past_key_values: list[LayerCache] | None = None,
    ) -> tuple[Tensor, list[LayerCache]]:
        """Hidden states of the target, given the source or a cache that holds it.

        Args:
            input_ids: [batch, tgt_len], the tokens after those in the cache.
            encoder_attention_mask: [batch, src_len].
            encoder_hidden_states: [batch, src_len, d_model]; not read when there is a cache.
            past_key_values: one entry a layer, from an earlier call.

        Returns:
            [batch, tgt_len, d_model] and the cache extended by these tokens.
        """
        past_length = past_key_values[0].decoder[0].shape[-2] if past_key_values else 0
        hidden_states = self.embed(input_ids, past_length)
        tgt_len = input_ids.shape[1]
        mask = causal_mask(tgt_len, past_length + tgt_len, hidden_states)
        encoder_mask = padding_mask(encoder_attention_mask, hidden_states.dtype)
        presents = []
        for i, layer in enumerate(self.layers):
            past = past_key_values[i] if past_key_values else None
            hidden_states, present = layer(
                hidden_states, mask, encoder_hidden_states, encoder_mask, past
            )
            presents.append(present)
        return self.layer_norm(hidden_states), presents


class Transformer(nn.Module):
    """The whole of figure 1: encoder, decoder and the output projection tied to the embedding."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        embed_tokens = shared_embedding(config.vocab_size, config.d_model, config.pad_token_id)
        self.encoder = Encoder(config, embed_tokens)
        self.decoder = Decoder(config, embed_tokens)
        initialize_linear(self)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, decoder_input_ids: Tensor):
        """Decoder hidden states for teacher forcing, [batch, tgt_len, d_model].

        Args:
            input_ids, attention_mask: [batch, src_len].
            decoder_input_ids: [batch, tgt_len], the target shifted right.
        """
        encoder_hidden_states = self.encoder(input_ids, attention_mask)
        return self.decoder(decoder_input_ids, attention_mask, encoder_hidden_states)[0]


def initialize_linear(model: nn.Module) -> None:
    """Glorot-uniform weights and zero biases in every linear map below `model`."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
