"""CancelToken: ends calls from another thread, or after a time."""

from __future__ import annotations

import math
from typing import Any

from pyengine import _core
from pyengine.errors import InputTypeError, OptionError, excerpt


class CancelToken(_core.CancelToken):
    """Ends the calls that were given it, in whatever threads they run.

    A call that is ended raises :class:`CancelledError`, or :class:`DeadlineError` where the time is
    up, and leaves the engine at once; what other calls get does not change. A token stays
    cancelled: calls that are given it later end before they compute anything.

    Args:
        timeout: seconds from now after which it ends its calls by itself; ``None``: never.
        parent: a token that ends the calls of this one too.

    Raises:
        OptionError: ``timeout`` is no positive finite number.

    Example::

        cancel = pyengine.CancelToken()
        try:
            work = asyncio.to_thread(translator.translate, text, cancel=cancel)
            await asyncio.wait_for(work, 1.0)
        finally:
            cancel.cancel()
    """

    def __init__(self, timeout: float | None = None, parent: CancelToken | None = None) -> None:
        super().__init__(_checked_timeout(timeout), parent)

    def __repr__(self) -> str:
        return f"<pyengine.CancelToken cancelled={self.cancelled}>"


def within(timeout: float | None, cancel: CancelToken | None) -> CancelToken | None:
    """The one token of a call with the keywords ``timeout`` and ``cancel``; ``None`` without both.

    Raises:
        OptionError: ``timeout`` is no positive finite number.
        InputTypeError: ``cancel`` is no token.
        CancelledError, DeadlineError: ``cancel`` ends calls already.
    """
    if cancel is not None:
        if not isinstance(cancel, CancelToken):
            raise InputTypeError(f"cancel: expected a CancelToken, found {type(cancel).__name__}")
        cancel.check()
    return cancel if timeout is None else CancelToken(timeout, cancel)


def _checked_timeout(timeout: Any) -> float | None:
    if timeout is None:
        return None
    expected = "a positive finite number of seconds"
    if isinstance(timeout, (bool, str, bytes)):
        raise OptionError(f"timeout: found {excerpt(timeout)}, expected {expected}")
    try:
        seconds = float(timeout)
    except (TypeError, ValueError, OverflowError):
        raise OptionError(f"timeout: found {type(timeout).__name__}, expected {expected}") from None
    if not math.isfinite(seconds) or seconds <= 0:
        raise OptionError(f"timeout: found {seconds!r}, expected {expected}")
    return seconds
