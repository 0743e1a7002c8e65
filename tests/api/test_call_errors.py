"""Calls in the words of other libraries: the error says how it is called here."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import pyengine
from pyengine import Encoder, Generator, Translator, UnknownOptionError
from pyengine.call_errors import explained
from pyengine.errors import InputTypeError, ModelNotFoundError

from .conftest import FIXTURES, IDS_MODEL


@pytest.fixture(scope="module")
def models() -> Iterator[Any]:
    with (
        Translator(IDS_MODEL, threads=1) as translator,
        Encoder(FIXTURES / "bert-cls", threads=1) as encoder,
        Generator(FIXTURES / "gpt2", threads=1) as generator,
    ):
        yield SimpleNamespace(t=translator, e=encoder, g=generator)


METHODS = (
    *(("t", x) for x in ("translate", "translate_iter", "translate_stream", "encode", "decode")),
    *(("t", x) for x in ("encode_batch", "generate", "score")),
    *(("e", x) for x in ("encode", "classify", "forward", "tokenize")),
    *(("g", x) for x in ("generate", "stream", "score", "encode", "decode")),
)


@pytest.mark.parametrize(("model", "method"), METHODS)
def test_no_call_that_does_not_fit_is_a_bare_type_error(
    models: Any, model: str, method: str
) -> None:
    call = getattr(getattr(models, model), method)
    required = [x for x in inspect.signature(call).parameters.values() if x.default is x.empty]
    args = [[[3, 4]] for x in required if x.kind is x.POSITIONAL_OR_KEYWORD]
    for name in ("batch_size", "device", "return_tensors", "num_workers", "nonsense"):
        with pytest.raises(UnknownOptionError, match=f"^{name}: no such"):
            call(*args, **{name: 1})
    with pytest.raises(InputTypeError, match="is missing"):
        call()
    with pytest.raises(InputTypeError, match="without a name"):
        call(*args, *range(9))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("normalize_embeddings", "did you mean normalize"),
        ("show_progress_bar", "did you mean progress"),
        ("truncation", "did you mean truncate"),
        ("batch_size", "it is a setting of the model"),
        ("convert_to_numpy", "vectors are NumPy arrays"),
        ("device", "computes on the CPU"),
        ("top_k", "its arguments are texts, pooling, normalize"),
        ("sentences", "its arguments are texts"),
    ],
)
def test_names_of_sentence_transformers(models: Any, name: str, hint: str) -> None:
    with pytest.raises(UnknownOptionError, match=hint):
        models.e.encode("a", **{name: True})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("beam_size", "did you mean num_beams"),
        ("max_batch_size", "batch_size is a setting"),
        ("return_scores", "generate returns scores"),
        ("split_sentences", "did you mean split"),
        ("tag_handling", "did you mean keep_spans"),
        ("preserve_formatting", "always stay"),
        ("formality", "pyengine does not do this"),
        ("dest", "did you mean target"),
        ("streamer", "streams|stream hand out"),
    ],
)
def test_names_of_engines_of_translation(models: Any, name: str, hint: str) -> None:
    with pytest.raises(UnknownOptionError, match=hint):
        models.t.translate("a", **{name: "x"})


def test_languages_by_position(models: Any) -> None:
    hint = r"languages are given by name: .*translate\(text, source='en', target='pt'\)"
    with pytest.raises(InputTypeError, match=hint):
        pyengine.translate("a", "en", "pt")  # type: ignore[call-overload]
    with pytest.raises(InputTypeError, match=hint):
        models.t.translate("a", "en", "pt")
    with pytest.raises(ModelNotFoundError, match="'en' does not exist; a language is given by"):
        pyengine.translate("a", "en")


def test_models_by_other_names() -> None:
    with pytest.raises(InputTypeError, match=r"^Translator: model is missing"):
        Translator()  # type: ignore[call-arg]
    with pytest.raises(InputTypeError, match=r"^Translator: found model_path, expected model"):
        Translator(model_path="x")  # type: ignore[call-arg]
    with pytest.raises(ModelNotFoundError, match=r"^model: found an empty string"):
        Translator("")


def test_an_argument_twice_and_errors_from_within() -> None:
    @explained
    def function(a: int, b: int = 0) -> int:
        return a + b

    assert function(1, b=2) == 3
    with pytest.raises(InputTypeError, match=r"^pyengine\.function: a was given twice"):
        function(1, a=2)  # type: ignore[misc]
    with pytest.raises(TypeError, match="unsupported operand") as error:
        function(None)  # type: ignore[arg-type]
    assert not isinstance(error.value, pyengine.Error)
