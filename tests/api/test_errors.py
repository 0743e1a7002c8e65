"""Bad input at the API: each gets an error of pyengine's own kind that says what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyengine
from pyengine import (
    Error,
    InputError,
    InputTypeError,
    ModelFormatError,
    ModelNotFoundError,
    OptionError,
    TokenizerMissingError,
    Translator,
    UnknownOptionError,
    UnsupportedModelError,
)

from .conftest import IDS_MODEL, run_python


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threads": 0}, "threads: found 0, expected None or an integer from 1 to"),
        ({"threads": -1}, "threads: found -1"),
        ({"threads": 10**9}, "threads: found 1000000000"),
        ({"threads": 1.5}, "threads: found 1.5"),
        ({"threads": True}, "threads: found True"),
        ({"threads": "two"}, "threads: found 'two'"),
        ({"batch_size": 0}, "batch_size: found 0"),
        ({"batch_size": "x"}, "batch_size: found 'x'"),
        ({"compute_type": ["int8"]}, "compute_type: found .*'int8'.*, expected 'default', 'auto'"),
        ({"compute_type": "float16"}, "compute_type: found 'float16', expected 'default'"),
        ({"compute_type": None}, "compute_type: found None"),
        ({"isa": "avx9"}, "isa is .*avx9.*scalar"),
        ({"isa": 5}, "isa: "),
    ],
)
def test_settings(ids_model: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Translator(ids_model, **settings)


def test_batch_size_set_later(ids_translator: Translator) -> None:
    with pytest.raises(OptionError, match="batch_size: found 0"):
        ids_translator.batch_size = 0


def test_an_unknown_isa_of_the_environment(ids_model: Path) -> None:
    script = f"import pyengine; pyengine.Translator({str(ids_model)!r})"
    done = run_python(["-c", script], PYENGINE_ISA="avx9")
    assert "pyengine.errors.OptionError: PYENGINE_ISA" in done.stderr
    assert "scalar" in done.stderr


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="nowhere"):
        Translator(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        Translator(tmp_path / "nowhere")
    with pytest.raises(ModelNotFoundError):
        Translator(tmp_path)
    with pytest.raises(ModelNotFoundError):
        pyengine.translate("a", model=tmp_path)


@pytest.mark.parametrize("model", [None, 5, b"x", ["x"]])
def test_a_model_that_is_no_path(model: Any) -> None:
    with pytest.raises(InputTypeError, match="model: expected a folder, found"):
        Translator(model)
    if model is not None:  # which translate() takes as not given
        with pytest.raises(InputTypeError, match="model: expected a folder, found"):
            pyengine.translate("a", model=model)


def truncate_encoder(folder: Path) -> None:
    path = folder / "encoder_model.onnx"
    path.write_bytes(path.read_bytes()[:-1000])


def remove_decoder(folder: Path) -> None:
    (folder / "decoder_model.onnx").unlink()


def remove_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def edit_config(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return edit


@pytest.mark.parametrize(
    ("break_it", "kind"),
    [
        (truncate_encoder, ModelFormatError),
        (remove_decoder, ModelNotFoundError),
        (remove_config, ModelNotFoundError),
        (edit_config(model_type="opt"), UnsupportedModelError),
        (edit_config(d_model=64), ModelFormatError),
        (edit_config(decoder_layers=3), ModelFormatError),
    ],
)
def test_broken_folders(
    ids_model: Path, tmp_path: Path, break_it: Callable[[Path], None], kind: type[Error]
) -> None:
    folder = Path(shutil.copytree(ids_model, tmp_path / "model"))
    break_it(folder)
    with pytest.raises(kind) as caught:
        Translator(folder)
    assert len(str(caught.value)) > 20


def test_a_folder_without_tokenizer_says_so(ids_translator: Translator) -> None:
    for call in (
        lambda: ids_translator.translate("A dog."),
        lambda: ids_translator.encode("A dog."),
        lambda: ids_translator.decode([1]),
        lambda: ids_translator.require_tokenizer(),
    ):
        with pytest.raises(TokenizerMissingError, match=r"source\.spm"):
            call()
    with pytest.raises(FileNotFoundError):
        ids_translator.translate("A dog.")


@pytest.mark.parametrize(
    ("sources", "kind", "message"),
    [
        ([[1, 211, 0]], InputError, "item 0, position 1: token id 211 .* 0 to 210"),
        ([[1, 0], [-1, 0]], InputError, "item 1, position 0: token id -1"),
        ([[1, 0], []], InputError, "item 1: (source: )?found 0 tokens, expected 1 to 40"),
        ([[1, 0], [5] * 41], InputError, "item 1: (source: )?found 41 tokens, expected 1 to 40"),
        ([[1, 0], [2.5, 0]], InputTypeError, "item 1, position 0: .*2.5"),
        ([["1", 0]], InputTypeError, "item 0, position 0"),
        ([[True, 0]], InputTypeError, "item 0, position 0"),
        ([5, 6], InputTypeError, "item 0: expected a sequence of token ids"),
        (["abc"], InputTypeError, "item 0"),
        ("abc", InputTypeError, "expected a list"),
        (None, InputTypeError, "expected a list"),
        (np.ones((1, 2)), InputTypeError, "item 0"),
    ],
)
def test_bad_ids(ids_translator: Translator, sources: Any, kind: type[Error], message: str) -> None:
    with pytest.raises(kind, match=message):
        ids_translator.generate(sources)
    with pytest.raises(kind, match=message):
        ids_translator.score(sources, [[1]] * (len(sources) if sources is not None else 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "expected text or a list of texts, found NoneType"),
        (5, "found int"),
        (b"A dog.", "found bytes"),
        ({"a"}, "found set"),
        (["A dog.", 5], "item 1: expected a string, found int"),
        (["A dog.", None], "item 1: expected a string, found NoneType"),
        (["A dog.", b"x"], "item 1: expected a string, found bytes"),
        ([["A dog."]], "item 0: expected a string, found list"),
    ],
)
def test_wrong_types_of_text(text_translator: Translator, text: Any, message: str) -> None:
    with pytest.raises(InputTypeError, match=message):
        text_translator.translate(text)
    with pytest.raises(TypeError):
        text_translator.translate(text)


def test_a_nul_character_is_no_text(text_translator: Translator) -> None:
    """As in the files of the command line."""
    with pytest.raises(InputError, match="item 1: found a NUL character, expected text"):
        text_translator.translate(["A dog runs.", "A\0dog."])
    with pytest.raises(InputError, match="item 0: found a NUL character"):
        text_translator.translate("\0", split=False)
    found = text_translator.translate_iter(["A dog runs.", "\0"])
    assert next(found)
    with pytest.raises(InputError, match="item 1: found a NUL character"):
        next(found)


def test_wrong_types_of_text_elsewhere(text_translator: Translator) -> None:
    with pytest.raises(InputTypeError, match="text: expected a string, found list"):
        text_translator.encode(["a"])  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match="found str"):
        text_translator.encode_batch("a")
    with pytest.raises(InputTypeError):
        text_translator.decode("abc")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="position 1"):
        text_translator.decode([5, 10**6])


def test_a_bad_item_stops_the_batch_before_any_work(
    text_translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the engine was called")

    monkeypatch.setattr(text_translator, "_search", fail)
    too_long = "dog " * 2000
    with pytest.raises(InputError, match=r"item 2: \d+ tokens, the model has"):
        text_translator.translate(["A dog.", "", too_long, "A cat."], split=False)
    with pytest.raises(InputTypeError, match="item 1"):
        text_translator.translate(["A dog.", 7])  # type: ignore[list-item]
    with pytest.raises(OptionError, match="num_beams"):
        text_translator.translate("A dog.", num_beams=-1)


def test_unknown_options_and_bad_values(ids_translator: Translator) -> None:
    with pytest.raises(UnknownOptionError, match="did you mean num_beams"):
        ids_translator.generate([[1, 0]], num_beam=4)
    with pytest.raises(TypeError):
        ids_translator.generate([[1, 0]], num_beam=4)
    with pytest.raises(OptionError, match="max_length: found 41, expected at most 40"):
        ids_translator.generate([[1, 0]], max_length=41)
    with pytest.raises(ValueError):
        ids_translator.translate("", num_beams=0)
    with pytest.raises(OptionError, match="do_sample"):
        ids_translator.generate([[1, 0]], do_sample=True, num_beams=4)


def test_more_beams_than_the_vocabulary_has_ids(ids_translator: Translator) -> None:
    ((best,),) = ids_translator.generate([[12, 7, 0]], num_beams=150, max_new_tokens=4)
    assert best.score < 0


def test_every_error_is_an_error() -> None:
    kinds = {name for name in pyengine.__all__ if name.endswith("Error")} - {"Error"}
    assert len(kinds) >= 9
    assert all(issubclass(getattr(pyengine, name), Error) for name in kinds)


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("device", "pyengine computes on the CPU"),
        ("inter_threads", "did you mean threads"),
        ("torch_dtype", "did you mean compute_type"),
        ("compute_typ", "did you mean compute_type"),
        ("num_beams", "it is an option of each call"),
        ("xyz", "the settings are compute_type, threads"),
    ],
)
def test_an_unknown_setting_names_the_class(setting: str, hint: str, text_model: Path) -> None:
    for kind in (Translator, pyengine.Encoder, pyengine.Generator):
        message = rf"^{setting}: no such setting of {kind.__name__}\(\.\.\.\); {hint}"
        with pytest.raises(UnknownOptionError, match=message):
            kind(text_model, **{setting: 1})


def test_an_unknown_option_of_a_text_lists_its_arguments(text_translator: Translator) -> None:
    for name, hint in {
        "sorce": "did you mean source",
        "tgt_lang": "did you mean target",
        "xyz": r"the options are .*num_beams.*; translate\(...\) takes source, target, prefix",
    }.items():
        with pytest.raises(UnknownOptionError, match=f"{name}: no such option; {hint}"):
            text_translator.translate("A dog.", **{name: 1})
    with pytest.raises(UnknownOptionError, match="source: no such option; it is an argument of"):
        text_translator.generate([], source="en")


@pytest.mark.parametrize(
    ("kind", "name", "task"),
    [
        (Translator, "Helsinki-NLP/opus-mt-en-de", "text2text-generation-with-past"),
        (pyengine.Encoder, "all-MiniLM-L6-v2", "feature-extraction"),
        (pyengine.Generator, "openai-community/gpt2", "text-generation-with-past"),
    ],
)
def test_a_name_of_the_hub_says_how_to_export(kind: Any, name: str, task: str) -> None:
    command = f"optimum-cli export onnx --model {name} --task {task} DIR"
    with pytest.raises(ModelNotFoundError, match=command):
        kind(name)


def test_a_path_that_is_not_there_is_no_name_of_the_hub(tmp_path: Path) -> None:
    for path in (tmp_path / "a" / "b-c", Path("tests") / "opus-mt-en-de"):
        with pytest.raises(ModelNotFoundError, match=r"does not exist$"):
            Translator(path)


def test_completion_offers_public_names() -> None:
    assert dir(pyengine) == sorted(pyengine.__all__)


HUGE = 10**5000


@pytest.mark.parametrize("name", ["threads", "batch_size", "isa", "compute_type", "cache_dir"])
def test_settings_that_python_cannot_write_in_decimal(name: str) -> None:
    with pytest.raises(OptionError, match=f"^{name}: found"):
        Translator(IDS_MODEL, **{name: HUGE})


@pytest.mark.parametrize("name", ["num_beams", "max_length", "eos_token_id", "length_penalty"])
def test_options_that_python_cannot_write_in_decimal(ids_translator: Translator, name: str) -> None:
    with pytest.raises(OptionError, match=f"^{name}: found"):
        ids_translator.generate([[5, 0]], **{name: HUGE})


def test_times_that_python_cannot_write_in_decimal(ids_translator: Translator) -> None:
    with pytest.raises(OptionError, match=r"^timeout: found"):
        ids_translator.generate([[5, 0]], timeout=HUGE)
