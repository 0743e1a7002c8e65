"""From the table of tensors to values: every row is found in the graph, and no weight is left."""

import dataclasses
import itertools
import math
from collections.abc import Iterator

import numpy as np

from pyengine.errors import ModelFormatError, UnsupportedModelError
from pyengine.models.config import ModelConfig
from pyengine.models.constants import Constant, Operand
from pyengine.models.graph import Graph, Node
from pyengine.models.modules import Modules
from pyengine.models.quantized import SCALE, ZERO_POINT
from pyengine.models.stored import StoredSteps, StoredTensor, same_values, shared
from pyengine.models.tensors import Kind

# Operators that hold a weight or a bias, and which input it is; None: whichever is constant.
_WEIGHTS: dict[Kind, dict[str, int | None]] = {
    Kind.TABLE: {"Gather": 0, "Slice": 0},
    Kind.LINEAR: {"MatMul": 1, "Gemm": 1},
    Kind.NORM: {"LayerNormalization": 1, "RMSNormalization": 1, "Mul": None},
    Kind.ANGLES: {"Expand": 0, "Mul": None, "MatMul": None},
    Kind.LOGITS: {"MatMul": 1, "Gemm": 1},
}
_BIASES: dict[Kind, dict[str, int | None]] = {
    Kind.TABLE: {},
    Kind.LINEAR: {"Add": None, "Gemm": 2},
    Kind.NORM: {"LayerNormalization": 2, "Add": None},
    Kind.ANGLES: {},
    Kind.LOGITS: {"Add": None, "Gemm": 2},
}


def resolve_tensors(
    graph: Graph,
    modules: Modules,
    config: ModelConfig,
    tensors: dict[str, StoredTensor | StoredSteps],
) -> dict[str, list[Operand]]:
    """Adds the canonical tensors of one stack, float32, or int8 weights with their scales.

    Args:
        graph: the file of that stack.
        modules: where the graph has the stack's modules.
        config: gives the shapes.
        tensors: of the stacks before, whose tables this one may share; changed in place.

    Returns:
        Where the graph reads each weight and bias, equal values all.

    Raises:
        UnsupportedModelError: a module lacks a tensor, or the graph holds a weight without a row.
        ModelFormatError: a tensor has another shape than the configuration says, or two values.
    """
    read: dict[str, list[Operand]] = {}
    for name, module in modules.by_name.items():
        row, nodes, where = module.row, module.nodes, module.where
        shape = tuple(getattr(config, size) for size in row.shape)
        weights = list(_operands(nodes, _WEIGHTS[row.kind], math.prod(shape)))
        if not weights:
            raise UnsupportedModelError(
                f"{graph.path.name}: {name}.weight not found: {where} has the "
                f"operators {_op_types(nodes)}, expected {' or '.join(_WEIGHTS[row.kind])}"
            )
        axis = 0 if row.kind is Kind.TABLE else 1
        is_float = not (row.may_be_int8 and weights[0].is_scaled_along(axis))
        weight = _one_value(graph, f"{name}.weight", weights, shape, is_float)
        tensors[f"{name}.weight"] = shared(weight, tensors.get(f"{row.copy_of}.weight"))
        if not is_float and weight.constant.dtype == np.int8:
            _add_steps(name, weights[0], axis, tensors)
        biases = list(_operands(nodes, _BIASES[row.kind], shape[-1]))
        if biases:
            tensors[f"{name}.bias"] = _one_value(graph, f"{name}.bias", biases, shape[-1:], True)
        elif _BIASES[row.kind] and row.bias:
            raise UnsupportedModelError(
                f"{graph.path.name}: {name}.bias not found: {where} has the operators "
                f"{_op_types(nodes)}, expected {' or '.join(_BIASES[row.kind])} with a constant"
            )
        read[f"{name}.weight"] = weights
        if biases:
            read[f"{name}.bias"] = biases
    operands = itertools.chain.from_iterable(read.values())
    _refuse_unused(graph, {constant for operand in operands for constant in operand.constants})
    return read


