"""JSON files of a model folder, with errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyengine.errors import ModelFormatError, ModelNotFoundError
from pyengine.models.source_file import is_source, read_source


def read_json(path: Path) -> Any:
    """What a UTF-8 JSON file holds.

    Raises:
        ModelFormatError: it cannot be read, or is not JSON.
    """
    text = read_source(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{path}: not JSON ({error})") from error


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ModelFormatError: it cannot be read, or holds something else.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise ModelFormatError(f"{path}: found a JSON {type(value).__name__}, expected an object")
    return value


def read_optional_json_object(path: Path) -> dict[str, Any]:
    """As :func:`read_json_object`, and an empty object where there is no such file."""
    return read_json_object(path) if is_source(path) else {}


def read_required_json_object(path: Path) -> dict[str, Any]:
    """As :func:`read_json_object`; raises ModelNotFoundError where there is no such file."""
    if not is_source(path):
        raise ModelNotFoundError(f"{str(path.parent)!r} lacks {path.name}")
    return read_json_object(path)
