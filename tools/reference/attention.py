"""Section 3.2: scaled dot-product attention, masks and multi-head attention."""

import torch
from torch import Tensor, nn

KeyValue = tuple[Tensor, Tensor]
"""Keys and values of the positions seen so far, each [batch, num_heads, length, head_dim]."""


def dot_product_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V, equation (1).

    Args:
        query: [batch, num_heads, query_len, head_dim].
        key, value: [batch, num_heads, key_len, head_dim].
        mask: added to the scores, broadcastable to [batch, num_heads, query_len, key_len].

    Returns:
        [batch, num_heads, query_len, head_dim].
    """
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5 + mask
    return torch.softmax(scores, dim=-1) @ value


def padding_mask(attention_mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The mask that hides padding: 0 where attention_mask is 1, the lowest finite number elsewhere.

    Args:
        attention_mask: [batch, key_len], 1 for a token and 0 for padding.

    Returns:
        [batch, 1, 1, key_len].
    """
    return (1 - attention_mask[:, None, None, :].to(dtype)) * torch.finfo(dtype).min


def causal_mask(query_len: int, key_len: int, like: Tensor) -> Tensor:
    """The mask of section 3.2.3 that hides later positions, in the dtype and device of `like`.

    The queries are the last `query_len` of `key_len` positions, the earlier ones being cached.

    Returns:
        [query_len, key_len], 0 up to the query's own position and the lowest finite number after.
    """
    query_position = torch.arange(key_len - query_len, key_len, device=like.device)
    key_position = torch.arange(key_len, device=like.device)
    later = key_position[None, :] > query_position[:, None]
    return later.to(like.dtype) * torch.finfo(like.dtype).min


def append(past: KeyValue | None, new: KeyValue) -> KeyValue:
    """Keys and values of earlier positions followed by new ones; `new` when there is no past."""
    if past is None:
        return new
    return torch.cat((past[0], new[0]), dim=2), torch.cat((past[1], new[1]), dim=2)


class MultiHeadAttention(nn.Module):
    """MultiHead(Q, K, V) = Concat(head_1, ..., head_h) W^O, section 3.2.2.

    Args:
        hidden_size: the paper's d_model.
        num_heads: the paper's h; a head is hidden_size / num_heads wide.
    """

    def __init__(self, hidden_size: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = hidden_size // num_heads
        self.q_proj = nn.Linear(hidden_size, hidden_size)
        self.k_proj = nn.Linear(hidden_size, hidden_size)
        self.v_proj = nn.Linear(hidden_size, hidden_size)
        self.out_proj = nn.Linear(hidden_size, hidden_size)

    def split_heads(self, projected: Tensor) -> Tensor:
        """[batch, length, hidden_size] -> [batch, num_heads, length, head_dim]."""
        batch, length, _ = projected.shape
        return projected.view(batch, length, self.num_heads, self.head_dim).transpose(1, 2)

    def project_keys_values(self, hidden_states: Tensor) -> KeyValue:
        """Keys and values of [batch, length, hidden_size], ready for a cache."""
        key = self.split_heads(self.k_proj(hidden_states))
        return key, self.split_heads(self.v_proj(hidden_states))

    def attend(self, hidden_states: Tensor, key_value: KeyValue, mask: Tensor) -> Tensor:
        """Each position of hidden_states attends to every position of key_value.

        Args:
            hidden_states: [batch, query_len, hidden_size], the source of the queries.
            key_value: from `project_keys_values`, of the same sequence or of another.
            mask: broadcastable to [batch, num_heads, query_len, key_len].

        Returns:
            [batch, query_len, hidden_size].
        """
        query = self.split_heads(self.q_proj(hidden_states))
        context = dot_product_attention(query, *key_value, mask)
        return self.out_proj(context.transpose(1, 2).flatten(2))


class SelfAttention(MultiHeadAttention):
    """Queries, keys and values from one sequence, whose earlier part may be cached."""

    def forward(
        self, hidden_states: Tensor, mask: Tensor, past: KeyValue | None = None
    ) -> tuple[Tensor, KeyValue]:
        """[batch, length, hidden_size] -> the same shape, and `past` extended by these positions.

        Args:
            mask: broadcastable to [batch, num_heads, length, past_length + length].
        """
        present = append(past, self.project_keys_values(hidden_states))
        return self.attend(hidden_states, present, mask), present


class EncoderAttention(MultiHeadAttention):
    """Queries from the decoder, keys and values from the encoder's output (section 3.2.3)."""

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        encoder_mask: Tensor,
        past: KeyValue | None = None,
    ) -> tuple[Tensor, KeyValue]:
        """[batch, tgt_len, hidden_size] -> the same shape, and the source's keys and values.

        Args:
            encoder_hidden_states: [batch, src_len, hidden_size]; not read when there is a past.
            encoder_mask: [batch, 1, 1, src_len].
            past: the keys and values that an earlier call returned.
        """
        present = past or self.project_keys_values(encoder_hidden_states)
        return self.attend(hidden_states, present, encoder_mask), present
