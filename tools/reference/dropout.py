"""Section 5.4: residual dropout, with random bytes."""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zeroes an element with probability round(256 p) / 256 and scales the rest up.

    PyTorch draws one 32-bit random number an element; a byte is fine enough and the generator,
    not the arithmetic, is the cost on a CPU.

    Raises:
        ValueError: the probability is not in [0, 1).
    """

    def __init__(self, probability: float):
        super().__init__()
        if not 0 <= probability < 1:
            raise ValueError(f"dropout probability {probability} is not in [0, 1)")
        self.threshold = round(256 * probability)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Same shape as hidden_states, which is returned itself outside training."""
        if not self.training or self.threshold == 0:
            return hidden_states
        words = torch.randint(-(2**63), 2**63 - 1, ((hidden_states.numel() + 7) // 8,))
        draws = words.view(torch.uint8)[: hidden_states.numel()].view(hidden_states.shape)
        keep = (draws >= self.threshold).to(hidden_states.dtype)
        return hidden_states * keep.mul_(256 / (256 - self.threshold))
