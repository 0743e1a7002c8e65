"""Sections 3.1 and 3.3: the layers of the encoder and the decoder."""

from torch import Tensor, nn

from tools.reference.attention import EncoderAttention, KeyValue, SelfAttention
from tools.reference.cache import LayerCache
from tools.reference.config import TransformerConfig
from tools.reference.dropout import Dropout
from tools.reference.ssru import SimpleRecurrentUnit, States


class Layer(nn.Module):
    """What both layers share: the first and the last sub-layer, and the way around one.

    Args:
        config: gives width, dropout and layer norm, which is the paper's post-norm,
            LayerNorm(x + Sublayer(x)), or the pre-norm x + Sublayer(LayerNorm(x)) of
            Xiong et al. (2020).
        num_heads: the paper's h.
        ffn_dim: the paper's d_ff.
        recurs: a simple recurrent unit comes first, in place of self-attention.
    """

    def __init__(
        self, config: TransformerConfig, num_heads: int, ffn_dim: int, recurs: bool = False
    ):
        super().__init__()
        self.normalize_before = config.normalize_before
        self.recurs = recurs
        self.dropout = Dropout(config.dropout)
        layer_norm = nn.LayerNorm(config.d_model, config.layer_norm_eps)
        if recurs:
            self.ssru = SimpleRecurrentUnit(config.d_model)
            self.ssru_layer_norm = layer_norm
        else:
            self.self_attn = SelfAttention(config.d_model, num_heads)
            self.self_attn_layer_norm = layer_norm
        self.fc1 = nn.Linear(config.d_model, ffn_dim)
        self.activation = nn.ReLU()
        self.fc2 = nn.Linear(ffn_dim, config.d_model)
        self.final_layer_norm = nn.LayerNorm(config.d_model, config.layer_norm_eps)

    def look_back(
        self, hidden_states: Tensor, mask: Tensor, past: KeyValue | States | None
    ) -> tuple[Tensor, KeyValue | States]:
        """The first sub-layer; returns `past` extended by these positions too."""
        layer_norm = self.ssru_layer_norm if self.recurs else self.self_attn_layer_norm
        sublayer = self.ssru if self.recurs else self.self_attn
        output, present = sublayer(self.enter(layer_norm, hidden_states), mask, past)
        return self.leave(layer_norm, hidden_states, output), present

    def feed_forward(self, hidden_states: Tensor) -> Tensor:
        """FFN(x) = max(0, x W_1 + b_1) W_2 + b_2, equation (2): same shape in and out."""
        return self.fc2(self.activation(self.fc1(hidden_states)))

    def enter(self, layer_norm: nn.LayerNorm, hidden_states: Tensor) -> Tensor:
        """What the sub-layer sees: x, or LayerNorm(x) when pre-norm."""
        return layer_norm(hidden_states) if self.normalize_before else hidden_states

    def leave(self, layer_norm: nn.LayerNorm, hidden_states: Tensor, output: Tensor) -> Tensor:
        """What follows the sub-layer: LayerNorm(x + output), or x + output when pre-norm."""
        summed = hidden_states + self.dropout(output)
        return summed if self.normalize_before else layer_norm(summed)


class EncoderLayer(Layer):
    """Self-attention, then feed-forward; under a causal mask also a decoder-only model's layer."""

    def forward(
        self, hidden_states: Tensor, mask: Tensor, past: KeyValue | None = None
    ) -> tuple[Tensor, KeyValue]:
        """One layer.

        Args:
            hidden_states: [batch, length, hidden_size].
            mask: broadcastable to [batch, num_heads, length, past_length + length].
            past: keys and values of earlier positions, none in an encoder.

        Returns:
            hidden states of the same shape; keys and values of past and present positions.
        """
        hidden_states, present = self.look_back(hidden_states, mask, past)
        output = self.feed_forward(self.enter(self.final_layer_norm, hidden_states))
        return self.leave(self.final_layer_norm, hidden_states, output), present


class DecoderLayer(Layer):
    """Self-attention or recurrence, attention over the encoder, then feed-forward."""

    def __init__(self, config: TransformerConfig, num_heads: int, ffn_dim: int):
        super().__init__(config, num_heads, ffn_dim, config.decoder_kind == "ssru")
        self.encoder_attn = EncoderAttention(config.d_model, num_heads)
        self.encoder_attn_layer_norm = nn.LayerNorm(config.d_model, config.layer_norm_eps)

    def forward(
        self,
        hidden_states: Tensor,
        mask: Tensor,
        encoder_hidden_states: Tensor | None,
        encoder_mask: Tensor,
        past: LayerCache | None = None,
    ) -> tuple[Tensor, LayerCache]:
        """One layer.

        Args:
            hidden_states: [batch, tgt_len, hidden_size].
            mask: causal, broadcastable to [batch, num_heads, tgt_len, past_length + tgt_len].
            encoder_hidden_states: [batch, src_len, hidden_size]; not read when there is a past.
            encoder_mask: [batch, 1, 1, src_len].
            past: what earlier target positions left, and the source's keys and values.

        Returns:
            hidden states of the same shape; the cache extended by these positions.
        """
        past_decoder, past_encoder = past or (None, None)
        hidden_states, present = self.look_back(hidden_states, mask, past_decoder)
        entered = self.enter(self.encoder_attn_layer_norm, hidden_states)
        output, encoder_present = self.encoder_attn(
            entered, encoder_hidden_states, encoder_mask, past_encoder
        )
        hidden_states = self.leave(self.encoder_attn_layer_norm, hidden_states, output)
        output = self.feed_forward(self.enter(self.final_layer_norm, hidden_states))
        hidden_states = self.leave(self.final_layer_norm, hidden_states, output)
        return hidden_states, LayerCache(present, encoder_present)
