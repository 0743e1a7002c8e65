"""How multilingual models are told their languages, each in a class of its own."""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

from pyengine.errors import InputTypeError, OptionError, excerpt
from pyengine.models.language_codes import language_tag, nearest_tag

_WRITTEN = re.compile(r"(>>[^<>]+<<|<2[^<>]+>)\s*")


class Languages(ABC):
    """The languages of a tokenizer, by the codes of its model.

    Attributes:
        codes: of all languages, sorted.
        num_final: tokens at the end of a source that truncation keeps.
        tells_source: whether the model is told the source language, not only the target.
    """

    num_final = 1
    tells_source = False

    def __init__(self, codes: Iterable[str]) -> None:
        self.codes = tuple(sorted(codes))

    def check(self, name: str, code: str) -> None:
        """Raises OptionError if `code`, given as `name`, is no language of the model."""
        if not isinstance(code, str):
            found = type(code).__name__
            raise InputTypeError(f"{name}: expected the code of a language, found {found}")
        if code not in self.codes:
            known = f"such as {', '.join(self._near(code))}"
            raise OptionError(
                f"{name}: found {excerpt(code, 40)}, expected one of the model's {len(self.codes)} "
                f"languages, {known}"
            )

    def _near(self, code: str) -> list[str]:
        """What the model may call a language: the same one, those written alike, or any."""
        tags = {language_tag(own) or own: own for own in reversed(self.codes)}
        tag = language_tag(code)
        same = nearest_tag(tag, tags) if tag else None
        if same is not None:
            return [tags[same]]
        alike = difflib.get_close_matches(code, self.codes, n=3, cutoff=0.4)
        return alike or list(self.codes[:3])

    def named_in(self, text: str) -> str:
        """What tells the target language at the beginning of a text, if its writer put it there."""
        return ""

    @abstractmethod
    def prefixed(self, text: str, target: str | None) -> str:
        """``text`` with what tells the target language in it."""

    @abstractmethod
    def marked(self, ids: list[int], source: str | None) -> list[int]:
        """The ids of a text with what tells the source language around them."""

    @abstractmethod
    def first_id(self, target: str) -> int | None:
        """The id that a translation into ``target`` starts with, if any is to be forced."""


class LanguageTokens(Languages):
    """fairseq's way: a token of the source language beside the text, one of the target language
    forced as the first of the translation.

    Args:
        ids: of each language's token.
        end_id: of the end token.
        default: the source language where none is given.
        language_first: ``[language] X </s>``; otherwise ``X </s> [language]``.
    """

    tells_source = True

    def __init__(
        self, ids: Mapping[str, int], end_id: int, default: str, language_first: bool
    ) -> None:
        super().__init__(ids)
        self._ids, self._end_id, self._default = ids, end_id, default
        self._language_first = language_first
        self.num_final = 1 if language_first else 2

    def prefixed(self, text: str, target: str | None) -> str:
        """The text: the source does not say what it is translated into."""
        return text

    def marked(self, ids: list[int], source: str | None) -> list[int]:
        """With the language's token and the end token."""
        language = self._ids[source or self._default]
        if self._language_first:
            return [language, *ids, self._end_id]
        return [*ids, self._end_id, language]

    def first_id(self, target: str) -> int | None:
        """The target language's token."""
        return self._ids[target]


class TargetPrefixes(Languages):
    """The way of MarianMT and MADLAD: the source text starts with the target language.

    Args:
        prefixes: of each language, such as ">>fra<< ".
    """

    def __init__(self, prefixes: Mapping[str, str]) -> None:
        super().__init__(prefixes)
        self._prefixes = prefixes
        self._written = frozenset(prefix.strip() for prefix in prefixes.values())

    def named_in(self, text: str) -> str:
        """A language's prefix, with the white space behind it."""
        found = _WRITTEN.match(text)
        return found[0] if found and found[1] in self._written else ""

    def prefixed(self, text: str, target: str | None) -> str:
        """With the prefix of the target language."""
        return text if target is None else self._prefixes[target] + text

    def marked(self, ids: list[int], source: str | None) -> list[int]:
        """The ids: the source language is not told."""
        return ids

    def first_id(self, target: str) -> int | None:
        """None."""
        return None
