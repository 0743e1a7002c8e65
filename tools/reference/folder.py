"""A model folder back into PyTorch, through node paths as the engine reads it."""

import json
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from tools.reference.config import TransformerConfig
from tools.reference.model import Transformer


def load_folder(folder: Path) -> Transformer:
    """The model whose export is in `folder`, in evaluation mode.

    Raises:
        RuntimeError: weights are missing or left over.
    """
    fields = json.loads((folder / "config.json").read_text())
    known = {
        name: fields[name] for name in TransformerConfig.__dataclass_fields__ if name in fields
    }
    model = Transformer(TransformerConfig(**known))
    weights = file_weights(folder / "encoder_model.onnx")
    weights |= file_weights(decoder_path(folder))
    model.load_state_dict(weights)
    return model.eval()


def decoder_path(folder: Path) -> Path:
    """The decoder of an export: both steps merged, or all positions at once."""
    merged = folder / "decoder_model_merged.onnx"
    return merged if merged.exists() else folder / "decoder_model.onnx"


def file_weights(path: Path) -> dict[str, Tensor]:
    """Every weight of a file under its PyTorch name, linear maps as [out, in]."""
    graph = onnx.load(path).graph
    arrays = {x.name: numpy_helper.to_array(x) for x in all_initializers(graph)}
    weights = {
        name.removesuffix("_merged_0"): torch.tensor(array)
        for name, array in arrays.items()
        if name.startswith(("encoder.", "decoder."))
    }
    for node in all_nodes(graph):
        if node.op_type == "MatMul" and node.input[1] in arrays:
            name = node.name.strip("/").removesuffix("/MatMul").replace("/", ".")
            weights[f"{name}.weight"] = torch.tensor(arrays[node.input[1]].T.copy())
    return weights


def subgraphs(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    """The graph and the branches of its `If` nodes."""
    branches = [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    return [graph, *branches]


def all_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Nodes of the graph and its branches."""
    return [node for g in subgraphs(graph) for node in g.node]


def all_initializers(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    """Initializers of the graph and its branches."""
    return [x for g in subgraphs(graph) for x in g.initializer]
