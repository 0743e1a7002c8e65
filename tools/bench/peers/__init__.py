"""The engines that are measured: one module for each, with ``load(job) -> run``."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Setting:
    """One way to run an engine.

    Attributes:
        settings: of the engine's ``Job``.
        batch_divisor: batches are this much smaller than the case allows.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    batch_divisor: int = 1


@dataclass(frozen=True)
class Engine:
    """An engine at one precision.

    Attributes:
        name: in tables.
        module: in this folder.
        precision: "float32", "bfloat16" or "int8".
        form: of the model that it loads, see ``ModelStore.folder``.
        packages: without which it is skipped.
        settings: of its ``Job``, whatever the number of threads.
        greedy_only: there is no beam search.
        splits_threads: it can also translate several batches at a time, with fewer threads each.
    """

    name: str
    module: str
    precision: str
    form: str
    packages: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    greedy_only: bool = False
    splits_threads: bool = False

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]

    def choices(self, threads: int) -> list[Setting]:
        """The settings to choose the best from, the plainest first."""
        if not self.splits_threads:
            return [Setting(self.settings)]
        splits = [n for n in range(1, threads + 1) if threads % n == 0]
        return [
            Setting({**self.settings, "inter_threads": n, "intra_threads": threads // n}, divisor)
            for n in splits
            for divisor in (1, 2)
        ]


OURS = "pyengine"

ENGINES = (
    Engine("pyengine float32", OURS, "float32", "engine", settings={"compute_type": "float32"}),
    Engine("pyengine bfloat16", OURS, "bfloat16", "engine", settings={"compute_type": "bfloat16"}),
    Engine("pyengine int8", OURS, "int8", "engine", settings={"compute_type": "int8"}),
    Engine(
        "onnxruntime float32",
        "onnxruntime",
        "float32",
        "onnx",
        ("onnxruntime",),
        greedy_only=True,
    ),
    Engine(
        "onnxruntime int8",
        "onnxruntime",
        "int8",
        "onnx-int8",
        ("onnxruntime",),
        greedy_only=True,
    ),
    Engine("Optimum float32", "optimum", "float32", "onnx", ("optimum.onnxruntime", "torch")),
    Engine("Optimum int8", "optimum", "int8", "onnx-int8", ("optimum.onnxruntime", "torch")),
    Engine(
        "CTranslate2 float32",
        "ctranslate2",
        "float32",
        "ctranslate2-float32",
        ("ctranslate2",),
        {"compute_type": "float32"},
        splits_threads=True,
    ),
    Engine(
        "CTranslate2 int8",
        "ctranslate2",
        "int8",
        "ctranslate2-int8",
        ("ctranslate2",),
        {"compute_type": "int8"},
        splits_threads=True,
    ),
    Engine(
        "OpenVINO float32",
        "openvino",
        "float32",
        "onnx",
        ("openvino",),
        {"precision": "f32"},
        greedy_only=True,
    ),
    Engine(
        "OpenVINO bfloat16",
        "openvino",
        "bfloat16",
        "onnx",
        ("openvino",),
        {"precision": "bf16"},
        greedy_only=True,
    ),
    Engine(
        "PyTorch float32",
        "transformers",
        "float32",
        "torch",
        ("torch", "transformers"),
        {"dtype": "float32"},
    ),
    Engine(
        "PyTorch bfloat16",
        "transformers",
        "bfloat16",
        "torch",
        ("torch", "transformers"),
        {"dtype": "bfloat16"},
    ),
)
