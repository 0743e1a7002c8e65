"""Random changes of an ONNX graph in one place, of the kinds that a faulty exporter may make."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import numpy_helper

Graph = onnx.GraphProto
Node = onnx.NodeProto
Mutation = Callable[[random.Random, onnx.ModelProto], str | None]
"""Changes a model in place; says how, or None where the place drawn does not allow it."""

_LARGEST = 64  # numbers in a constant that is changed: no weight of a matrix, but a bias or a norm
_ALIKE = (
    ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"),
    ("Relu", "Tanh", "Sigmoid", "Erf", "Neg", "Abs", "Gelu", "Softmax", "Identity", "Exp", "Sqrt"),
    ("Sqrt", "Reciprocal", "Abs", "Identity", "Cos", "Sin", "Log", "Exp"),
    ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"),
    ("And", "Or", "Xor"),
    ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"),
)
"""Operators that take each other's places."""
_TWINS = (
    *(("key", "value"), ("value", "key"), ("decoder", "encoder"), ("encoder", "decoder")),
    *(("k_proj", "v_proj"), ("v_proj", "k_proj"), ("q_proj", "k_proj"), ("mask", "ids")),
)
"""Parts of names that make another value's name of one."""


def mutate(model: onnx.ModelProto, seed: int) -> tuple[onnx.ModelProto, str]:
    """A copy of `model` with one change, and what it is: "kind: place"."""
    rng = random.Random(seed)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    while True:
        kind = rng.choice(list(MUTATIONS))
        if place := MUTATIONS[kind](rng, changed):
            return changed, f"{kind}: {place}"


def graphs_of(graph: Graph) -> Iterator[Graph]:
    """A graph and those in its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs_of(attribute.g)


def _place(
    rng: random.Random, model: onnx.ModelProto, allowed: Callable[[Node], bool]
) -> tuple[Graph, Node] | None:
    places = [
        (graph, node)
        for graph in graphs_of(model.graph)
        for node in graph.node
        if node.op_type not in ("Constant", "If") and node.output and allowed(node)
    ]
    return rng.choice(places) if places else None


def _name(node: Node) -> str:
    return f"{node.op_type} {node.name or node.output[0]!r}"


def _bypassed(rng: random.Random, model: onnx.ModelProto) -> str | None:
    """A node hands on one of its inputs."""
    place = _place(rng, model, lambda node: any(node.input))
    if place is None:
        return None
    node = place[1]
    name = _name(node)
    source = rng.choice([value for value in node.input if value])
    node.op_type, node.domain = "Identity", ""
    del node.input[:], node.attribute[:], node.output[1:]
    node.input.append(source)
    return f"{name} gives {source!r}"


def _replaced(rng: random.Random, model: onnx.ModelProto) -> str | None:
    """A node gets another operator."""
    place = _place(rng, model, lambda node: any(node.op_type in operators for operators in _ALIKE))
    if place is None:
        return None
    node = place[1]
    name = _name(node)
    others = {op for group in _ALIKE if node.op_type in group for op in group} - {node.op_type}
    node.op_type = rng.choice(sorted(others))
    if not node.op_type.startswith("Reduce"):
        del node.attribute[:]
    return f"{name} becomes {node.op_type}"


def _swapped(rng: random.Random, model: onnx.ModelProto) -> str | None:
    """Two inputs of a node change places."""
    place = _place(rng, model, lambda node: len(set(node.input)) > 1)
    if place is None:
        return None
    node = place[1]
    i, j = rng.sample(range(len(node.input)), 2)
    inputs = list(node.input)
    if inputs[i] == inputs[j]:
        return None
    inputs[i], inputs[j] = inputs[j], inputs[i]
    node.input[:] = inputs
    return f"inputs {i} and {j} of {_name(node)}"


def _rewired(rng: random.Random, model: onnx.ModelProto) -> str | None:
    """A node reads another value that is computed before it."""
    place = _place(rng, model, lambda node: any(node.input))
    if place is None:
        return None
    graph, node = place
    known = [value.name for value in model.graph.input]
    for other in graph.node:
        if other is node:
            break
        known += other.output
    i = rng.randrange(len(node.input))
    source = rng.choice(known[-40:] + known[:8])
    if node.input[i] in ("", source):
        return None
    before, node.input[i] = node.input[i], source
    return f"{_name(node)} reads {source!r}, not {before!r}"


def _attribute(rng: random.Random, model: onnx.ModelProto) -> str | None:
    """An attribute gets another value."""
    place = _place(rng, model, lambda node: len(node.attribute) > 0)
    if place is None:
        return None
    node = place[1]
    attribute = rng.choice(node.attribute)
    before = onnx.helper.get_attribute_value(attribute)
    if attribute.type == onnx.AttributeProto.INT:
        attribute.i += rng.choice([-2, -1, 1, 2])
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f *= rng.choice([0.0, 0.1, 0.5, 2.0, 10.0, -1.0])
    elif attribute.type == onnx.AttributeProto.INTS and len(attribute.ints):
        numbers = list(attribute.ints)
        if attribute.name == "perm":
            rng.shuffle(numbers)
        else:
            numbers[rng.randrange(len(numbers))] += rng.choice([-1, 1])
        attribute.ints[:] = numbers
    elif attribute.type == onnx.AttributeProto.STRING:
        attribute.s = rng.choice([b"none", b"tanh"])
    elif attribute.type == onnx.AttributeProto.TENSOR:
        attribute.t.CopyFrom(_other_numbers(rng, attribute.t))
    else:
        return None
    after = onnx.helper.get_attribute_value(attribute)
    if attribute.type != onnx.AttributeProto.TENSOR and before == after:
        return None
    return f"{attribute.name} of {_name(node)}"


def _constant(rng: random.Random, model: onnx.ModelProto) -> str | None:
    """A number of a small constant changes, for every node that reads it."""
    tensors = []
    for graph in graphs_of(model.graph):
        tensors += [(tensor.name, tensor) for tensor in graph.initializer]
        for node in graph.node:
            for attribute in node.attribute if node.op_type == "Constant" else ():
                if attribute.name == "value":
                    tensors.append((node.output[0], attribute.t))
    small = [pair for pair in tensors if np.prod(pair[1].dims, dtype=int) <= _LARGEST]
    if not small:
        return None
    name, tensor = rng.choice(small)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return None
    before = numpy_helper.to_array(tensor)
    changed = _other_numbers(rng, tensor)
    after = numpy_helper.to_array(changed)
    if np.array_equal(before, after):
        return None
    tensor.CopyFrom(changed)
    return f"{name!r} is {after.ravel()[:4].tolist()}, not {before.ravel()[:4].tolist()}"


def _other_numbers(rng: random.Random, tensor: onnx.TensorProto) -> onnx.TensorProto:
    numbers = numpy_helper.to_array(tensor).copy()
    flat = numbers.reshape(-1)
    if not flat.size:
        return tensor
    i = rng.randrange(flat.size)
    if flat.dtype == bool:
        flat[i] = not flat[i]
    elif np.issubdtype(flat.dtype, np.integer):
        flat[i] = flat[i] + rng.choice([-2, -1, 1, 2]) if abs(int(flat[i])) < 1 << 30 else 3
    else:
        with np.errstate(all="ignore"):
            flat[i] = rng.choice([flat[i] * 2, flat[i] / 2, -flat[i], flat[i] + 1, 0.0])
    return numpy_helper.from_array(numbers, tensor.name)


def _constant_of_one(rng: random.Random, model: onnx.ModelProto) -> str | None:
    """A number of a small constant changes, for one of the nodes that read it."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for graph in graphs_of(model.graph):
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                stored[node.output[0]] = node.attribute[0].t
    small = {name for name, t in stored.items() if np.prod(t.dims, dtype=int) <= _LARGEST}
    place = _place(rng, model, lambda node: not small.isdisjoint(node.input))
    if place is None:
        return None
    node = place[1]
    i = rng.choice([i for i, name in enumerate(node.input) if name in small])
    before = stored[node.input[i]]
    if before.data_location == onnx.TensorProto.EXTERNAL:
        return None
    changed = _other_numbers(rng, before)
    after = numpy_helper.to_array(changed)
    if np.array_equal(numpy_helper.to_array(before), after):
        return None
    changed.name = "changed_constant"
    model.graph.initializer.append(changed)
    was, node.input[i] = node.input[i], changed.name
    return f"{_name(node)} reads {after.ravel()[:4].tolist()}, not {was!r}"


