"""``pyengine.translate``: one call, with the translator kept for the next one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from pyengine.errors import InputTypeError
from pyengine.translator import Translator

MAX_TRANSLATORS = 4
"""Translators kept; beyond it the one used longest ago goes."""

_SETTINGS = ("compute_type", "threads", "batch_size", "isa")
_Key = tuple[Any, ...]


class TranslatorCache:
    """Translators by folder and settings, the last used ones; safe to use from many threads.

    A folder that is replaced on disk is not read again: use :meth:`clear`, or a
    :class:`~pyengine.Translator` of your own.
    """

    def __init__(self, capacity: int = MAX_TRANSLATORS) -> None:
        self._capacity = capacity
        self._translators: OrderedDict[_Key, Translator] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, model: str | Path, settings: dict[str, Any]) -> Translator:
        """Return the translator of a folder, loading it the first time."""
        if not isinstance(model, (str, Path)):
            raise InputTypeError(f"model: expected a folder, found {type(model).__name__}")
        key = (Path(model).resolve(), *(settings.get(name) for name in _SETTINGS))
        with self._lock:  # held while loading: two threads must not load the same model twice
            translator = self._translators.get(key)
            if translator is None:
                translator = Translator(model, **settings)
                self._translators[key] = translator
            self._translators.move_to_end(key)
            while len(self._translators) > self._capacity:
                self._translators.popitem(last=False)  # a call that still runs on it finishes
            return translator

    def clear(self) -> None:
        """Forget every translator."""
        with self._lock:
            self._translators.clear()


cache = TranslatorCache()


@overload
def translate(text: str, model: str | Path, truncate: bool = ..., **options: Any) -> str: ...
@overload
def translate(
    text: Sequence[str], model: str | Path, truncate: bool = ..., **options: Any
) -> list[str]: ...


def translate(
    text: str | Sequence[str], model: str | Path, truncate: bool = False, **options: Any
) -> str | list[str]:
    """Translate one text, or a list of texts, with the model in a folder.

    The translator is kept for the next call (the last four folders and settings are). Keywords are
    those of :class:`~pyengine.Translator` (``compute_type``, ``threads``, ``batch_size``, ``isa``)
    and of :meth:`Translator.translate`, which also says what is returned and raised.

    Example::

        pyengine.translate("A dog runs.", model="path/to/model", num_beams=4)
    """
    settings = {name: options.pop(name) for name in _SETTINGS if name in options}
    return cache.get(model, settings).translate(text, truncate, **options)
