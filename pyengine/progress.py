"""A progress bar, where a call asks for one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from pyengine import forks

Item = TypeVar("Item")


def shown(items: Iterable[Item], total: int) -> Iterator[Item]:
    """The items, counted by a bar on stderr or in a notebook."""
    with forks.held_off:
        from tqdm.auto import tqdm  # type: ignore[import-untyped, unused-ignore]

    return iter(tqdm(items, total=total, unit=" text"))
