"""From a model folder and settings to a running engine."""

from __future__ import annotations

import dataclasses
import operator
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pyengine import _core, log
from pyengine.cache import resolve_cache_dir
from pyengine.call_types import ComputeType
from pyengine.errors import (
    InputTypeError,
    ModelNotFoundError,
    OptionError,
    UnsupportedModelError,
    excerpt,
)
from pyengine.models import ModelFolder, read_folder
from pyengine.models.onnx_files import checked_variant
from pyengine.models.source_file import Snapshot
from pyengine.shortlist import load_shortlist
from pyengine.system import available_cores
from pyengine.weights import ModelWeights, load_weights

_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z]{2,4})?")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+|[A-Za-z][\w.-]*-[\w.-]+")

DEFAULT_BATCH_SIZE = 32
"""Measured, greedy, one thread of an AMD EPYC with AVX-512, tokens/s at 8, 16, 32, 64 and 128: the
shape of OPUS-MT base 678, 847, 952, 985, 1012; a model of 2 million parameters 31,600, 30,400,
26,500, 24,700, 24,500."""

MAX_THREADS = 255
"""Threads of an engine at most, the core's ThreadPool::kMaxThreads."""

CLASS_NAMES = {
    ("encoder", "decoder"): "Translator",
    ("encoder",): "Encoder",
    ("decoder",): "Generator",
}
"""The class that runs the models which consist of these stacks."""

TASKS = {
    ("encoder", "decoder"): "text2text-generation-with-past",
    ("encoder",): "feature-extraction",
    ("decoder",): "text-generation-with-past",
}
"""What Optimum's exporter calls the task of such models."""

COMPUTE_TYPES: tuple[str, ...] = get_args(ComputeType)
"""Values of ``compute_type``."""


