"""Cutting a text at its added tokens, as transformers' Python tokenizers do first of all."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pyengine.text.special_tokens import AddedToken


class AddedTokenSplitter:
    """Finds added tokens in text, leftmost and longest first.

    Source: ``PreTrainedTokenizer.tokenize`` in transformers 4.57.6.
    """

    def __init__(self, tokens: Iterable[AddedToken]) -> None:
        self._tokens = {token.content: token for token in tokens if token.content}
        longest_first = sorted(self._tokens, key=len, reverse=True)
        # An empty alternation would match everywhere; this one matches nowhere.
        self._pattern = re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})")

    def is_token(self, part: str) -> bool:
        """Whether a part that :meth:`split` gave is an added token."""
        return part in self._tokens

    def split(self, text: str) -> list[str]:
        """The parts of ``text`` in order, each an added token or text between them; none is empty.

        White space that a token's flags give to the token is gone from its neighbours.
        """
        parts = self._pattern.split(text)
        if len(parts) == 1:
            return [text] if text else []
        # Where two tokens touch, or one ends the text, transformers sees no part between them.
        parts = [part for part in parts if part]
        for place, part in enumerate(parts):
            if part in self._tokens:
                self._apply_flags(parts, place, self._tokens[part])
        return [part for part in parts if part]

    def _apply_flags(self, parts: list[str], place: int, token: AddedToken) -> None:
        """Let the token at ``place`` strip its neighbours, or join one if it must stand alone."""
        left = parts[place - 1] if place > 0 else ""
        right = parts[place + 1] if place + 1 < len(parts) else ""
        if token.rstrip and right:
            parts[place + 1] = right.lstrip()
        if token.lstrip and left:
            parts[place - 1] = left.rstrip()
        if token.single_word and left and left[-1] != " ":
            parts[place - 1] += token.content
            parts[place] = ""
        elif token.single_word and right and right[0] != " ":
            parts[place + 1] = token.content + parts[place + 1]
            parts[place] = ""
