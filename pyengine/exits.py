"""The end of the process, which daemon threads do not see coming.

Once the interpreter ends, a thread that takes its lock back is ended where it stands. If that is
inside sentencepiece, whose wrapper takes the lock back in a C++ destructor, or in a library that
begins, as those of Rust do in the middle of an import, the whole process is aborted. So daemon
threads stay out of these from then on.
"""

from __future__ import annotations

import atexit
import threading

from pyengine import forks

_POLL = 0.001
"""Seconds between looks at whether the last call has ended."""

_ending = threading.Event()
_inside: set[int] = set()


class _GuardedCalls:
    """Holds calls of a library that must have ended before the interpreter does."""

    def __enter__(self) -> None:
        _inside.add(threading.get_ident())  # before it looks: _await_calls tells before it looks
        try:
            end_daemon()
        except SystemExit:
            _inside.discard(threading.get_ident())
            raise

    def __exit__(self, *exc_info: object) -> None:
        _inside.discard(threading.get_ident())


guarded_calls = _GuardedCalls()
"""A context for calls of a library that daemon threads must be kept out of."""


class _GuardedImports:
    """The same for imports within functions, for which forks in other threads wait as well."""

    def __enter__(self) -> None:
        guarded_calls.__enter__()
        forks.held_off.acquire()

    def __exit__(self, *exc_info: object) -> None:
        forks.held_off.release()
        guarded_calls.__exit__()


guarded_imports = _GuardedImports()
"""A context for every import within a function that a thread may run."""


def end_daemon() -> None:
    """End the calling thread quietly if it is a daemon and the process ends.

    Raises:
        SystemExit: which ends a thread without a message.
    """
    if _ending.is_set() and threading.current_thread().daemon:
        raise SystemExit


def begin() -> None:
    """Say that the process ends."""
    _ending.set()


@atexit.register
def _await_calls() -> None:
    begin()
    while _inside - {threading.get_ident()}:
        threading.Event().wait(_POLL)


forks.in_child(_inside.clear)
