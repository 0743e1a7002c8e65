"""ONNX graphs of the reference models, with the input and output names of Optimum's exports."""

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from optimum.onnx import merge_decoders
from torch import Tensor, nn

from tools.reference.cache import LayerCache
from tools.reference.language_model import LanguageModel
from tools.reference.model import Encoder, Transformer

OPSET = 18
BATCH, SRC_LEN, TGT_LEN, PAST_LEN = 2, 7, 3, 4
"""Sizes of the traced example; all four axes are dynamic in the file."""


def tied_head(embed_tokens: nn.Embedding) -> nn.Linear:
    """The output projection as a module, so that its nodes are called /lm_head/..."""
    head = nn.Linear(embed_tokens.embedding_dim, embed_tokens.num_embeddings, bias=False)
    head.weight = embed_tokens.weight
    return head


class EncoderGraph(nn.Module):
    """input_ids, attention_mask -> last_hidden_state."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[batch, src_len] twice -> [batch, src_len, d_model]."""
        return self.encoder(input_ids, attention_mask)


class DecoderGraph(nn.Module):
    """The first step: everything is computed, nothing is cached."""

    def __init__(self, model: Transformer):
        super().__init__()
        self.decoder = model.decoder
        self.lm_head = tied_head(model.decoder.embed_tokens)

    def forward(self, encoder_attention_mask, input_ids, encoder_hidden_states):
        """Logits, then (decoder key, decoder value, encoder key, encoder value) of every layer."""
        hidden_states, presents = self.decoder(
            input_ids, encoder_attention_mask, encoder_hidden_states
        )
        flat = [x for layer in presents for x in (*layer.decoder, *layer.encoder)]
        return self.lm_head(hidden_states), *flat


class DecoderWithPastGraph(DecoderGraph):
    """A later step: the keys and values of the source are read, never written."""

    def forward(self, encoder_attention_mask, input_ids, *past):
        """Logits, then (decoder key, decoder value) of every layer."""
        caches = [
            LayerCache(tuple(past[i : i + 2]), tuple(past[i + 2 : i + 4]))
            for i in range(0, len(past), 4)
        ]
        hidden_states, presents = self.decoder(
            input_ids, encoder_attention_mask, past_key_values=caches
        )
        return self.lm_head(hidden_states), *[x for layer in presents for x in layer.decoder]


class LanguageModelGraph(nn.Module):
    """input_ids, attention_mask, past_key_values (possibly of length 0) -> logits, present."""

    def __init__(self, model: LanguageModel):
        super().__init__()
        self.decoder = model
        self.lm_head = tied_head(model.embed_tokens)

    def forward(self, input_ids, attention_mask, *past):
        """Logits, then (key, value) of every layer."""
        pairs = [tuple(past[i : i + 2]) for i in range(0, len(past), 2)]
        hidden_states, presents = self.decoder(input_ids, attention_mask, pairs)
        return self.lm_head(hidden_states), *[x for pair in presents for x in pair]


def cache_names(prefix: str, num_layers: int, sides: tuple[str, ...]) -> list[str]:
    """`prefix.{layer}[.{side}].{key,value}`, layer by layer."""
    return [
        f"{prefix}.{i}{side}.{kind}"
        for i in range(num_layers)
        for side in sides
        for kind in ("key", "value")
    ]


def dynamic_axes(names: list[str]) -> dict[str, dict[int, str]]:
    """The axes of each input or output that may change from call to call."""
    known = {
        "input_ids": {0: "batch_size", 1: "sequence_length"},
        "attention_mask": {0: "batch_size", 1: "attention_length"},
        "encoder_attention_mask": {0: "batch_size", 1: "encoder_sequence_length"},
        "encoder_hidden_states": {0: "batch_size", 1: "encoder_sequence_length"},
        "last_hidden_state": {0: "batch_size", 1: "sequence_length"},
        "logits": {0: "batch_size", 1: "sequence_length"},
    }
    return {name: known.get(name) or cache_axes(name) for name in names}


def cache_axes(name: str) -> dict[int, str]:
    """Batch and length of a past or present key or value."""
    if ".encoder." in name:
        return {0: "batch_size", 2: "encoder_sequence_length"}
    past = name.startswith("past")
    return {0: "batch_size", 2: "past_sequence_length" if past else "present_sequence_length"}


