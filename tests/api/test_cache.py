"""The cache of packed weights: the same translations, only faster, whatever lies in its folder."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import pyengine
from pyengine import (
    ModelFormatError,
    OptionError,
    Translator,
    _core,
    cache,
    weights,
)
from pyengine.cache import core_config
from pyengine.models import ModelConfig, read_folder

from .conftest import FIXTURES, results, run_python

TYPES = ("float32", "bfloat16", "int8")
MODELS = ("marian-split", "marian-external", "marian-merged", "transformer-prenorm")


@pytest.mark.parametrize("compute_type", TYPES)
@pytest.mark.parametrize("name", MODELS)
def test_mapped_weights_give_the_same_to_the_bit(
    name: str, compute_type: str, cache_dir: Path
) -> None:
    folder = FIXTURES / name
    with (
        Translator(folder, compute_type, cache_dir=False) as plain,
        Translator(folder, compute_type, cache_dir=cache_dir) as first,
        Translator(folder, compute_type, cache_dir=cache_dir) as second,
    ):
        assert [t.from_cache for t in (plain, first, second)] == [False, False, True]
        assert plain.cache_file is None
        assert first.cache_file == second.cache_file
        assert list(cache_dir.iterdir()) == [first.cache_file]
        assert plain.parameters == second.parameters
        assert plain.engine.weight_bytes == second.engine.weight_bytes
        expected = results(plain)
        assert results(first) == expected
        assert results(second) == expected


def test_types_and_folders_have_files_of_their_own(ids_model: Path, cache_dir: Path) -> None:
    files = set()
    for compute_type in TYPES:
        files.add(Translator(ids_model, compute_type, cache_dir=cache_dir).cache_file)
    files.add(Translator(FIXTURES / "marian-merged", cache_dir=cache_dir).cache_file)
    assert len(files) == 4
    for compute_type in TYPES:
        assert Translator(ids_model, compute_type, cache_dir=cache_dir).from_cache


def test_a_cached_load_reads_no_onnx_and_prints_nothing(text_model: Path, cache_dir: Path) -> None:
    script = (
        "import sys, pyengine\n"
        f"t = pyengine.Translator({str(text_model)!r}, 'int8', cache_dir={str(cache_dir)!r})\n"
        "assert t.translate('A dog runs.')\n"
        "assert t.from_cache == ('onnx' not in sys.modules)\n"
        "sys.exit(10 + t.from_cache)"
    )
    for status in (10, 11):
        done = run_python(["-c", script])
        assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


def test_only_the_owner_may_read_it(ids_model: Path, cache_dir: Path) -> None:
    file = Translator(ids_model, cache_dir=cache_dir / "below").cache_file
    assert file is not None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (cache_dir, cache_dir / "below"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


# --- where ---------------------------------------------------------------------------------------


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache.default_cache_dir() == Path("/x/pyengine")
    monkeypatch.setenv("HOME", "/h")
    for unusable in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", unusable)
        assert cache.default_cache_dir() == Path("/h/.cache/pyengine")

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert cache.default_cache_dir() is None
    assert Translator(FIXTURES / "marian-split").cache_file is None


def test_the_default_folder_is_used(
    ids_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    translator = pyengine.Translator(ids_model)
    assert translator.cache_file is not None
    assert translator.cache_file.parent == tmp_path / "pyengine"


@pytest.mark.parametrize("cache_dir", [True, 0, 1, "", "a\0b", b"x", ["x"]])
def test_settings_that_are_no_folder(ids_model: Path, cache_dir: Any) -> None:
    with pytest.raises(OptionError, match=r"cache_dir: found .*, expected None, a folder or False"):
        Translator(ids_model, cache_dir=cache_dir)


def test_the_one_call_form_takes_the_setting(text_model: Path, cache_dir: Path) -> None:
    pyengine.translate("A dog runs.", text_model, cache_dir=cache_dir)
    assert len(list(cache_dir.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_no_error(ids_model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/none")):
        for _ in range(2):
            translator = Translator(ids_model, cache_dir=folder)
            assert (translator.cache_file, translator.from_cache) == (None, False)


def test_a_full_disk_is_no_error(
    ids_model: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert Translator(ids_model, cache_dir=cache_dir).cache_file is None
    assert list(cache_dir.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_read(ids_model: Path, cache_dir: Path) -> None:
    Translator(ids_model, cache_dir=cache_dir)
    cache_dir.chmod(0o500)
    assert Translator(ids_model, cache_dir=cache_dir).from_cache
    assert Translator(ids_model, "int8", cache_dir=cache_dir).cache_file is None


# --- what makes a file stale ---------------------------------------------------------------------


def touch(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def grow(path: Path) -> None:
    """A field of protobuf that nobody knows, and the old time."""
    status = path.stat()
    path.write_bytes(path.read_bytes() + b"\xb8\x3e\x01")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", [touch, grow])
@pytest.mark.parametrize("name", ["encoder_model.onnx", "decoder_model.onnx"])
def test_a_changed_file_is_read_again(
    model: Path, cache_dir: Path, name: str, change: Callable[[Path], None]
) -> None:
    Translator(model, cache_dir=cache_dir)
    assert Translator(model, cache_dir=cache_dir).from_cache
    change(model / name)
    assert not Translator(model, cache_dir=cache_dir).from_cache
    assert Translator(model, cache_dir=cache_dir).from_cache
    assert len(list(cache_dir.iterdir())) == 1


def test_changed_external_data_is_read_again(tmp_path: Path, cache_dir: Path) -> None:
    model = Path(shutil.copytree(FIXTURES / "marian-external", tmp_path / "model"))
    Translator(model, cache_dir=cache_dir)
    data = [path for path in model.rglob("*") if "data" in path.name]
    assert data
    for path in data:
        assert Translator(model, cache_dir=cache_dir).from_cache
        touch(path)
        assert not Translator(model, cache_dir=cache_dir).from_cache
    data[0].unlink()
    with pytest.raises(pyengine.ModelFormatError):
        Translator(model, cache_dir=cache_dir)


def test_another_configuration_is_read_again(model: Path, cache_dir: Path) -> None:
    Translator(model, cache_dir=cache_dir)
    path = model / "config.json"
    text = path.read_text()
    touch(path)
    assert Translator(model, cache_dir=cache_dir).from_cache  # it says the same
    path.write_text(text.replace('"swish"', '"gelu"'))
    assert path.read_text() != text
    with pytest.raises(pyengine.ModelFormatError, match="activation"):
        Translator(model, cache_dir=cache_dir)


def test_another_decoder_file_is_read_again(tmp_path: Path, cache_dir: Path) -> None:
    model = Path(shutil.copytree(FIXTURES / "marian-merged", tmp_path / "model"))
    Translator(model, cache_dir=cache_dir)
    merged = model / "onnx" / "decoder_model_merged.onnx"
    shutil.copy2(merged, model / "onnx" / "decoder_model.onnx")
    assert not Translator(model, cache_dir=cache_dir).from_cache


def test_times_cut_to_whole_seconds_are_the_same(model: Path, cache_dir: Path) -> None:
    """As tar and the layers of a container image do."""
    paths = [model / "encoder_model.onnx", model / "decoder_model.onnx"]
    second = 1_700_000_000 * 10**9
    for path in paths:
        os.utime(path, ns=(second, second + 123_456_789))
    Translator(model, cache_dir=cache_dir)
    os.utime(paths[0], ns=(second, second))
    assert Translator(model, cache_dir=cache_dir).from_cache
    os.utime(paths[0], ns=(second, second + 10**9))
    assert not Translator(model, cache_dir=cache_dir).from_cache


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (cache, "__version__", "0.0.0"),
        (_core, "packed_layout", lambda *_: -1),
        (cache, "sys", SimpleNamespace(byteorder="big")),
    ],
)
def test_a_file_of_another_engine_is_replaced(
    ids_model: Path, cache_dir: Path, module: Any, name: str, value: Any
) -> None:
    with pytest.MonkeyPatch.context() as other:
        other.setattr(module, name, value)
        Translator(ids_model, cache_dir=cache_dir)
        assert Translator(ids_model, cache_dir=cache_dir).from_cache
    assert not Translator(ids_model, cache_dir=cache_dir).from_cache
    assert Translator(ids_model, cache_dir=cache_dir).from_cache
    assert len(list(cache_dir.iterdir())) == 1


def replaced(path: Path) -> None:
    """Another content of the same size, with the same time, in a new file."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[data.index(b"pytorch")] ^= 1  # the name of who wrote it
    path.unlink()
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def rewritten(path: Path) -> None:
    """The same in the same file."""
    status = path.stat()
    with path.open("r+b") as file:
        data = bytearray(file.read())
        data[data.index(b"pytorch")] ^= 1
        file.seek(0)
        file.write(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", [replaced, rewritten])
def test_another_content_of_equal_size_and_time_is_read_again(
    model: Path, cache_dir: Path, change: Callable[[Path], None]
) -> None:
    for name in ("encoder_model.onnx", "decoder_model.onnx"):
        Translator(model, cache_dir=cache_dir)
        assert Translator(model, cache_dir=cache_dir).from_cache
        change(model / name)
        assert not Translator(model, cache_dir=cache_dir).from_cache


def test_the_same_content_in_new_files_is_compared_once(
    model: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container made of an image: other inodes, times cut to whole seconds."""
    Translator(model, cache_dir=cache_dir)
    for path in model.iterdir():
        status = path.stat()
        copy = path.with_name("copy")
        shutil.copyfile(path, copy)
        whole = status.st_mtime_ns // 10**9 * 10**9
        os.utime(copy, ns=(whole, whole))
        copy.replace(path)
    compared: list[Path] = []
    compare = cache.file_checksums
    monkeypatch.setattr(
        cache, "file_checksums", lambda path: compared.append(path) or compare(path)
    )
    for _ in range(3):
        assert Translator(model, cache_dir=cache_dir).from_cache
    assert sorted(path.name for path in compared) == ["decoder_model.onnx", "encoder_model.onnx"]
    (note,) = cache_dir.glob("*.files")
    for damaged in ("", "[", "[1, 2]", "[{}, {}]", '[{"a": [1e999]}, 1]'):
        note.write_text(damaged)
        assert Translator(model, cache_dir=cache_dir).from_cache
    note.unlink()
    os.mkfifo(note)
    assert Translator(model, cache_dir=cache_dir).from_cache
    assert len(compared) == 14


def test_a_packed_file_that_names_no_files_is_not_used(
    ids_model: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would never be stale."""
    header_for = weights.header_for

    def without_encoder(arrays: Any, key: Any, files: Any, checksums: Any, count: int) -> Any:
        names = ["decoder_model.onnx"]
        kept, kept_checksums = (
            {name: states[name] for name in names} for states in (files, checksums)
        )
        return header_for(arrays, key, kept, kept_checksums, count)

    monkeypatch.setattr(weights, "header_for", without_encoder)
    Translator(ids_model, cache_dir=cache_dir)
    assert not Translator(ids_model, cache_dir=cache_dir).from_cache


@pytest.mark.parametrize("folder", ["a\ud800b", "\udfff"])
def test_a_cache_folder_that_no_file_system_can_name(ids_model: Path, folder: str) -> None:
    with pytest.raises(OptionError, match="cache_dir"):
        Translator(ids_model, cache_dir=folder)


def test_a_model_that_changes_while_it_is_read_is_an_error(
    model: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = weights.pack_weights

    def change_while_packing(*arguments: Any) -> Any:
        packed = pack(*arguments)
        touch(model / "decoder_model.onnx")
        return packed

    with monkeypatch.context() as patch:
        patch.setattr(weights, "pack_weights", change_while_packing)
        with pytest.raises(ModelFormatError, match="was changed while the model was read"):
            Translator(model, cache_dir=cache_dir)
    assert not Translator(model, cache_dir=cache_dir).from_cache


def test_the_layout_is_that_of_how_a_model_is_packed(ids_model: Path) -> None:
    """One number for each kind of model, whatever its sizes."""
    config = read_folder(ids_model).config
    alike = replace(config, hidden_size=2 * config.hidden_size, encoder_layers=9, vocab_size=7)
    kinds: list[dict[str, Any]] = [
        {},
        {"decoder_layers": 0},
        {"decoder_kind": "ssru"},
        {"gated_ffn": True},
        {"norm_kind": "rms_norm"},
        {"normalize_before": True},
        {"normalize_embeddings": True},
        {"position_kind": "none"},
        {"position_kind": "relative"},
        {"position_offset": 2},
        {"token_types": 2},
        {"num_labels": 3},
        {"encoder_layers": 0, "position_kind": "rotary"},
        {"encoder_layers": 0, "position_kind": "rotary", "decoder_num_key_value_heads": 1},
    ]

    def layout(config: ModelConfig, compute_type: str, candidate_table: bool = False) -> int:
        return _core.packed_layout(core_config(config), compute_type, candidate_table)

    numbers = [layout(replace(config, **kind), name) for kind in kinds for name in TYPES]
    numbers.append(layout(config, "int8", True))
    assert len(set(numbers)) == len(kinds) * len(TYPES) + 1
    assert [layout(alike, compute_type) for compute_type in TYPES] == numbers[: len(TYPES)]
