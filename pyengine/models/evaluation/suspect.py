"""Which nodes are to blame where a graph computes something else than its family."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyengine.models.dataflow import Value, input_of
from pyengine.models.evaluation.interpreter import Interpreter
from pyengine.models.graph import Graph, Node

_TOLERANCE = 1e-3
_HIDDEN = -5000.0


def find_suspect(
    graph: Graph, interpreter: Interpreter, steps: Sequence[np.ndarray], mask: np.ndarray
) -> str:
    """The first node whose result is none of the family's though it leads to none either.

    Args:
        graph: whose nodes stand in the order of the model's modules.
        interpreter: after an evaluation of it.
        steps: everything that the family computes on the way.
        mask: [batch, rows], 0 for padding.

    Returns:
        It in words, and where the nodes end of which it is one.
    """
    right = _Steps(steps, mask)
    nodes = interpreter.evaluated_nodes()
    good = {_result(node) for node in nodes if right.include(interpreter.evaluated(_result(node)))}
    cleared = set(good)
    for node in reversed(nodes):
        if _result(node) in cleared:
            cleared.update(input_of(node, i) for i in range(len(node.inputs)))
    evaluated = set(nodes)
    in_order = (node for node in graph.nodes if node in evaluated)
    wrong = [node for node in in_order if _result(node) not in cleared]
    reads_good = [
        node
        for node in wrong
        if _inputs(node) & good and _is_float(interpreter.evaluated(_result(node)))
    ]
    if not wrong:
        return "the graph"
    first = (reads_good or wrong)[0]
    last = next((node for node in wrong[wrong.index(first) :] if is_product(node)), wrong[-1])
    named = f"{first.op_type} {first.name!r}"
    return named if last is first else f"{named} or a node from there to {last.name!r}"


class _Steps:
    """Values to be found whatever their shape; what is computed of padding does not count."""

    def __init__(self, steps: Sequence[np.ndarray], mask: np.ndarray) -> None:
        self._kept = mask == 1
        self._by_size: dict[int, list[np.ndarray]] = defaultdict(list)
        for step in steps:
            self._by_size[step.size] += [step, step.swapaxes(-1, -2)][: step.ndim - 2]

    def include(self, value: Any) -> bool:
        """Whether a value has the numbers of a step."""
        if not _is_float(value):
            return False
        steps = self._by_size.get(value.size, ())
        return any(self._are_equal(value.reshape(step.shape), step) for step in steps)

    def _are_equal(self, value: np.ndarray, step: np.ndarray) -> bool:
        for found, expected, kept in zip(value, step, self._kept, strict=False):
            for axis, size in enumerate(expected.shape):
                if size == len(kept):
                    found, expected = (x.compress(kept, axis) for x in (found, expected))
            hidden = expected < _HIDDEN  # scores that a mask lets count for nothing
            if (found[hidden] > _HIDDEN).any():
                return False
            found, expected = found[~hidden], expected[~hidden]
            if not (np.abs(found - expected) <= _TOLERANCE * np.abs(expected).max(initial=0)).all():
                return False
        return True


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size > 1


def _result(node: Node) -> Value:
    return Value(node.scope, node.outputs[0])


def _inputs(node: Node) -> set[Value]:
    return {input_of(node, i) for i in range(len(node.inputs))}


def is_product(node: Node) -> bool:
    """Whether it multiplies with a stored weight."""
    weight = input_of(node, 1).constant if len(node.inputs) > 1 else None
    return weight is not None and node.op_type in ("MatMul", "Gemm")
