"""Work in a thread of its own, which ends when nobody waits for it any more."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pyengine import _core, exits, forks
from pyengine.errors import ForkedError
from pyengine.memory import reserve

Result = TypeVar("Result")

_ROOM = 10 << 20
"""Bytes that a new thread must find free: a stack of 8 MB, and what the interpreter and libraries
keep of each thread. Without them the interpreter waits for ever, or glibc ends the process."""

_LOOK = 1.0
"""Seconds between looks at whether a thread has ended without a word."""


class Call(threading.Thread, Generic[Result]):
    """One call at work, from now on.

    Args:
        work: what to do. It may raise once its token is cancelled.
        cancel: cancels the work's token too.

    Raises:
        MemoryError: there is none for another thread.
    """

    def __init__(
        self,
        work: Callable[[_core.CancelToken], Result],
        cancel: _core.CancelToken | None = None,
    ) -> None:
        super().__init__(name="pyengine-stream", daemon=True)
        self.token = _core.CancelToken(None, cancel)
        self._work = work
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self._done = threading.Event()
        reserve(_ROOM).close()
        self.start()

    def run(self) -> None:
        try:
            _at_work.add(self)
            self._results.append(self._work(self.token))
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
        while self.is_alive() and not self._done.wait(_LOOK):
            pass
        self.join()

    def result(self) -> Result:
        """Wait for the result, or raise what the work raised."""
        self.wait()
        if self._error is not None:
            exits.end_daemon()
            raise self._error
        if not self._results:  # the thread does not exist in a forked child
            raise ForkedError("the process forked while this stream was at work; start another")
        return self._results[0]


_at_work: set[Call[Any]] = set()


forks.in_child(_at_work.clear)


@atexit.register
def _end_all() -> None:
    """End what runs for streams that nobody closed, while threads can still end."""
    exits.begin()
    end(tuple(_at_work))


def end(calls: tuple[Call[Result], ...]) -> None:
    """Tell the calls to stop, and wait until they have."""
    for call in calls:
        call.token.cancel()
    for call in calls:
        call.wait()
