"""The tensors stored in an ONNX file, and how an operator sees them."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyengine.errors import ModelFormatError, UnsupportedModelError
from pyengine.models.external_data import external_span
from pyengine.models.number_types import NUMBER_TYPES, NumberType
from pyengine.models.storage import Span

if TYPE_CHECKING:
    import onnx

FLOAT, INT32, INT64, BOOL = 1, 6, 7, 9  # of TensorProto.DataType
_INDICES = {INT32: "<i4", INT64: "<i8", BOOL: "?", 4: "<u2", 5: "<i2"}
"""Types of shapes, indices and conditions, and of zero points of 16 bits."""
EXTERNAL = 1  # TensorProto.DataLocation.EXTERNAL
_MOST_SIZES = 64
"""Of a tensor of sizes; no operator's has more."""
MAX_RANK = 16  # No real model comes near; it bounds the work that a hostile file can cause.
_BLOCK = 1 << 20  # stored numbers converted at once


class Constant:
    """A tensor stored in the file: an initializer, or the value of a Constant node.

    Args:
        name: as the graph calls it.
        proto: its shape and type, and its data unless `span` or an external file holds that.
        model_path: the ONNX file.
        is_initializer: it is not the value of a Constant node.
        span: where the data lies in the ONNX file.

    Attributes:
        name, is_initializer: as above.
        dims: the shape.
    """

    def __init__(
        self,
        name: str,
        proto: onnx.TensorProto,
        model_path: Path,
        is_initializer: bool,
        span: Span | None = None,
    ) -> None:
        self.name = name
        self.is_initializer = is_initializer
        self.dims = tuple(proto.dims)
        if len(self.dims) > MAX_RANK:
            raise ModelFormatError(
                f"{model_path.name}: {name!r} has {len(self.dims)} dimensions, "
                f"expected at most {MAX_RANK}"
            )
        self._proto = proto
        self._model_path = model_path
        self._span = span
        self._values: weakref.ref[np.ndarray] | None = None

    @property
    def may_be_weight(self) -> bool:
        """Of integers of 4 or 8 bits or a floating-point type, whatever its width."""
        return self._proto.data_type in NUMBER_TYPES and self._proto.data_type != INT32

    @property
    def sources(self) -> tuple[Constant, ...]:
        """The stored tensors that the values come from."""
        return (self,)

    @property
    def size(self) -> int:
        """Number of elements, by the shape."""
        return math.prod(self.dims)

    def array(self) -> np.ndarray:
        """The values of shape `dims`, read-only.

        float32, int32 or int8: as int8 come also integers of 4 bits, and uint8 less 128.

        Read from the file, unless an array of an earlier call is still in use: then the same
        memory.

        Raises:
            UnsupportedModelError: of another type.
            ModelFormatError: the stored data does not fit the shape, or cannot be reached.
        """
        values = self._values() if self._values else None
        if values is None:
            values = self._read(self.check())
            values.flags.writeable = False
            self._values = weakref.ref(values)
        return values.reshape(self.dims)

    def numbers(self) -> np.ndarray:
        """The values of any type: what :meth:`array` gives, or a shape, indices or conditions.

        Raises:
            UnsupportedModelError, ModelFormatError: as :meth:`array`.
        """
        kind = self._proto.data_type
        if kind not in _INDICES:
            return self.array()
        dtype, proto = np.dtype(_INDICES[kind]), self._proto
        span, num_bytes = self._span, dtype.itemsize * self.size
        if proto.data_location == EXTERNAL:
            span = external_span(proto, self._model_path, num_bytes)
        if span:
            values = span.read(self.where, dtype.str)
        elif proto.HasField("raw_data"):
            whole = len(proto.raw_data) // dtype.itemsize
            values = np.frombuffer(proto.raw_data, dtype, whole)
        else:
            values = np.array(proto.int64_data if kind == INT64 else proto.int32_data, dtype)
        if values.size != self.size or any(dim < 0 for dim in self.dims):
            raise ModelFormatError(
                f"{self.where} holds {values.size} numbers, expected {self.size} "
                f"for shape {list(self.dims)}"
            )
        return values.reshape(self.dims)

    def blocks(self, size: int) -> Iterator[tuple[int, np.ndarray]]:
        """The values a part after the other: (index in the first dimension, rows from there on).

        Args:
            size: numbers of a part at most, unless one row has more.
        """
        span = self.check()
        row_size = self.size // self.dims[0]
        rows = max(1, size // row_size)
        for start in range(0, self.dims[0], rows):
            count = min(rows, self.dims[0] - start)
            if span is None or self.number_type.per_stored > 1:
                yield start, self.array()[start : start + count]
            else:
                width = self.number_type.stored.itemsize * row_size
                part = span.part(start * width, count * width)
                yield start, self._read_span(part).reshape(count, *self.dims[1:])

    def check(self) -> Span | None:
        """Where the values lie, None if in the graph; raises what :meth:`array` does."""
        proto, number_type = self._proto, self.number_type
        num_bytes = number_type.stored.itemsize * number_type.num_stored(self.size)
        if any(dim < 1 for dim in self.dims):
            raise ModelFormatError(
                f"{self.where} has shape {list(self.dims)}, expected positive sizes"
            )
        span = self._span
        is_raw = proto.HasField("raw_data")
        if proto.data_location == EXTERNAL:
            span = external_span(proto, self._model_path, num_bytes)
        elif span and is_raw:
            raise ModelFormatError(f"{self.where} has its data twice")
        if span:
            found_bytes = span.length
        elif is_raw:
            found_bytes = len(proto.raw_data)
        else:
            found_bytes = number_type.stored.itemsize * len(self._listed)
        if found_bytes != num_bytes:
            raise ModelFormatError(
                f"{self.where} holds {found_bytes} bytes, expected {num_bytes} "
                f"for shape {list(self.dims)}"
            )
        if span:
            span.check(self.where)
        return span

    def integer(self) -> int | None:
        """The last number of a small int64 tensor, such as a shape; None for any other tensor."""
        if self._proto.data_type != INT64:
            return None
        data = self._proto.raw_data
        values = np.frombuffer(data[-8:], "<i8") if len(data) >= 8 else self._proto.int64_data
        return int(values[-1]) if len(values) else None

    def integers(self) -> list[int]:
        """The numbers of a small int64 tensor, such as sizes; none of any other tensor."""
        if self._proto.data_type != INT64 or self.size > _MOST_SIZES:
            return []
        data = self._proto.raw_data
        return [int(x) for x in np.frombuffer(data, "<i8")] if data else [*self._proto.int64_data]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values; raises UnsupportedModelError for a type that is not read."""
        return self.number_type.dtype

    @property
    def number_type(self) -> NumberType:
        """Of the stored numbers; raises UnsupportedModelError for a type that is not read."""
        kind = self._proto.data_type
        if kind not in NUMBER_TYPES:
            supported = ", ".join(number_type.name for number_type in NUMBER_TYPES.values())
            raise UnsupportedModelError(
                f"{self.where} is of type {self.type_name}, supported are {supported}"
            )
        return NUMBER_TYPES[kind]

    @property
    def type_name(self) -> str:
        """The type of the stored numbers, such as "uint8"."""
        import onnx

        kind = self._proto.data_type
        if kind in NUMBER_TYPES:
            return NUMBER_TYPES[kind].name
        known = kind in onnx.TensorProto.DataType.values()
        return str(onnx.TensorProto.DataType.Name(kind)).lower() if known else f"number {kind}"

    @property
    def stored_as(self) -> str:
        """What the weight's numbers are in the file, such as "uint8"."""
        return self.type_name

    @property
    def where(self) -> str:
        """What errors call it."""
        return f"{self._model_path.name}: {self.name!r}"

    def _read(self, span: Span | None) -> np.ndarray:
        """[size], in memory of its own."""
        number_type, proto = self.number_type, self._proto
        if span and number_type.per_stored == 1:
            return self._read_span(span)
        if span:
            stored = span.read(self.where, number_type.stored.str)
        elif proto.HasField("raw_data"):
            stored = np.frombuffer(proto.raw_data, number_type.stored)
        else:
            try:
                stored = number_type.from_list(self._listed)
            except OverflowError as error:
                raise ModelFormatError(f"{self.where} is no {number_type.name}: {error}") from error
        values = np.empty(self.size, number_type.dtype)
        number_type.convert(stored, values)
        return values

    def _read_span(self, span: Span) -> np.ndarray:
        """The values of all or a part of the file's bytes; converted in blocks, not copied."""
        number_type = self.number_type
        if number_type.is_plain:
            return span.read(self.where, number_type.stored.str)
        width = number_type.stored.itemsize
        values = np.empty(span.length // width, number_type.dtype)
        for start in range(0, values.size, _BLOCK):
            block = values[start : start + _BLOCK]
            part = span.part(start * width, block.size * width)
            number_type.convert(part.read(self.where, number_type.stored.str), block)
        return values

    @property
    def _listed(self) -> Any:
        """The numbers that stand in the graph one by one."""
        return getattr(self._proto, self.number_type.listed)


class Computed(Constant):
    """A float32 tensor that no file holds, made from some that one does.

    Args:
        name, dims: as of a Constant.
        sources: what it is made from.
        compute: gives the values.
        stored_as: what the numbers are in the file.
    """

    def __init__(
        self,
        name: str,
        dims: tuple[int, ...],
        sources: Sequence[Constant],
        compute: Callable[[], np.ndarray],
        stored_as: str = "float32",
    ) -> None:
        import onnx

        first = sources[0]
        super().__init__(
            name, onnx.TensorProto(dims=dims, data_type=FLOAT), first._model_path, True
        )
        self._sources = tuple(sources)
        self._compute = compute
        self._stored_as = stored_as

    @property
    def stored_as(self) -> str:
        """What the weight's numbers are in the file."""
        return self._stored_as

    @property
    def sources(self) -> tuple[Constant, ...]:
        """The stored tensors that the values come from."""
        return (self, *self._sources)

    def check(self) -> Span | None:
        """Raises what :meth:`array` does."""
        for source in self._sources:
            source.check()
        return None

    def _read(self, span: Span | None) -> np.ndarray:
        return np.ascontiguousarray(self._compute(), np.float32).ravel()


@dataclass(frozen=True)
class Quantization:
    """What integers stand for: scale * (integer - zero point).

    Attributes:
        scale: float32, one number, or one for each entry of the constant's axis `axis`.
        zero_point: of the type of the integers, as many; None for 0.
        axis: of the constant as stored.
    """

    scale: Constant
    zero_point: Constant | None
    axis: int

    @property
    def constants(self) -> list[Constant]:
        """The scale, and the zero point if there is one."""
        return [self.scale] if self.zero_point is None else [self.scale, self.zero_point]

    def steps(self, constant: Constant) -> tuple[np.ndarray, np.ndarray]:
        """Scales and zero points of `constant`, float32 vectors, for what Constant.array gives.

        Raises:
            ModelFormatError: they fit neither each other nor the constant.
        """
        scales = self.scale.array().ravel()
        if scales.dtype != np.float32:
            raise ModelFormatError(
                f"{self.scale.where}, the scale of {constant.name!r}, is {self.scale.type_name}, "
                "expected float32"
            )
        allowed = {1, constant.dims[self.axis % len(constant.dims)] if constant.dims else 1}
        if scales.size not in allowed:
            raise ModelFormatError(
                f"{self.scale.where}, the scale of {constant.name!r} {list(constant.dims)} along "
                f"axis {self.axis}, has {scales.size} numbers, expected "
                f"{' or '.join(map(str, sorted(allowed)))}"
            )
        if self.zero_point is None:
            return scales, np.full(scales.size, -constant.number_type.offset, np.float32)
        if self.zero_point.type_name != constant.type_name:
            raise ModelFormatError(
                f"{self.zero_point.where}, the zero point of {constant.name!r}, is "
                f"{self.zero_point.type_name}, expected {constant.type_name}"
            )
        if self.zero_point.size != scales.size:
            raise ModelFormatError(
                f"{self.zero_point.where}, the zero point of {constant.name!r}, has "
                f"{self.zero_point.size} numbers, expected {scales.size} as its scale"
            )
        return scales, self.zero_point.array().ravel().astype(np.float32)


@dataclass(frozen=True)
class Operand:
    """A constant as an operator sees it.

    Attributes:
        constant: where the values come from.
        axes: permutation of its axes; () for none.
        quantization: what a DequantizeLinear makes of its integers; None without one.
        part: (axis as stored, first, end) of what is seen of it; None for all of it.
    """

    constant: Constant
    axes: tuple[int, ...] = ()
    quantization: Quantization | None = None
    part: tuple[int, int, int] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """After the cut and the permutation."""
        dims = list(self.constant.dims)
        if self.part is not None:
            axis, first, end = self.part
            dims[axis] = end - first
        return tuple(dims[axis] for axis in self.axes) if self.axes else tuple(dims)

    @property
    def constants(self) -> list[Constant]:
        """All stored tensors that the values are made of."""
        found = list(self.constant.sources)
        return found if self.quantization is None else [*found, *self.quantization.constants]

    def array(self) -> np.ndarray:
        """What Constant.array gives, of `shape`, without its scale; raises what that does."""
        return self._seen(self.constant.array())

    def values(self) -> np.ndarray:
        """float32 of `shape`: scale * (integer - zero point) of integers.

        Raises:
            ModelFormatError: scale or zero point do not fit.
        """
        stored = self.constant.array()
        if self.quantization is None:
            return self._seen(stored)
        scales, zero_points = self.quantization.steps(self.constant)
        if scales.size > 1:
            along = [1] * stored.ndim
            along[self.quantization.axis % stored.ndim] = -1
            scales, zero_points = scales.reshape(along), zero_points.reshape(along)
        # Differences of 8-bit integers are exact; int32 without a zero point is rounded once.
        values = np.subtract(stored, zero_points, dtype=np.float32)
        np.multiply(values, scales, out=values)
        return self._seen(values)

    def is_scaled_along(self, axis: int) -> bool:
        """Whether there is one scale, or one for each entry of `axis`; True without any."""
        quantization = self.quantization
        if quantization is None or quantization.scale.size == 1:
            return True
        stored_axis = self.axes[axis] if self.axes else axis
        return quantization.axis % len(self.shape) == stored_axis

    def steps(self, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Scale and zero point of each entry of `axis` of an int8 or uint8 weight, float32.

        Raises:
            UnsupportedModelError: none, or one for each entry of another axis.
            ModelFormatError: they do not fit.
        """
        where = f"the {self.constant.type_name} weight {self.constant.name!r}"
        if self.quantization is None:
            raise UnsupportedModelError(f"{where} has no DequantizeLinear")
        scales, zero_points = self.quantization.steps(self.constant)
        size, stored_axis = self.shape[axis], self.axes[axis] if self.axes else axis
        if scales.size > 1:
            if not self.is_scaled_along(axis):
                raise UnsupportedModelError(f"{where} has no scale for each output channel")
            if self.part is not None and self.part[0] == stored_axis:
                cut = slice(*self.part[1:])
                scales, zero_points = scales[cut], zero_points[cut]
        return np.full(size, scales, np.float32), np.full(size, zero_points, np.float32)

    def _seen(self, array: np.ndarray) -> np.ndarray:
        if self.part is not None:
            axis, first, end = self.part
            array = array[(slice(None),) * axis + (slice(first, end),)]
        return array.transpose(self.axes) if self.axes else array
