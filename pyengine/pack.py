"""``pyengine pack``: the weights of a model packed ahead of its first load, and checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pyengine.cache import packed_path
from pyengine.errors import Error
from pyengine.loading import Settings, checked_folder
from pyengine.models import read_folder
from pyengine.models.source_file import Snapshot
from pyengine.packed_file import header_for, holds
from pyengine.weights import find_cached, pack_weights, store_weights


class CacheError(Error, OSError):
    """Packed weights cannot be written, or are not those of the model."""


@dataclass(frozen=True)
class PackedModel:
    """Packed weights on disk.

    Attributes:
        path: the file.
        compute_type: the type of the weights.
        size: of the file, in bytes.
    """

    path: Path
    compute_type: str
    size: int


def pack_model(folder: str | os.PathLike[str], settings: Settings, for_all: bool) -> PackedModel:
    """Pack a model folder into the cache, whether or not the cache holds it already.

    Args:
        for_all: other users may read the file.

    Raises:
        ModelNotFoundError, ModelFormatError, UnsupportedModelError: see ``read_model``.
        CacheError: there is no cache folder, or it cannot be written.
    """
    path = checked_folder(folder)
    with Snapshot(path).reading():
        model = read_folder(path, settings.variant)
        cache_dir, compute_type = _cache_dir(settings), settings.computed_in(model.stored_type)
        weights, files = pack_weights(model, compute_type)
        try:
            store_weights(model, compute_type, cache_dir, weights, files, for_all)
        except OSError as error:
            if isinstance(error, Error):
                raise
            raise CacheError(f"{str(cache_dir)!r} cannot be written: {error}") from error
    file = packed_path(cache_dir, model, compute_type)
    return PackedModel(file, compute_type, file.stat().st_size)


def check_packed(folder: str | os.PathLike[str], settings: Settings) -> PackedModel:
    """Check that the cache holds exactly what the folder's ONNX files give when packed now.

    Raises:
        ModelNotFoundError, ModelFormatError, UnsupportedModelError: see ``read_model``.
        CacheError: it holds none, or one that is damaged or of other weights.
    """
    path = checked_folder(folder)
    with Snapshot(path).reading():
        model = read_folder(path, settings.variant)
        cache_dir, compute_type = _cache_dir(settings), settings.computed_in(model.stored_type)
        packed = packed_path(cache_dir, model, compute_type)
        file = find_cached(model, compute_type, cache_dir)
        if file is None:
            found = "not of these files or this version, or open to other users"
            raise CacheError(f"{str(packed)!r}: {found if packed.exists() else 'does not exist'}")
        if not file.data_is_sound():
            raise CacheError(f"{str(packed)!r}: damaged")
        weights, _ = pack_weights(model, compute_type)
    header = file.header
    expected = header_for(
        weights.packed.arrays(),
        header.key,
        header.files,
        header.file_checksums,
        weights.parameters,
    )
    if expected != header or not holds(file, weights.packed.arrays()):
        raise CacheError(f"{str(packed)!r}: not the weights of the ONNX files")
    return PackedModel(packed, compute_type, packed.stat().st_size)


def _cache_dir(settings: Settings) -> Path:
    if settings.cache_dir is None:
        raise CacheError("there is no cache folder: the user has no home")
    return settings.cache_dir
