"""What a file that is no plain text seems to be, by its first bytes, and what makes text of it."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = 1 << 14
"""First bytes of a file that are looked at: a zip archive's first names lie in them."""


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Attributes:
        name: with its article.
        reader: what makes text of it, as the end of a sentence; empty where nothing does.
    """

    name: str
    reader: str


_OFFICE = "LibreOffice makes text of it (soffice --convert-to txt:Text)"
_PANDOC = "pandoc -t plain makes text of it"
_TABLE = "a spreadsheet program makes text of it (as CSV)"
_PICTURE = "a program that recognises characters makes text of it (tesseract)"
_SOUND = "a program that recognises speech makes text of it"

_ZIP_MEMBERS = {
    b"mimetypeapplication/epub": FileKind("an EPUB book", _PANDOC),
    b"mimetypeapplication/vnd.oasis.opendocument.text": FileKind("an OpenDocument text", _PANDOC),
    b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet": FileKind(
        "an OpenDocument spreadsheet", _TABLE
    ),
    b"mimetypeapplication/vnd.oasis": FileKind("an OpenDocument file", _OFFICE),
    b"word/": FileKind("a Word document (.docx)", _PANDOC),
    b"xl/": FileKind("an Excel workbook (.xlsx)", _TABLE),
    b"ppt/": FileKind("a PowerPoint presentation (.pptx)", _OFFICE),
}
"""Kinds of zip archives, by what stands in one."""

_ZIP = FileKind("a zip archive", "unzip takes the files out of it")

_STARTS = {
    (0, b"%PDF-"): FileKind("a PDF document", "pdftotext makes text of it"),
    (0, b"{\\rtf"): FileKind("an RTF document", _OFFICE),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"): FileKind("an old Microsoft Office file", _OFFICE),
    (0, b"\x1f\x8b\x08"): FileKind("a gzip file", "gzip -dc unpacks it"),
    (0, b"BZh91AY&SY"): FileKind("a bzip2 file", "bzip2 -dc unpacks it"),
    (0, b"\xfd7zXZ\0"): FileKind("an xz file", "xz -dc unpacks it"),
    (0, b"\x28\xb5\x2f\xfd"): FileKind("a Zstandard file", "zstd -dc unpacks it"),
    (0, b"7z\xbc\xaf\x27\x1c"): FileKind("a 7-Zip archive", "7z x takes the files out of it"),
    (0, b"Rar!\x1a\x07"): FileKind("a RAR archive", "unrar x takes the files out of it"),
    (257, b"ustar"): FileKind("a tar archive", "tar -xf takes the files out of it"),
    (0, b"\x7fELF"): FileKind("a program (ELF)", ""),
    (0, b"MZ\x90\0"): FileKind("a Windows program", ""),
    (0, b"\xca\xfe\xba\xbe"): FileKind("a program (Java or macOS)", ""),
    (0, b"\xcf\xfa\xed\xfe"): FileKind("a program (macOS)", ""),
    (0, b"\0asm"): FileKind("a WebAssembly program", ""),
    (0, b"\x89PNG\r\n"): FileKind("a PNG picture", _PICTURE),
    (0, b"\xff\xd8\xff"): FileKind("a JPEG picture", _PICTURE),
    (0, b"GIF87a"): FileKind("a GIF picture", _PICTURE),
    (0, b"GIF89a"): FileKind("a GIF picture", _PICTURE),
    (0, b"II*\0"): FileKind("a TIFF picture", _PICTURE),
    (0, b"MM\0*"): FileKind("a TIFF picture", _PICTURE),
    (8, b"WEBPVP8"): FileKind("a WebP picture", _PICTURE),
    (8, b"WAVEfmt"): FileKind("a WAV recording", _SOUND),
    (0, b"OggS\0"): FileKind("an Ogg recording", _SOUND),
    (0, b"fLaC\0"): FileKind("a FLAC recording", _SOUND),
    (0, b"ID3\x03\0"): FileKind("an MP3 recording", _SOUND),
    (0, b"ID3\x04\0"): FileKind("an MP3 recording", _SOUND),
    (4, b"ftyp"): FileKind("an MP4 film or recording", _SOUND),
    (0, b"\x1a\x45\xdf\xa3"): FileKind("a Matroska or WebM film", _SOUND),
    (0, b"SQLite format 3\0"): FileKind("an SQLite database", "sqlite3 prints its tables"),
    (0, b"PAR1"): FileKind("a Parquet table", "pandas.read_parquet reads it"),
    (0, b"\x93NUMPY"): FileKind("a NumPy array", "numpy.load reads it"),
}
"""Kinds by the bytes at an offset."""


def kind_of(head: bytes) -> FileKind | None:
    """The kind of a file that begins with ``head``; ``None`` where it may be text.

    Args:
        head: :data:`HEAD` bytes, or all of a shorter file.
    """
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        found = (kind for name, kind in _ZIP_MEMBERS.items() if name in head)
        return next(found, _ZIP)
    for (offset, start), kind in _STARTS.items():
        if head.startswith(start, offset):
            return kind
    return None
