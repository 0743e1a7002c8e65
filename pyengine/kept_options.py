"""The options of calls, resolved once for all calls with the same keywords."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any

from pyengine.generation_options import GenerationOptions

_PLAIN = frozenset({bool, int, float, str, NoneType})
"""Types of keywords that never change, and are equal only where their numbers are."""
_MOST = 64
"""Kept at once; a program that goes through more, such as seeds, begins anew."""


class KeptOptions:
    """The options that calls had.

    Args:
        resolve: makes them of the keywords of a call, always the same of the same.
    """

    def __init__(self, resolve: Callable[[Mapping[str, Any]], GenerationOptions]) -> None:
        self._resolve = resolve
        self._kept: dict[Any, GenerationOptions] = {}

    def of(self, call: Mapping[str, Any]) -> GenerationOptions:
        """Those of a call with these keywords; raises what ``resolve`` does."""
        types = tuple(map(type, call.values()))  # True is no number of beams, though it equals 1
        if not _PLAIN.issuperset(types):
            return self._resolve(call)
        key = tuple(call.items()), types
        options = self._kept.get(key)
        if options is None:
            options = self._resolve(call)
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept[key] = options
        return options
