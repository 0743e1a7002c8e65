"""What earlier positions leave, so that a decoding step computes only the new one."""

from typing import NamedTuple

from torch import Tensor

from tools.reference.attention import KeyValue
from tools.reference.ssru import States


class LayerCache(NamedTuple):
    """One decoder layer's keys and values, each [batch, num_heads, length, head_dim].

    `decoder` grows by a position a step; `encoder` is computed once a source. In place of the
    decoder's keys and values, a recurrent unit leaves its states, [batch, length, hidden_size].
    """

    decoder: KeyValue | States
    encoder: KeyValue


def reorder(past_key_values: list[LayerCache], rows: Tensor) -> list[LayerCache]:
    """The cache of the given batch rows, for beam search and for finished sentences."""

    def select(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(tensor[rows] for tensor in tensors)

    return [LayerCache(select(layer.decoder), select(layer.encoder)) for layer in past_key_values]
