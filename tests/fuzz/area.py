"""What an area of the fuzzers is: how its inputs are made, and what is done with one."""

from __future__ import annotations

import contextlib
import os
import random
import tarfile
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path

from pyengine.errors import Error
from pyengine.models import source_file

Files = Mapping[str, bytes]
"""An input: files by name. Those that it does not name are the area's sound ones."""

TESTS = Path(__file__).resolve().parents[1]
FIXTURES = TESTS / "fixtures"

source_file._TICK = 0.0  # it waits until a file is that old, and every input is a new one


class Area(ABC):
    """One kind of input, made and put to work in this process."""

    @abstractmethod
    def make(self, rng: random.Random) -> Files:
        """An input."""

    @abstractmethod
    def run(self, files: Files) -> bool:
        """Put an input to work: whether it is used. Raises what pyengine raises."""

    def accepts(self, files: Files) -> bool:
        """Whether an input is used rather than refused; raises what is neither."""
        try:
            return self.run(files)
        except Error as error:
            assert str(error), f"{type(error).__name__} says nothing"
            return False


class Workplace:
    """A folder in memory with sound files, some of which an input replaces for a while."""

    def __init__(self, files: Files) -> None:
        memory = "/dev/shm"
        self._folder = tempfile.TemporaryDirectory(
            prefix="pyengine-fuzz-", dir=memory if os.access(memory, os.W_OK) else None
        )
        self.path = Path(self._folder.name)
        self.files = dict(files)
        for name, content in files.items():
            self._write(name, content)

    @contextlib.contextmanager
    def holding(self, files: Files) -> Iterator[Path]:
        """The folder with the files of an input."""
        for name, content in files.items():
            self._write(name, content)
        try:
            yield self.path
        finally:
            for name in files:
                if name in self.files:
                    self._write(name, self.files[name])
                else:
                    (self.path / name).unlink()

    def _write(self, name: str, content: bytes) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def smallest_model(name: str) -> dict[str, bytes]:
    """The files of a family's model in which every size that may be is 1."""
    with tarfile.open(FIXTURES / "size_one.tar.xz") as archive:
        members = [member for member in archive if member.name.startswith(f"{name}/")]
        opened = {member.name.split("/")[1]: archive.extractfile(member) for member in members}
        return {file: content.read() for file, content in opened.items() if content}


def files_of(folder: Path) -> dict[str, bytes]:
    """All files of a folder by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
