"""Rotary positions as config.json describes them: which kinds pyengine runs, and their frequencies.

transformers 4 writes `rope_theta` and `rope_scaling`, transformers 5 `rope_parameters`, which may
hold the parameters of each kind of layer apart. The kinds here change the frequencies alone, which
a graph holds as they are after it; the others also scale the attention or depend on the length of
the text. Source: transformers 5.24, modeling_rope_utils.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pyengine.errors import ModelFormatError, UnsupportedModelError
from pyengine.models.config import ConfigFields

_DEFAULT_THETA = 10000.0
_NAMES = ("rope_scaling", "rope_parameters")
"""Of the parameters in config.json; the first that is not empty counts."""


def _default(frequencies: np.ndarray, fields: ConfigFields) -> np.ndarray:
    return frequencies


def _linear(frequencies: np.ndarray, fields: ConfigFields) -> np.ndarray:
    result: np.ndarray = frequencies / fields.positive("factor")
    return result


def _llama3(frequencies: np.ndarray, fields: ConfigFields) -> np.ndarray:
    """Long waves are stretched by a factor, short ones not, those between them partly."""
    low, high = fields.positive("low_freq_factor"), fields.positive("high_freq_factor")
    waves = fields.positive("original_max_position_embeddings") * frequencies / (2 * math.pi)
    span = high - low
    kept = np.clip((waves - low) / span, 0, 1) if span else np.where(waves < low, 0.0, 1.0)
    result: np.ndarray = frequencies * (kept + (1 - kept) / fields.positive("factor"))
    return result


_KINDS: dict[str, Callable[[np.ndarray, ConfigFields], np.ndarray]] = {
    "default": _default,
    "linear": _linear,
    "llama3": _llama3,
}


def rotary_frequencies(raw: dict[str, Any], head_dim: int) -> np.ndarray:
    """The frequencies that config.json means, float64 [head_dim / 2].

    Raises:
        ModelFormatError: a parameter is missing, or no number.
        UnsupportedModelError: a kind that pyengine does not run, or several.
    """
    name, parameters = _parameters(raw)
    kinds = [kind for key in ("rope_type", "type") if (kind := parameters.get(key))]
    if len(kinds) == 2 and kinds[0] != kinds[1]:  # transformers 5.24 takes the first, 4.57 either
        raise UnsupportedModelError(
            f"config.json: {name} has rope_type {kinds[0]!r:.60} and type {kinds[1]!r:.60}, "
            "expected one kind"
        )
    kind = kinds[0] if kinds else "default"
    if not isinstance(kind, str) or kind not in _KINDS:
        raise UnsupportedModelError(
            f"config.json: {name} has rope_type {kind!r:.60}, supported are {', '.join(_KINDS)}"
        )
    known = {"original_max_position_embeddings": raw.get("max_position_embeddings"), **raw}
    fields = ConfigFields({**known, **parameters}, f"config.json: {name}")
    part = fields.positive("partial_rotary_factor", 1.0)
    if part != 1:
        raise UnsupportedModelError(
            f"config.json: partial_rotary_factor is {part:g}, supported is 1"
        )
    theta = fields.positive("rope_theta", _DEFAULT_THETA)
    exponents = np.arange(0, head_dim, 2) / head_dim
    return _KINDS[kind](theta**-exponents, fields)


def _parameters(raw: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The parameters, and the key that holds them."""
    for name in _NAMES:
        found = raw.get(name)
        if found:
            return name, _of_all_layers(name, found)
    return _NAMES[1], {}


def _of_all_layers(name: str, found: Any) -> dict[str, Any]:
    """The parameters where they are one for all layers, also written out for each kind of layer."""
    if not isinstance(found, dict):
        raise ModelFormatError(f"config.json: {name} is {found!r:.60}, expected an object")
    nested = [value for value in found.values() if isinstance(value, dict)]
    if not nested:
        return found
    if any(value != nested[0] for value in nested):
        raise UnsupportedModelError(
            f"config.json: {name} differs between {', '.join(map(str, found)):.60}, "
            "supported is one for all layers"
        )
    return {**{key: v for key, v in found.items() if not isinstance(v, dict)}, **nested[0]}
