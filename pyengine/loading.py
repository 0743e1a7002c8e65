"""From a model folder and settings to a running engine."""

from __future__ import annotations

import dataclasses
import operator
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyengine import _core
from pyengine.errors import InputTypeError, ModelFormatError, ModelNotFoundError, OptionError
from pyengine.system import available_cores

if TYPE_CHECKING:
    from pyengine.models import ModelConfig, ModelFolder

DEFAULT_BATCH_SIZE = 32
"""Measured, greedy, one thread of an AMD EPYC with AVX-512, tokens/s at 8, 16, 32, 64 and 128: the
shape of OPUS-MT base 678, 847, 952, 985, 1012; a model of 2 million parameters 31,600, 30,400,
26,500, 24,700, 24,500."""

MAX_THREADS = 255
"""Threads of an engine at most, the core's ThreadPool::kMaxThreads."""

COMPUTE_TYPES = ("default", "auto", "float32", "bfloat16", "int8")
"""Values of ``compute_type``."""


@dataclass(frozen=True)
class Settings:
    """How a translator computes.

    Attributes:
        compute_type: as the user gave it; the only setting that changes a translation.
        threads: threads that compute, at least 1.
        batch_size: sentences decoded together at most, at least 1.
        isa: name of the instruction set, see ``_core.available_isas``.
    """

    compute_type: str
    threads: int
    batch_size: int
    isa: str

    @classmethod
    def checked(
        cls, compute_type: str, threads: int | None, batch_size: int | None, isa: str | None
    ) -> Settings:
        """Fill in what is ``None`` and check the rest.

        Raises:
            OptionError: names the setting, what was found and what was expected.
        """
        if compute_type not in COMPUTE_TYPES:
            known = ", ".join(map(repr, COMPUTE_TYPES))
            raise OptionError(f"compute_type: found {compute_type!r:.60}, expected {known}")
        return cls(
            compute_type=compute_type,
            threads=_count("threads", threads, MAX_THREADS) or min(available_cores(), MAX_THREADS),
            batch_size=checked_batch_size(batch_size),
            isa=_resolved_isa(isa),
        )

    def computed_in(self, stored: str) -> str:
        """The type of the weights that ``compute_type`` stands for.

        "auto" is int8 unless the scalar kernels run, whose int8 is no faster than their float32.

        Args:
            stored: what the files hold, "float32" or "int8".
        """
        if self.compute_type == "auto":
            return "float32" if self.isa == "scalar" else "int8"
        return stored if self.compute_type == "default" else self.compute_type


@dataclass(frozen=True)
class Loaded:
    """A model in memory: ``model`` without its tensors, which the engine has packed."""

    model: ModelFolder
    engine: _core.Engine
    compute_type: str
    parameters: int


def load(folder: str | os.PathLike[str], settings: Settings) -> Loaded:
    """Read a model folder and pack its weights.

    Raises:
        ModelNotFoundError, ModelFormatError, UnsupportedModelError: see ``read_model``.
        InputTypeError: ``folder`` is no path.
    """
    from pyengine.models import read_model
    from pyengine.models.quantized import dequantized, holds_int8

    model = read_model(checked_folder(folder))
    stored = "int8" if holds_int8(model.tensors) else "float32"
    compute_type = settings.computed_in(stored)
    keeps_type = compute_type == stored or stored == "float32"
    try:
        engine = _core.Engine(
            _core_config(model.config),
            model.tensors if keeps_type else dequantized(model.tensors),
            compute_type,
            settings.isa,
            settings.threads,
        )
    except ValueError as error:
        raise ModelFormatError(f"{str(folder)!r}: {error}") from error
    parameters = _count_parameters(model.tensors)
    return Loaded(dataclasses.replace(model, tensors={}), engine, compute_type, parameters)


def checked_folder(folder: Any) -> Path:
    """The path of a model folder, which need not exist.

    Raises:
        InputTypeError: ``folder`` is no path.
        ModelNotFoundError: no file system has such a name.
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise InputTypeError(f"model: expected a folder, found {type(folder).__name__}")
    try:
        path = Path(folder)
        path.exists()
    except (OSError, ValueError) as error:
        raise ModelNotFoundError(f"model: found {str(folder)!r:.60}: {error}") from None
    return path


def checked_batch_size(value: int | None) -> int:
    """The number of sentences decoded together; the default for ``None``.

    Raises:
        OptionError: not an integer of at least 1.
    """
    return _count("batch_size", value, 2**16) or DEFAULT_BATCH_SIZE


def _core_config(config: ModelConfig) -> _core.ModelConfig:
    core = _core.ModelConfig()
    for field in dataclasses.fields(config):
        setattr(core, field.name, getattr(config, field.name))
    return core


def _count_parameters(tensors: dict[str, Any]) -> int:
    from pyengine.models.quantized import SCALE

    """Numbers in the tensors; one that shares its memory with another (tied) counts once."""
    sizes = {
        array.__array_interface__["data"][0]: array.size
        for name, array in tensors.items()
        if not name.endswith(SCALE)
    }
    return sum(sizes.values())


def _count(name: str, value: int | None, largest: int) -> int | None:
    if value is None:
        return None
    expected = f"None or an integer from 1 to {largest}"
    try:
        number = operator.index(value)
    except TypeError:
        raise OptionError(f"{name}: found {value!r:.60}, expected {expected}") from None
    if isinstance(value, bool) or not 1 <= number <= largest:
        raise OptionError(f"{name}: found {value!r:.60}, expected {expected}")
    return number


def _resolved_isa(isa: str | None) -> str:
    try:
        return _core.resolve_isa("" if isa is None else isa)
    except (ValueError, TypeError) as error:
        if isinstance(error, TypeError):
            raise OptionError(f"isa: found {isa!r:.60}, expected a name or None") from None
        raise OptionError(str(error)) from None
