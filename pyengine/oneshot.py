"""``pyengine.translate``: one call, with the translator kept for the next one."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from pyengine import forks
from pyengine.call_errors import explained
from pyengine.cancel import CancelToken, within
from pyengine.errors import OptionError
from pyengine.inputs import checked_texts
from pyengine.loading import checked_folder
from pyengine.option_names import SETTING_NAMES, TEXT_ARGUMENTS, check_names
from pyengine.route import Route
from pyengine.translator import Translator

if TYPE_CHECKING:
    from typing import TypeAlias

    from typing_extensions import Unpack

    from pyengine.call_types import Items, One, Several
    from pyengine.call_types import OneCallOptions as Options

    Folder: TypeAlias = str | os.PathLike[str]

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
        self._lock = forks.ForkSafeLock()

    def get(self, model: str | os.PathLike[str], settings: dict[str, Any]) -> Translator:
        """Return the translator of a folder, loading it the first time."""
        # By what is written, since a wrong setting may be unhashable.
        chosen = repr([settings.get(name) for name in SETTING_NAMES])
        key = (checked_folder(model).resolve(), chosen)
        with self._lock.held():  # also while loading: two threads must not load a model twice
            translator = self._translators.get(key)
            if translator is None or translator.lost_at_fork:
                translator = Translator(model, **settings)
                self._translators[key] = translator
            self._translators.move_to_end(key)
            while len(self._translators) > self._capacity:
                self._translators.popitem(last=False)  # a call that still runs on it finishes
            return translator

    def clear(self) -> None:
        """Forget every translator."""
        with self._lock.held():
            self._translators.clear()


cache = TranslatorCache()


@overload
def translate(
    text: str,
    model: Folder | None = ...,
    *,
    num_return_sequences: One = ...,
    **options: Unpack[Options],
) -> str: ...
@overload
def translate(
    text: str,
    model: Folder | None = ...,
    *,
    num_return_sequences: Several,
    **options: Unpack[Options],
) -> list[str]: ...
@overload
def translate(
    text: Items[str],
    model: Folder | None = ...,
    *,
    num_return_sequences: One = ...,
    **options: Unpack[Options],
) -> list[str]: ...
@overload
def translate(
    text: Items[str],
    model: Folder | None = ...,
    *,
    num_return_sequences: Several,
    **options: Unpack[Options],
) -> list[list[str]]: ...
@overload
def translate(
    text: str | Items[str],
    model: Folder | None = ...,
    *,
    num_return_sequences: int | None,
    **options: Unpack[Options],
) -> str | list[str] | list[list[str]]: ...


@explained
def translate(
    text: str | Items[str],
    model: Folder | None = None,
    *,
    source: str | None = None,
    target: str | None = None,
    timeout: float | None = None,
    cancel: CancelToken | None = None,
    **options: Any,
) -> str | list[str] | list[list[str]]:
    """Translate one text, or a list of texts, between two languages or with a model folder.

    With ``source`` and ``target``, an installed model is used (``pyengine models`` lists them), or
    two by way of English. With ``model``, the folder's model is, and a multilingual one is told the
    languages. Texts may be of any length (see :meth:`Translator.translate`).

    Translators are kept for the next call, the last four.

    Args:
        text: what to translate.
        model: a model folder.
        source, target: codes of languages, such as "en" and "pt"; of a model, as it calls them.
        timeout: seconds that the call may take, loading a model included, which is not cut short;
            ``None``: any number.
        cancel: a :class:`~pyengine.CancelToken` that ends the call.
        **options: those of :class:`~pyengine.Translator` (``compute_type``, ``threads``,
            ``batch_size``, ``isa``, ``cache_dir``, ``shortlist``, ``variant``) and of
            :meth:`Translator.translate`, which also says what is returned and raised.

    Raises:
        OptionError: neither a model nor both languages are given.
        ModelNotFoundError: no installed models connect the languages.
        DeadlineError, CancelledError: the time is up, or the token ended the call.

    Example::

        pyengine.translate("It rains. We stay at home.", source="en", target="pt")
        pyengine.translate("A dog runs.", model="path/to/model", num_beams=4)
    """
    token = within(timeout, cancel)
    settings = {name: options.pop(name) for name in SETTING_NAMES if name in options}
    if model is not None:
        translator = cache.get(model, settings)
        return translator.translate(text, source=source, target=target, cancel=token, **options)
    if source is None or target is None:
        check_names({name: options[name] for name in options if name not in TEXT_ARGUMENTS})
        given = {"source": source, "target": target}
        found = " and ".join(name for name, value in given.items() if value is not None)
        raise OptionError(f"found {found or 'no model'}, expected model, or source and target")
    route = Route(source, target, lambda folder: cache.get(folder, settings))
    texts = [text] if isinstance(text, str) else checked_texts(text)
    results = route.translate(texts, cancel=token, **options)
    return results[0] if isinstance(text, str) else results
