"""From one language to another: translators one after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyengine.errors import OptionError
from pyengine.registry import find_route
from pyengine.translator import Translator


class Route:
    """A direct translator, or two by way of English; lists of texts in, lists of texts out.

    Args:
        source, target: codes of the languages.
        load: gives the translator of a model folder.

    Raises:
        ModelNotFoundError: no installed models connect the languages.
    """

    def __init__(self, source: str, target: str, load: Callable[[Path], Translator]) -> None:
        models = find_route(source, target)
        self._legs = [(model.source, load(model.path)) for model in models]

    def generation_options(self, **options: Any) -> None:
        """Check the options of a call.

        Raises:
            OptionError, UnknownOptionError: see :meth:`Translator.generation_options`.
        """
        for _, translator in self._legs:
            count = translator.generation_options(**options).num_return_sequences
            if count > 1 and len(self._legs) > 1:
                raise OptionError(
                    f"num_return_sequences: found {count}, expected 1 by way of English"
                )

    def require_tokenizer(self) -> None:
        """Load the tokenizers now; see :meth:`Translator.require_tokenizer`."""
        for _, translator in self._legs:
            translator.require_tokenizer()

    def translate(
        self, texts: list[str], *, truncate: bool = False, prefix: str = "", **options: Any
    ) -> list[str]:
        """Each text as one sentence; see :meth:`Translator.translate`."""
        self.generation_options(**options)
        for _, translator in self._legs:
            texts = translator.translate(texts, truncate=truncate, prefix=prefix, **options)
        return texts

    def translate_text(self, texts: list[str], *, prefix: str = "", **options: Any) -> list[str]:
        """Texts of any length; see :meth:`Translator.translate_text`.

        Raises:
            UnknownOptionError: also for ``language``, which each translator gets from here.
        """
        self.generation_options(**options)
        for language, translator in self._legs:
            texts = translator.translate_text(texts, language=language, prefix=prefix, **options)
        return texts
