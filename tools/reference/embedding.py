"""Sections 3.4 and 3.5: the shared embedding, scaled, plus sinusoidal positions."""

import torch
from torch import Tensor, nn


def sinusoidal_table(num_positions: int, hidden_size: int) -> Tensor:
    """PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i+1) = cos(the same), section 3.5.

    Returns:
        [num_positions, hidden_size], float32 rounded from float64.
    """
    position = torch.arange(num_positions, dtype=torch.float64)[:, None]
    two_i = torch.arange(0, hidden_size, 2, dtype=torch.float64)
    angle = position / 10000 ** (two_i / hidden_size)
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1).float()


class PositionTable(nn.Module):
    """The sinusoids as a stored table, so that a model file carries the numbers themselves."""

    def __init__(self, num_positions: int, hidden_size: int):
        super().__init__()
        self.register_buffer("weight", sinusoidal_table(num_positions, hidden_size))

    def forward(self, start: int, length: int) -> Tensor:
        """Rows start ... start + length - 1: [length, hidden_size]."""
        return self.weight[start : start + length]


def shared_embedding(vocab_size: int, hidden_size: int, pad_token_id: int) -> nn.Embedding:
    """The one matrix for source, target and output (section 3.4), [vocab_size, hidden_size].

    Its entries have standard deviation hidden_size^-1/2, so that the scaled input embedding has
    unit variance and the logits start small. The row of the padding is zero.
    """
    embedding = nn.Embedding(vocab_size, hidden_size, padding_idx=pad_token_id)
    nn.init.normal_(embedding.weight, std=hidden_size**-0.5)
    nn.init.zeros_(embedding.weight[pad_token_id].data)
    return embedding
