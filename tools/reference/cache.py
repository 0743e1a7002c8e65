"""Keys and values of earlier positions, so that a decoding step computes only the new one."""

from typing import NamedTuple

from torch import Tensor

from tools.reference.attention import KeyValue


class LayerCache(NamedTuple):
    """One decoder layer's keys and values, each [batch, num_heads, length, head_dim].

    `decoder` grows by a position a step; `encoder` is computed once a source.
    """

    decoder: KeyValue
    encoder: KeyValue


def reorder(past_key_values: list[LayerCache], rows: Tensor) -> list[LayerCache]:
    """The cache of the given batch rows, for beam search and for finished sentences."""

    def select(key_value: KeyValue) -> KeyValue:
        return key_value[0][rows], key_value[1][rows]

    return [LayerCache(select(layer.decoder), select(layer.encoder)) for layer in past_key_values]
