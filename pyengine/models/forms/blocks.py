"""Weights in blocks of few bits, each block with a scale, as MatMulNBits holds them.

They become float32 weights at load. Sources: onnxruntime's ContribOperators.md (MatMulNBits,
GatherBlockQuantized, MatMulBnb4), the ONNX operator DequantizeLinear with a `block_size`, and for
the numbers that codes of 4 bits stand for bitsandbytes and the paper QLoRA (NF4).
"""

from __future__ import annotations

import numpy as np

from pyengine.models.constants import Computed, Constant
from pyengine.models.forms.rewriting import Expansion, Rewriting, optional
from pyengine.models.graph import Node

# fmt: off
_CODES = (
    ("fp4", (0.0, 0.0052083333, 0.66666667, 1.0, 0.33333333, 0.5, 0.16666667, 0.25,
             0.0, -0.0052083333, -0.66666667, -1.0, -0.33333333, -0.5, -0.16666667, -0.25)),
    ("nf4", (-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
             -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
             0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
             0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0)),
)
# fmt: on
"""Name and numbers of each `quant_type` of MatMulBnb4."""


def _product(rewriting: Rewriting, node: Node) -> None:
    """MatMulNBits(x, blocks [N, blocks, bytes], scales, zero points, order of the inputs, bias)."""
    depth, columns = (node.attribute(name, 0) for name in ("K", "N"))
    bits, block = node.attribute("bits", 4), node.attribute("block_size", 0)
    if bits not in (2, 4, 8) or block < 16 or block & (block - 1) or optional(node, 4):
        found = f"bits {bits}, block_size {block}, g_idx {optional(node, 4)!r}"
        raise rewriting.refuse(node, "bits 2, 4 or 8, block_size 16, 32, ... and no g_idx", found)
    packed, scales = (_stored(rewriting, node, rewriting.input(node, i)) for i in (1, 2))
    zeros = _stored(rewriting, node, optional(node, 3)) if optional(node, 3) else None
    blocks = -(-depth // block)
    _expect(rewriting, node, packed, "uint8", columns * blocks * block * bits // 8)
    _expect(rewriting, node, scales, "float32", columns * blocks)
    are_floats = zeros is not None and zeros.type_name != "uint8"
    if zeros is not None and not are_floats:
        _expect(rewriting, node, zeros, "uint8", columns * -(-blocks * bits // 8))
    if zeros is not None and are_floats:
        _expect(rewriting, node, zeros, "float32", columns * blocks)

    def expand() -> np.ndarray:
        """float32 [N, K]."""
        integers = _unpacked(packed, columns * blocks, bits)[:, :block].astype(np.float32)
        if zeros is None:
            zero_points = np.full((columns, blocks), 1 << bits - 1, np.float32)
        elif are_floats:
            zero_points = zeros.array()
        else:
            zero_points = _unpacked(zeros, columns, bits)[:, :blocks].astype(np.float32)
        integers -= zero_points.reshape(-1, 1)
        integers *= scales.array().reshape(-1, 1)
        return integers.reshape(columns, blocks * block)[:, :depth]

    sources = [packed, scales] + ([zeros] if zeros is not None else [])
    name = f"{packed.name}/float32"
    weight = Computed(name, (columns, depth), sources, expand, f"int{bits} in blocks of {block}")
    _multiply(rewriting, node, weight)


def _coded_product(rewriting: Rewriting, node: Node) -> None:
    """MatMulBnb4(x, codes [(N K + 1) / 2], largest of each block): blocks run over rows."""
    depth, columns = (node.attribute(name, 0) for name in ("K", "N"))
    kind, block = node.attribute("quant_type", 0), node.attribute("block_size", 0)
    if not 0 <= kind < len(_CODES) or block < 1 or not node.attribute("transB", 1):
        found = f"quant_type {kind}, block_size {block}, transB {node.attribute('transB', 1)}"
        raise rewriting.refuse(node, "quant_type 0 or 1, a block_size and transB 1", found)
    size = depth * columns
    packed, largest = (_stored(rewriting, node, rewriting.input(node, i)) for i in (1, 2))
    _expect(rewriting, node, packed, "uint8", (size + 1) // 2)
    _expect(rewriting, node, largest, "float32", -(-size // block))
    codes, numbers = _CODES[kind]

    def expand() -> np.ndarray:
        """float32 [N, K]; of the two codes in a byte the first has the higher bits."""
        pairs = _unpacked(packed, 1, 4).reshape(-1, 2)[:, ::-1]
        values: np.ndarray = np.array(numbers, np.float32)[pairs.ravel()[:size]]
        values *= np.repeat(largest.array().ravel(), block)[:size]
        return values.reshape(columns, depth)

    name = f"{packed.name}/float32"
    stored_as = f"{codes} in blocks of {block}"
    _multiply(
        rewriting, node, Computed(name, (columns, depth), [packed, largest], expand, stored_as)
    )


def _multiply(rewriting: Rewriting, node: Node, weight: Constant) -> None:
    """A product with the transposed weight, and the bias after it."""
    name, output, bias = f"{node.outputs[0]}/weight", node.outputs[0], optional(node, 5)
    node.scope.constants[name] = weight
    turned = rewriting.add(node, "Transpose", [name], f"{name}/transposed", "", perm=[1, 0])
    rewriting.remove(node)
    product = f"{output}/product" if bias else output
    rewriting.add(node, "MatMul", [rewriting.input(node, 0), turned], product)
    if bias:
        rewriting.add(node, "Add", [product, bias], output)


def _gathered(rewriting: Rewriting, node: Node) -> None:
    """GatherBlockQuantized(table [rows, width], indices, scales [rows, blocks], zero points)."""
    if node.attribute("gather_axis", 0) != 0:
        raise rewriting.refuse(node, "gather_axis 0", str(node.attribute("gather_axis", 0)))
    inputs = [rewriting.input(node, 0), rewriting.input(node, 2), optional(node, 3)]
    table = _blocked(rewriting, node, inputs, node.attribute("quantize_axis", 1))
    name = f"{node.outputs[0]}/weight"
    node.scope.constants[name] = table
    rewriting.remove(node)
    rewriting.add(node, "Gather", [name, rewriting.input(node, 1)], node.outputs[0], axis=0)


def _dequantized(rewriting: Rewriting, node: Node) -> None:
    """DequantizeLinear of a stored tensor with a `block_size`."""
    if node.attribute("block_size", 0) and node.scope.constant(rewriting.input(node, 0)):
        inputs = [rewriting.input(node, 0), rewriting.input(node, 1), optional(node, 2)]
        table = _blocked(rewriting, node, inputs, node.attribute("axis", 1))
        rewriting.remove(node)
        node.scope.constants[node.outputs[0]] = table


def _blocked(rewriting: Rewriting, node: Node, inputs: list[str], axis: int) -> Constant:
    """The float32 values of integers of which every `block_size` along an axis share a scale."""
    values, scales = (_stored(rewriting, node, name) for name in inputs[:2])
    zeros = _stored(rewriting, node, inputs[2]) if inputs[2] else None
    block, rank = node.attribute("block_size", 128), len(values.dims)
    if values.type_name not in ("int4", "uint4", "int8") or rank != 2 or block < 1:
        found = f"{values.type_name} {list(values.dims)} with block_size {block}"
        raise rewriting.refuse(node, "a matrix of int4, uint4 or int8", found)
    axis %= rank
    shape = list(values.dims)
    shape[axis] = -(-shape[axis] // block)
    _expect(rewriting, node, scales, "float32", shape[0] * shape[1])
    if zeros is not None:
        _expect(rewriting, node, zeros, values.type_name, shape[0] * shape[1])

    def spread(constant: Constant) -> np.ndarray:
        """One number of a block for each number in it."""
        repeated = np.repeat(constant.array().reshape(shape), block, axis)
        return repeated[: values.dims[0], : values.dims[1]]

    def expand() -> np.ndarray:
        result = values.array().astype(np.float32)
        if zeros is not None:
            result -= spread(zeros)
        result *= spread(scales)
        return result

    sources = [values, scales] + ([zeros] if zeros is not None else [])
    name, stored_as = f"{values.name}/float32", f"{values.type_name} in blocks of {block}"
    return Computed(name, values.dims, sources, expand, stored_as)


def _unpacked(constant: Constant, rows: int, bits: int) -> np.ndarray:
    """The unsigned integers in the bytes of each row, the lowest bits first."""
    packed = (constant.array().view(np.uint8) ^ 128).reshape(rows, -1, 1)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    return ((packed >> shifts) & ((1 << bits) - 1)).reshape(rows, -1)


def _stored(rewriting: Rewriting, node: Node, name: str) -> Constant:
    operand = node.scope.constant(name)
    if operand is None or operand.axes or operand.quantization:
        raise rewriting.refuse(node, "stored tensors", f"{name!r} computed")
    return operand.constant


def _expect(rewriting: Rewriting, node: Node, tensor: Constant, kind: str, size: int) -> None:
    """The type and the size of a tensor; "float32" is also one that is read as float32."""
    found = str(tensor.dtype) if kind == "float32" else tensor.type_name
    if found != kind or tensor.size != size:
        raise rewriting.refuse(
            node, f"{size} numbers of {kind}", f"{tensor.name!r} {tensor.type_name} {tensor.dims}"
        )


EXPANSIONS: dict[str, Expansion] = {
    "MatMulNBits": _product,
    "MatMulBnb4": _coded_product,
    "GatherBlockQuantized": _gathered,
    "DequantizeLinear": _dequantized,
}
