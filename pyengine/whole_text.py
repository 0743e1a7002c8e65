"""Texts of any length through a translator that takes sentences."""

from __future__ import annotations

import dataclasses
from itertools import islice
from typing import TYPE_CHECKING, Any

from pyengine.errors import OptionError
from pyengine.models.languages import sentence_language
from pyengine.text.sentences import split_text

if TYPE_CHECKING:
    from pyengine.translator import Translator
    from pyengine.wording import Wording

MAX_SENTENCE_TOKENS = 128
"""Source tokens of one sentence at most: models see few longer ones in training, and Bergamot's
engine cuts there too."""


def translate_texts(
    translator: Translator,
    texts: list[str],
    language: str | None,
    wording: Wording,
    options: dict[str, Any],
) -> list[str]:
    """What :meth:`Translator.translate_text` does, for several texts.

    All their sentences are translated in one call. Each is turned into tokens twice, once to see
    whether it fits, which costs a hundredth of translating it.
    """
    count = translator.generation_options(**options).num_return_sequences
    if count > 1:
        raise OptionError(f"num_return_sequences: found {count}, expected 1 for whole texts")
    rules = sentence_language(translator.path, language, wording.source)
    told = dataclasses.asdict(wording)
    limit = min(translator.max_source_length, MAX_SENTENCE_TOKENS)

    def fits(sentence: str) -> bool:
        return len(translator.encode(sentence, **told)) <= limit

    splits = [split_text(text, rules, fits) for text in texts]
    sentences = [sentence for split in splits for sentence in split.sentences]
    translations = iter(translator.translate(sentences, **told, **options))
    return [split.join(list(islice(translations, len(split.sentences)))) for split in splits]
