"""The same blocks without an encoder: a decoder-only language model."""

import torch
from torch import Tensor, nn

from tools.reference.attention import KeyValue, causal_mask, padding_mask
from tools.reference.config import TransformerConfig
from tools.reference.embedding import shared_embedding
from tools.reference.layers import EncoderLayer
from tools.reference.model import Stack, initialize_linear


class LanguageModel(Stack):
    """Decoder-only: the encoder's layers under a causal mask, with a cache.

    It reads the encoder_* sizes of its configuration.
    """

    def __init__(self, config: TransformerConfig):
        embed_tokens = shared_embedding(config.vocab_size, config.d_model, config.pad_token_id)
        super().__init__(config, embed_tokens)
        self.config = config
        self.layers = nn.ModuleList(
            EncoderLayer(config, config.encoder_attention_heads, config.encoder_ffn_dim)
            for _ in range(config.encoder_layers)
        )
        initialize_linear(self)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        past_key_values: list[KeyValue] | None = None,
    ) -> tuple[Tensor, list[KeyValue]]:
        """Hidden states of every position, from which `logits` scores the next token.

        Args:
            input_ids: [batch, length]; padding goes to the right.
            attention_mask: [batch, past_length + length], 1 for a token.
            past_key_values: one (key, value) a layer, from an earlier call.

        Returns:
            [batch, length, d_model] and the cache extended by these tokens.
        """
        past_length = past_key_values[0][0].shape[2] if past_key_values else 0
        hidden_states = self.embed(input_ids, past_length)
        length = input_ids.shape[1]
        mask = torch.minimum(
            causal_mask(length, past_length + length, hidden_states),
            padding_mask(attention_mask, hidden_states.dtype),
        )
        presents = []
        for i, layer in enumerate(self.layers):
            past = past_key_values[i] if past_key_values else None
            hidden_states, present = layer(hidden_states, mask, past)
            presents.append(present)
        return self.layer_norm(hidden_states), presents
