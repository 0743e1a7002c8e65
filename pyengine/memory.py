"""Memory that is there before what cannot do without it begins."""

from __future__ import annotations

import mmap


def reserve(size: int) -> mmap.mmap:
    """So many bytes, until they are closed; they are not written, so they cost no time.

    Raises:
        MemoryError: there are none.
    """
    try:
        return mmap.mmap(-1, size)
    except OSError as error:
        raise MemoryError(f"{size} bytes: {error.strerror}") from error
