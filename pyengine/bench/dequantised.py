"""Files whose products are of integers, as onnxruntime computes their float32 model.

What a quantised file stands for is its weights' float32 values: how onnxruntime rounds activations,
for a whole tensor at once, is not what the engine is to be measured by.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pyengine.bench.widened import saved
from pyengine.models.forms import find_forms
from pyengine.models.forms.rewriting import rewrite
from pyengine.models.graph import Graph, Node, Scope

if TYPE_CHECKING:
    import onnx


@contextmanager
def dequantised(path: Path) -> Iterator[Path]:
    """The file itself, or a temporary one whose products take float32.

    Weights stay integers behind a DequantizeLinear; those of the activations are gone.

    Raises:
        ModelFormatError, UnsupportedModelError: see ``forms.read_plain``.
    """
    forms = [form for form in find_forms([path]) if form.is_int8]
    if not forms:
        yield path
        return
    import onnx

    graph = Graph(path)
    for form in forms:
        rewrite(graph, form.expansions)
    model = onnx.load(path)
    _replace_nodes(model.graph, graph, graph.root)
    with saved(model, path.name) as place:
        yield place


def _replace_nodes(proto: onnx.GraphProto, graph: Graph, scope: Scope) -> None:
    """The nodes of `scope` in place of those that `proto` has, which keeps its stored tensors."""
    constants = [node for node in proto.node if node.op_type == "Constant"]
    inner = {
        node.output[0]: [a.g for a in node.attribute if a.HasField("g")]
        for node in proto.node
        if node.output and node.output[0] in scope.branches
    }
    for output, parts in inner.items():
        for part, branch in zip(parts, scope.branches[output], strict=True):
            _replace_nodes(part, graph, branch)
    nodes = []
    for node in _in_order(graph, scope):
        written = node.to_proto()
        holders = (a for a in written.attribute if a.HasField("g"))
        for attribute, part in zip(holders, inner.get(node.outputs[0], []), strict=True):
            attribute.g.CopyFrom(part)
        nodes.append(written)
    del proto.node[:], proto.value_info[:]  # a value may have become float32
    proto.node.extend([*constants, *nodes])


def _in_order(graph: Graph, scope: Scope) -> Iterator[Node]:
    """The nodes of a graph, each after those whose values it or a graph inside it reads."""
    entered: set[Node] = set()
    pending = [(node, False) for node in reversed(graph.nodes) if node.scope is scope]
    while pending:
        node, is_ready = pending.pop()
        if is_ready:
            yield node
        if node in entered:
            continue
        entered.add(node)
        pending.append((node, True))
        for name in _read_by(graph, node):
            producer = scope.producers.get(name)
            if producer is not None and producer not in entered:
                pending.append((producer, False))


def _read_by(graph: Graph, node: Node) -> Iterator[str]:
    yield from node.inputs
    for branch in node.scope.branches.get(node.outputs[0], []):
        yield from branch.outputs
        for inner in graph.nodes:
            if inner.scope is branch:
                yield from _read_by(graph, inner)
