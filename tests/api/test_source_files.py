"""The files of a model: one version of all of them or an error, and regular files alone."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pyengine
from pyengine import ModelFormatError, Translator
from pyengine.models import storage
from pyengine.models.firefox_options import read_decoding_options
from pyengine.models.source_file import Snapshot, is_source, open_source, read_source
from pyengine.registry import installed_models

from .conftest import FIXTURES

SOURCES = [[5, 6, 7, 0], [9, 0]]
ONNX_NAMES = ("encoder_model.onnx", "decoder_model.onnx")


def results(translator: Translator) -> Any:
    return translator.generate(SOURCES, num_beams=2, max_new_tokens=8)


def replace(path: Path, content: bytes) -> None:
    """As most programs do."""
    new = path.with_name("new")
    new.write_bytes(content)
    new.replace(path)


def overwrite(path: Path, content: bytes) -> None:
    """In place, in two steps."""
    with path.open("r+b") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        file.write(content[len(content) // 2 :])


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, bytes]]:
    """The files of two models of equal shape; of the second, every embedding is doubled."""
    plain = {name: (FIXTURES / "marian-external" / name).read_bytes() for name in ONNX_NAMES}
    data = {
        name: (FIXTURES / "marian-external" / name).read_bytes()
        for name in ("encoder_model.onnx_data", "decoder_model.onnx_data")
    }
    return [plain | data, plain | {name: data[name][::-1] for name in data}]


@pytest.mark.parametrize("write", [replace, overwrite])
@pytest.mark.parametrize("at", [0, 1, 3, 10, 30])
def test_a_model_that_is_replaced_while_it_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    versions: list[dict[str, bytes]],
    at: int,
    write: Callable[[Path, bytes], None],
) -> None:
    folder = Path(shutil.copytree(FIXTURES / "marian-external", tmp_path / "model"))
    read, count = storage.Span.read, 0

    def read_and_replace(self: storage.Span, *arguments: Any) -> Any:
        nonlocal count
        found = read(self, *arguments)
        if count == at:
            for name, content in versions[1].items():
                write(folder / name, content)
        count += 1
        return found

    monkeypatch.setattr(storage.Span, "read", read_and_replace)
    with pytest.raises(ModelFormatError, match=r"was changed while the model was read"):
        Translator(folder, cache_dir=tmp_path / "cache")
    assert count > at
    Translator(folder, cache_dir=tmp_path / "cache")  # the new one, alone
    assert Translator(folder, cache_dir=tmp_path / "cache").from_cache


def test_a_shortlist_and_a_tokenizer_of_another_version(tmp_path: Path, text_model: Path) -> None:
    folder = Path(shutil.copytree(text_model, tmp_path / "model"))
    names = [path for path in folder.iterdir() if path.suffix in (".model", ".spm")]
    with Translator(folder, cache_dir=False) as translator:
        for path in names:
            replace(path, path.read_bytes())
        assert names
        with pytest.raises(ModelFormatError, match=r"was changed while the model was read"):
            translator.translate("A dog runs.")


def test_a_snapshot_goes_by_thread_and_block(tmp_path: Path) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_bytes(b"old")
    snapshot = Snapshot(tmp_path)
    with snapshot.reading():
        assert read_source(file) == b"old"
        other.write_bytes(b"not there at first")
        read_source(other)
    replace(file, b"new")
    assert read_source(file) == b"new"  # outside of a block
    with snapshot.reading():
        read_source(other)
    with pytest.raises(ModelFormatError, match="a: was changed"), snapshot.reading():
        read_source(file)


def test_a_file_that_is_changed_while_it_is_open(tmp_path: Path) -> None:
    file = tmp_path / "a"
    for change in (
        overwrite,
        lambda path, content: path.touch(),
        lambda path, _: os.truncate(path, 1),
    ):
        file.write_bytes(b"old")
        with pytest.raises(ModelFormatError, match="a: was changed"), open_source(file) as opened:
            opened.read(1)
            change(file, b"new")


# --- regular files -------------------------------------------------------------------------------


def put_fifo(path: Path) -> None:
    os.mkfifo(path)


def put_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def put_socket(path: Path) -> None:
    folder = Path.cwd()
    os.chdir(path.parent)  # such a name is short
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(folder)


@pytest.mark.parametrize("put", [put_fifo, put_device, put_socket])
def test_special_files_are_refused_by_name(tmp_path: Path, put: Callable[[Path], None]) -> None:
    put(tmp_path / "file")
    with pytest.raises(ModelFormatError, match=r"file: is a .*, expected a regular file"):
        is_source(tmp_path / "file")
    with pytest.raises(ModelFormatError, match=r"file: is a .*, expected a regular file"):
        read_source(tmp_path / "file")


@pytest.mark.parametrize("put", [put_fifo, put_device, Path.mkdir])
def test_a_special_file_in_the_place_of_any_file_of_a_model(
    tmp_path: Path, text_model: Path, put: Callable[[Path], None]
) -> None:
    folder = Path(shutil.copytree(text_model, tmp_path / "model"))
    names = [path.name for path in text_model.iterdir() if path.suffix != ".md"]
    extra = ["generation_config.json", "tokenizer_config.json", "special_tokens_map.json"]
    absent = ["tokenizer.json", "vocab.json", "source.spm", "decoder_model.onnx", "modules.json"]
    for name in {*names, *extra, *absent}:
        file, aside = folder / name, tmp_path / name
        is_kept = file.exists()
        if is_kept:
            file.rename(aside)
        put(file)
        with pytest.raises(ModelFormatError, match=f"{re.escape(name)}: is a .*, expected a reg"):
            Translator(folder, cache_dir=False)
        file.rmdir() if file.is_dir() else file.unlink()
        if is_kept:
            aside.rename(file)


def test_folders_of_other_names_do_no_harm(tmp_path: Path, text_model: Path) -> None:
    folder = Path(shutil.copytree(text_model, tmp_path / "model"))
    (folder / "1_Pooling").mkdir()
    os.mkfifo(folder / "notes")
    Translator(folder, cache_dir=False).close()


@pytest.mark.parametrize("put", [put_fifo, put_device])
def test_a_special_file_as_the_configuration_of_a_firefox_model(
    tmp_path: Path, put: Callable[[Path], None]
) -> None:
    put(tmp_path / "config.intgemm8bitalpha.yml")
    with pytest.raises(ModelFormatError, match=r"config\.intgemm8bitalpha\.yml: is a "):
        read_decoding_options(tmp_path)


@pytest.mark.parametrize("put", [put_fifo, put_device])
def test_a_special_file_as_the_cache(
    ids_model: Path, tmp_path: Path, put: Callable[[Path], None]
) -> None:
    put(tmp_path / "cache")
    assert Translator(ids_model, cache_dir=tmp_path / "cache").cache_file is None
    file = Translator(ids_model, cache_dir=tmp_path / "folder").cache_file
    assert file is not None
    file.unlink()
    put(file)
    assert not Translator(ids_model, cache_dir=tmp_path / "folder").from_cache
    assert Translator(ids_model, cache_dir=tmp_path / "folder").from_cache


def test_a_link_that_leads_nowhere(tmp_path: Path, text_model: Path) -> None:
    """As git-annex leaves a file that was not fetched."""
    folder = Path(shutil.copytree(text_model, tmp_path / "model"))
    (folder / "generation_config.json").unlink()
    (folder / "generation_config.json").symlink_to(".git/annex/objects/x")
    with pytest.raises(pyengine.ModelNotFoundError, match=r"is a link to '.git/annex/objects/x'"):
        Translator(folder)


@pytest.mark.parametrize("call", [2, 3])
def test_a_folder_that_cannot_be_listed(
    ids_model: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """Where the user may not, or where too many files are open."""
    listdir, calls = os.listdir, 0

    def refusing(path: Any) -> list[str]:
        nonlocal calls
        calls += Path(path) == ids_model
        if calls == call - 1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refusing)
    with pytest.raises(ModelFormatError, match="cannot be read \\(Too many open files"):
        Translator(ids_model, cache_dir=False)


def test_a_folder_of_models_that_cannot_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(path: Any) -> list[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setenv("PYENGINE_MODELS", str(tmp_path))
    monkeypatch.setattr(os, "listdir", refusing)
    with pytest.raises(ModelFormatError, match="cannot be read \\(Permission denied"):
        installed_models()
