"""The bytes of files to text: encodings, faults with their places, and files that are no text."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sqlite3
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyengine.errors import InputError, OptionError
from pyengine.text_decoder import TextDecoder, check_head, checked_encoding, read_text

TEXT = "A dog.\nDu sch\u00f6ne \u7f8e\u3057\u3044 \U0001f600\r\n\u0a0a\n"
MARKED = {
    "utf-8": "utf-8-sig",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "utf-32-le": "utf-32-le",
    "utf-32-be": "utf-32-be",
}


def read(content: bytes, encoding: str | None = None) -> str:
    return read_text(io.BytesIO(content), "name", encoding)


@pytest.mark.parametrize("encoding", MARKED)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_marks_in_blocks_of_any_size(encoding: str, size: int) -> None:
    content = ("\ufeff" + TEXT).encode(encoding)
    decoder = TextDecoder("name", None)
    blocks = [content[i : i + size] for i in range(0, len(content), size)]
    text = "".join(map(decoder.decode, blocks)) + decoder.decode(b"", final=True)
    assert (text, decoder.error) == (TEXT, None)


def test_a_short_line_is_not_held_back() -> None:
    assert TextDecoder("name", None).decode(b"a\n") == "a\n"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "shift_jis", "utf-16", "gb18030"])
def test_an_encoding_that_the_user_names(encoding: str) -> None:
    text = (
        "A dog.\n\u7f8e\u3057\u3044\n" if encoding in ("shift_jis", "gb18030") else "Sch\u00f6n\n"
    )
    assert read(text.encode(encoding), checked_encoding(encoding)) == text


def test_utf_16_without_its_mark_is_little_endian() -> None:
    for encoding in ("utf-16", "UTF16", "utf_32"):
        for order in ("-le", "-be"):
            written = f"utf-{encoding[-2:]}{order}"
            assert read(("\ufeff" + TEXT).encode(written), encoding) == TEXT
        assert read(TEXT.encode(f"utf-{encoding[-2:]}-le"), encoding) == TEXT


@pytest.mark.parametrize("name", ["klingon", "hex", "rot13", "", "utf-8\0", "undefined"])
def test_what_is_no_encoding(name: str) -> None:
    with pytest.raises(
        OptionError, match=r"--encoding: found .*, expected the name of an encoding"
    ):
        checked_encoding(name)


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (b"A dog.\nSch\xf6n\n", None, "name:2: found the byte 0xf6 at offset 10"),
        (b"A dog.\n\xe7\xbe", None, "name:2: found the byte 0xe7 at offset 7"),
        (b"\xef\xbb\xbfA\n\xff\n", None, "name:2: found the byte 0xff at offset 5"),
        (b"\xed\xa0\x80", None, "name:1: found the byte 0xed at offset 0"),
        (
            b"\xff\xfeA\0\n\0\x00\xd8A\0",
            None,
            "name:2: found the byte 0x00 at offset 6, .*utf-16-le",
        ),
        (b"\xff\xfeA\0\n", None, "name:1: found the byte 0x0a at offset 4, .*utf-16-le"),
        (b"A\n\x81", "cp1252", "name:2: found the byte 0x81 at offset 2, .* not cp1252"),
        (b"A dog\n\0", None, "name:2: found a NUL character, expected text$"),
        ("A dog.\n".encode("utf-16-le"), None, r"name:1: .*NUL.*pass --encoding utf-16-le\)"),
        ("A dog.\n".encode("utf-16-be"), None, r"name:1: .*NUL.*pass --encoding utf-16-be\)"),
    ],
)
def test_faults(content: bytes, encoding: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(content, encoding)
    decoder = TextDecoder("name", encoding)
    for i in range(len(content)):  # the same, byte by byte
        decoder.decode(content[i : i + 1])
        if decoder.error is not None:
            break
    else:
        decoder.decode(b"", final=True)
    assert decoder.error is not None
    assert str(decoder.error).split(" (")[0] in message_of(content, encoding)


def message_of(content: bytes, encoding: str | None) -> str:
    with pytest.raises(InputError) as caught:
        read(content, encoding)
    return str(caught.value)


@given(content=st.binary(max_size=40), encoding=st.sampled_from([None, "utf-16", "shift_jis"]))
def test_any_bytes_are_text_or_an_error(content: bytes, encoding: str | None) -> None:
    try:
        text = read(content, encoding)
    except InputError as error:
        assert str(error).startswith("name")
    else:
        assert "\0" not in text


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "application/epub+zip" if name == "mimetype" else "x" * 3000)
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    return file.getvalue()


def saved_array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def database() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table t(x)")
        connection.commit()
        return connection.serialize() if sys.version_info >= (3, 11) else b"SQLite format 3\0"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (zipped("[Content_Types].xml", "_rels/.rels", "word/document.xml"), "a Word document"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook"),
        (zipped("[Content_Types].xml", "ppt/slides/slide1.xml"), "a PowerPoint presentation"),
        (zipped("mimetype", "META-INF/container.xml"), "an EPUB book"),
        (zipped("a.txt"), "a zip archive"),
        (zipped(), "a zip archive"),
        (b"%PDF-1.7\n%\xe2\xe3\n", "a PDF document"),
        (rb"{\rtf1\ansi A dog.}", "an RTF document"),
        (gzip.compress(b"A dog."), "a gzip file"),
        (bz2.compress(b"A dog."), "a bzip2 file"),
        (lzma.compress(b"A dog."), "an xz file"),
        (tarred(), "a tar archive"),
        (saved_array(), "a NumPy array"),
        (database(), "an SQLite database"),
        (Path(sys.executable).resolve().read_bytes()[:4096], r"a program \(ELF\)"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "a JPEG picture"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "a WAV recording"),
        (b"\0\0\0\x20ftypisom", "an MP4 film"),
    ],
)
def test_files_of_other_kinds(content: bytes, kind: str) -> None:
    with pytest.raises(InputError, match=f"name: found what seems to be {kind}.*, expected text"):
        read(content)
    with pytest.raises(InputError, match=kind):
        read(content, "latin-1")
    with pytest.raises(InputError, match=kind):
        check_head(io.BytesIO(content), "name")


@pytest.mark.parametrize(
    "text",
    [
        "PK is short.",
        "MZ",
        "GIF pictures",
        "%P",
        "<html>",
        "#!/bin/sh",
        "ID3 tags",
        "BZh",
        "II*",
        "",
    ],
)
def test_text_that_begins_a_little_like_a_file(text: str) -> None:
    file = io.BytesIO(text.encode())
    check_head(file, "name")
    assert read_text(file, "name") == text