def _other_layer(rng: random.Random, model: onnx.ModelProto) -> str | None:
    """A node reads the value of the same name in another layer, or values in place of keys."""
    known = {value.name for value in model.graph.input}
    known |= {tensor.name for tensor in model.graph.initializer}
    for graph in graphs_of(model.graph):
        known |= {output for node in graph.node for output in node.output}

    def others(name: str) -> list[str]:
        found = [name.replace(a, b) for a, b in _TWINS if a in name]
        found += [
            f"{name[: digit.start()]}{other}{name[digit.end() :]}"
            for digit in re.finditer(r"\d+", name)
            for other in (int(digit[0]) - 1, int(digit[0]) + 1)
        ]
        return sorted(known.intersection(found))

    place = _place(rng, model, lambda node: any(others(name) for name in node.input))
    if place is None:
        return None
    node = place[1]
    i = rng.choice([i for i, name in enumerate(node.input) if others(name)])
    before, node.input[i] = node.input[i], rng.choice(others(node.input[i]))
    return f"{_name(node)} reads {node.input[i]!r}, not {before!r}"


def _inserted(rng: random.Random, model: onnx.ModelProto) -> str | None:
    """A node more between a value and one of its readers."""
    place = _place(rng, model, lambda node: any(node.input))
    if place is None:
        return None
    graph, node = place
    i = rng.choice([i for i, name in enumerate(node.input) if name])
    op_type = rng.choice(["Neg", "Abs", "Tanh", "Relu", "Softmax", "Exp", "Not"])
    extra = onnx.helper.make_node(op_type, [node.input[i]], ["inserted_value"], "inserted")
    graph.node.insert(list(graph.node).index(node), extra)
    node.input[i] = "inserted_value"
    return f"{op_type} before input {i} of {_name(node)}"


def _outputs_swapped(rng: random.Random, model: onnx.ModelProto) -> str | None:
    """Two outputs of a graph, or of a branch, change places."""
    graph = rng.choice(list(graphs_of(model.graph)))
    if len(graph.output) < 2:
        return None
    i, j = rng.sample(range(len(graph.output)), 2)
    first, second = graph.output[i].name, graph.output[j].name
    swap_names(graph, first, second)
    return f"{first!r} and {second!r}"


def swap_names(graph: Graph, first: str, second: str) -> None:
    """Each of two values that nodes of a graph compute gets the name of the other."""
    renamed = {first: second, second: first}
    for node in graph.node:
        node.output[:] = [renamed.get(name, name) for name in node.output]
        node.input[:] = [renamed.get(name, name) for name in node.input]


MUTATIONS: dict[str, Mutation] = {
    "bypass": _bypassed,
    "operator": _replaced,
    "inputs swapped": _swapped,
    "input": _rewired,
    "attribute": _attribute,
    "constant": _constant,
    "constant of one": _constant_of_one,
    "other layer": _other_layer,
    "inserted": _inserted,
    "outputs swapped": _outputs_swapped,
}
