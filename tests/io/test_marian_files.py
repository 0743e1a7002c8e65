"""Marian's model files: what is written is read back, and no file crashes the readers."""

from __future__ import annotations

import doctest
import gzip
import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_marian import YAML, binary, npz, quantize, random_tensors

from pyengine.errors import ModelFormatError, ModelNotFoundError, UnsupportedModelError
from pyengine.models import flat_yaml
from pyengine.models.binary_file import read_file
from pyengine.models.firefox_files import find_firefox_files
from pyengine.models.marian_binary import read_marian_binary
from pyengine.models.marian_npz import read_marian_npz

TENSORS = random_tensors(1, vocab_size=40)
QUANTIZED = quantize(TENSORS)
BINARY = binary(TENSORS, QUANTIZED)
CHANGES = st.lists(st.tuples(st.integers(0, 9000), st.binary(min_size=1, max_size=9)), max_size=4)
FUZZ = settings(max_examples=300)


def test_float32_binary_and_npz(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(binary(TENSORS))
    (tmp_path / "model.npz").write_bytes(npz(TENSORS))
    for file in (
        read_marian_binary(tmp_path / "model.bin"),
        read_marian_npz(tmp_path / "model.npz"),
    ):
        assert file.yaml == YAML
        assert list(file.tensors) == list(TENSORS)
        for name, tensor in file.tensors.items():
            assert not tensor.is_quantized
            np.testing.assert_array_equal(tensor.values, TENSORS[name])


@pytest.mark.parametrize("name", ["model.bin", "model.bin.gz"])
def test_int8_binary(tmp_path: Path, name: str) -> None:
    content = binary(TENSORS, QUANTIZED)
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    tensors = read_marian_binary(path).tensors
    assert len(QUANTIZED) == 1 + 2 * 6 + 2 * 8
    for matrix, (values, multiplier) in QUANTIZED.items():
        tensor = tensors[matrix]
        assert tensor.is_quantized and tensor.multiplier == multiplier
        np.testing.assert_array_equal(tensor.values, values)
        bound = 0.5 / multiplier * 1.001
        np.testing.assert_allclose(tensor.dequantized(), TENSORS[matrix], rtol=0, atol=bound)
    assert tensors["Wemb_QuantMultA"].values.tolist() == [[9.0]]


def test_the_name_of_the_file_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.Wemb.bin"
    path.write_bytes(binary(TENSORS, QUANTIZED))
    name = "encoder_l1_ffn_W1"
    np.testing.assert_array_equal(read_marian_binary(path).tensors[name].values, QUANTIZED[name][0])


def test_multipliers_without_an_inverse(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    for multiplier in (0.0, -1.0, 1e-40, np.inf, np.nan):
        wrong = {**QUANTIZED, "Wemb": (QUANTIZED["Wemb"][0], multiplier)}
        path.write_bytes(binary(TENSORS, wrong))
        with pytest.raises(ModelFormatError, match=r"'Wemb' has the multiplier"):
            read_marian_binary(path)


@FUZZ
@given(
    left=st.integers(0, 9000) | st.just(len(BINARY)),  # the tables are the first 6 kB
    changes=st.lists(
        st.tuples(st.integers(0, 6000), st.binary(min_size=1, max_size=9)), max_size=4
    ),
)
def test_damaged_binaries(tmp_path: Path, left: int, changes: list[tuple[int, bytes]]) -> None:
    content = bytearray(BINARY)
    for position, replacement in changes:
        content[position : position + len(replacement)] = replacement
    path = tmp_path / "model.bin"
    path.write_bytes(content[:left])
    try:
        file = read_marian_binary(path)
    except ModelFormatError as error:
        assert "model.bin" in str(error)
    else:
        assert sum(t.values.nbytes for t in file.tensors.values()) <= len(content)


HUGE = st.sampled_from([2**16 + 1, 2**31, 2**32, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)


@FUZZ
@given(field=st.integers(0, 40), value=HUGE)
def test_sizes_that_are_lies(tmp_path: Path, field: int, value: int) -> None:
    content = bytearray(BINARY)
    struct.pack_into("<Q", content, 8 * field, value)
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"model\.bin"):
        read_marian_binary(path)
        raise ModelFormatError("model.bin: a value that happens to be right")


@pytest.mark.parametrize("value", [2**20, 2**32, 2**60, 2**64 - 1])
@pytest.mark.parametrize("field", range(1, 10))
def test_memory_is_bounded_by_the_file(tmp_path: Path, field: int, value: int) -> None:
    content = bytearray(BINARY)
    struct.pack_into("<Q", content, 8 * field, value)
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFormatError, match=r"model\.bin"):
            read_marian_binary(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(content) + 1_000_000
    finally:
        tracemalloc.stop()


@FUZZ
@given(
    cut=st.integers(0, 3000),
    changes=st.lists(
        st.tuples(st.integers(0, 9000), st.binary(min_size=1, max_size=5)), max_size=4
    ),
)
def test_damaged_archives(tmp_path: Path, cut: int, changes: list[tuple[int, bytes]]) -> None:
    content = bytearray(npz(TENSORS))
    for position, replacement in changes:
        content[position : position + len(replacement)] = replacement
    path = tmp_path / "model.npz"
    path.write_bytes(content[: len(content) - cut])
    try:
        read_marian_npz(path)
    except ModelFormatError as error:
        assert "model.npz" in str(error)


@FUZZ
@given(
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3),
    cut=st.integers(0, 200),
)
def test_damaged_small_archives(tmp_path, method, changes, cut):
    """So small that the changes hit the archive's own fields."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("x.npy", npy("'<f4'", "(25,)", bytes(range(100))))
    content = bytearray(stream.getvalue())
    for position, value in changes:
        content[position % len(content)] = value
    path = tmp_path / "model.npz"
    path.write_bytes(content[: len(content) - cut])
    try:
        read_marian_npz(path)
    except ModelFormatError as error:
        assert "model.npz" in str(error)


@pytest.mark.filterwarnings("error")
def test_a_header_that_python_2_wrote(tmp_path: Path) -> None:
    """NumPy's reader warns of it, on stderr."""
    path = tmp_path / "model.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy("'<f4'", "(2L, 3L)", np.arange(6, dtype="<f4").tobytes()))
    found = read_marian_npz(path).tensors["x"].values
    np.testing.assert_array_equal(found, np.arange(6, dtype=np.float32).reshape(2, 3))


def npy(dtype: str, shape: str, data: bytes) -> bytes:
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


@pytest.mark.parametrize("dtype", ["'|V0'", "'<U0'", "[]", "('<f4', (2,))", "'<f4'", "'|O'"])
@pytest.mark.parametrize(
    ("shape", "size"), [("(2, 2)", 0), ("(True,)", 4), ("(2,)", 16), (f"({'1,' * 40})", 4)]
)
def test_headers_that_are_lies(tmp_path, dtype, shape, size):
    path = tmp_path / "model.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(dtype, shape, bytes(size)))
    with pytest.raises(ModelFormatError, match=r"model\.npz: 'x' (holds|is no array)"):
        read_marian_npz(path)


def test_archives_that_are_no_models(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(npz({"x": np.zeros((2, 2))}))
    with pytest.raises(UnsupportedModelError, match="'x' is float64, supported is float32"):
        read_marian_npz(path)
    path.write_bytes(npz({"x": np.zeros((5000, 5000), np.float32)}))  # 100 MB in 100 kB
    with pytest.raises(ModelFormatError, match="arrays of 100000"):
        read_marian_npz(path)


def test_gzip_bombs_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "model.bin.gz"
    path.write_bytes(gzip.compress(bytes(100_000_000)))
    with pytest.raises(ModelFormatError, match="expands to more than"):
        read_file(path)
    for content in (b"\x1f\x8b", gzip.compress(b"model")[:-5], b"plain"):
        path.write_bytes(content)
        with pytest.raises(ModelFormatError, match=r"model\.bin\.gz: cannot be read"):
            read_file(path)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (
            ["model.enpt.intgemm.alphas.bin", "vocab.enpt.spm", "lex.50.50.enpt.s2t.bin"],
            ("model.enpt.intgemm.alphas.bin", "vocab.enpt.spm", "vocab.enpt.spm", ("en", "pt")),
        ),
        (
            [
                "model.npz",
                "model.enja.intgemm8.bin.gz",
                "srcvocab.enja.spm",
                "trgvocab.enja.spm.gz",
            ],
            (
                "model.enja.intgemm8.bin.gz",
                "srcvocab.enja.spm",
                "trgvocab.enja.spm.gz",
                ("en", "ja"),
            ),
        ),
        (
            ["model.bin", "model.bin.gz", "vocab.spm"],
            ("model.bin", "vocab.spm", "vocab.spm", None),
        ),
    ],
)
def test_files_of_a_folder(tmp_path: Path, names: list[str], found: tuple[object, ...]) -> None:
    for name in names:
        (tmp_path / name).touch()
    files = find_firefox_files(tmp_path)
    assert files is not None
    vocabs = files.source_vocab.name, files.target_vocab.name
    assert (files.model.name, *vocabs, files.languages) == found
    assert (files.shortlist is not None) == any(name.startswith("lex") for name in names)


