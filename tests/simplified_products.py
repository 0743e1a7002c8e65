"""What onnxsim 0.8.1 makes of products, written without it: its nodes name no modules, and what
they compute is called as before."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those in the branches of its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs_of(attribute.g)


class Simplifier:
    """Rewrites the products of one model.

    Args:
        model: is changed.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graphs = list(graphs_of(model.graph))
        self._stored = {t.name: t for graph in self._graphs for t in graph.initializer}
        self._numbers = itertools.count()
        self._root = model.graph

    def flatten_with_heads(self) -> int:
        """As :meth:`flatten`; Reshapes that join and split heads become those of the product."""
        return self.flatten(True)

    def flatten(self, with_heads: bool = False) -> int:
        """A product and its bias: Reshape, Gemm, Reshape. How many there were."""
        done = 0
        for graph in self._graphs:
            by_output = {name: node for node in graph.node for name in node.output}
            for product, add in self._biased(graph):
                weight = self._array(product.input[1])
                bias = next(name for name in add.input if name != product.output[0])
                depth, width = weight.shape
                matrix, rows = self._name(), self._name()
                whole, leading, shape = self._name(), self._name(), self._name()
                flat = self._store(np.array([-1, depth], np.int64))
                bounds = [self._store(np.array([n], np.int64)) for n in (0, -1, width)]
                new = [
                    self._node("Reshape", [product.input[0], flat], matrix),
                    self._node("Gemm", [matrix, product.input[1], bias], rows),
                    self._node("Shape", [product.input[0]], whole),
                    self._node("Slice", [whole, *bounds[:2], bounds[0]], leading),
                    self._node("Concat", [leading, bounds[2]], shape, axis=0),
                    self._node("Reshape", [rows, shape], add.output[0]),
                ]
                joined = by_output.get(product.input[0])
                if with_heads and joined is not None and joined.op_type == "Reshape":
                    new[0].input[0] = joined.input[0]
                readers = [node for node in graph.node if add.output[0] in node.input]
                old = [product, add]
                if with_heads and [node.op_type for node in readers] == ["Reshape"]:
                    new = [
                        *new[:2],
                        self._node("Reshape", [rows, readers[0].input[1]], readers[0].output[0]),
                    ]
                    old.append(readers[0])
                _replace(graph, old, new)
                done += 1
        return done

    def join(self) -> int:
        """Products of one input and one width: one product and a Split. How many there were."""
        done = 0
        for graph in self._graphs:
            by_input = defaultdict(list)
            for product, _ in self._biased(graph):
                by_input[product.input[0], self._array(product.input[1]).shape].append(product)
            for (source, (_, width)), products in by_input.items():
                if len(products) < 2:
                    continue
                weights = [self._array(product.input[1]) for product in products]
                weight = self._store(np.concatenate(weights, axis=1))
                sizes = self._store(np.full(len(products), width, np.int64))
                whole, parts = self._name(), [product.output[0] for product in products]
                split = helper.make_node("Split", [whole, sizes], parts, self._name(), axis=-1)
                _replace(graph, products, [self._node("MatMul", [source, weight], whole), split])
                done += 1
        return done

    def fold_factor(self) -> int:
        """The factor on T5's last hidden states goes into the last norm's weight."""
        done = 0
        for graph in self._graphs:
            by_output = {name: node for node in graph.node for name in node.output}
            head = by_output.get("logits")
            scaled = by_output.get(head.input[0]) if head is not None else None
            if scaled is None or scaled.op_type != "Mul":
                continue
            norm = next(by_output[n] for n in scaled.input if by_output[n].op_type == "Mul")
            factor = next(by_output[n] for n in scaled.input if by_output[n].op_type != "Mul")
            number = numpy_helper.to_array(factor.attribute[0].t)
            weight = next(name for name in norm.input if name in self._stored)
            x = next(name for name in norm.input if name != weight)
            folded = self._store(self._array(weight) * number)
            new = self._node("Mul", [x, folded], scaled.output[0])
            _replace(graph, [norm, scaled], [new])
            done += 1
        return done

    def _biased(self, graph: onnx.GraphProto) -> list[tuple[onnx.NodeProto, onnx.NodeProto]]:
        readers = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                readers[name].append(node)
        found = []
        for node in graph.node:
            adds = readers[node.output[0]] if node.op_type == "MatMul" else []
            if len(adds) != 1 or adds[0].op_type != "Add" or node.input[1] not in self._stored:
                continue
            if any(len(self._stored[n].dims) == 1 for n in adds[0].input if n in self._stored):
                found.append((node, adds[0]))
        return found

    def _array(self, name: str) -> np.ndarray:
        return numpy_helper.to_array(self._stored[name])

    def _name(self) -> str:
        return f"_v_{next(self._numbers)}"

    def _store(self, values: np.ndarray) -> str:
        tensor = numpy_helper.from_array(values, self._name())
        self._root.initializer.append(tensor)
        self._stored[tensor.name] = tensor
        return tensor.name

    def _node(self, op_type: str, inputs: list[str], output: str, **attributes) -> onnx.NodeProto:
        name = f"{op_type}_{next(self._numbers)}"
        return helper.make_node(op_type, inputs, [output], name, **attributes)


def _replace(graph: onnx.GraphProto, old: list[onnx.NodeProto], new: list[onnx.NodeProto]) -> None:
    """Put nodes in the place of the last of some."""
    nodes = list(graph.node)
    at = nodes.index(old[-1])
    kept = [node for node in nodes[:at] if node not in old]
    rest = [node for node in nodes[at + 1 :] if node not in old]
    del graph.node[:]
    graph.node.extend([*kept, *new, *rest])


def simplified(path: Path, out: Path, how: str) -> int:
    """The file with its products as method `how` of Simplifier makes them; how many there were."""
    model = onnx.load(path)
    done: int = getattr(Simplifier(model), how)()
    read = {name for g in graphs_of(model.graph) for node in g.node for name in node.input}
    for graph in graphs_of(model.graph):
        kept = [tensor for tensor in graph.initializer if tensor.name in read]
        del graph.initializer[:]
        graph.initializer.extend(kept)
    onnx.save(model, out)
    return done
