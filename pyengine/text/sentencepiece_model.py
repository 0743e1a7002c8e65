"""A SentencePiece model, with errors that name its file.

The library is called once a text. Its batch call starts a thread each time, 45 us for one text, and
gains little over a loop for 30,000, at most 1 of 5 us a text (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor

from pyengine.errors import ModelFormatError
from pyengine.exits import guarded_calls
from pyengine.models.binary_file import read_file


class SentencePieceModel:
    """One SentencePiece file.

    Args:
        path: a serialised SentencePiece model (``.spm``, ``.model``), gzipped if it ends in ".gz".
        overrides: fields of the model, serialised, that count in place of the file's.

    Raises:
        ModelFormatError: the file cannot be read, or is no SentencePiece model. The methods raise
            it too, where a damaged file was good enough to load.
    """

    def __init__(self, path: Path, overrides: bytes = b"") -> None:
        self.path = path
        self._processor = self._call(SentencePieceProcessor)
        self._call(self._processor.LoadFromSerializedProto, read_file(path) + overrides)

    def __len__(self) -> int:
        return int(self._call(self._processor.get_piece_size))

    def vocabulary(self) -> dict[str, int]:
        """Every piece's id."""
        ids = list(range(len(self)))
        return dict(zip(self._call(self._processor.id_to_piece, ids), ids, strict=True))

    @property
    def end_id(self) -> int:
        """The id of the end token, -1 if there is none."""
        return int(self._call(self._processor.eos_id))

    @property
    def special_ids(self) -> set[int]:
        """The ids of the padding, start, end and unknown tokens; -1 for one that is missing."""
        model = self._processor
        ids = (model.pad_id, model.bos_id, model.eos_id, model.unk_id)
        return {self._call(id_of_role) for id_of_role in ids}

    @property
    def unknown_ids(self) -> frozenset[int]:
        """The unknown token, and the pieces of single bytes, if the model has such."""
        unknown = self._call(self._processor.unk_id)
        if self.id_of("<0x00>") == unknown:
            return frozenset((unknown,))
        return frozenset((unknown, *(self.id_of(f"<0x{byte:02X}>") for byte in range(256))))

    def id_of(self, piece: str) -> int:
        """The id of a piece, that of the unknown token if there is no such piece."""
        return int(self._call(self._processor.piece_to_id, piece))

    def ids(self, text: str) -> list[int]:
        """The model's own ids of ``text``, without start and end token."""
        return list(self._call(self._processor.encode, text, out_type=int))

    def pieces(self, text: str) -> list[str]:
        """The pieces of ``text``; an unknown stretch is a piece that is not in the model."""
        return list(self._call(self._processor.encode, text, out_type=str))

    def join(self, pieces: list[str] | list[int]) -> str:
        """The text of pieces, or of ids below ``len(self)``."""
        return str(self._call(self._processor.decode, pieces))

    def _call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Every call of the library, whose wrapper lets the interpreter's lock go."""
        try:
            with guarded_calls:
                return function(*arguments, **options)
        except (OSError, RuntimeError, UnicodeDecodeError) as error:
            raise ModelFormatError(
                f"{self.path}: expected a SentencePiece model, but: {error}"
            ) from error
