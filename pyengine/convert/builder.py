"""A thin layer over onnx.helper: nodes named after modules, weights of float32 or int8."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pyengine._version import __version__

OPSET, IR_VERSION = 18, 9
Shape = list[str | int | None]


class GraphBuilder:
    """Collects the nodes of one graph; every method that adds some returns their output's name.

    A node's name is the path of its module and its operator, as PyTorch's exporter writes it
    ("/encoder/layers.0/fc1/MatMul"), which is what pyengine's reader goes by.

    Args:
        tensors: canonical name -> array, as :class:`pyengine.models.firefox.FirefoxModel` has it.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self._tensors = tensors
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._weights: dict[int, str] = {}  # by the array, so that tied tables are stored once
        self._scope: list[str] = []

    @contextmanager
    def module(self, name: str) -> Iterator[None]:
        """Names the nodes inside after a module, below the modules around it."""
        self._scope.append(name)
        yield
        self._scope.pop()

    def node(self, op_type: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """One operator; the name of the last of its outputs."""
        name = "/" + "/".join([*self._scope, op_type])
        taken = sum(node.name.startswith(name) for node in self._nodes)
        name = f"{name}_{taken}" if taken else name
        results = [f"{name}_output_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(op_type, inputs, results, name=name, **attributes))
        return results[-1]

    def constant(self, value: Any, dtype: type = np.float32) -> str:
        """A number or a short list, as a scalar or a vector."""
        array: np.ndarray = np.asarray(value, dtype)
        name = f"constant_{array.dtype}_{'_'.join(map(str, array.ravel()))}_{array.ndim}"
        return self._store(name, array)

    def weight(self, name: str) -> str:
        """The tensor ``name``; of an int8 one, its dequantised values."""
        array = self._tensors[name]
        known = self._weights.get(id(array))
        if known is None:
            known = self._store(name, array)
            if array.dtype == np.int8:
                scale = self._store(f"{name}_scale", _one_scale(self._tensors[f"{name}_scale"]))
                known = self.node("DequantizeLinear", known, scale)
            self._weights[id(array)] = known
        return known

    def linear(self, module: str, x: str) -> str:
        """x W + b of the module at this place; b only if there is one."""
        with self.module(module):
            return self.own_bias(self.node("MatMul", x, self.own_weight()))

    def own_bias(self, product: str) -> str:
        """``product`` plus the tensor "bias" of the module at this place, if there is one."""
        name = f"{self._canonical()}.bias"
        return self.node("Add", product, self.weight(name)) if name in self._tensors else product

    def layer_norm(self, module: str, x: str, epsilon: float) -> str:
        """The layer norm at this place."""
        with self.module(module):
            path = self._canonical()
            weights = self.weight(f"{path}.weight"), self.weight(f"{path}.bias")
            return self.node("LayerNormalization", x, *weights, axis=-1, epsilon=epsilon)

    def own_weight(self) -> str:
        """The tensor "weight" of the module at this place."""
        return self.weight(f"{self._canonical()}.weight")

    def save(
        self, path: Path, inputs: dict[str, tuple[int, Shape]], output: tuple[str, str]
    ) -> None:
        """Write the graph.

        Args:
            path: the file.
            inputs: name -> (TensorProto type, shape).
            output: the name it shall have, and that of the value.
        """
        name, value = output
        self._nodes.append(helper.make_node("Identity", [value], [name], name="/Identity"))
        graph = helper.make_graph(
            self._nodes,
            "pyengine",
            [helper.make_tensor_value_info(key, *kind) for key, kind in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None, None])],
            list(self._initializers.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="pyengine",
            producer_version=__version__,
        )
        onnx.save(model, path)

    def _canonical(self) -> str:
        return ".".join(self._scope)

    def _store(self, name: str, array: np.ndarray) -> str:
        if name not in self._initializers:
            self._initializers[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name


def _one_scale(scales: np.ndarray) -> np.ndarray:
    """Marian's matrices have one scale each."""
    return np.asarray(scales[0], np.float32)