@dataclass(frozen=True)
class Settings:
    """How a translator computes.

    Attributes:
        compute_type: as the user gave it; this, the shortlist and the variant may change a
            translation.
        threads: threads that compute, at least 1.
        batch_size: sentences decoded together at most, at least 1.
        isa: name of the instruction set, see ``_core.available_isas``.
        cache_dir: where packed weights are kept; ``None``: nowhere.
        shortlist: whether the folder's lexical shortlist is used; ``None``: if it has one.
        variant: what the names of the ONNX files add; ``None``: the first that is there.
    """

    compute_type: str
    threads: int
    batch_size: int
    isa: str
    cache_dir: Path | None
    shortlist: bool | None
    variant: str | None

    @classmethod
    def checked(
        cls,
        compute_type: str = "default",
        threads: int | None = None,
        batch_size: int | None = None,
        isa: str | None = None,
        cache_dir: Any = None,
        shortlist: bool | None = None,
        variant: str | None = None,
    ) -> Settings:
        """Fill in what is ``None`` and check the rest.

        Raises:
            OptionError: names the setting, what was found and what was expected.
        """
        if compute_type not in COMPUTE_TYPES:
            known = ", ".join(map(repr, COMPUTE_TYPES))
            raise OptionError(f"compute_type: found {excerpt(compute_type)}, expected {known}")
        if not isinstance(shortlist, bool | None):
            raise OptionError(
                f"shortlist: found {excerpt(shortlist)}, expected None, True or False"
            )
        return cls(
            compute_type=compute_type,
            threads=_count("threads", threads, MAX_THREADS) or min(available_cores(), MAX_THREADS),
            batch_size=checked_batch_size(batch_size),
            isa=_resolved_isa(isa),
            cache_dir=resolve_cache_dir(cache_dir),
            shortlist=shortlist,
            variant=checked_variant(variant),
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
    """A model in memory: what its folder says, its packed weights, and the engine that runs it.

    ``shortlist`` is the file of the lexical shortlist that is used, ``snapshot`` the version of the
    folder that was read. Before ``is_checked`` the engine is not to be used, see :func:`checked`.
    """

    model: ModelFolder
    engine: _core.Engine  # before the weights: freed after the file it maps, C++ would free that
    weights: ModelWeights
    compute_type: str
    shortlist: Path | None
    snapshot: Snapshot
    is_checked: bool


def load(folder: str | os.PathLike[str], settings: Settings, stacks: tuple[str, ...]) -> Loaded:
    """Read a model folder, one version of it, and make an engine of it.

    Args:
        stacks: what the model must consist of.

    Raises:
        ModelNotFoundError, ModelFormatError, UnsupportedModelError: see ``read_model``.
        InputTypeError: ``folder`` is no path.
    """
    path = checked_folder(folder)
    _check_not_of_hub(path, TASKS[stacks])
    snapshot = Snapshot(path)
    with snapshot.reading():
        model = read_folder(path, settings.variant)
        found = tuple(model.graph_paths)
        if found != stacks:
            raise UnsupportedModelError(
                f"{str(model.path)!r}: {model.model_type} is no {' and '.join(stacks)}; "
                f"load it with pyengine.{CLASS_NAMES[found]}"
            )
        return _start(model, settings, snapshot)


def checked(loaded: Loaded, settings: Settings) -> Loaded:
    """The same once its mapped weights are known to be what was packed; if they are damaged, read
    from the model's files again.

    The checksums cost 3 ms for the 75 MB of OPUS-MT base (one core of an EPYC, Zen 4), as long as
    the rest of the load, so they wait for the first use. Several threads may come here at once.

    Raises:
        ModelNotFoundError, ModelFormatError: the files have gone, or were changed.
    """
    mapped = loaded.weights.mapped
    if mapped is None or mapped.data_is_sound(loaded.engine.num_threads):
        return dataclasses.replace(loaded, is_checked=True)
    with loaded.snapshot.reading():
        return _start(loaded.model, settings, loaded.snapshot, is_damaged=True)


def _start(
    model: ModelFolder, settings: Settings, snapshot: Snapshot, is_damaged: bool = False
) -> Loaded:
    compute_type = settings.computed_in(model.stored_type)
    weights = load_weights(model, compute_type, settings.cache_dir, is_damaged)
    shortlist = _shortlist_of(model, settings.shortlist)
    engine = _core.Engine(
        weights.packed,
        settings.isa,
        settings.threads,
        None if shortlist is None else load_shortlist(shortlist, model),
    )
    is_checked = weights.mapped is None
    origin = "its files" if weights.mapped is None else weights.cache_file
    log.info("loaded %s (%s, %s) from %s", model.path, model.model_type, compute_type, origin)
    return Loaded(model, engine, weights, compute_type, shortlist, snapshot, is_checked)


def _shortlist_of(model: ModelFolder, wanted: bool | None) -> Path | None:
    if wanted and model.shortlist is None:
        raise ModelNotFoundError(
            f"{str(model.path)!r} lacks a lexical shortlist (lex*.bin or lex*.s2t)"
        )
    return None if wanted is False else model.shortlist


def _check_not_of_hub(folder: Path, task: str) -> None:
    """Raises ModelNotFoundError, with what to do, for a name of the Hugging Face Hub, or a code of
    a language."""
    name = folder.as_posix()
    is_path = "/" in name and folder.parent.exists()
    if _HUB_NAME.fullmatch(name) and not is_path and not folder.exists():
        raise ModelNotFoundError(
            f"model folder {name!r} does not exist; pyengine downloads nothing: a model of this "
            "name on the Hugging Face Hub is exported with "
            f"'optimum-cli export onnx --model {name} --task {task} DIR'"
        )
    if _LANGUAGE.fullmatch(name) and not folder.exists():
        raise ModelNotFoundError(
            f"model folder {name!r} does not exist; a language is given by the name of its "
            "argument, source or target"
        )


def checked_folder(folder: Any) -> Path:
    """The path of a model folder, which need not exist.

    Raises:
        InputTypeError: ``folder`` is no path.
        ModelNotFoundError: no file system has such a name.
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise InputTypeError(f"model: expected a folder, found {type(folder).__name__}")
    if not os.fspath(folder):
        raise ModelNotFoundError("model: found an empty string, expected a folder")
    try:
        path = Path(folder)
        path.exists()
    except (OSError, ValueError) as error:
        raise ModelNotFoundError(f"model: found {excerpt(str(folder))}: {error}") from None
    return path


def checked_batch_size(value: int | None) -> int:
    """The number of sentences decoded together; the default for ``None``.

    Raises:
        OptionError: not an integer of at least 1.
    """
    return _count("batch_size", value, 2**16) or DEFAULT_BATCH_SIZE


def _count(name: str, value: int | None, largest: int) -> int | None:
    if value is None:
        return None
    expected = f"None or an integer from 1 to {largest}"
    try:
        number = operator.index(value)
    except TypeError:
        raise OptionError(f"{name}: found {excerpt(value)}, expected {expected}") from None
    if isinstance(value, bool) or not 1 <= number <= largest:
        raise OptionError(f"{name}: found {excerpt(value)}, expected {expected}")
    return number


def _resolved_isa(isa: str | None) -> str:
    try:
        return _core.resolve_isa("" if isa is None else isa)
    except (ValueError, TypeError) as error:
        if isinstance(error, TypeError):
            raise OptionError(f"isa: found {excerpt(isa)}, expected a name or None") from None
        raise OptionError(str(error)) from None
