"""JSON objects from a model folder, with errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyengine.errors import ModelFormatError
from pyengine.models.source_file import is_source, read_source


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a UTF-8 JSON file.

    Raises:
        ModelFormatError: the file cannot be read, or is anything else than a JSON object.
    """
    try:
        content = json.loads(read_source(path).decode("utf-8"))
    except ModelFormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{path}: expected a JSON file, but: {error}") from error
    if not isinstance(content, dict):
        raise ModelFormatError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def read_optional_json_object(path: Path) -> dict[str, Any]:
    """As :func:`read_json_object`, and an empty object where there is no such file."""
    return read_json_object(path) if is_source(path) else {}


def read_vocabulary(path: Path) -> dict[str, int]:
    """Token to id, from a ``vocab.json``.

    Raises:
        ModelFormatError: no such file content, or an id that is no integer from 0 to 2**31 - 1.
    """
    vocabulary = read_json_object(path)
    for token, number in vocabulary.items():
        if type(number) is not int or not 0 <= number < 2**31:
            raise ModelFormatError(
                f"{path}: expected ids from 0 to {2**31 - 1}, found {number!r} for {token!r}"
            )
    return vocabulary
