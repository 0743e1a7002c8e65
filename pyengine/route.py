"""From one language to another: translators one after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyengine._core import CancelToken
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

    @property
    def direct(self) -> Translator | None:
        """The translator, where there is one alone."""
        return self._legs[0][1] if len(self._legs) == 1 else None

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
        self,
        texts: list[str],
        *,
        prefix: str = "",
        split: bool = True,
        truncate: bool = False,
        language: str | None = None,
        keep_spans: bool | None = None,
        progress: bool = False,
        cancel: CancelToken | None = None,
        **options: Any,
    ) -> list[Any]:
        """Texts of any length; see :meth:`Translator.translate`.

        Args:
            texts: what to translate.
            prefix, split, truncate, keep_spans, progress: of each translator.
            language: of the texts; ``None``: the language that is translated from.
            cancel: ends the call.
            **options: of each translator.
        """
        self.generation_options(**options)
        manner: dict[str, Any] = {
            "progress": progress,
            "split": split,
            "truncate": truncate,
            "keep_spans": keep_spans,
            "cancel": cancel,
        }
        for source, translator in self._legs:
            spoken = source if language is None else language
            texts = translator.translate(texts, prefix=prefix, language=spoken, **manner, **options)
            language = None
        return texts
