"""Evaluates values of a graph, and nothing that they do not need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyengine import exits
from pyengine.models.dataflow import Value
from pyengine.models.evaluation import (
    attention_operators,
    elementwise,
    form_operators,
    shaping,
)
from pyengine.models.evaluation.elementwise import Operator
from pyengine.models.evaluation.surrogates import Factors, Surrogates
from pyengine.models.forms.rewriting import ONNXRUNTIME, OWN
from pyengine.models.graph import Graph, Node, Scope

_ONNX = {**elementwise.OPERATORS, **shaping.OPERATORS, **attention_operators.OPERATORS}
_OPERATORS: dict[str, dict[str, Operator]] = {
    "": _ONNX,
    "ai.onnx": _ONNX,
    OWN: form_operators.OPERATORS,
    ONNXRUNTIME: {"Gelu": _ONNX["Gelu"]},
}
"""By domain."""
_TAKE_WEIGHTS = frozenset(
    {"MatMul", "Gemm", "Gather", "Slice", "Shape", "Identity", "Cast", "RelativeBuckets"}
)
_Key = tuple[Scope, str]


class EvaluationError(Exception):
    """A node cannot be evaluated.

    Args:
        node: which.
        reason: what it was given, or NumPy's own words.
    """

    def __init__(self, node: Node | None, reason: str) -> None:
        super().__init__(reason)
        self.node = node


class Wiring:
    """What the values of a graph are made of, found out once for all evaluations.

    Args:
        graph: in the operators of a plain export.
        surrogates: of its weights.
    """

    def __init__(self, graph: Graph, surrogates: Surrogates) -> None:
        self.root = graph.root
        self._surrogates = surrogates
        self._constants: dict[_Key, Any] = {}
        self._sources: dict[_Key, tuple[Node, list[_Key]]] = {}

    def constant(self, key: _Key) -> Any:
        """A stored tensor, or what stands in for it, also behind its transposition; else None."""
        if key not in self._constants:
            self._constants[key] = self._constant(*key)
        return self._constants[key]

    def sources(self, key: _Key) -> tuple[Node, list[_Key]]:
        """The node that computes a value, and the values that it reads."""
        found = self._sources.get(key)
        if found is None:
            scope, name = key
            node = scope.producers.get(name)
            if node is None:
                raise EvaluationError(None, f"the graph has no value {name!r}")
            found = node, [_defined(scope, source) for source in node.inputs]
            self._sources[key] = found
        return found

    def _constant(self, scope: Scope, name: str) -> Any:
        is_stored = name in scope.constants
        node = scope.producers.get(name)
        if not is_stored and (node is None or node.op_type not in _SEEN_THROUGH):
            return None
        operand = scope.constant(name)
        if operand is None:
            return None
        found = self._surrogates.of(operand)
        if found is None and is_stored:
            return operand.constant.numbers()
        if found is None and operand.quantization is not None:
            return operand.values()
        return found


class Interpreter:
    """One evaluation of a graph.

    Args:
        wiring: of the graph.
        inputs: of the graph, by name.
    """

    def __init__(self, wiring: Wiring, inputs: Mapping[str, np.ndarray]) -> None:
        self._known: dict[_Key, Any] = {(wiring.root, name): x for name, x in inputs.items()}
        self._known[wiring.root, ""] = None
        self._wiring = wiring

    def evaluated(self, value: Value) -> Any:
        """What was computed for `value` on the way to others; None if nothing was."""
        return self._known.get((value.scope, value.name))

    def evaluated_nodes(self) -> list[Node]:
        """Those whose first output was computed, each after those that it reads."""
        keys = (key for key in self._known if key[1] not in key[0].constants)
        nodes = ((name, scope.producers.get(name)) for scope, name in keys)
        return [node for name, node in nodes if node is not None and node.outputs[0] == name]

    def taken(self, value: Value) -> Value:
        """What `value` is but for shape and number type, in the branches that are taken."""
        while (node := value.plain.producer) is not None and node.op_type == "If":
            self.evaluate(Value(*_defined(node.scope, node.inputs[0])))
            value = Value(*self._branch_output(node, value.plain.name))
        return value

    def evaluate(self, value: Value) -> Any:
        """The numbers of `value`.

        Raises:
            EvaluationError: a node has inputs that it cannot take, or is not known.
        """
        with np.errstate(all="ignore"):
            return self._evaluate(_defined(value.scope, value.name))

    def _evaluate(self, target: _Key) -> Any:
        pending = [target]
        opened: set[_Key] = set()
        while pending:
            key = pending[-1]
            if key in self._known:
                pending.pop()
                continue
            missing = self._missing(key)
            if missing and key in opened:
                node = key[0].producers.get(key[1])
                raise EvaluationError(node, f"{key[1]!r} is computed from itself")
            if missing:
                opened.add(key)
                pending += missing
            else:
                self._compute(key)
        return self._known[target]

    def _missing(self, key: _Key) -> list[_Key]:
        """The values that must be known before `key` is; a constant is made known here."""
        if (constant := self._wiring.constant(key)) is not None:
            self._known[key] = constant
            return []
        node, sources = self._wiring.sources(key)
        missing = [source for source in sources if source not in self._known]
        if not missing and node.op_type == "If":
            output = self._branch_output(node, key[1])
            return [] if output in self._known else [output]
        return missing

    def _branch_output(self, node: Node, name: str) -> _Key:
        """The value of the branch taken that is output `name` of an If."""
        condition = self._known[_defined(node.scope, node.inputs[0])]
        branches = {branch.attribute: branch for branch in node.scope.branches[node.outputs[0]]}
        branch = branches.get("then_branch" if condition.item() else "else_branch")
        index = node.outputs.index(name)
        if branch is None or index >= len(branch.outputs):
            raise EvaluationError(node, f"no branch gives {name!r}")
        return _defined(branch, branch.outputs[index])

    def _compute(self, key: _Key) -> None:
        if key in self._known:
            return
        scope, name = key
        node, sources = self._wiring.sources(key)
        if node.op_type == "If":
            self._known[key] = self._known[self._branch_output(node, name)]
            return
        inputs = [self._known[source] for source in sources]
        if node.op_type not in _TAKE_WEIGHTS:
            inputs = [x.dense() if isinstance(x, Factors) else x for x in inputs]
        try:
            results = self._scanned(node, inputs) or _applied(node, inputs)
        except EvaluationError:
            raise
        except Exception as error:  # whatever NumPy has against what a damaged graph gives it
            raise EvaluationError(node, f"{type(error).__name__}: {error}") from error
        for output, result in zip(node.outputs, results, strict=False):
            if np.size(result) > shaping.MOST:
                raise EvaluationError(node, f"its result has the shape {list(np.shape(result))}")
            self._known[scope, output] = result
        if key not in self._known:
            raise EvaluationError(node, f"output {name!r} is not evaluated")

    def _scanned(self, node: Node, inputs: list[Any]) -> list[Any]:
        """The last states and the stacked outputs of a Scan over the first axes; [] of others."""
        if node.op_type != "Scan" or node.domain:
            return []
        body = node.scope.branches[node.outputs[0]][0]
        num_scanned = node.attribute("num_scan_inputs", 1)
        states, scanned = inputs[:-num_scanned], inputs[-num_scanned:]
        directions = {
            direction
            for name in ("scan_input_directions", "scan_output_directions")
            for direction in node.attribute(name, [0])
        }
        axes = node.attribute("scan_input_axes", [0] * num_scanned)
        out_axes = node.attribute("scan_output_axes", [0] * (len(body.outputs) - len(states)))
        if directions != {0}:
            raise NotImplementedError("a Scan from the end")
        steps: list[list[Any]] = []
        for items in zip(*map(_along, scanned, axes), strict=True):
            given = zip(body.inputs, [*states, *items], strict=True)
            self._known = {k: v for k, v in self._known.items() if k[0] is not body}
            self._known.update({(body, name): x for name, x in given})
            results = [self.evaluate(Value(body, name)) for name in body.outputs]
            states, rest = results[: len(states)], results[len(states) :]
            steps.append(rest)
        outputs = zip(*steps, strict=True)
        stacked = [np.stack(x, axis) for x, axis in zip(outputs, out_axes, strict=True)]
        return [*states, *stacked]


_SEEN_THROUGH = frozenset({"Identity", "Cast", "Transpose", "DequantizeLinear", "Slice"})


def _along(x: Any, axis: int) -> Any:
    return np.moveaxis(x, axis, 0)


def _applied(node: Node, inputs: list[Any]) -> list[Any]:
    operator = _OPERATORS.get(node.domain, {}).get(node.op_type)
    result = operator(node, *inputs) if operator else _by_reference(node, inputs)
    return result if isinstance(result, list) else [result]


def _by_reference(node: Node, inputs: list[Any]) -> list[Any]:
    """An operator that exports seldom have, by the implementation in the onnx package."""
    if node.domain not in ("", "ai.onnx"):
        raise NotImplementedError(f"{node.domain}.{node.op_type} is not known here")
    given = {name: x for name, x in zip(node.inputs, inputs, strict=True) if name}
    with exits.guarded_imports:
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(node.to_proto())  # imports its operators
    return list(evaluator.run(None, given))


def _defined(scope: Scope, name: str) -> _Key:
    """The scope that defines a name, and the name; a graph's inputs count to the outer one."""
    while (
        name not in scope.producers
        and name not in scope.constants
        and name not in scope.inputs
        and scope.parent
    ):
        scope = scope.parent
    return scope, name
