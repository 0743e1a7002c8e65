"""What a graph needs of ONNX's messages: texts, inputs and the values of Constant nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Input:
    """What a graph is given: its type, of TensorProto.DataType, and sizes, None for a free one."""

    data_type: int
    sizes: tuple[int | None, ...]


def text_of(value: str) -> str:
    """A string of the file; UnicodeError for the bytes that protobuf gives if it is not UTF-8."""
    if not isinstance(value, str):
        raise UnicodeError(f"the name {value!r:.60} is not UTF-8")
    return value


def tensor_of(attribute: onnx.AttributeProto) -> onnx.TensorProto | None:
    """The value of a Constant node, which may stand there as plain numbers; None of a text."""
    from onnx import helper, numpy_helper

    if attribute.name == "value":
        return attribute.t
    if attribute.name in ("value_int", "value_ints", "value_float", "value_floats"):
        dtype = np.int64 if "int" in attribute.name else np.float32
        return numpy_helper.from_array(np.array(helper.get_attribute_value(attribute), dtype))
    return None


def input_of_graph(value: onnx.ValueInfoProto) -> Input:
    tensor = value.type.tensor_type
    sizes = (dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    return Input(tensor.elem_type, tuple(sizes))
