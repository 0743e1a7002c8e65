"""Types of what calls take, for type checkers: texts that are no string, and options by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from pyengine.generation_options import SearchOptions

if TYPE_CHECKING:
    import os
    from typing import TypeAlias

    from pyengine.cancel import CancelToken

Item = TypeVar("Item", covariant=True)


class ItemCollection(Protocol[Item]):
    """A list, tuple, array, series or view of a dictionary; a string is none.

    A string is a ``Sequence[str]`` to type checkers, but is asked for strings alone by ``in``.
    """

    def __contains__(self, item: object, /) -> bool: ...
    def __iter__(self) -> Iterator[Item]: ...
    def __len__(self) -> int: ...


Items: TypeAlias = "ItemCollection[Item] | Iterator[Item]"
"""Any iterable but a string."""

One: TypeAlias = "Literal[1] | None"
"""Numbers of results for which the result itself is returned."""

Several: TypeAlias = Literal[2, 3, 4, 5, 6, 7, 8, 9, 10]
"""Numbers of results for which a list of them is returned; of other numbers above 1 too, which
type checkers cannot tell from 1."""


ComputeType: TypeAlias = Literal["default", "auto", "float32", "bfloat16", "int8"]
Isa: TypeAlias = Literal["avx512vnni", "avx512", "avxvnni", "avx2", "scalar"]
Pooling: TypeAlias = Literal[
    "mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"
]


class GenerateOptions(SearchOptions, total=False):
    """The options of calls that return hypotheses."""

    num_return_sequences: int | None


class StreamOptions(GenerateOptions, total=False):
    """The keywords of :meth:`pyengine.Generator.stream`."""

    timeout: float | None
    cancel: CancelToken | None


class TextOptions(SearchOptions, total=False):
    """The keywords of :meth:`pyengine.Translator.translate_iter` and ``translate_stream``, but for
    the number of results."""

    source: str | None
    target: str | None
    prefix: str
    split: bool
    truncate: bool
    language: str | None
    keep_spans: bool | None
    timeout: float | None
    cancel: CancelToken | None


class TranslateOptions(TextOptions, total=False):
    """The keywords of :meth:`pyengine.Translator.translate`, but for the number of results."""

    progress: bool


class OneCallOptions(TranslateOptions, total=False):
    """Those of :func:`pyengine.translate`, which also takes the settings of a translator."""

    compute_type: ComputeType
    threads: int | None
    batch_size: int | None
    isa: Isa | None
    cache_dir: str | os.PathLike[str] | Literal[False] | None
    shortlist: bool | None
    variant: str | None
