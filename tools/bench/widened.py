"""A small trained model in the shape of a large one: the same translations at the large one's cost.

Real sentences end where their translations end, which random weights cannot show. So the committed
model is widened: every number of a hidden state stands in it several times, which no layer norm
notices (mean and variance stay), and every linear map divides by the number of copies that it sums
up. Layers are added that add nothing. What is computed stays the same up to rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import MarianMTModel

from tools.bench.random_marian import Dimensions
from tools.reference.folder import load_folder
from tools.reference.marian import to_marian

NEVER = -1e4
"""Bias of the ids that only the large vocabulary has."""


@dataclass(frozen=True)
class Axes:
    """For each axis of the large model's weights, the index of the small model's."""

    hidden: Tensor  # [d_model]
    heads: Tensor  # [d_model], head by head
    ffn: Tensor  # [ffn_dim]


def widen(folder: Path, size: Dimensions) -> MarianMTModel:
    """The model of ``folder`` in the shape ``size``, of which every part is a multiple of its own.

    Positions, activation and special ids stay those of the small model.
    """
    small = to_marian(load_folder(folder))
    large = MarianMTModel(_config(small, size)).eval()
    axes = _axes(small.config, size)
    weights = dict(large.state_dict())
    for name in weights:
        weights[name] = _stacked(name, small, axes, size)
    large.load_state_dict(weights)
    return large


def _config(small: MarianMTModel, size: Dimensions) -> Any:
    fields = small.config.to_dict() | {
        "vocab_size": size.vocab_size,
        "decoder_vocab_size": size.vocab_size,
        "d_model": size.d_model,
        "encoder_layers": size.layers,
        "decoder_layers": size.layers,
        "encoder_attention_heads": size.heads,
        "decoder_attention_heads": size.heads,
        "encoder_ffn_dim": size.ffn_dim,
        "decoder_ffn_dim": size.ffn_dim,
    }
    return type(small.config).from_dict(fields)


def _axes(config: Any, size: Dimensions) -> Axes:
    large_dim = size.d_model // size.heads
    small_dim = config.d_model // config.encoder_attention_heads
    position = torch.arange(size.d_model)
    head = position // large_dim % config.encoder_attention_heads
    return Axes(
        hidden=position % config.d_model,
        heads=head * small_dim + position % large_dim % small_dim,
        ffn=torch.arange(size.ffn_dim) % config.encoder_ffn_dim,
    )


def _stacked(name: str, small: MarianMTModel, axes: Axes, size: Dimensions) -> Tensor:
    """A tensor of the large model by its name."""
    weights, layers = small.state_dict(), small.config.encoder_layers
    if ".layers." not in name:
        return _outside(name, weights[name], small.config, axes, size)
    prefix, number, rest = _split(name)
    source = weights[f"{prefix}.{min(number, layers - 1)}.{rest}"]
    last_norm = rest.startswith("final_layer_norm.")
    if last_norm and number == size.layers - 1:
        scale = _output_scale(small.config, size) if ".decoder." in name else 1.0
        return source[axes.hidden] * scale
    if "layer_norm." in rest and (number >= layers or (last_norm and number == layers - 1)):
        return torch.full((size.d_model,), float(rest.endswith("weight")))  # changes nothing
    wide = _linear(rest, source, small.config, axes, size)
    adds_nothing = number >= layers and rest.startswith(("fc2.", *_OUT_PROJ))
    return torch.zeros_like(wide) if adds_nothing else wide


_OUT_PROJ = ("self_attn.out_proj.", "encoder_attn.out_proj.")


def _split(name: str) -> tuple[str, int, str]:
    prefix, rest = name.split(".layers.")
    number, rest = rest.split(".", 1)
    return f"{prefix}.layers", int(number), rest


def _linear(rest: str, source: Tensor, config: Any, axes: Axes, size: Dimensions) -> Tensor:
    """A linear map's weight [out, in] or bias [out], or a layer norm's vector."""
    if "layer_norm." in rest:
        return source[axes.hidden]
    kind = rest.split(".")[-2]
    out_axis = {"fc1": axes.ffn, "fc2": axes.hidden, "out_proj": axes.hidden}.get(kind, axes.heads)
    in_axis = {"fc2": axes.ffn, "out_proj": axes.heads}.get(kind, axes.hidden)
    wide = source[out_axis]
    if rest.endswith("weight"):
        wide = wide[:, in_axis] * (source.shape[1] / len(in_axis))
    # A head's products are sums over as many copies as it has, divided by the root of its width.
    small_dim = config.d_model / config.encoder_attention_heads
    copies = size.d_model / size.heads / small_dim
    return wide / math.sqrt(copies) if kind == "q_proj" else wide


def _outside(name: str, source: Tensor, config: Any, axes: Axes, size: Dimensions) -> Tensor:
    """Embeddings, the output projection (tied to them), its bias, positions."""
    if name == "final_logits_bias":
        bias = torch.full((1, size.vocab_size), NEVER)
        bias[:, : source.shape[1]] = source
        return bias
    wide = source[:, axes.hidden]
    if name.endswith("embed_positions.weight"):
        return wide
    embedding = torch.zeros(size.vocab_size, size.d_model)
    embedding[: len(wide)] = wide * math.sqrt(config.d_model / size.d_model)  # Marian scales it
    return embedding


def _output_scale(config: Any, size: Dimensions) -> float:
    """Makes the logits, sums over all copies with the scaled embedding, what they were."""
    return math.sqrt(config.d_model / size.d_model)
