"""Work on an input without end: chunks run in the background, results come in input order.

Two chunks run at a time. Their calls meet in the engine's scheduler, which gives the rows of a
finished sentence to the next of either, so that the batch stays full across their border.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

from pyengine import _core
from pyengine.errors import ForkedError

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 1
"""Chunks that are at work behind the one whose results are asked for."""

CHUNK_BATCHES = 8
"""Sentences of a chunk, in batches. Time of 1,000 sentences of multi30k, greedy, against one call
with all, by batches x chunks ahead: 2 x 3 1.08, 4 x 1 1.10, 4 x 2 1.04, 8 x 1 1.01, 8 x 2 1.01."""


class _Call(threading.Thread, Generic[Item, Result]):
    """One chunk at work, in a thread of its own."""

    def __init__(
        self, work: Callable[[list[Item], _core.StopFlag], list[Result]], chunk: list[Item]
    ) -> None:
        super().__init__(name="pyengine-stream", daemon=True)
        self.stop = _core.StopFlag()
        self._work = work
        self._chunk = chunk
        self._results: list[Result] | None = None
        self._error: BaseException | None = None
        self._done = threading.Event()
        self.start()

    def run(self) -> None:
        _at_work.add(self)
        try:
            self._results = self._work(self._chunk, self.stop)
        except BaseException as error:
            self._error = error
        finally:
            _at_work.discard(self)
            self._done.set()

    def wait(self) -> None:
        """Wait for the end; at once in a forked child, which has no such thread.

        A Ctrl-C inside ``Thread.join`` makes Python 3.11 take a running thread for an ended one, so
        that the next join returns early; an event has no such state.
        """
        if self.is_alive():
            self._done.wait()
        self.join()

    def results(self) -> list[Result]:
        """Wait for the results, or raise what the work raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        if self._results is None:  # the thread does not exist in a forked child
            raise ForkedError("the process forked while this stream was at work; start another")
        return self._results


_at_work: set[_Call[Any, Any]] = set()


@atexit.register
def _end_all() -> None:
    """End what runs for streams that nobody closed, while threads can still end."""
    _end(tuple(_at_work))


def _end(calls: tuple[_Call[Item, Result], ...]) -> None:
    for call in calls:
        call.stop.set()
    for call in calls:
        call.wait()


def in_order(
    items: Iterator[Item],
    work: Callable[[list[Item], _core.StopFlag], list[Result]],
    chunk_size: int,
) -> Generator[Result, None, None]:
    """The result of each item, in order; at most ``AHEAD + 1`` chunks are held at a time.

    ``items`` is read in the thread that asks for results. What it raises comes after the results
    of the items before.

    Args:
        items: read ``chunk_size`` at a time.
        work: gives the results of a chunk; runs in a thread of its own, for several chunks at
            once. It may raise once the flag is set: nobody waits for its results any more.
        chunk_size: items of a chunk.
    """
    chunks = _chunks(items, chunk_size)
    calls: deque[_Call[Item, Result]] = deque()
    end: Exception | None = None  # StopIteration, or what the input raised
    try:
        while end is None or calls:
            if end is None:
                try:
                    calls.append(_Call(work, next(chunks)))
                except Exception as error:
                    end = error
            if calls and (end is not None or len(calls) > AHEAD):
                yield from calls[0].results()
                calls.popleft()
    finally:
        _end(tuple(calls))
    if not isinstance(end, StopIteration):
        raise end


def _chunks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    """Lists of ``size`` items; before an error of ``items``, a list of those read before it."""
    while True:
        chunk: list[Item] = []
        try:
            for item in islice(items, size):
                chunk.append(item)
        except Exception:
            if chunk:
                yield chunk
            raise
        if not chunk:
            return
        yield chunk
