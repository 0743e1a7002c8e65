"""OpenVINO in the same hand-written loop as onnxruntime, greedy only.

``job.settings["precision"]`` is what it may compute in, "f32" or "bf16".
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from pyengine.bench.worker import Job, Run
from tools.bench.peers import onnxruntime

_RESULT = "/sink_port_0"
"""What OpenVINO appends to the name of an output."""


def load(job: Job) -> Run:
    """The files of onnxruntime, compiled for the CPU."""
    core = openvino.Core()

    def open_session(path: Path, threads: int) -> _Session:
        properties = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": job.settings["precision"],
        }
        return _Session(core.compile_model(str(path), "CPU", properties))

    return onnxruntime.load(job, open_session)


@dataclass(frozen=True)
class _Port:
    name: str
    shape: list[int | None]


class _Session:
    """A compiled model that looks like an onnxruntime session.

    Two requests take turns: the outputs of one are the inputs of the other, without a copy.
    """

    def __init__(self, model: Any) -> None:
        self._inputs = [_port(node, node.any_name) for node in model.inputs]
        self._outputs = [
            _port(node, node.node.friendly_name.removesuffix(_RESULT)) for node in model.outputs
        ]
        self._index = {port.name: index for index, port in enumerate(self._outputs)}
        requests = (model.create_infer_request(), model.create_infer_request())
        self._requests = itertools.cycle(requests)

    def get_inputs(self) -> list[_Port]:
        return self._inputs

    def get_outputs(self) -> list[_Port]:
        return self._outputs

    def run(self, names: Sequence[str], feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        request = next(self._requests)
        contiguous = {name: np.ascontiguousarray(value) for name, value in feeds.items()}
        results = request.infer(contiguous, share_inputs=True, share_outputs=True)
        return [results[self._index[name]] for name in names]


def _port(node: Any, name: str) -> _Port:
    shape = [None if size.is_dynamic else size.get_length() for size in node.partial_shape]
    return _Port(name, shape)
