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
        once: it is so far behind that one round will do.
        one_thread: it knows no more.
    """

    name: str
    module: str
    precision: str
    form: str
    packages: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    greedy_only: bool = False
    splits_threads: bool = False
    once: bool = False
    one_thread: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it is pyengine."""
        return self.name.startswith(OURS)

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]

    def choices(self, threads: int) -> list[Setting]:
        """The settings to choose the best from, the plainest first."""
        if not self.splits_threads:
            return [Setting(self.settings)]
        whole, *split = (
            {**self.settings, "inter_threads": n, "intra_threads": threads // n}
            for n in range(1, threads + 1)
            if threads % n == 0
        )
        return [Setting(whole), *(Setting(one, divisor) for one in split for divisor in (1, 2))]


OURS = "pyengine"


def _engine(peer: str, module: str, precision: str, form: str, **fields: Any) -> Engine:
    return Engine(f"{peer} {precision}", module, precision, form, **fields)


def _pyengine(precision: str) -> Engine:
    return _engine("pyengine", OURS, precision, "engine", settings={"compute_type": precision})


def _onnxruntime(precision: str, form: str) -> Engine:
    packages = ("onnxruntime",)
    return _engine(
        "onnxruntime", "onnxruntime", precision, form, packages=packages, greedy_only=True
    )


def _optimum(precision: str, form: str) -> Engine:
    packages = ("optimum.onnxruntime", "torch")
    return _engine("Optimum", "optimum", precision, form, packages=packages, once=True)


def _ctranslate2(precision: str) -> Engine:
    return _engine(
        "CTranslate2",
        "ctranslate2",
        precision,
        f"ctranslate2-{precision}",
        packages=("ctranslate2",),
        settings={"compute_type": precision},
        splits_threads=True,
    )


def _openvino(precision: str, hint: str) -> Engine:
    return _engine(
        "OpenVINO",
        "openvino",
        precision,
        "onnx",
        packages=("openvino",),
        settings={"precision": hint},
        greedy_only=True,
    )


def _pytorch(precision: str) -> Engine:
    return _engine(
        "PyTorch",
        "transformers",
        precision,
        "torch",
        packages=("torch", "transformers"),
        settings={"dtype": precision},
        once=True,
    )


ENGINES = (
    _pyengine("float32"),
    _pyengine("bfloat16"),
    _pyengine("int8"),
    _onnxruntime("float32", "onnx"),
    _onnxruntime("int8", "onnx-int8"),
    _ctranslate2("float32"),
    _ctranslate2("int8"),
    _openvino("float32", "f32"),
    _openvino("bfloat16", "bf16"),
    _optimum("float32", "onnx"),
    _optimum("int8", "onnx-int8"),
    _pytorch("float32"),
)

TEXT_ENGINES = (
    _engine(OURS, "pyengine_text", "float32", "engine", settings={"compute_type": "float32"}),
    _engine(OURS, "pyengine_text", "int8", "engine", settings={"compute_type": "int8"}),
    _engine("fxtranslate", "fxtranslate", "int8", "engine", packages=("fxtranslate",),
            greedy_only=True, one_thread=True),
)  # fmt: skip
"""Engines of a suite of text: the ids of a sentence are its UTF-8 bytes, so that tokenising and
detokenising are part of the race."""

FAMILY_ENGINES = (
    _engine(OURS, "pyengine_family", "float32", "engine", settings={"compute_type": "float32"}),
    _engine("onnxruntime", "onnxruntime_family", "float32", "onnx", packages=("onnxruntime",),
            greedy_only=True),
)  # fmt: skip
"""Engines that run models of any family."""
