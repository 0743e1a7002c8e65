"""onnxruntime on a loaded model's own files: what ``verify`` compares, by kind of model.

An encoder-decoder or a decoder alone generates greedily in onnxruntime; the engine is then given
onnxruntime's own tokens (teacher forcing), so that one early flip does not make the rest
meaningless, and the logits of every generated position are compared. Of an encoder alone it is what
its file computes: the last hidden states of every token, or the logits of a text's classes.

A Firefox model is converted to ONNX first.
"""

from __future__ import annotations

import dataclasses
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from pyengine import exits
from pyengine.bench.onnxruntime_loop import (
    GREEDY,
    GreedySearch,
    OnnxRuntimeEncoder,
    OnnxRuntimeGenerator,
    OnnxRuntimeModel,
    exact_session,
)
from pyengine.bench.peer import onnx_files, pad_token_id
from pyengine.bench.sentences import random_ids, random_sources
from pyengine.errors import OptionError
from pyengine.models.onnx_files import find_model_file
from pyengine.pooling import Floats, pool

if TYPE_CHECKING:
    from pyengine.encoder import Encoder
    from pyengine.generator import Generator
    from pyengine.info import AnyModel
    from pyengine.translator import Translator

Ids = Sequence[int]

TOKENS, HIDDEN_STATES, CLASSES = "tokens", "hidden states", "classes"

_RANDOM_LENGTHS = (1, 2, 5, 16, 33, 70)
"""Tokens of random ids, the end token included where there is one."""

_SEED = 1


class Oracle(ABC):
    """A model, and onnxruntime's sessions on the same files.

    Attributes:
        compared: of what each text gives: "tokens" (logits of each position), "hidden states" (of
            each token) or "classes" (logits of each text).
        pooling: names of the poolings that make a vector of hidden states.
    """

    compared = TOKENS
    pooling: tuple[str, ...] = ("mean",)

    @abstractmethod
    def encoded(self, texts: Sequence[str]) -> Sequence[Ids]:
        """The ids of texts; raises what the model's own method does."""

    @abstractmethod
    def random_ids(self) -> list[list[int]]:
        """Ids of several lengths that are no text."""

    @abstractmethod
    def compare(self, ids: Ids) -> tuple[Floats, Floats]:
        """What the engine and onnxruntime make of one text, both [rows, entries]."""

    def cosine(self, actual: Floats, expected: Floats) -> float:
        """Of the vectors of two versions of one text's hidden states [tokens, hidden_size]."""
        a, b = (pool(hidden, self.pooling).astype(np.float64) for hidden in (actual, expected))
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def open_oracle(model: AnyModel, max_new_tokens: int) -> Oracle:
    """The oracle of a loaded model.

    Args:
        model: of any kind.
        max_new_tokens: positions that are generated for each text at most, where any are.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        OptionError: ``max_new_tokens`` is below 1.
    """
    if max_new_tokens < 1:
        raise OptionError(f"max_new_tokens: found {max_new_tokens}, expected at least 1")
    with exits.guarded_imports:
        from pyengine.encoder import Encoder
        from pyengine.generator import Generator

    if isinstance(model, Encoder):
        return _EncoderOracle(model)
    if isinstance(model, Generator):
        return _GeneratorOracle(model, max_new_tokens)
    return _TranslatorOracle(model, max_new_tokens)


class _TranslatorOracle(Oracle):
    def __init__(self, translator: Translator, max_new_tokens: int) -> None:
        self._translator = translator
        options = translator.generation_options(**GREEDY)
        length = min(options.max_length, max_new_tokens + 1)
        options = dataclasses.replace(options, max_length=length, forced_eos_token_id=())
        self._search = GreedySearch.of(options, pad_token_id(translator))
        with _onnx_folder(translator.path) as folder:
            self._peer = OnnxRuntimeModel(
                onnx_files(folder, translator.variant), translator.threads, exact_session
            )

    def encoded(self, texts: Sequence[str]) -> list[list[int]]:
        return self._translator.encode_batch(texts)

    def random_ids(self) -> list[list[int]]:
        return random_sources(self._translator, _RANDOM_LENGTHS, random.Random(_SEED))

    def compare(self, ids: Ids) -> tuple[Floats, Floats]:
        expected = self._peer.greedy([ids], self._search, keep_logits=True)
        inputs = [self._search.decoder_start_token_id, *expected.ids[0][:-1]]
        engine = self._translator.engine
        actual = engine.logits(np.array(ids, np.int32), np.array(inputs, np.int32))
        return actual, expected.logits[0]


class _GeneratorOracle(Oracle):
    def __init__(self, generator: Generator, max_new_tokens: int) -> None:
        self._generator = generator
        self._max_new_tokens = max_new_tokens
        file = find_model_file(generator.path, generator.variant)
        self._peer = OnnxRuntimeGenerator(file, generator.threads, exact_session)

    def encoded(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._generator.encode(text) for text in texts]

    def random_ids(self) -> list[list[int]]:
        config, rng = self._generator.config, random.Random(_SEED)
        lengths = [min(length, config.max_positions - 1) for length in _RANDOM_LENGTHS]
        return [random_ids(length, config.vocab_size, rng) for length in lengths]

    def compare(self, ids: Ids) -> tuple[Floats, Floats]:
        expected = self._peer.greedy([ids], self._search(len(ids)), keep_logits=True)
        read = [*ids, *expected.ids[0][:-1]]
        engine = self._generator.engine
        actual = engine.logits(np.empty(0, np.int32), np.array(read, np.int32))
        return actual[len(ids) - 1 :], expected.logits[0]

    def _search(self, prompt_length: int) -> GreedySearch:
        """As many tokens as the positions allow: the lengths of a call count the prompt."""
        options = self._generator.generation_options(**GREEDY)
        length = min(self._max_new_tokens, self._generator.config.max_positions - prompt_length)
        options = dataclasses.replace(
            options, max_length=length + 1, min_length=0, forced_eos_token_id=()
        )
        return GreedySearch.of(options, pad_token_id(self._generator))


class _EncoderOracle(Oracle):
    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.compared = CLASSES if encoder.config.classifies else HIDDEN_STATES
        self.pooling = encoder.pooling or self.pooling
        file = find_model_file(encoder.path, encoder.variant)
        self._peer = OnnxRuntimeEncoder(file, encoder.threads, exact_session)

    def encoded(self, texts: Sequence[str]) -> list[list[int]]:
        return self._encoder.tokenize(list(texts))

    def random_ids(self) -> list[list[int]]:
        config, rng = self._encoder.config, random.Random(_SEED)
        lengths = [min(length, config.max_positions) for length in _RANDOM_LENGTHS]
        return [random_ids(length, config.source_vocab_size, rng) for length in lengths]

    def compare(self, ids: Ids) -> tuple[Floats, Floats]:
        engine, source = self._encoder.engine, np.array(ids, np.int32)
        offsets = np.array([0, len(ids)], np.int64)
        run = engine.classify if self.compared == CLASSES else engine.encode
        return run(source, offsets, 1), np.atleast_2d(self._peer.run([ids])[0])


@contextmanager
def _onnx_folder(folder: Path) -> Iterator[Path]:
    """The folder itself; for a Firefox model, a temporary one with what it converts to."""
    with exits.guarded_imports:
        from pyengine.convert.firefox import convert

    if (folder / "config.json").exists():
        yield folder
    else:
        with TemporaryDirectory() as name:
            convert(folder, Path(name, "model"))
            yield Path(name, "model")
