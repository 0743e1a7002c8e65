"""Where the data of a tensor lies that an ONNX file keeps in a file beside it.

A hostile model must not get at files that are none of its own, so the place is inside the model's
folder. Files may be links, though: caches and version control keep what they hold in stores, each
file under a hash of its content, and lay out folders of links into them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pyengine.errors import Error, ModelFormatError
from pyengine.models.source_file import is_source
from pyengine.models.storage import Span

if TYPE_CHECKING:
    import onnx

_INTEGER = r"-?[0-9]{1,30}"
_ADDRESS = (
    r"(?:[^/]{1,3}/){0,2}[^/]*(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])[A-Za-z0-9]{30,}[^/]*(?:/.*)?"
)
"""Where a store keeps a file: under a hash, perhaps in folders of its first digits. MD5 has 32
hexadecimal digits, of which DVC takes two for a folder; Nix writes 32 of base 32; SHA-1 has 40,
SHA-256 has 64. Nobody can aim such a name at a file whose content they do not know."""
_IN_KNOWN_STORE = rf".*/(?:\.git/annex/objects|\.dvc/cache|files/md5|(?:nix|gnu)/store)/{_ADDRESS}"
"""That of git-annex, DVC, Nix and Guix, where the ONNX file may be a plain one: it is small."""


def external_span(tensor: onnx.TensorProto, model_path: Path, num_bytes: int) -> Span:
    """Where a tensor lies that is stored in a file beside the model.

    Args:
        tensor: with its external_data entries.
        model_path: the ONNX file.
        num_bytes: that the tensor's shape and type need.

    Raises:
        ModelFormatError: the location is absolute or outside the model's folder, also by way of a
            symbolic link that does not lead to where the model's own leads; there is no such file;
            offset or length make no sense.
    """
    entries = {str(entry.key): str(entry.value) for entry in tensor.external_data}
    where = f"{model_path.name}: {tensor.name!r}: external data"
    location = entries.get("location", "")
    offset = _number(entries.get("offset", "0"), f"{where} offset")
    length = _number(entries.get("length", str(num_bytes)), f"{where} length")
    if offset < 0 or length != num_bytes:
        raise ModelFormatError(
            f"{where} has offset {offset} and length {length}, expected length {num_bytes}"
        )
    try:
        path = _find(location, model_path)
        is_own = path is not None and _is_own(path.resolve(), model_path)
    except (OSError, ValueError, RuntimeError) as error:  # NUL, too long, a loop of links
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelFormatError(f"{where} {location!r:.80} cannot be read ({reason})") from error
    if path is None or not is_own:
        raise ModelFormatError(f"{where} {location!r:.80} is not inside the model's folder")
    try:
        is_there = is_source(path)
    except Error as error:
        raise ModelFormatError(f"{where} {location!r:.80}: {error}") from error
    if not is_there:
        raise ModelFormatError(f"{where} file {location!r:.80} does not exist")
    return Span(path, offset, length)


def _find(location: str, model_path: Path) -> Path | None:
    """The file of that name beside the ONNX file, as the model's folder calls it, or else beside
    the one that is behind its links; None for a place outside.
    """
    if not location or os.path.isabs(location):
        return None
    if os.path.normpath(location).split(os.sep)[0] == os.pardir:
        return None
    path = model_path.parent / location
    if not os.path.lexists(path):
        beside = model_path.resolve().parent / location
        return beside if beside.exists() else path
    return path


def _is_own(real_path: Path, model_path: Path) -> bool:
    """Whether a file, links followed, is the model's: it lies in its folder, or beside or below
    the real ONNX file, or in a store.
    """
    real_model = model_path.resolve()
    folders = (model_path.parent.resolve(), real_model.parent)
    if any(real_path.is_relative_to(folder) for folder in folders):
        return True
    if re.fullmatch(_IN_KNOWN_STORE, real_path.as_posix()):
        return True
    store = os.path.commonpath([real_path, real_model])
    addresses = (path.relative_to(store).as_posix() for path in (real_path, real_model))
    return all(re.fullmatch(_ADDRESS, address) for address in addresses)


def _number(text: str, what: str) -> int:
    if not re.fullmatch(_INTEGER, text):
        raise ModelFormatError(f"{what} cannot be read ({text!r:.40} is no number of bytes)")
    return int(text)
