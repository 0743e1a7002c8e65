"""The simple recurrent unit that Firefox's models have in place of the decoder's self-attention."""

import torch
from torch import Tensor, nn

States = tuple[Tensor]
"""The states of the positions seen so far, [batch, length, hidden_size]."""


class SimpleRecurrentUnit(nn.Module):
    """c_t = g_t c_(t-1) + (1 - g_t) W x_t with g_t = sigmoid(W_f x_t + b_f) and c_0 = 0.

    "From Research to Production and Back: Ludicrously Fast Neural Machine Translation" (Kim et
    al., 2019), section 2.2; its output is relu(c_t).
    """

    def __init__(self, hidden_size: int):
        super().__init__()
        self.in_proj = nn.Linear(hidden_size, hidden_size, bias=False)
        self.gate = nn.Linear(hidden_size, hidden_size)

    def forward(
        self, hidden_states: Tensor, mask: Tensor, past: States | None = None
    ) -> tuple[Tensor, States]:
        """[batch, length, hidden_size] -> the same shape, and `past` extended by these positions.

        Args:
            mask: not read, as a state knows nothing of later positions.
        """
        gates = torch.sigmoid(self.gate(hidden_states).to(hidden_states.dtype))
        fresh = (1 - gates) * self.in_proj(hidden_states)
        state = past[0][:, -1] if past else torch.zeros_like(hidden_states[:, 0])
        states = list(past) if past else []
        for gate, value in zip(gates.unbind(1), fresh.unbind(1), strict=True):
            state = gate * state + value
            states.append(state[:, None])
        length = hidden_states.shape[1]
        present = torch.cat(states, dim=1)
        return torch.relu(present[:, -length:]), (present,)
