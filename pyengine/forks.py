"""What a forked child must not inherit as it was: it has none of its parent's other threads.

A lock that one of them held would stay closed for ever in the child, and a module that one was
importing would stay half made.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakSet

held_off = threading.RLock()
"""While a thread holds it, a fork in another one waits: for imports, and for what is soon done."""


class ForkSafeLock:
    """A lock that is open in a forked child, whoever held it in the parent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _locks.add(self)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock in a ``with`` statement."""
        with self._lock:
            yield

    def renew(self) -> None:
        """Open it in a child; who holds the old lock there lets that one go."""
        self._lock = threading.Lock()


_locks: WeakSet[ForkSafeLock] = WeakSet()


def _renew_locks() -> None:
    for lock in tuple(_locks):
        lock.renew()


def in_child(renew: Callable[[], object]) -> None:
    """Call ``renew`` in every forked child."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


in_child(_renew_locks)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=held_off.acquire,
        after_in_parent=held_off.release,
        after_in_child=held_off.release,
    )
