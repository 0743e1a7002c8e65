"""The file of packed weights: what is not exactly as it was written counts as none."""

from __future__ import annotations

import dataclasses
import errno
import functools
import json
import os
import stat
import struct
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyengine.models.source_file import FileState
from pyengine.packed_file import SECTION, Header, PackedFile, header_for, open_packed, write_packed

PREFIX = 20
KEY = {"version": "1", "config": {"size": 3, "scale": 0.1}}
FILES = {
    "a.onnx": FileState(5, 7, 8, 9),
    "b.onnx": FileState(11, 1_700_000_000_123_456_789, 10**12, 1_700_000_000_123_456_790),
}
FILE_CHECKSUMS = {"a.onnx": "00000001", "b.onnx": "ffffffff00000000"}
OWNERS = {os.geteuid()}


def crc32c(data: bytes) -> int:
    """The twin of the core's, bit by bit."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def arrays() -> list[np.ndarray]:
    """Five arrays, the first and the fourth in the same memory, one empty."""
    first = np.arange(100, dtype=np.uint8)
    return [
        first,
        np.full(64, 7, np.uint8),
        np.zeros(0, np.uint8),
        first,
        np.arange(200, 255, dtype=np.uint8),
    ]


def write(path: Path) -> Path:
    write_packed(path, header_for(arrays(), KEY, FILES, FILE_CHECKSUMS, 9), arrays(), 0o600)
    return path


@functools.cache
def sound() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write(Path(folder, "file")).read_bytes()


def read_bytes(data: bytes) -> PackedFile | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(data)
        return open_packed(path, OWNERS)


def data_start() -> int:
    (length,) = struct.unpack_from("<Q", sound(), 8)
    return -(-(PREFIX + length) // 64) * 64


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = open_packed(write(tmp_path / "file"), OWNERS)
    assert file is not None
    assert (file.header.key, file.header.files, file.header.parameters) == (KEY, FILES, 9)
    assert file.header.offsets == [0, 128, 0, 0, 192]
    assert file.header.data_bytes == len(file.data) == 256
    for array, offset in zip(arrays(), file.header.offsets, strict=True):
        assert bytes(file.data[offset : offset + len(array)]) == array.tobytes()
    assert file.data_is_sound()
    assert file.data.readonly
    assert file.header.checksums == f"{crc32c(sound()[data_start() :]):08x}"
    assert np.frombuffer(file.data, np.uint8).ctypes.data % 64 == 0


def test_writing_again_gives_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "other").read_bytes() == sound()


@pytest.mark.parametrize("size", [0, 1, 7, 8, 15, 16, 19, 20, 21, 200])
def test_cut_short_in_the_header(size: int) -> None:
    assert read_bytes(sound()[:size]) is None


def test_cut_short_or_too_long_in_the_data() -> None:
    for size in range(data_start() - 2, len(sound())):
        assert read_bytes(sound()[:size]) is None
    assert read_bytes(sound() + b"\0") is None
    assert read_bytes(sound()) is not None


def test_every_byte_of_the_header_counts() -> None:
    (length,) = struct.unpack_from("<Q", sound(), 8)
    for place in range(PREFIX + length):
        for flip in (1, 0x80, 0xFF):
            data = bytearray(sound())
            data[place] ^= flip
            assert read_bytes(bytes(data)) is None, (place, flip)


def test_every_flipped_bit_of_the_data_is_found() -> None:
    for place in range(data_start(), len(sound())):
        for bit in range(8):
            data = bytearray(sound())
            data[place] ^= 1 << bit
            file = read_bytes(bytes(data))
            assert file is not None
            assert not file.data_is_sound()


@pytest.mark.parametrize("num_threads", [1, 2])
def test_damage_in_any_section_is_found(num_threads: int) -> None:
    blob = np.random.default_rng(0).integers(0, 256, 9 * SECTION + 1000, np.uint8)
    header = header_for([blob], KEY, FILES, FILE_CHECKSUMS, 9)
    assert len(header.checksums) == 80
    for place in range(0, len(blob), SECTION // 2):
        damaged = bytearray(blob)
        damaged[place] ^= 1
        file = PackedFile(Path(), header, memoryview(damaged))
        assert not file.data_is_sound(num_threads)
        damaged[place] ^= 1
        if place == 0:  # then it is as it was, but for the zeros that end a file
            padded = memoryview(bytes(damaged).ljust(header.data_bytes, b"\0"))
            assert PackedFile(Path(), header, padded).data_is_sound(num_threads)


@settings(max_examples=200)
@given(
    start=st.floats(0, 1, exclude_max=True),
    length=st.integers(0, 60),
    put=st.binary(max_size=80),
)
def test_a_replaced_stretch(start: float, length: int, put: bytes) -> None:
    at = int(start * len(sound()))
    data = sound()[:at] + put + sound()[at + length :]
    file = read_bytes(data)
    if file is not None:  # the header is whole
        assert (file.header.key, file.header.files) == (KEY, FILES)
        assert file.data_is_sound() == (bytes(file.data) == sound()[data_start() :])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=200)
@given(field=st.sampled_from([f.name for f in dataclasses.fields(Header)]), value=json_values)
def test_a_header_of_other_types_with_a_checksum_that_fits(field: str, value: Any) -> None:
    (length,) = struct.unpack_from("<Q", sound(), 8)
    raw = json.loads(sound()[PREFIX : PREFIX + length])
    raw[field] = value
    text = json.dumps(raw).encode()
    head = struct.pack("<8sQI", b"PYENGINE", len(text), zlib.crc32(text)) + text
    padded = head.ljust(-(-len(head) // 64) * 64, b"\0")
    file = read_bytes(padded + sound()[data_start() :])
    assert file is None or isinstance(file.header, Header)


def test_what_is_no_file(tmp_path: Path) -> None:
    assert open_packed(tmp_path, OWNERS) is None
    assert open_packed(tmp_path / "none", OWNERS) is None
    assert open_packed(write(tmp_path / "file") / "below", OWNERS) is None
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    for place in (tmp_path / "loop", tmp_path / "fifo", Path("/dev/zero"), Path("/dev/null")):
        assert open_packed(place, {*OWNERS, 0}) is None


def test_what_other_users_could_have_written(tmp_path: Path) -> None:
    path = write(tmp_path / "file")
    assert open_packed(path, {os.geteuid() + 1}) is None
    for mode, counts in ((0o600, True), (0o644, True), (0o660, False), (0o602, False)):
        path.chmod(mode)
        assert (open_packed(path, OWNERS) is not None) == counts


@pytest.mark.parametrize(
    "change",
    [
        {"files": {}},
        {"files": {}, "file_checksums": {}},
        {"files": {"a.onnx": [5, 7]}},
        {"file_checksums": {"a.onnx": "00000001"}},
        {"checksums": ""},
        {"checksums": "0000000100000002"},
        {"parameters": 0},
        {"data_bytes": 10**30},
    ],
)
def test_a_header_that_no_writer_makes(change: dict[str, Any]) -> None:
    raw = {**dataclasses.asdict(header_for(arrays(), KEY, FILES, FILE_CHECKSUMS, 9)), **change}
    with pytest.raises(ValueError, match="not the header of a packed file"):
        Header.parse(json.dumps(raw).encode())


def test_permissions(tmp_path: Path) -> None:
    header = header_for(arrays(), KEY, FILES, FILE_CHECKSUMS, 9)
    for mode in (0o600, 0o644):
        write_packed(tmp_path / "file", header, arrays(), mode)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    path = write(tmp_path / "file")

    def fail(handle: int) -> None:
        raise kind(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind):
        write(path)
    assert os.listdir(tmp_path) == ["file"]
    assert path.read_bytes() == sound()


def test_a_mapped_file_that_is_replaced_stays_as_it_was(tmp_path: Path) -> None:
    file = open_packed(write(tmp_path / "file"), OWNERS)
    assert file is not None
    header = header_for(arrays()[1:], KEY, FILES, FILE_CHECKSUMS, 9)
    write_packed(tmp_path / "file", header, arrays()[1:], 0o600)
    assert file.data_is_sound()


def test_what_a_killed_writer_left_is_removed_after_an_hour(tmp_path: Path) -> None:
    old, young, other = (tmp_path / n for n in ("file.old.tmp", "file.new.tmp", "else.old.tmp"))
    for path in (old, young, other):
        path.write_bytes(b"x")
    for path in (old, other):
        os.utime(path, (time.time() - 4000,) * 2)
    write(tmp_path / "file")
    assert sorted(os.listdir(tmp_path)) == ["else.old.tmp", "file", "file.new.tmp"]
