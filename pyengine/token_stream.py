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
    work: Callable[[_core.TokenQueue, _core.StopFlag], None],
) -> Generator[list[int], None, None]:
    """The ids that ``work`` puts into a queue, all that are there at a time.

    Args:
        work: runs in a thread of its own, from the first tokens asked for until it is done or the
            generator is closed or dropped.
    """
    queue = _core.TokenQueue()
    call = background.Call(partial(work, queue))
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
    ids: list[int] = []
    text = handed_out = ""
    for batch in batches:
        ids += batch
        text = tokenizer.decode(ids)
        settled = tokenizer.settled(ids, text)
        if len(settled) > len(handed_out):
            yield settled[len(handed_out) :]
            handed_out = settled
    if len(text) > len(handed_out):
        yield text[len(handed_out) :]


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
