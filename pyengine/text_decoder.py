"""The bytes of a file to its text: byte-order marks are obeyed, and what is no text is an error."""

from __future__ import annotations

import codecs
import io
import os
from typing import BinaryIO

from pyengine.errors import InputError, OptionError
from pyengine.file_kinds import HEAD, kind_of

DEFAULT = "utf-8"

_MARKS = {  # that of UTF-32 before that of UTF-16 which it begins with
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_MARK = "\ufeff"
_BLOCK = 1 << 20  # bytes read at once


def checked_encoding(name: str | None) -> str | None:
    """``name``, if Python knows an encoding of text by it.

    Raises:
        OptionError: it does not.
    """
    if name is not None:
        try:
            codecs.getincrementaldecoder(name)
            b"a".decode(name)
        except UnicodeDecodeError:  # half a character
            return name
        except (LookupError, ValueError):
            raise OptionError(
                f"--encoding: found {name!r:.60}, expected the name of an encoding, such as "
                "utf-8, utf-16-le, latin-1, cp1252 or shift_jis"
            ) from None
    return name


def check_kind(head: bytes, label: str) -> None:
    """Raises InputError where a file begins as one of another kind than text.

    Args:
        head: its first bytes.
        label: what the error calls it.
    """
    kind = kind_of(head)
    if kind is not None:
        reader = f"; {kind.reader}" if kind.reader else ""
        raise InputError(f"{label}: found what seems to be {kind.name}, expected text{reader}")


def _chosen(named: str | None, marked: str | None) -> str:
    """The encoding of a file, by what the user says of it and by its byte-order mark."""
    if named is None:
        return marked or DEFAULT
    name = codecs.lookup(named).name
    if name not in ("utf-16", "utf-32"):
        return named
    return marked if marked and marked.startswith(name) else f"{name}-le"  # as Windows writes it


class TextDecoder:
    """A file's blocks of bytes to text, as they come.

    Args:
        label: what errors call the file.
        encoding: of the text; ``None``: what its byte-order mark says, or UTF-8.
    """

    def __init__(self, label: str, encoding: str | None) -> None:
        self.label, self._encoding = label, encoding
        self._decoder: codecs.IncrementalDecoder | None = None
        self._held = b""  # bytes that may be the beginning of a mark
        self._offset = 0  # of the end of all bytes so far
        self._line = 1
        self.error: InputError | None = None
        """Why the text ends here."""

    def decode(self, block: bytes, final: bool = False) -> str:
        """The text of the next block, up to the first fault, which goes to :attr:`error`.

        Args:
            block: bytes; none with ``final``.
            final: whether the file ends here.
        """
        self._offset += len(block)
        if self._decoder is not None:
            return self._checked(self._decoder, block, final)
        block = self._held + block
        if not final and any(mark.startswith(block) and mark != block for mark in _MARKS):
            self._held = block
            return ""
        try:
            check_kind(block, self.label)
        except InputError as error:
            self.error = error
            return ""
        marked = next((name for mark, name in _MARKS.items() if block.startswith(mark)), None)
        self._encoding = _chosen(self._encoding, marked)
        self._decoder = codecs.getincrementaldecoder(self._encoding)("strict")
        return self._checked(self._decoder, block, final).removeprefix(_MARK)

    def _checked(self, decoder: codecs.IncrementalDecoder, block: bytes, final: bool) -> str:
        state = decoder.getstate()
        try:
            text = decoder.decode(block, final)
        except UnicodeDecodeError as fault:
            decoder.setstate(state)
            before = len(fault.object) - len(block)  # of an earlier block
            text = decoder.decode(block[: max(0, fault.start - before)])
            offset = self._offset - len(fault.object) + fault.start
            self.error = self._fault(text, fault.object[fault.start], offset)
        except UnicodeError as fault:  # of the few encodings that say no more
            text = ""
            self.error = InputError(f"{self.label}: expected {self._encoding}: {fault}")
        text, nul, _ = text.partition("\0")
        self._line += text.count("\n")
        if nul:
            self.error = self._nul(block)
        return text

    def _fault(self, text: str, byte: int, offset: int) -> InputError:
        line = self._line + text.count("\n")
        return InputError(
            f"{self.label}:{line}: found the byte 0x{byte:02x} at offset {offset}, "
            f"which is not {self._encoding}; pass --encoding NAME, such as latin-1, for another"
        )

    def _nul(self, block: bytes) -> InputError:
        reason = "found a NUL character, expected text"
        if self._encoding == DEFAULT and len(block) >= 2:
            even, odd = block[::2].count(0), block[1::2].count(0)
            if max(even, odd) > len(block) // 4:
                guess = "utf-16-le" if odd > even else "utf-16-be"
                reason += f" (UTF-16 without its byte-order mark? pass --encoding {guess})"
        return InputError(f"{self.label}:{self._line}: {reason}")


def read_text(file: BinaryIO, label: str, encoding: str | None = None) -> str:
    """All text of a file.

    Raises:
        InputError: it is no text, or not in its encoding; the message names line and byte.
    """
    decoder = TextDecoder(label, encoding)
    parts, is_final = [], False
    while not is_final:  # and no more than that of /dev/zero
        block = file.read(_BLOCK)
        is_final = not block
        parts.append(decoder.decode(block, is_final))
        if decoder.error is not None:
            raise decoder.error
    return "".join(parts)


def read_argument(text: str, encoding: str | None = None) -> str:
    """A text of the command line, which Python has decoded as the terminal's.

    Raises:
        InputError: it holds bytes that the terminal's encoding has no characters for, which are
            not in ``encoding`` (UTF-8) either.
    """
    if any("\udc80" <= character <= "\udcff" for character in text):
        return read_text(io.BytesIO(os.fsencode(text)), "TEXT", encoding)
    return text


def check_head(file: BinaryIO, label: str) -> None:
    """Raises InputError where a file that can be read again begins as another kind than text."""
    if file.seekable():
        check_kind(file.read(HEAD), label)
        file.seek(0)
