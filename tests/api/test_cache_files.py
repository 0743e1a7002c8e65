"""A cache folder lists, bounds and clears itself, and leaves all other files alone."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from pyengine import OptionError, Translator, cli
from pyengine.cache_files import cached_files, checked_size

from .conftest import FIXTURES

MODELS = ("marian-split", "marian-external", "marian-merged")
DAY = 86_400


@pytest.fixture
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own cache folder, which does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("PYENGINE_CACHE_SIZE", raising=False)
    return tmp_path / "pyengine"


def load(name: str, days_ago: float = 0) -> Path:
    """Load a model with a cache; the file, as if it was used some days ago."""
    file = Translator(FIXTURES / name).cache_file
    assert file is not None
    used = time.time() - days_ago * DAY
    os.utime(file, (used, used))
    return file


def left(cache_dir: Path) -> list[str]:
    return [Path(file.model).name for file in cached_files(cache_dir)]


def run(*arguments: str) -> int:
    return cli.main(["cache", *arguments])


def test_list(cache_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert capsys.readouterr().out == f"    0.0 MiB  in 0 files of {cache_dir} (at most 5.0 GiB)\n"
    file = load("marian-split")
    load("marian-merged", days_ago=2)
    assert run("list", "--cache-dir", str(cache_dir)) == 0
    first, second, total = capsys.readouterr().out.splitlines()
    assert first.endswith(f"  float32   {(FIXTURES / 'marian-merged').resolve()}")
    size = f"{file.stat().st_size / 2**20:.1f} MiB"
    day = time.strftime("%Y-%m-%d", time.localtime(file.stat().st_mtime))
    assert second.split() == [
        *size.split(),
        day,
        "float32",
        str((FIXTURES / "marian-split").resolve()),
    ]
    assert total.split()[2:] == [
        "in",
        "2",
        "files",
        "of",
        str(cache_dir),
        "(at",
        "most",
        "5.0",
        "GiB)",
    ]


def test_clear_removes_packed_files_alone(
    cache_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = load("marian-split")
    load("marian-merged")
    others = ["notes.packed", "my.onnx", "x-0123abcd.packed.txt"]
    for name in others:
        (cache_dir / name).write_bytes(b"PYENGINE")
    (cache_dir / "damaged-float32-01234567.packed").write_bytes(b"PYENGINE")
    (cache_dir / f"{file.name}.files").write_text("[]")
    (cache_dir / "folder-01234567.packed").mkdir()
    os.mkfifo(cache_dir / "fifo-01234567.packed")
    assert run("clear", str(FIXTURES / "marian-merged")) == 0
    assert sorted(left(cache_dir)) == ["marian-split", "unknown"]
    assert run("clear") == 0
    assert "removed" in capsys.readouterr().out
    kept = {*others, "folder-01234567.packed", "fifo-01234567.packed"}
    assert {path.name for path in cache_dir.iterdir()} == kept
    assert not Translator(FIXTURES / "marian-split").from_cache


def test_trim_removes_what_was_used_longest_ago(cache_dir: Path) -> None:
    for days_ago, name in enumerate(MODELS):
        load(name, days_ago)
    assert left(cache_dir) == ["marian-merged", "marian-external", "marian-split"]
    sizes = [file.size for file in cached_files(cache_dir)]
    assert run("trim") == 0
    assert run("trim", "--max-size", str(sum(sizes[1:]))) == 0
    assert left(cache_dir) == ["marian-external", "marian-split"]
    assert run("trim", "--max-size", str(sum(sizes[1:]) - 1)) == 0
    assert left(cache_dir) == ["marian-split"]
    assert run("trim", "--max-size", "0") == 0
    assert left(cache_dir) == []


def test_a_load_keeps_the_folder_below_its_bound(
    cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("marian-split", days_ago=3)
    load("marian-external", days_ago=2)
    last = load("marian-merged")
    size = sum(file.size for file in cached_files(cache_dir))
    last.unlink()
    monkeypatch.setenv("PYENGINE_CACHE_SIZE", str(size - 1))
    assert Translator(FIXTURES / "marian-split").from_cache  # today: the other one goes
    load("marian-merged")
    assert left(cache_dir) == ["marian-split", "marian-merged"]
    monkeypatch.setenv("PYENGINE_CACHE_SIZE", "1K")
    load("marian-external")
    assert left(cache_dir) == ["marian-external"]  # larger than the bound, and just made


def test_what_belongs_to_folders_that_have_gone_goes_after_a_day(
    cache_dir: Path, tmp_path: Path
) -> None:
    for days_ago in (0.5, 2):
        folder = shutil.copytree(FIXTURES / "marian-split", tmp_path / f"model-{days_ago}")
        load(str(folder), days_ago)
        shutil.rmtree(folder)
    load("marian-split", days_ago=5)
    load("marian-merged")
    assert left(cache_dir) == ["marian-split", "model-0.5", "marian-merged"]


def test_what_is_packed_for_others_displaces_nothing(
    cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYENGINE_CACHE_SIZE", "1K")
    for name in MODELS:
        assert cli.main(["pack", str(FIXTURES / name), "-o", str(tmp_path / "shipped")]) == 0
    assert len(left(tmp_path / "shipped")) == 3


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", 1 << 20),
        ("500M", 500 << 20),
        ("2g", 2 << 30),
        ("1.5 GiB", 3 << 29),
        ("10 KB", 10_240),
        ("3T", 3 << 40),
        ("Unlimited", None),
    ],
)
def test_sizes(text: str, size: int | None) -> None:
    assert checked_size("x", text) == size


@pytest.mark.parametrize("text", ["", "-1", "5 X", "G", "1e9", "9" * 5000, "nan", "1,5G", "1 G G"])
def test_what_is_no_size(
    cache_dir: Path, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OptionError, match=r"--max-size: found .*, expected a size such as 2G"):
        checked_size("--max-size", text)
    if text:
        monkeypatch.setenv("PYENGINE_CACHE_SIZE", text)
        assert run() == 2
        assert "PYENGINE_CACHE_SIZE: found" in capsys.readouterr().err