def _add_steps(
    name: str, weight: Operand, axis: int, tensors: dict[str, StoredTensor | StoredSteps]
) -> None:
    """Adds the scales of an int8 weight, and its zero points unless all are 0."""
    _, zero_points = weight.steps(axis)  # raises for a weight without
    tensors[f"{name}.weight{SCALE}"] = StoredSteps(weight, axis, 0)
    if zero_points.any():
        tensors[f"{name}.weight{ZERO_POINT}"] = StoredSteps(weight, axis, 1)


def _operands(nodes: list[Node], operators: dict[str, int | None], size: int) -> Iterator[Operand]:
    """The constants that `nodes` take where `operators` says.

    Args:
        size: numbers that are expected. Where any input may be the one, a single number is a factor
            or an epsilon, unless one is expected and it is no scalar.
    """
    for node in nodes:
        if node.op_type not in operators:
            continue
        index = operators[node.op_type]
        names = node.inputs if index is None else node.inputs[index : index + 1]
        for name in names:
            operand = node.scope.constant(name) if name else None
            if operand is None:
                continue
            is_single = operand.constant.size == 1 and (size > 1 or not operand.shape)
            if index is not None or not is_single:
                yield _as_matmul(node, operand) if index == 1 else operand


def _as_matmul(node: Node, operand: Operand) -> Operand:
    """The [in, out] form of a weight: Gemm may store it as [out, in]."""
    if node.op_type != "Gemm":
        return operand
    plain = (node.attribute("alpha", 1.0), node.attribute("beta", 1.0), node.attribute("transA", 0))
    if plain != (1.0, 1.0, 0):
        raise UnsupportedModelError(f"Gemm in {node.path!r} scales or transposes its input")
    if not node.attribute("transB", 0) or len(operand.shape) != 2:
        return operand
    first, second = operand.axes or (0, 1)
    return dataclasses.replace(operand, axes=(second, first))


def _one_value(
    graph: Graph, name: str, operands: list[Operand], shape: tuple[int, ...], is_float: bool
) -> StoredTensor:
    for operand in operands:
        found = operand.shape
        if len(shape) == 1:  # a vector may be stored as [1, width] or [1, width, 1]
            found = tuple(size for size in found if size != 1) or (1,)
        if found != shape:
            raise ModelFormatError(
                f"{graph.path.name}: {name} (stored as {operand.constant.name!r}) has shape "
                f"{list(operand.shape)}, expected {list(shape)} by config.json"
            )
    first, *others = dict.fromkeys(operands)  # both branches of a merged decoder read the same
    value = StoredTensor(first, shape, is_float and first.quantization is not None)
    for constant in first.constants:
        constant.check()
    if value.is_float:
        value.steps()  # raises where they do not fit
    elif first.constant.dtype == np.int32 or (is_float and first.constant.dtype == np.int8):
        raise UnsupportedModelError(
            f"{graph.path.name}: {name} (stored as {first.constant.name!r}) is "
            f"{first.constant.type_name} and has no DequantizeLinear"
        )
    for other in others:
        if not same_values(dataclasses.replace(value, operand=other), value):
            stored = sorted({operand.constant.name for operand in operands})
            raise ModelFormatError(f"{graph.path.name}: {name} has different values: {stored}")
    return value


def _refuse_unused(graph: Graph, used: set[Constant]) -> None:
    """A weight that no row of the table took means another architecture: refuse it."""
    reached = graph.reached() if graph.fused else None  # optimisers leave some
    for constant in graph.constants():
        least_rank = 1 if constant.is_initializer else 2  # exporters write ranges as Constant
        if (
            constant.may_be_weight
            and constant.size > 1
            and len(constant.dims) >= least_rank
            and constant not in used
            and (reached is None or constant in reached)
        ):
            raise UnsupportedModelError(
                f"{graph.path.name}: {constant.name!r} of shape {list(constant.dims)} has no "
                "place in this architecture"
            )


def _op_types(nodes: list[Node]) -> str:
    return ", ".join(sorted({node.op_type for node in nodes}))
