"""Does the graph compute what the configuration says? The parts that no tensor's shape shows."""

import math
from collections.abc import Iterator
from typing import Any

from pyengine.errors import ModelFormatError
from pyengine.models.config import ModelConfig
from pyengine.models.graph import Graph, Node
from pyengine.models.modules import Modules
from pyengine.models.number_types import narrowed
from pyengine.models.rope import rotary_frequencies
from pyengine.models.stored import StoredSteps, StoredTensor
from pyengine.models.tensors import Kind

# Operators that tell an activation from the others, wherever its exporter put the multiplications.
_ACTIVATION_OPERATORS = {"Relu": "relu", "Sigmoid": "silu", "Erf": "gelu", "Tanh": "gelu_tanh"}
_GELU_FORMS = {"none": "gelu", "tanh": "gelu_tanh"}  # by the operator's attribute `approximate`
# Operators that may stand before it, or beside it in a decomposed form.
_BETWEEN = ("Add", "Mul", "Div", "Cast", "Identity", "Pow", "Reshape")


def check_graph(graph: Graph, stack: str, modules: Modules, config: ModelConfig) -> None:
    """Compares a stack's graph with the configuration.

    Checked: the number of heads, the embedding scale, the norms' epsilon, the activation, and the
    factor on the last hidden states.

    Args:
        graph: of the file of that stack.
        stack: "encoder" or "decoder".
        modules: which nodes of the graph are which module.
        config: what config.json says.

    Raises:
        ModelFormatError: names the field, what the graph has and what config.json says.
    """
    file = graph.path.name
    layers = range(getattr(config, f"{stack}_layers"))
    head_dim = getattr(config, f"{stack}_head_dim")
    for i in layers:
        for node in modules.nodes(f"{stack}.layers.{i}.self_attn.q_proj"):
            for found_dim in _head_dims(graph, node):
                _expect(file, f"width of the {stack}'s attention heads", found_dim, head_dim)
    for scale in _embed_scales(graph, modules.nodes(f"{stack}.embed_tokens")):
        _expect(file, "the factor on the embeddings", scale, config.embed_scale)
    for epsilon in _epsilons(modules):
        _expect(file, "the norm's epsilon", epsilon, config.norm_eps)
    product = "gate" if config.gated_ffn else "fc1"
    for i in layers:
        for node in modules.nodes(f"{stack}.layers.{i}.{product}"):
            if node.op_type in ("MatMul", "Gemm"):  # not what its exporter put beside the product
                found = _activation(graph, node)
                _expect(file, "activation_function", found, config.activation)
    for scale in _logit_scales(graph) if config.normalize_before else ():
        _expect(file, "the factor on the last hidden states", scale, config.logit_scale)


def check_rotary(
    graph: Graph, frequencies: StoredTensor | StoredSteps, raw: dict[str, Any]
) -> None:
    """Compares the frequencies of rotary positions in a graph with the configuration.

    Args:
        graph: of the decoder.
        frequencies: the tensor "decoder.rotary.weight".
        raw: config.json.

    Raises:
        ModelFormatError: they are not those that config.json means.
    """
    found = frequencies.array()
    for number, expected in zip(found, rotary_frequencies(raw, 2 * len(found)), strict=True):
        file = graph.path.name
        _expect(file, "a frequency of the rotary positions", float(number), float(expected))


def _epsilons(modules: Modules) -> Iterator[float]:
    """What the norms add: an attribute of LayerNormalization, or a constant of its parts."""
    for module in modules.by_name.values():
        for node in module.nodes if module.row.kind is Kind.NORM else ():
            if node.op_type in ("LayerNormalization", "RMSNormalization"):
                yield node.attribute("epsilon", 1e-5)
            elif node.op_type == "Add":
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
        equal = math.isclose(found, expected, rel_tol=1e-5) or found in narrowed(expected)
    else:
        equal = found == expected
    if not equal:
        raise ModelFormatError(f"{file}: {what}: found {found}, expected {expected} by config.json")


def _embed_scales(graph: Graph, nodes: list[Node]) -> list[float]:
    """The factors applied to what the token table gives; 1 where it goes into the sum as it is."""
    scales = []
    for node in nodes:
        if node.op_type != "Gather":
            continue
        for consumer in _readers(graph, node):
            if consumer.op_type == "Add":
                scales.append(1.0)
            if consumer.op_type == "Mul":
                scales += _scalars(consumer)
    return scales


def _readers(graph: Graph, node: Node) -> list[Node]:
    """What reads the output of `node`, also in another number type."""
    readers = list(graph.consumers(node))
    for reader in readers:  # which grows
        if reader.op_type in ("Cast", "Identity"):
            readers += [behind for behind in graph.consumers(reader) if behind not in readers]
    return readers


def _head_dims(graph: Graph, node: Node) -> list[int]:
    """The last size of the shapes that the output of `node` is given: [..., heads, head_dim]."""
    found = []
    for reshape in _readers(graph, node):
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
    return f"none known after {node.path or node.outputs[0]}"
