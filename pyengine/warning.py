"""Warnings that point at the line of the caller which they are about."""

from __future__ import annotations

import sys
import warnings


def warn(warning: Warning) -> None:
    """Issue a warning for the innermost frame outside this package."""
    package = __name__.partition(".")[0]
    frame, level = sys._getframe(1), 2  # 1 is this function
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame = frame.f_back
        level += 1
    warnings.warn(warning, stacklevel=level)
