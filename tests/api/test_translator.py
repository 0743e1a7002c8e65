"""The public API on good input: text and ids, lists and single ones, life and settings."""

from __future__ import annotations

import copy
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import pyengine
from pyengine import (
    ClosedError,
    Hypothesis,
    InputError,
    Translator,
    TruncationWarning,
    _core,
    loading,
)

from .conftest import SENTENCES, run_python


def test_one_text_gives_a_string(text_translator: Translator) -> None:
    result = text_translator.translate("A man is riding a bicycle.")
    assert isinstance(result, str)
    assert "Mann" in result
    assert result == text_translator.translate(["A man is riding a bicycle."])[0]


def test_a_list_keeps_its_order(text_translator: Translator) -> None:
    results = text_translator.translate(list(SENTENCES))
    assert results == [text_translator.translate(text) for text in SENTENCES]
    assert text_translator.translate(list(SENTENCES[::-1])) == results[::-1]
    assert text_translator.translate(tuple(SENTENCES)) == results
    assert text_translator.translate([]) == []


def test_text_ids_text(text_translator: Translator) -> None:
    ids = text_translator.encode(SENTENCES[0])
    assert ids[-1] == text_translator.generation_options().eos_token_id[0]
    ((best,),) = text_translator.generate([ids])
    assert text_translator.decode(best.ids) == text_translator.translate(SENTENCES[0])
    assert text_translator.encode_batch(SENTENCES[:2]) == [
        text_translator.encode(text) for text in SENTENCES[:2]
    ]


def test_n_best_lists(text_translator: Translator) -> None:
    best = text_translator.translate(["", *SENTENCES[:2]], num_beams=4, num_return_sequences=3)
    assert [len(row) for row in best] == [3, 3, 3]
    assert best[0] == ["", "", ""]
    assert len(set(best[1])) > 1
    single = text_translator.translate(SENTENCES[0], num_beams=4, num_return_sequences=3)
    assert single == best[1]
    assert best[1][0] == text_translator.translate(SENTENCES[0], num_beams=4)


def test_generate_returns_hypotheses_best_first(ids_translator: Translator) -> None:
    rows = ids_translator.generate([[12, 7, 0], [5, 0]], num_beams=4, num_return_sequences=2)
    assert [len(row) for row in rows] == [2, 2]
    for row in rows:
        assert all(isinstance(hypothesis, Hypothesis) for hypothesis in row)
        assert row[0].score >= row[1].score
        for ids, score in row:
            assert all(type(token) is int for token in ids)
            assert type(score) is float
    assert ids_translator.generate([]) == []


def test_numpy_ids_are_ids(ids_translator: Translator) -> None:
    expected = ids_translator.generate([[12, 7, 0]])
    assert ids_translator.generate([np.array([12, 7, 0])]) == expected  # type: ignore[list-item]
    assert ids_translator.generate(np.array([[12, 7, 0]])) == expected  # type: ignore[arg-type]
    assert ids_translator.generate([(12, 7, 0)]) == expected


@pytest.mark.parametrize("text", ["", " ", "\t\n ", "\u2003\u00a0", "\u3000"])
def test_blank_text_has_a_blank_translation(text_translator: Translator, text: str) -> None:
    assert text_translator.translate(text) == text
    assert text_translator.translate([text, SENTENCES[1], text])[::2] == [text, text]
    assert text_translator.translate([text, text], split=False) == ["", ""]


def test_blank_text_does_not_need_the_engine_or_a_tokenizer(ids_translator: Translator) -> None:
    assert ids_translator.translate(["", "  "]) == ["", "  "]


@pytest.mark.parametrize(
    "text",
    ["\ud800", "A dog \udcff runs.", "🙂 🇩🇪", "مرحبا", "\u202e\u0301", "a" * 300, "\ufffd"],
)
def test_unicode_of_any_kind(text_translator: Translator, text: str) -> None:
    result = text_translator.translate(text)
    result.encode("utf-8")  # no lone surrogates come out
    (row,) = text_translator.translate([text])
    assert row == result