def write_graph(module: nn.Module, arguments: tuple, inputs, outputs, path: Path) -> None:
    """Trace `module` and write it with its output projection tied to the embedding."""
    torch.onnx.export(
        module.eval(),
        arguments,
        str(path),
        input_names=inputs,
        output_names=outputs,
        dynamic_axes=dynamic_axes([*inputs, *outputs]),
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load(path)
    tie_projection(model.graph)
    onnx.save(model, path)


def tie_projection(graph: onnx.GraphProto) -> None:
    """Replace the exporter's transposed copy of the embedding by a Transpose of it, if present."""
    projection = next((node for node in graph.node if node.name == "/lm_head/MatMul"), None)
    if projection is None:
        return
    copy = next(x for x in graph.initializer if x.name == projection.input[1])
    embedding = next(x for x in graph.initializer if x.name.endswith("embed_tokens.weight"))
    if (numpy_helper.to_array(copy) != numpy_helper.to_array(embedding).T).any():
        raise ValueError(f"{copy.name} is not the transpose of {embedding.name}")
    graph.initializer.remove(copy)
    projection.input[1] = "/lm_head/Transpose_output_0"
    transpose = onnx.helper.make_node(
        "Transpose",
        [embedding.name],
        [projection.input[1]],
        name="/lm_head/Transpose",
        perm=[1, 0],
    )
    graph.node.insert(list(graph.node).index(projection), transpose)


def export_encoder(encoder: Encoder, path: Path) -> None:
    """Write encoder_model.onnx, or the model.onnx of an encoder-only model."""
    ids = torch.ones(BATCH, SRC_LEN, dtype=torch.long)
    names = ["input_ids", "attention_mask"]
    write_graph(EncoderGraph(encoder), (ids, ids), names, ["last_hidden_state"], path)


def export_decoder(model: Transformer, path: Path) -> None:
    """Write decoder_model_merged.onnx: an `If` on use_cache_branch around both decoders."""
    config = model.config
    layers, sides = config.decoder_layers, (".decoder", ".encoder")
    mask = torch.ones(BATCH, SRC_LEN, dtype=torch.long)
    ids = torch.ones(BATCH, TGT_LEN, dtype=torch.long)
    source = torch.zeros(BATCH, SRC_LEN, config.d_model)
    first, later = path.with_suffix(".first"), path.with_suffix(".later")
    write_graph(
        DecoderGraph(model),
        (mask, ids, source),
        ["encoder_attention_mask", "input_ids", "encoder_hidden_states"],
        ["logits", *cache_names("present", layers, sides)],
        first,
    )
    heads = config.decoder_attention_heads
    past = [
        torch.zeros(BATCH, heads, length, config.d_model // heads)
        for length in (PAST_LEN, PAST_LEN, SRC_LEN, SRC_LEN) * layers
    ]
    write_graph(
        DecoderWithPastGraph(model),
        (mask, ids, *past),
        ["encoder_attention_mask", "input_ids", *cache_names("past_key_values", layers, sides)],
        ["logits", *cache_names("present", layers, (".decoder",))],
        later,
    )
    merge_decoders(first, later, save_path=path, strict=False)
    first.unlink()
    later.unlink()


def export_language_model(model: LanguageModel, path: Path) -> None:
    """Write model.onnx: input_ids, attention_mask, past_key_values.* -> logits, present.*."""
    config = model.config
    heads = config.encoder_attention_heads
    past = [
        torch.zeros(BATCH, heads, PAST_LEN, config.d_model // heads)
        for _ in range(2 * config.encoder_layers)
    ]
    ids = torch.ones(BATCH, TGT_LEN, dtype=torch.long)
    mask = torch.ones(BATCH, PAST_LEN + TGT_LEN, dtype=torch.long)
    write_graph(
        LanguageModelGraph(model),
        (ids, mask, *past),
        ["input_ids", "attention_mask", *cache_names("past_key_values", len(past) // 2, ("",))],
        ["logits", *cache_names("present", len(past) // 2, ("",))],
        path,
    )
