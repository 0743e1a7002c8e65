"""Tokens, and their text, as an engine makes them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import partial

from pyengine import _core, background
from pyengine.text import Tokenizer
from pyengine.text_pipeline import EncodedSentence, EncodedText

_WAIT = 0.05
"""Seconds after which a reader looks for a Ctrl-C again."""


def tokens_as_made(
    work: Callable[[_core.TokenQueue, _core.CancelToken], None],
    cancel: _core.CancelToken | None = None,
) -> Generator[list[int], None, None]:
    """The ids that ``work`` puts into a queue, all that are there at a time.

    Args:
        work: runs in a thread of its own, from the first tokens asked for until it is done or the
            generator is closed or dropped.
        cancel: ends the work too, with an error.
    """
    queue = _core.TokenQueue()
    call = background.Call(partial(work, queue), cancel)
    try:
        while call.is_alive():
            if tokens := queue.take(_WAIT):
                yield tokens
        call.result()
        if tokens := queue.take(0):
            yield tokens
    finally:
        background.end((call,))


def ids_of(batches: Iterator[list[int]]) -> Generator[int, None, None]:
    """The ids one by one."""
    for ids in batches:
        yield from ids


def text_of(batches: Iterator[list[int]], tokenizer: Tokenizer) -> Generator[str, None, None]:
    """Pieces of the text of all ids, which together are ``tokenizer.decode`` of them.

    A piece waits until no further id can change it: a character whose bytes are spread over several
    tokens, for example.
    """
    text = _GrowingText(tokenizer)
    for batch in batches:
        if piece := text.add(batch):
            yield piece
    if rest := text.rest():
        yield rest


_WINDOW = 64
"""Last ids that are decoded again with each new one; up to twice as many."""

_OVERLAP = 16
"""Characters that the text of the last ids has at least if it is to stand for that of all. What
goes before changes fewer: a space at the beginning, and what cleaning up looks at."""


class _GrowingText:
    """The text of ids that come one after another, in time that grows with their number."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []  # the last ones
        self._text = ""  # of these
        self._handed_out = 0  # characters of it

    def add(self, ids: list[int]) -> str:
        """What is certain now and was not yet returned."""
        self._ids += ids
        self._text = self._tokenizer.decode(self._ids)
        settled = self._tokenizer.settled(self._ids, self._text)
        piece = settled[self._handed_out :]
        self._handed_out += len(piece)
        if len(self._ids) > 2 * _WINDOW:
            self._forget()
        return piece

    def rest(self) -> str:
        """What is left at the end."""
        return self._text[self._handed_out :]

    def _forget(self) -> None:
        """Let the first ids go if the text of the others does not depend on them."""
        ids = self._ids[-_WINDOW:]
        text = self._tokenizer.decode(ids)
        before = len(self._text) - len(text)
        if len(text) >= _OVERLAP and self._text.endswith(text) and before <= self._handed_out:
            self._ids, self._text = ids, text
            self._handed_out -= before


def stream_text(
    text: EncodedText, stream: Callable[[EncodedSentence], Generator[str, None, None]]
) -> Generator[str, None, None]:
    """Pieces of a text's translation, which together are what its layout joins.

    Args:
        text: what to translate.
        stream: gives the pieces of one sentence's translation.
    """
    before = ""
    for index, sentence in enumerate(text.sentences):
        translation = handed_out = ""
        with closing(stream(sentence)) as pieces:
            for piece in pieces:
                translation += piece
                placed = text.layout.placed(index, before, translation)
                if len(placed) > len(handed_out):
                    yield placed[len(handed_out) :]
                    handed_out = placed
        before = translation
    if rest := text.layout.placed(len(text.sentences), before, ""):
        yield rest
