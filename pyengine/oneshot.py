"""``pyengine.translate``: one call, with the translator kept for the next one."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from pyengine.loading import checked_folder
from pyengine.options import SETTING_NAMES
from pyengine.translator import Translator

MAX_TRANSLATORS = 4
"""Translators kept; beyond it the one used longest ago goes."""

_Key = tuple[Path, str]


class TranslatorCache:
    """Translators by folder and settings, the last used ones; safe to use from many threads.

    A folder that is replaced on disk is not read again: use :meth:`clear`, or a
    :class:`~pyengine.Translator` of your own.
    """

    def __init__(self, capacity: int = MAX_TRANSLATORS) -> None:
        self._capacity = capacity
        self._translators: OrderedDict[_Key, Translator] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, model: str | os.PathLike[str], settings: dict[str, Any]) -> Translator:
        """Return the translator of a folder, loading it the first time."""
        # By what is written, since a wrong setting may be unhashable.
        chosen = repr([settings.get(name) for name in SETTING_NAMES])
        key = (checked_folder(model).resolve(), chosen)
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

    def renew_lock(self) -> None:
        """In a forked child, where another thread of the parent may hold the lock for ever."""
        self._lock = threading.Lock()


cache = TranslatorCache()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=cache.renew_lock)


@overload
def translate(
    text: str, model: str | os.PathLike[str], *, truncate: bool = ..., **options: Any
) -> str: ...
@overload
def translate(
    text: Sequence[str], model: str | os.PathLike[str], *, truncate: bool = ..., **options: Any
) -> list[str]: ...


def translate(
    text: str | Sequence[str],
    model: str | os.PathLike[str],
    *,
    truncate: bool = False,
    **options: Any,
) -> str | list[str]:
    """Translate one text, or a list of texts, with the model in a folder.

    The translator is kept for the next call (the last four folders and settings are). Keywords are
    those of :class:`~pyengine.Translator` (``compute_type``, ``threads``, ``batch_size``, ``isa``,
    ``cache_dir``) and of :meth:`Translator.translate`, which also says what is returned and raised.

    Example::

        pyengine.translate("A dog runs.", model="path/to/model", num_beams=4)
    """
    settings = {name: options.pop(name) for name in SETTING_NAMES if name in options}
    return cache.get(model, settings).translate(text, truncate=truncate, **options)
