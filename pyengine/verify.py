"""Is the engine faithful? The folder's ONNX files in onnxruntime against the engine's logits.

A Firefox model is converted to ONNX first.

onnxruntime translates greedily; the engine is then given onnxruntime's own tokens (teacher
forcing), so that one early flip does not make the rest meaningless, and the logits of every
position are compared.

The difference at a position is ``max|a - b| / max|b|`` over the vocabulary entries with b > -1e4,
a the engine's logits, b onnxruntime's. The engine is faithful when no difference is above the
tolerance of its compute type, no preferred token differs except between candidates closer than
that, and of sentences at least 97 % of the preferred tokens are equal (random ids leave a small
model of few bits without a clear preference).
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyengine.bench.onnxruntime_loop import (
    GREEDY,
    GreedySearch,
    OnnxRuntimeModel,
    exact_session,
    import_onnxruntime,
)
from pyengine.bench.peer import onnx_files, pad_token_id
from pyengine.bench.sentences import DEFAULT_SENTENCES, random_sources
from pyengine.errors import OptionError, TokenizerMissingError

if TYPE_CHECKING:
    from pyengine.translator import Translator

TOLERANCES = {"float32": 1e-4, "bfloat16": 2e-2, "int8": 2e-1}
"""Largest relative difference of a faithful engine for each type of its weights. Seen on models of
32 to 512 hidden units: float32 8e-6, bfloat16 2e-3 to 1.7e-2, int8 9e-3 to 3e-2; of Firefox's tiny
models in int8, 3e-2 on the mean and 1.2e-1 at the worst of 3,000 positions."""

MIN_EQUAL_TOKENS = 0.97
"""Share of a sentence's positions where a faithful engine prefers onnxruntime's token, at least."""

DEFAULT_SENTENCE_COUNT = 8
RANDOM_LENGTHS = (1, 2, 5, 16, 33, 70)
"""Tokens of the sources of random ids, the end token included."""

SEED = 1
_MASKED = -1e4


@dataclass(frozen=True)
class VerifyReport:
    """The outcome of :func:`verify_model`.

    Attributes:
        model: the folder.
        onnxruntime: its version.
        compute_type: type of the engine's weights.
        isa: instruction set of the engine.
        sentences: sources compared that came from text.
        random_sources: sources compared that were random ids.
        positions: target positions compared.
        max_difference: the largest difference of a position (see the module).
        mean_difference: the mean over all positions.
        equal_tokens: share of positions where both prefer the same token, 0 to 1.
        equal_tokens_of_text: the same over the sentences alone; 1 if there are none.
        wrong_tokens: positions where the tokens differ and the candidates do by more than
            ``tolerance``.
        tolerance: what was allowed.
    """

    model: str
    onnxruntime: str
    compute_type: str
    isa: str
    sentences: int
    random_sources: int
    positions: int
    max_difference: float
    mean_difference: float
    equal_tokens: float
    equal_tokens_of_text: float
    wrong_tokens: int

    @property
    def tolerance(self) -> float:
        """The largest difference allowed."""
        return TOLERANCES[self.compute_type]

    @property
    def faithful(self) -> bool:
        """Whether the engine is within its bounds, see the module (a NaN is not)."""
        close = self.max_difference <= self.tolerance and self.wrong_tokens == 0
        return close and self.equal_tokens_of_text >= MIN_EQUAL_TOKENS

    def to_dict(self) -> dict[str, Any]:
        """Every attribute, ``tolerance`` and ``faithful``, ready for JSON."""
        verdict = {"tolerance": self.tolerance, "faithful": self.faithful}
        return {**dataclasses.asdict(self), **verdict}

    def format(self) -> str:
        """The report as text for a terminal."""
        verdict = "faithful" if self.faithful else "NOT FAITHFUL"
        wrong = f", {self.wrong_tokens} of them wrong" if self.wrong_tokens else ""
        return "\n".join(
            (
                f"model               {self.model}",
                f"compared            pyengine ({self.compute_type}, {self.isa}) with onnxruntime "
                f"{self.onnxruntime}, teacher-forced on its greedy tokens",
                f"sources             {self.sentences} sentences, {self.random_sources} of random "
                f"ids; {self.positions} target positions",
                f"largest difference  {self.max_difference:.2e} of the largest logit "
                f"(allowed: {self.tolerance:g}); mean {self.mean_difference:.2e}",
                f"equal tokens        {self.equal_tokens:.2%} "
                f"({self.equal_tokens_of_text:.2%} of the sentences'){wrong}",
                f"verdict             {verdict}",
            )
        )


def verify_model(
    translator: Translator, sentences: Sequence[str] | None = None, max_new_tokens: int = 64
) -> VerifyReport:
    """Compare a loaded model with onnxruntime on the folder's files.

    Args:
        translator: the engine to check.
        sentences: text to translate; ``None``: a few built-in English sentences if the folder holds
            a tokenizer. Random ids are compared in any case.
        max_new_tokens: target positions of each source at most; fewer if the model's limits say so.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        OptionError: ``sentences`` hold no text, or ``max_new_tokens`` is below 1.
        InputError: a sentence is longer than the model's positions.
        TokenizerMissingError: ``sentences`` are given, but the folder holds no tokenizer.

    Example::

        with pyengine.Translator("path/to/model") as translator:
            print(verify_model(translator).format())
    """
    ort = import_onnxruntime()
    texts = _encoded(translator, sentences)
    sources = [*texts, *random_sources(translator, RANDOM_LENGTHS, random.Random(SEED))]
    search = _greedy_search(translator, max_new_tokens)
    with _onnx_folder(translator.path) as folder:
        peer = OnnxRuntimeModel(
            onnx_files(folder, translator.variant), translator.threads, exact_session
        )
    tally = _Tally(TOLERANCES[translator.compute_type])
    equal_tokens_of_text = 1.0
    for number, source in enumerate(sources, 1):
        expected = peer.greedy([source], search, keep_logits=True)
        inputs = [search.decoder_start_token_id, *expected.ids[0][:-1]]
        actual = translator.engine.logits(np.array(source, np.int32), np.array(inputs, np.int32))
        tally.add(actual, expected.logits[0])
        if number == len(texts):
            equal_tokens_of_text = tally.equal / tally.positions
    return VerifyReport(
        model=str(translator.path),
        onnxruntime=ort.__version__,
        compute_type=translator.compute_type,
        isa=translator.isa,
        sentences=len(texts),
        random_sources=len(sources) - len(texts),
        positions=tally.positions,
        max_difference=tally.max_difference,
        mean_difference=tally.sum_of_differences / tally.positions,
        equal_tokens=tally.equal / tally.positions,
        equal_tokens_of_text=equal_tokens_of_text,
        wrong_tokens=tally.wrong,
    )


@contextmanager
def _onnx_folder(folder: Path) -> Iterator[Path]:
    """The folder itself; for a Firefox model, a temporary one with what it converts to."""
    from pyengine.convert.firefox import convert

    if (folder / "config.json").exists():
        yield folder
    else:
        with TemporaryDirectory() as name:
            convert(folder, Path(name, "model"))
            yield Path(name, "model")


class _Tally:
    """Differences over all positions seen so far; tokens closer than `tolerance` are not wrong."""

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self.positions = self.equal = self.wrong = 0
        self.max_difference = self.sum_of_differences = 0.0

    def add(self, actual: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
        """Compare logits, both [positions, vocab_size]."""
        a, b = actual.astype(np.float64), expected.astype(np.float64)
        counted = b > _MASKED
        scale = np.abs(b).max(axis=1, where=counted, initial=0.0)  # [positions]
        gaps = np.abs(a - b).max(axis=1, where=counted, initial=0.0) / scale
        rows = np.arange(len(b))
        best_a, best_b = np.where(counted, a, -np.inf).argmax(axis=1), b.argmax(axis=1)
        apart = (b[rows, best_b] - b[rows, best_a]) / scale
        self.positions += len(b)
        self.equal += int((best_a == best_b).sum())
        self.wrong += int(((best_a != best_b) & ~(apart <= self._tolerance)).sum())
        self.max_difference = float(np.fmax(self.max_difference, gaps.max()))
        self.sum_of_differences += float(gaps.sum())
        if np.isnan(gaps).any():
            self.max_difference = float("nan")


def _encoded(translator: Translator, sentences: Sequence[str] | None) -> list[list[int]]:
    if sentences is not None:
        if not any(text.strip() for text in sentences):
            raise OptionError("text: found no sentence, expected one a line")
        return translator.encode_batch(sentences)
    try:
        return translator.encode_batch(DEFAULT_SENTENCES[:DEFAULT_SENTENCE_COUNT])
    except TokenizerMissingError:
        return []


def _greedy_search(translator: Translator, max_new_tokens: int) -> GreedySearch:
    if max_new_tokens < 1:
        raise OptionError(f"max_new_tokens: found {max_new_tokens}, expected at least 1")
    options = translator.generation_options(**GREEDY)
    length = min(options.max_length, max_new_tokens + 1)
    options = dataclasses.replace(options, max_length=length, forced_eos_token_id=())
    return GreedySearch.of(options, pad_token_id(translator))