def test_lone_surrogates_are_read_as_replacement_characters(text_translator: Translator) -> None:
    assert text_translator.encode("a\ud800b") == text_translator.encode("a\ufffdb")


def test_truncation_warns_and_keeps_the_end_token(text_translator: Translator) -> None:
    limit = text_translator.max_source_length
    text = "dog " * (limit + 50)
    with pytest.raises(InputError):
        text_translator.translate(text, split=False, max_new_tokens=5)
    with pytest.warns(TruncationWarning, match=rf"item 1: \d+ tokens, the model has {limit}") as w:
        _, cut = text_translator.translate(
            ["A dog.", text], split=False, truncate=True, max_new_tokens=5
        )
    assert w[0].filename == __file__
    ids = text_translator.encode(text)
    with pytest.warns(TruncationWarning):
        (fitted,) = text_translator.encode_batch([text], truncate=True)
    assert fitted == [*ids[: limit - 1], ids[-1]]
    ((best,),) = text_translator.generate([fitted], max_new_tokens=5)
    assert cut == text_translator.decode(best.ids)


def test_a_warning_points_at_the_caller(text_translator: Translator) -> None:
    t, text = text_translator, "dog " * 700
    cut = {"truncate": True, "split": False, "max_new_tokens": 1}
    for call in (
        lambda: t.translate(text, **cut),
        lambda: list(t.translate_iter([text], **cut)),
        lambda: list(t.translate_stream(text, **cut)),
        lambda: pyengine.translate(text, t.path, **cut),
        lambda: t.encode_batch([text], truncate=True),
    ):
        with pytest.warns(TruncationWarning) as caught:
            call()
        assert {warning.filename for warning in caught} == {__file__}


