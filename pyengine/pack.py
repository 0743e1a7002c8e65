"""``pyengine pack``: the weights of a model packed ahead of its first load, and checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pyengine.cache import packed_path
from pyengine.errors import Error
from pyengine.loading import Settings, checked_folder
from pyengine.models import read_folder
from pyengine.packed_file import header_for
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
    model = read_folder(checked_folder(folder), settings.variant)
    cache_dir, compute_type = _cache_dir(settings), settings.computed_in(model.stored_type)
    weights, files = pack_weights(model, compute_type)
    try:
        stored = store_weights(model, compute_type, cache_dir, weights, files, for_all)
    except OSError as error:
        raise CacheError(f"{str(cache_dir)!r} cannot be written: {error}") from error
    if stored.cache_file is None:
        raise CacheError(f"{str(model.path)!r}: a file changed while it was packed")
    return PackedModel(stored.cache_file, compute_type, stored.cache_file.stat().st_size)


def check_packed(folder: str | os.PathLike[str], settings: Settings) -> PackedModel:
    """Check that the cache holds exactly what the folder's ONNX files give when packed now.

    Raises:
        ModelNotFoundError, ModelFormatError, UnsupportedModelError: see ``read_model``.
        CacheError: it holds none, or one that is damaged or of other weights.
    """
    model = read_folder(checked_folder(folder), settings.variant)
    cache_dir, compute_type = _cache_dir(settings), settings.computed_in(model.stored_type)
    path = packed_path(cache_dir, model, compute_type)
    file = find_cached(model, compute_type, cache_dir)
    if file is None:
        found = "not of these files or this version" if path.exists() else "does not exist"
        raise CacheError(f"{str(path)!r}: {found}")
    if not file.data_is_sound():
        raise CacheError(f"{str(path)!r}: damaged")
    weights, _ = pack_weights(model, compute_type)
    found_header = file.header
    expected = header_for(
        weights.packed.arrays(), found_header.key, found_header.files, weights.parameters
    )
    if expected != found_header:
        raise CacheError(f"{str(path)!r}: not the weights of the ONNX files")
    return PackedModel(path, compute_type, path.stat().st_size)


def _cache_dir(settings: Settings) -> Path:
    if settings.cache_dir is None:
        raise CacheError("there is no cache folder: the user has no home")
    return settings.cache_dir
