"""The packed weights of a model folder: from its ONNX files, or from the cache."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyengine import _core, exits
from pyengine.cache import (
    cache_key,
    core_config,
    file_checksums,
    file_states,
    is_current,
    is_safe,
    needs_candidate_table,
    note_use,
    packed_path,
    trusted_owners,
)
from pyengine.errors import ModelFormatError
from pyengine.packed_file import (
    FileStates,
    PackedFile,
    header_for,
    open_packed,
    write_packed,
)

if TYPE_CHECKING:
    from pyengine.models import ModelFolder

_OWNER_ONLY = 0o700
_FOR_ALL = 0o755


@dataclass(frozen=True)
class ModelWeights:
    """Weights ready for an engine.

    Attributes:
        packed: the core's.
        parameters: numbers in the model; tied tensors count once.
        cache_file: where they lie packed; ``None``: only in this process.
        mapped: that file, where they were mapped from it, and the ONNX files not read. Its data is
            not to be used before :meth:`~PackedFile.data_is_sound` says so.
    """

    packed: _core.Weights
    parameters: int
    cache_file: Path | None = None
    mapped: PackedFile | None = None


def load_weights(
    model: ModelFolder, compute_type: str, cache_dir: Path | None, is_damaged: bool = False
) -> ModelWeights:
    """The weights of a folder: from the cache, or else packed and put there where that can be.

    Args:
        is_damaged: what the cache holds is to be replaced.

    Raises:
        ModelFormatError, UnsupportedModelError: see ``read_tensors``.
    """
    if cache_dir is None:
        return pack_weights(model, compute_type)[0]
    cached = None if is_damaged else map_cached(model, compute_type, cache_dir)
    if cached is not None:
        return cached
    weights, files = pack_weights(model, compute_type)
    with contextlib.suppress(OSError):
        return store_weights(model, compute_type, cache_dir, weights, files)
    return weights


def map_cached(model: ModelFolder, compute_type: str, cache_dir: Path) -> ModelWeights | None:
    """The weights as the cache holds them; ``None`` if it holds none for the folder as it is."""
    file = find_cached(model, compute_type, cache_dir)
    if file is None:
        return None
    try:
        weights = _core.Weights.map(
            core_config(model.config),
            file.data,
            file.header.offsets,
            compute_type,
            needs_candidate_table(model, compute_type),
        )
    except (ValueError, TypeError):
        return None
    note_use(file.path)
    return ModelWeights(weights, file.header.parameters, file.path, file)


def find_cached(model: ModelFolder, compute_type: str, cache_dir: Path) -> PackedFile | None:
    """The file of the cache that belongs to the folder as it is now."""
    owners = trusted_owners(model)
    if not is_safe(cache_dir, owners):
        return None
    file = open_packed(packed_path(cache_dir, model, compute_type), owners)
    if file is None or file.header.key != cache_key(model, compute_type):
        return None
    return file if is_current(file, model) else None


def pack_weights(model: ModelFolder, compute_type: str) -> tuple[ModelWeights, FileStates]:
    """Pack the weights from the ONNX files.

    Returns:
        The weights, and the states of their files before they were read.

    Raises:
        ModelFormatError, UnsupportedModelError: see ``read_tensors``.
    """
    with exits.guarded_imports:
        from pyengine.models.bounds import check_computed_tables
        from pyengine.models.quantized import dequantized
        from pyengine.models.stacks import read_tensors  # imports onnx, which takes 0.1 s

    graphs = list(model.graph_paths.values())
    states = file_states(model.path, graphs)
    tensors = read_tensors(model)
    states.update(file_states(model.path, tensors.files - set(graphs)))
    check_computed_tables(model.config, sum(state.size for state in states.values()))
    try:
        values = tensors if compute_type == "int8" else dequantized(tensors)
        packed = _core.Weights.pack(
            core_config(model.config),
            values,
            compute_type,
            needs_candidate_table(model, compute_type),
        )
    except ValueError as error:
        raise ModelFormatError(f"{str(model.path)!r}: {error}") from error
    return ModelWeights(packed, tensors.parameters), states


def store_weights(
    model: ModelFolder,
    compute_type: str,
    cache_dir: Path,
    weights: ModelWeights,
    files: FileStates,
    for_all: bool = False,
) -> ModelWeights:
    """Put packed weights into the cache, and let those go that it has no room for any more.

    Args:
        files: as :func:`pack_weights` found them, in the same ``Snapshot``.
        for_all: other users may read the file and a folder made for it, and nothing else goes.

    Raises:
        OSError: they cannot be written there, or other users could change them.
        ModelFormatError: a file was changed since.
        OptionError: the environment sets no sound size for the cache.
    """
    path = packed_path(cache_dir, model, compute_type)
    mode = _FOR_ALL if for_all else _OWNER_ONLY
    _make_folder(cache_dir, mode)
    if not is_safe(cache_dir, trusted_owners(model)):
        raise PermissionError(errno.EPERM, "other users can replace its files", str(cache_dir))
    arrays = weights.packed.arrays()
    key = cache_key(model, compute_type)
    checksums = {name: file_checksums(model.path / name) for name in files}
    header = header_for(arrays, key, files, checksums, weights.parameters)
    write_packed(path, header, arrays, mode & 0o666)
    if not for_all:
        with exits.guarded_imports:
            from pyengine.cache_files import bound  # not for a load that finds what it looks for

        bound(cache_dir, path)
    return dataclasses.replace(weights, cache_file=path)


def _make_folder(folder: Path, mode: int) -> None:
    """Make a folder and those above it that are missing."""
    if not folder.is_dir():
        _make_folder(folder.parent, mode)
        folder.mkdir(mode, exist_ok=True)
