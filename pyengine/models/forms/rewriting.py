"""One pass over a graph that puts plain operators in the place of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pyengine.errors import UnsupportedModelError
from pyengine.models.constants import Constant
from pyengine.models.graph import Graph, Node, Scope, make_node


class Rewriting:
    """The changes to a graph, of which its own look-ups know nothing before :meth:`finish`.

    Args:
        graph: is changed by `finish`.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._removed: set[Node] = set()
        self._added: list[Node] = []
        self._renamed: dict[tuple[Scope, str], str] = {}

    def remove(self, *nodes: Node) -> None:
        """Take nodes out; what they compute is computed by others, or read by nobody."""
        self._removed.update(nodes)

    def add(
        self,
        near: Node,
        op_type: str,
        inputs: Sequence[str],
        output: str,
        path: str | None = None,
        **attributes: Any,
    ) -> str:
        """Put a node into the graph that holds `near`; what its output is called.

        Args:
            near: whose module path it gets, unless there is a `path`.
        """
        where = near.path if path is None else path
        self._added.append(make_node(near.scope, op_type, where, inputs, output, **attributes))
        return output

    def add_constant(self, near: Node, name: str, value: np.ndarray) -> str:
        """A small stored tensor; its name."""
        from onnx import numpy_helper

        proto = numpy_helper.from_array(value, name)
        near.scope.constants[name] = Constant(name, proto, self.graph.path, False)
        return name

    def rename(self, scope: Scope, name: str, to: str) -> None:
        """Who reads `name` reads `to`; of a graph's output, `name` stays what it is called."""
        self._renamed[scope, name] = to
        if name in scope.outputs:
            self._added.append(make_node(scope, "Identity", "", [to], name))

    def refuse(self, node: Node, expected: str, found: str) -> UnsupportedModelError:
        """The error for a node that does not stand where quantisers and optimisers put it."""
        return UnsupportedModelError(
            f"{self.graph.path.name}: {node.op_type} {node.name!r}: expected {expected}, "
            f"found {found}"
        )

    def input(self, node: Node, index: int) -> str:
        """An input of a node.

        Raises:
            UnsupportedModelError: it lacks it.
        """
        if len(node.inputs) <= index or not node.inputs[index]:
            raise self.refuse(node, f"input {index}", f"{len(node.inputs)} inputs")
        return node.inputs[index]

    def finish(self) -> None:
        """Change the graph."""
        if self._removed or self._added or self._renamed:
            self.graph.replace(self._removed, self._added, self._renamed)


ONNXRUNTIME = "com.microsoft"
"""The domain of its operators; ONNX's own of the same name have other inputs."""

OWN = "pyengine"
"""The domain of operators that stand in a graph only to be evaluated.

See pyengine/models/evaluation/form_operators.py.
"""

Expansion = Callable[[Rewriting, Node], None]
"""What is done with one node."""


def rewrite(graph: Graph, expansions: dict[str, Expansion]) -> None:
    """Expand every node whose operator has an expansion."""
    rewriting = Rewriting(graph)
    for node in graph.nodes:
        expansion = expansions.get(node.op_type)
        if expansion is not None:
            expansion(rewriting, node)
    rewriting.finish()


def add_bias(rewriting: Rewriting, node: Node, x: str, bias: str) -> str:
    """The sum that `node` computed of a product `x` and its bias, in the product's module."""
    producer = node.scope.producer(x)
    path = producer.path if producer is not None else ""
    return rewriting.add(node, "Add", [x, bias], f"{node.outputs[0]}/{x}/sum", path)


def optional(node: Node, index: int) -> str:
    """An input of a node, "" where it has none."""
    return node.inputs[index] if index < len(node.inputs) else ""


def slice_of(
    rewriting: Rewriting, node: Node, whole: str, name: str, axis: int, first: int, size: int
) -> str:
    """A part of a stored tensor; `name` is added to that of the node's output."""
    output = f"{node.outputs[0]}/{name}"
    bounds = {"axes": [axis], "starts": [first], "ends": [first + size]}
    return rewriting.add(node, "Slice", [whole], output, "", **bounds)
