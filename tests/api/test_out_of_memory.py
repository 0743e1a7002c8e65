"""Where there is no memory left the caller gets a MemoryError; nothing ends the process."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from pyengine.models.source_file import names_in, read_source

from .conftest import run_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")

LIMIT = """
import ctypes, resource, sys, threading
import numpy as np
import numpy.random
import onnx.helper, onnx.numpy_helper, onnx.reference
import pyengine
from pyengine.options import to_core
def limit(spare):
    with open("/proc/self/statm") as file: size = 4096 * int(file.read().split()[0]) + spare
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    return size
def unlimited(): resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
"""

FIRST_THROW = """
translator = pyengine.Translator(sys.argv[1], threads=1, cache_dir=False)
engine = translator.engine
options = to_core(translator.generation_options(max_length=20, num_beams=100))
count = 500
ids = np.tile(np.arange(1, 30, dtype=np.int32), count)
offsets = np.arange(0, 29 * count + 1, 29)
malloc = ctypes.CDLL(None).malloc
malloc.restype = ctypes.c_void_p
outcomes = []
def work():
    engine.generate(ids[:3], np.array([0, 3], np.int64), options, 1)
    limit(0)
    size = 1 << 20
    while size >= 16:
        if not malloc(size): size //= 2
    try: engine.generate(ids, offsets, options, count)
    except MemoryError: outcomes.append("MemoryError")
    unlimited()
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(outcomes, len(engine.generate(ids[:29], offsets[:2], options, 1)))
"""

LOAD = """
for spare in (0, 1 << 20, 16 << 20, 32 << 20, 40 << 20):
    limit(spare)
    try: pyengine.Translator(sys.argv[1], threads=1, cache_dir=False)
    except MemoryError: print("MemoryError")
    unlimited()
pyengine.Translator(sys.argv[1], threads=1, cache_dir=False)
"""

STREAMS = """
model = pyengine.Translator(sys.argv[1], threads=2, cache_dir=False)
expected = list(model.translate_iter(["A dog."] * 3))
for spare in range(0, 24 << 20, 3 << 20):
    limit(spare)
    try: assert list(model.translate_iter(["A dog."] * 3)) == expected
    except MemoryError: pass
    except RuntimeError as error: assert str(error) == "can't start new thread", error
    unlimited()
print(list(model.translate_iter(["A dog."] * 3)) == expected)
"""


def test_a_thread_that_throws_for_the_first_time(ids_model: Path) -> None:
    done = run_python(["-c", LIMIT + FIRST_THROW, str(ids_model)])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "['MemoryError'] 3\n"


def test_a_load_without_room_for_products(ids_model: Path) -> None:
    done = run_python(["-c", LIMIT + LOAD, str(ids_model)])
    assert (done.returncode, done.stderr) == (0, "")
    assert "MemoryError" in done.stdout


@pytest.mark.parametrize("call", ["listdir", "stat"])
def test_a_system_without_memory_is_no_fault_of_the_folder(
    call: str, ids_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*args: object, **keywords: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    with monkeypatch.context() as patches:
        patches.setattr(os, call, no_memory)
        with pytest.raises(MemoryError, match="cannot be read"):
            names_in(ids_model) if call == "listdir" else read_source(ids_model / "config.json")


def test_streams_without_room_for_threads(text_model: Path) -> None:
    done = run_python(["-W", "ignore", "-c", LIMIT + STREAMS, str(text_model)])
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