def test_folders_that_do_not_fit(tmp_path: Path) -> None:
    assert find_firefox_files(tmp_path / "nowhere") is None
    (tmp_path / "vocab.spm").touch()
    assert find_firefox_files(tmp_path) is None
    (tmp_path / "model.a.bin").touch()
    (tmp_path / "model.b.bin").touch()
    with pytest.raises(ModelFormatError, match=r"model\.a\.bin and model\.b\.bin, expected one"):
        find_firefox_files(tmp_path)
    (tmp_path / "config.json").touch()
    assert find_firefox_files(tmp_path) is None
    (tmp_path / "config.json").unlink()
    (tmp_path / "model.b.bin").unlink()
    (tmp_path / "vocab.spm").unlink()
    with pytest.raises(ModelNotFoundError, match=r"holds model\.a\.bin, but lacks vocab"):
        find_firefox_files(tmp_path)


def test_yaml() -> None:
    assert doctest.testmod(flat_yaml).failed == 0
    assert flat_yaml.read_flat_yaml("a: [x, 'y z', ]\n  nested: 1\n- b\n:\nc:\n- d")["a"] == [
        "x",
        "y z",
    ]


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        ("'<f4'", "(25,"),
        ("'<f4'", "(25,)) ("),
        ("'<f4'", "((25,)"),
        ("'<f4'", "(25L,"),
        ("'<f4", "(25,)"),
        ("'''<f4'", "(25,)"),
        ("'<f4'", "(" + "9" * 5000 + ",)"),
        ("'<f4'", "(" + "9" * 4000 + "," + "9" * 4000 + ")"),
        ("'<f4'", "(" * 400 + "25" + ")" * 400),
        ("'<f4'", "(-25,)"),
        ("[('a', '<f4')]", "(25,)"),
        ("'|O'", "(25,)"),
        ("'<U99999999999'", "(25,)"),
        ("'" + "\\x00" * 9 + "'", "(25,)"),
        ("None", "(25,)"),
        ("'<f4'", "25"),
        ("'<f4'", "{25: 1}"),
        ("'<f4'", "(1e999,)"),
    ],
)
def test_npz_headers_that_are_no_python(tmp_path: Path, dtype: str, shape: str) -> None:
    path = tmp_path / "model.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(dtype, shape, bytes(100)))
    with pytest.raises(ModelFormatError, match=r"model\.npz"):
        read_marian_npz(path)
