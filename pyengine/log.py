"""The logger ``pyengine``: what was loaded, from where, and what else users may look for."""

from __future__ import annotations

import sys
from typing import Any


def info(message: str, *values: Any) -> None:
    """Log a message, if anybody can: a program that never imported logging hears nothing, and
    does not wait for the import."""
    _log("info", message, values)


def debug(message: str, *values: Any) -> None:
    """The same for what happens in each call."""
    _log("debug", message, values)


def _log(level: str, message: str, values: tuple[Any, ...]) -> None:
    logging = sys.modules.get("logging")
    if logging is not None:
        getattr(logging.getLogger("pyengine"), level)(message, *values)