def test_a_hundred_thousand_characters(text_translator: Translator) -> None:
    text = "A man is riding a bicycle. " * 3704
    assert len(text) > 100_000
    with pytest.raises(InputError, match=r"item 0: \d+ tokens, the model has \d+ positions"):
        text_translator.translate(text, split=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        cut = {"split": False, "truncate": True}
        assert text_translator.translate(text, **cut, num_beams=1, max_new_tokens=8)


def test_the_longest_allowed_source(ids_translator: Translator) -> None:
    limit = ids_translator.max_source_length
    assert limit == ids_translator.config.max_positions
    assert ids_translator.generate([[5] * (limit - 1) + [0]], max_length=limit)


def test_close(ids_model: Path) -> None:
    translator = Translator(ids_model, threads=1)
    assert not translator.closed
    translator.close()
    translator.close()
    assert translator.closed
    assert "closed" in repr(translator)
    for call in (
        lambda: translator.translate("a"),
        lambda: translator.translate(""),
        lambda: translator.generate([[1, 0]]),
        lambda: translator.score([[1, 0]], [[1]]),
        lambda: translator.encode("a"),
        lambda: translator.decode([1]),
        lambda: translator.__enter__(),
        lambda: translator.isa,
    ):
        with pytest.raises(ClosedError, match="closed"):
            call()


def test_context_manager(ids_model: Path) -> None:
    with Translator(ids_model, threads=1) as translator:
        assert translator.generate([[1, 0]])
    assert translator.closed


def test_properties(ids_model: Path) -> None:
    with Translator(str(ids_model), threads=2, batch_size=5, isa="scalar") as translator:
        assert translator.path == ids_model
        assert translator.model_type == "marian"
        assert translator.threads == 2
        assert translator.batch_size == 5
        assert translator.isa == "scalar"
        assert translator.compute_type == "float32"
        assert translator.parameters == 52_275
        assert translator.config.hidden_size == 32
        assert translator.tokenizer_name is None
        assert translator.generation_options().num_beams == 4  # the folder's
        assert translator.generation_options(num_beams=2).num_beams == 2
        assert repr(translator).endswith("marian isa='scalar', threads=2>")
        translator.batch_size = 9
        assert translator.batch_size == 9


@pytest.mark.parametrize("compute_type", ["default", "float32"])
def test_the_files_of_float32_run_as_float32(
    ids_model: Path, compute_type: str, ids_translator: Translator
) -> None:
    with Translator(ids_model, compute_type=compute_type, threads=1) as translator:
        assert translator.compute_type == "float32"
        assert translator.generate([[12, 7, 0]]) == ids_translator.generate([[12, 7, 0]])


@pytest.mark.parametrize("isa", _core.available_isas())
def test_auto_is_int8_where_there_is_simd(ids_model: Path, isa: str) -> None:
    with Translator(ids_model, compute_type="auto", threads=1, isa=isa) as translator:
        assert translator.compute_type == ("float32" if isa == "scalar" else "int8")


def test_smaller_types_hold_less(text_model: Path) -> None:
    sizes = {}
    for compute_type in ("float32", "bfloat16", "int8"):
        with Translator(text_model, compute_type=compute_type, threads=1) as translator:
            sizes[compute_type] = translator.engine.weight_bytes
    assert sizes["bfloat16"] < 0.6 * sizes["float32"]
    assert sizes["int8"] < 0.4 * sizes["float32"]


def test_threads_default_to_the_cores_of_this_process(ids_model: Path) -> None:
    with Translator(ids_model) as translator:
        assert 1 <= translator.threads <= len(os.sched_getaffinity(0))


def test_translate_in_one_call_keeps_the_translator(text_model: Path) -> None:
    from pyengine.oneshot import cache

    cache.clear()
    first = pyengine.translate(SENTENCES[0], model=text_model, threads=1)
    assert first == pyengine.translate(SENTENCES[0], str(text_model), threads=1)
    held = cache.get(text_model, {"threads": 1})
    assert cache.get(text_model / ".." / text_model.name, {"threads": 1}) is held
    assert cache.get(text_model, {"threads": 1, "isa": "scalar"}) is not held
    assert pyengine.translate([SENTENCES[0]], model=text_model, threads=1, num_beams=1)
    cache.clear()


def test_the_cache_keeps_the_last_used(ids_model: Path) -> None:
    from pyengine.oneshot import TranslatorCache

    cache = TranslatorCache(capacity=2)
    one = cache.get(ids_model, {"threads": 1})
    two = cache.get(ids_model, {"threads": 2})
    assert cache.get(ids_model, {"threads": 1}) is one
    cache.get(ids_model, {"threads": 3})
    assert cache.get(ids_model, {"threads": 1}) is one
    assert cache.get(ids_model, {"threads": 2}) is not two
    assert two.generate([[1, 0]])  # still usable by who holds it


def test_importing_pyengine_is_cheap() -> None:
    script = (
        "import sys, pyengine; heavy = {'onnx', 'onnxruntime', 'sentencepiece', 'tokenizers', "
        "'google.protobuf', 'importlib.metadata', 'tqdm'} & set(sys.modules); print(sorted(heavy))"
    )
    done = run_python(["-c", script])
    assert done.stdout.strip() == "[]", done.stderr


def test_public_names() -> None:
    for name in pyengine.__all__:
        assert getattr(pyengine, name) is not None
    assert issubclass(pyengine.InputError, (pyengine.Error, ValueError))


def test_the_version_is_that_of_the_project() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    assert f'version = "{pyengine.__version__}"' in project.read_text()


def test_work_is_bounded_by_the_vocabulary(ids_translator: Translator) -> None:
    sources = [[5, 9, 0], [17, 0]]
    search = {"num_beams": 4, "max_new_tokens": 6}
    expected = ids_translator.generate(sources, eos_token_id=0, **search)
    assert ids_translator.generate(sources, eos_token_id=[0] * 100_000, **search) == expected
    ends = ids_translator.generate(sources, eos_token_id=list(range(211)), **search)
    assert [row[0].ids for row in ends] == [[], []]
    assert ids_translator.generate(sources, num_beams=1024, max_new_tokens=2)


@pytest.mark.parametrize("name", ["min_length", "min_new_tokens"])
def test_a_minimum_that_is_never_reached(ids_translator: Translator, name: str) -> None:
    for search in ({"num_beams": 1}, {"num_beams": 3}):
        longest = ids_translator.generate([[5, 0]], min_new_tokens=10, max_new_tokens=10, **search)
        found = ids_translator.generate([[5, 0]], max_new_tokens=10, **{name: 2**31 - 1}, **search)
        assert found == longest


INTERRUPTED = """
import signal, sys, threading, os
from pyengine import Translator
t = Translator(sys.argv[1], threads=1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits "ignore"
try:
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    t.generate([[5] * 39 + [0]] * 200_000, num_beams=4, min_new_tokens=20)
except KeyboardInterrupt:
    print("interrupted", t.generate([[5, 0]]) != [])
"""


def test_ctrl_c_stops_a_long_call(ids_model: Path) -> None:
    done = run_python(["-c", INTERRUPTED, str(ids_model)])
    assert done.stdout.split() == ["interrupted", "True"], done.stderr


FORKED = """
import os, sys
from pyengine import Translator
t = Translator(sys.argv[1], threads=2)
expected = t.generate([[12, 7, 0]] * 9)
child = os.fork()
if child == 0:
    os._exit(0 if t.generate([[12, 7, 0]] * 9) == expected else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), t.generate([[12, 7, 0]] * 9) == expected)
"""


def test_a_forked_child_can_translate(ids_model: Path) -> None:
    done = run_python(["-c", FORKED, str(ids_model)])
    assert done.stdout.split() == ["0", "True"], done.stderr


FORKED_AT_WORK = """
import os, sys, threading
from pyengine import ForkedError, Translator
t = Translator(sys.argv[1], threads=2)
expected = t.generate([[12, 7, 0]], max_length=12)
other = Translator(sys.argv[1], threads=2)
thread = threading.Thread(target=t.generate, args=([[12, 7, 0]] * 40000,), daemon=True)
thread.start()
status = 2
while status == 2:  # the thread was not at work yet
    child = os.fork()
    if child == 0:
        try:
            t.generate([[12, 7, 0]])
        except ForkedError as error:
            found = other.generate([[12, 7, 0]], max_length=12)
            os._exit(0 if "load it again" in str(error) and found == expected else 1)
        os._exit(2)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(status, thread.is_alive())
"""


def test_a_child_forked_during_a_call_gets_an_error_and_can_load_again(ids_model: Path) -> None:
    # The script also ends while its daemon thread translates: that must not abort the process.
    done = run_python(["-W", "ignore", "-c", FORKED_AT_WORK, str(ids_model)])
    assert done.stdout.split() == ["0", "True"], done.stderr
    assert (done.returncode, done.stderr) == (0, "")


def test_doctests() -> None:
    for module in ("options", "system"):
        path = Path(pyengine.__file__).with_name(f"{module}.py")
        done = run_python(["-m", "doctest", str(path)])
        assert done.returncode == 0, done.stdout + done.stderr


def test_more_cores_than_the_core_can_use(ids_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "available_cores", lambda: 384)
    with Translator(ids_model) as translator:
        assert translator.threads == loading.MAX_THREADS


def test_a_pickle_loads_the_model_again(ids_model: Path, tmp_path: Path) -> None:
    with Translator(ids_model, compute_type="int8", cache_dir=tmp_path, batch_size=3) as original:
        expected = original.generate([[5, 9, 0]])
        for other in (pickle.loads(pickle.dumps(original)), copy.deepcopy(original)):
            assert (other.compute_type, other.batch_size, other.from_cache) == ("int8", 3, True)
            assert other.generate([[5, 9, 0]]) == expected
            other.close()
    with pytest.raises(ClosedError):
        pickle.dumps(original)
