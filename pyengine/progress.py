"""A progress bar, where a call asks for one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from pyengine import exits

Item = TypeVar("Item")


def shown(items: Iterable[Item], total: int) -> Iterator[Item]:
    """The items, counted by a bar on stderr or in a notebook."""
    with exits.guarded_imports:
        from tqdm.auto import tqdm  # type: ignore[import-untyped, unused-ignore]

    return iter(tqdm(items, total=total, unit=" text"))
