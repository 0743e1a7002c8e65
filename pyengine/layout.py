"""The layout of a text: the parts that are translated, and what stays between them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from pyengine.errors import InputError, OptionError
from pyengine.inputs import check_boolean, is_blank
from pyengine.models.firefox_options import MAX_SENTENCE_TOKENS
from pyengine.models.languages import told_language
from pyengine.text.sentences import LONGEST, SplitText, split_text

if TYPE_CHECKING:
    from pyengine.translator import Translator
    from pyengine.wording import Wording

# Words and marks after which no rule of any language ends a sentence, then the end of the sentence:
# such a text is one sentence, without asking the library.
_ONE_SENTENCE = re.compile(r"[\w ,'\"()/&%+-]+[.!?]?")


class Layout(Protocol):
    """A text without its translation."""

    @property
    def sentences(self) -> list[str]:
        """The parts to translate."""

    def join(self, translations: list[str]) -> str:
        """The text with these in place of :attr:`sentences`."""

    def placed(self, index: int, before: str, translation: str) -> str:
        """The part of :meth:`join` that a translation adds; see :meth:`SplitText.placed`."""


class WholeText:
    """A text that is translated as it is; one that is blank has a blank translation."""

    def __init__(self, text: str) -> None:
        self.sentences = [] if is_blank(text) else [text]

    def join(self, translations: list[str]) -> str:
        """The translation."""
        return "".join(translations)

    def placed(self, index: int, before: str, translation: str) -> str:
        """The translation."""
        return translation


class SentenceSplitter:
    """Texts of any length to sentences that a model takes.

    Args:
        language: gives the language whose rules say where sentences end.
        max_tokens: tokens of a sentence at most; a longer one is cut at its clause marks.
        keep_blocks: whether fenced code, comments and scripts stay as they are.
    """

    def __init__(
        self, language: Callable[[], str], max_tokens: int, keep_blocks: bool = True
    ) -> None:
        self._language, self._max_tokens = language, max_tokens
        self._keep_blocks = keep_blocks

    def split(self, text: str, count_tokens: Callable[[str], int]) -> Layout:
        """The sentences of a text, without white space at either end.

        Args:
            text: any string; a lone surrogate counts as U+FFFD.
            count_tokens: of a sentence.
        """

        def fits(sentence: str) -> bool:
            return is_blank(sentence) or count_tokens(sentence.strip()) <= self._max_tokens

        core = text.strip(" \t\r\n")
        if len(core) <= LONGEST and _ONE_SENTENCE.fullmatch(core) and fits(text):
            layout = SplitText()
            layout.add(text)
            return layout
        return split_text(text, self._language(), fits, self._keep_blocks)


def checked_splitter(
    translator: Translator,
    wording: Wording,
    split: bool,
    truncate: bool,
    language: str | None,
    keep_blocks: bool,
) -> SentenceSplitter | None:
    """What splits the texts of a call; ``None``: the model gets each as it is.

    Raises:
        InputTypeError, OptionError: one of the last three arguments.
        InputError: the prefix leaves no room for a text.
    """
    check_boolean("split", split)
    check_boolean("truncate", truncate)
    told = told_language(language, wording.source)
    if not split or _reads_whole_texts(translator, wording):
        return None
    if truncate:
        raise OptionError("truncate: found True, expected False unless split=False")

    def rules() -> str:
        return told or translator.source_language  # which asks the folder's files

    return SentenceSplitter(rules, _max_tokens(translator, wording), keep_blocks)


def _reads_whole_texts(translator: Translator, wording: Wording) -> bool:
    """Whether a model is of a family that mostly summarises or follows instructions, and neither
    the call nor the folder says that it translates."""
    if translator.model_type not in ("bart", "pegasus", "t5", "mt5"):
        return False
    told = wording.target is not None or "translate" in wording.prefix.lower()
    return not told and translator.folder_languages is None


def _max_tokens(translator: Translator, wording: Wording) -> int:
    most: int = translator.generation_config.get("max_sentence_tokens", MAX_SENTENCE_TOKENS)
    if not wording.prefix:
        return min(most, translator.max_source_length)
    around = len(translator.encode("", wording.source, wording.target, wording.prefix))
    if around >= translator.max_source_length:
        found = f"{around} tokens, the model has {translator.max_source_length} positions"
        raise InputError(f"prefix: found {found}")
    return min(around + most, translator.max_source_length)
