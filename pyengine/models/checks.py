"""Does the graph compute what the configuration says? The parts that no tensor's shape shows."""

import math
import re
from collections.abc import Iterator

from pyengine.errors import ModelFormatError
from pyengine.models.config import ModelConfig
from pyengine.models.graph import Graph, Node
from pyengine.models.tensors import Row

_LAYER = re.compile(r"(?:^|/)(?:layers?|block|h)\.(\d{1,5})(?:/|$)")
# Operators that tell an activation from the others, wherever its exporter put the multiplications.
_ACTIVATION_OPERATORS = {"Relu": "relu", "Sigmoid": "silu", "Erf": "gelu", "Tanh": "gelu_tanh"}
_RMS_NORMS = ("layer_norm", "layernorm", "model/norm")  # ends of their module paths
_GELU_FORMS = {"none": "gelu", "tanh": "gelu_tanh"}  # by the operator's attribute `approximate`
# Operators that may stand before it, or beside it in a decomposed form.
_BETWEEN = ("Add", "Mul", "Div", "Cast", "Identity", "Pow", "Reshape")


def check_graph(graph: Graph, stack: str, table: tuple[Row, ...], config: ModelConfig) -> None:
    """Compares a stack's graph with the configuration.

    Checked: the number of layers and heads, the embedding scale, the norms' epsilon, the
    activation, and the factor on the last hidden states.

    Args:
        graph: of the file of that stack.
        stack: "encoder" or "decoder".
        table: the family's rows, which say where in the graph these parts stand.
        config: what config.json says.

    Raises:
        ModelFormatError: names the field, what the graph has and what config.json says.
    """
    file = graph.path.name
    layers = {int(match[1]) for node in graph.nodes if (match := _LAYER.search(node.path))}
    num_layers = getattr(config, f"{stack}_layers")
    _expect(file, f"{stack}_layers", max(layers, default=-1) + 1, num_layers)
    head_dim = getattr(config, f"{stack}_head_dim")
    for node in _nodes(graph, table, f"{stack}.layers.{{i}}.self_attn.q_proj", num_layers):
        for found_dim in _head_dims(graph, node):
            _expect(file, f"width of the {stack}'s attention heads", found_dim, head_dim)
    for scale in _embed_scales(graph):
        _expect(file, "the factor on the embeddings", scale, config.embed_scale)
    for epsilon in _epsilons(graph):
        _expect(file, "the norm's epsilon", epsilon, config.norm_eps)
    product = "gate" if config.gated_ffn else "fc1"
    for node in _nodes(graph, table, f"{stack}.layers.{{i}}.{product}", num_layers):
        if node.op_type not in ("MatMul", "Gemm"):  # what its exporter put beside the product
            continue
        found = _activation(graph, node)
        _expect(file, "activation_function", found, config.activation)
    for scale in _logit_scales(graph) if config.normalize_before else ():
        _expect(file, "the factor on the last hidden states", scale, config.logit_scale)


def _nodes(graph: Graph, table: tuple[Row, ...], name: str, num_layers: int) -> Iterator[Node]:
    """The nodes of a row of the table in every layer."""
    row = next((row for row in table if row.name == name), None)
    for i in range(num_layers) if row else ():
        for path in row.paths(i) if row else ():
            yield from graph.at(path)


def _epsilons(graph: Graph) -> Iterator[float]:
    """What the norms add: an attribute of LayerNormalization, or a constant of an RMS norm."""
    for node in graph.nodes:
        if node.op_type == "LayerNormalization":
            yield node.attribute("epsilon", 1e-5)
        elif node.op_type == "Add" and node.path.endswith(_RMS_NORMS):
            yield from _scalars(node)


def _logit_scales(graph: Graph) -> Iterator[float]:
    """The factor on what enters the output projection; 1 where it is the last norm's own output."""
    for node in graph.output_nodes("logits"):
        producer = node.scope.producers.get(node.inputs[0])
        if node.op_type == "MatMul" and producer is not None and producer.op_type == "Mul":
            factors = list(_scalars(producer))
            yield factors[0] if factors else 1.0


def _scalars(node: Node) -> Iterator[float]:
    """The constant numbers among the inputs of a node."""
    for name in node.inputs:
        operand = node.scope.constant(name) if name else None
        if operand and operand.constant.size == 1:
            yield float(operand.values().flat[0])


def _expect(file: str, what: str, found: object, expected: object) -> None:
    if isinstance(found, float) and isinstance(expected, float):
        equal = math.isclose(found, expected, rel_tol=1e-5)
    else:
        equal = found == expected
    if not equal:
        raise ModelFormatError(f"{file}: {what}: found {found}, expected {expected} by config.json")


def _embed_scales(graph: Graph) -> list[float]:
    """The factors applied to what the token table gives; 1 where it goes into the sum as it is."""
    scales = []
    for node in graph.at("embed_tokens") or graph.at("shared"):
        if node.op_type != "Gather":
            continue
        for consumer in graph.consumers(node):
            if consumer.op_type == "Add":
                scales.append(1.0)
            if consumer.op_type == "Mul":
                scales += _scalars(consumer)
    return scales


def _head_dims(graph: Graph, node: Node) -> list[int]:
    """The last size of the shapes that the output of `node` is given: [..., heads, head_dim]."""
    found = []
    for reshape in graph.consumers(node):
        shape = reshape.inputs[1] if reshape.op_type == "Reshape" and reshape.inputs[1:] else ""
        producer = reshape.scope.producers.get(shape)
        if producer and producer.op_type == "Concat" and producer.inputs:
            shape = producer.inputs[-1]
        operand = reshape.scope.constant(shape)
        size = operand.constant.integer() if operand else None
        if size and size > 0:
            found.append(size)
    return found


def _activation(graph: Graph, node: Node) -> str:
    """The activation in the few nodes after `node`, up to the next product."""
    pending = set(graph.consumers(node))
    for _ in range(6):
        for consumer in pending:
            if consumer.op_type in _ACTIVATION_OPERATORS:
                return _ACTIVATION_OPERATORS[consumer.op_type]
            if consumer.op_type == "Gelu":
                return _GELU_FORMS.get(consumer.attribute("approximate", "none"), "an unknown gelu")
        followed = [consumer for consumer in pending if consumer.op_type in _BETWEEN]
        pending = {reader for consumer in followed for reader in graph.consumers(consumer)}
    return f"none known after {node.path}"
