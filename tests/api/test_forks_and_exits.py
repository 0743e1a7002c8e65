"""Forks and ends of a process while other threads are anywhere: nothing hangs, aborts or prints."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from pyengine import Translator, forks, oneshot

from .conftest import run_python

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def status_of_child(work: object) -> int:
    """Exit status of a forked child that calls `work`, 0 if that returns True."""
    child = os.fork()
    if child == 0:
        signal.alarm(600)  # rather than wait for ever
        os._exit(0 if work() else 1)  # type: ignore[operator]
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_lock_that_is_held_at_a_fork_is_open_in_the_child(ids_model: Path) -> None:
    with oneshot.cache._lock.held():  # as while another thread loads
        assert status_of_child(lambda: oneshot.cache.get(ids_model, {"threads": 1})) == 0
    assert oneshot.cache.get(ids_model, {"threads": 1}) is not None


def test_a_fork_inside_a_lock_leaves_both_sides_usable() -> None:
    lock = forks.ForkSafeLock()

    def held_again() -> bool:
        with lock.held():
            return True

    with lock.held():
        child = os.fork()
    if child == 0:
        os._exit(0 if held_again() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert held_again()


def test_a_child_loads_the_tokenizer_that_a_thread_of_the_parent_was_loading(
    text_model: Path, text_translator: Translator
) -> None:
    expected = text_translator.encode("A dog.")
    with Translator(text_model, threads=1) as translator, translator._lock.held():
        assert status_of_child(lambda: translator.encode("A dog.") == expected) == 0


LOADING = """
import os, signal, sys, threading
import pyengine
expected = pyengine.Translator(sys.argv[1], threads=1).encode("A dog.")
statuses = set()
for round in range(25):
    for name in [name for name in sys.modules if name.startswith("pyengine.text")]:
        del sys.modules[name]  # so that the thread imports them again
    translator = pyengine.Translator(sys.argv[1], threads=1)
    threads = [threading.Thread(target=translator.encode, args=("A cat.",)) for _ in range(2)]
    for thread in threads: thread.start()
    child = os.fork()
    if child == 0:
        signal.alarm(600)
        os._exit(0 if translator.encode("A dog.") == expected else 1)
    statuses.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    for thread in threads: thread.join()
print(statuses)
"""


def test_forks_while_threads_load_the_tokenizer(text_model: Path) -> None:
    done = run_python(["-W", "ignore", "-c", LOADING, str(text_model)])
    assert (done.stdout, done.stderr) == ("{0}\n", "")


TRANSLATING = """
import os, signal, sys, threading
import pyengine
from pyengine import oneshot
model = sys.argv[1]
expected = pyengine.translate("A dog runs.", model, threads=1)
texts = ["A man is riding a bicycle in front of a house."] * 200
def work():
    while True: pyengine.translate(texts, model, threads=1)
threading.Thread(target=work, daemon=True).start()
status = 2
while status == 2:  # the thread was not at work
    child = os.fork()
    if child == 0:
        signal.alarm(600)
        (translator,) = oneshot.cache._translators.values()
        if not translator.lost_at_fork: os._exit(2)
        found = [pyengine.translate("A dog runs.", model, threads=1) for _ in range(2)]
        kept = oneshot.cache.get(model, {"threads": 1}) is not translator
        os._exit(0 if found == [expected] * 2 and kept else 1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(status, pyengine.translate("A dog runs.", model, threads=1) == expected)
"""


def test_translate_loads_again_in_a_child_forked_while_the_parent_translated(
    text_model: Path,
) -> None:
    done = run_python(["-W", "ignore", "-c", TRANSLATING, str(text_model)])
    assert (done.stdout, done.stderr) == ("0 True\n", "")


ENDING = """
import sys, threading
import pyengine
translator = pyengine.Translator(sys.argv[1], threads=2)
texts = ["A man is riding a bicycle in front of a house. " * 10] * 4
begun = threading.Semaphore(0)
def encode():
    while True: translator.decode(translator.encode(texts[0])); begun.release()
def translate():
    while True: translator.translate(texts); begun.release()
def stream():
    while True:
        for _ in translator.translate_iter(texts * 20): begun.release()
def pieces():
    while True:
        for _ in translator.translate_stream("A dog runs."): begun.release()
def load():
    while True: pyengine.Translator(sys.argv[1], threads=1).encode("A dog."); begun.release()
for work in (encode, encode, translate, stream, pieces, load):
    threading.Thread(target=work, daemon=True).start()
for _ in range(int(sys.argv[2])): begun.acquire()
"""


@pytest.mark.parametrize("begun", [1, 10, 100])
def test_daemon_threads_at_work_do_not_disturb_the_end(text_model: Path, begun: int) -> None:
    done = run_python(["-c", ENDING, str(text_model), str(begun)])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_daemon_begins_no_import_when_the_process_ends() -> None:
    script = """
import threading
from pyengine import exits
def work():
    with exits.guarded_imports: print("inside")
for _ in range(2):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join()
    exits.begin()
"""
    done = run_python(["-c", script])
    assert (done.stdout, done.stderr) == ("inside\n", "")


def test_a_translation_of_an_exit_handler(text_model: Path, text_translator: Translator) -> None:
    script = """
import atexit, sys
atexit.register(lambda: print(translator.translate("A dog runs.")))  # after those of pyengine
import pyengine
translator = pyengine.Translator(sys.argv[1], threads=1)
"""
    done = run_python(["-c", script, str(text_model)])
    expected = text_translator.translate("A dog runs.")
    assert (done.stdout, done.stderr) == (f"{expected}\n", "")


def test_a_subinterpreter_is_refused() -> None:
    module = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    pytest.importorskip(module)
    code = """
try:
    import pyengine
except ImportError as error:
    print(error, flush=True)
"""
    script = f"import {module} as i; i.run_string(i.create(), {code!r})"
    done = run_python(["-c", script])
    assert done.stdout.startswith("pyengine: found a subinterpreter, expected the main interpreter")
