"""Is the engine faithful? The folder's ONNX files in onnxruntime against the engine's numbers.

What is compared of which kind of model, and on which ids, stands in ``oracle.py``.

The difference of a row ``b`` of onnxruntime's, ``a`` the engine's, is ``max|a - b| / max|b|`` over
the entries with b > -1e4: a row is the logits of a position over the vocabulary, the last hidden
states of a token, or the logits of a text's classes (these few may all be near 0: then of 1). The
engine is faithful when no difference is above the tolerance of its compute type, no preferred token
or class differs except between candidates closer than that, and of sentences at least 97 % of the
preferred tokens are equal (random ids leave a small model of few bits without a clear preference).

Of an encoder whose weights are rounded the difference of a token says little: real models have a
few entries that are large in every token, and the rounding of these weighs on all others. There the
vectors of the texts are compared, as ``Encoder.encode`` makes them, by their cosine.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyengine.bench.onnxruntime_loop import import_onnxruntime
from pyengine.bench.sentences import DEFAULT_SENTENCES
from pyengine.errors import OptionError, TokenizerMissingError
from pyengine.oracle import CLASSES, HIDDEN_STATES, TOKENS, Ids, Oracle, open_oracle

if TYPE_CHECKING:
    from pyengine.info import AnyModel

TOLERANCES = {"float32": 1e-4, "bfloat16": 2e-2, "int8": 2e-1}
"""Largest relative difference of a faithful engine for each type of its weights. Seen on models of
32 to 512 hidden units: float32 8e-6, bfloat16 2e-3 to 1.7e-2, int8 9e-3 to 3e-2; of Firefox's tiny
models in int8, 3e-2 on the mean and 1.2e-1 at the worst of 3,000 positions."""

MIN_COSINES = {"bfloat16": 0.999, "int8": 0.98}
"""Smallest cosine of a text's vector and onnxruntime's, of a faithful encoder with rounded weights.
Seen over 400 sentences and 120 texts of random ids: all-MiniLM-L6-v2 in int8 0.9936 and 0.9904
(difference of a token: 0.24 and 0.46), paraphrase-MiniLM-L3-v2 0.9993 and 0.9917, models of random
weights above 0.9997; in bfloat16 all above 0.9999. Of all-MiniLM-L6-v2 with one of its 36 matrices
left out, 0.93 at the most."""

MIN_EQUAL_TOKENS = 0.97
"""Share of a sentence's positions where a faithful engine prefers onnxruntime's token, at least."""

DEFAULT_SENTENCE_COUNT = 8

_MASKED = -1e4


class _Wording(NamedTuple):
    """How the report calls what is compared: how it was got, its rows, an entry of a row."""

    how: str
    rows: str
    entry: str


_WORDINGS = {
    TOKENS: _Wording("teacher-forced on its greedy tokens", "target positions", "logit"),
    HIDDEN_STATES: _Wording("last hidden states", "tokens", "hidden state"),
    CLASSES: _Wording("logits of the classes", "texts", "logit"),
}


@dataclass(frozen=True)
class VerifyReport:
    """The outcome of :func:`verify_model`.

    Attributes:
        model: the folder.
        onnxruntime: its version.
        compute_type: type of the engine's weights.
        isa: instruction set of the engine.
        compared: "tokens", "hidden states" or "classes", see :class:`pyengine.oracle.Oracle`.
        sentences: sources compared that came from text.
        random_sources: sources compared that were random ids.
        positions: rows compared: target positions, tokens or texts.
        max_difference: the largest difference of a row (see the module).
        mean_difference: the mean over all rows.
        equal_tokens: share of rows where both prefer the same token or class, 0 to 1; 1 of hidden
            states, which prefer none.
        equal_tokens_of_text: the same over the sentences alone; 1 if there are none.
        wrong_tokens: rows where the tokens or classes differ and the candidates do by more than
            ``tolerance``.
        min_cosine: the smallest cosine of a text's vector and onnxruntime's, of hidden states; 1 of
            all else.
        tolerance: the largest difference allowed.
        cosine_bound: the smallest cosine allowed; ``None``: the difference counts.
    """

    model: str
    onnxruntime: str
    compute_type: str
    isa: str
    compared: str
    sentences: int
    random_sources: int
    positions: int
    max_difference: float
    mean_difference: float
    equal_tokens: float
    equal_tokens_of_text: float
    wrong_tokens: int
    min_cosine: float = 1.0

    @property
    def tolerance(self) -> float:
        """The largest difference allowed."""
        return TOLERANCES[self.compute_type]

    @property
    def cosine_bound(self) -> float | None:
        """The smallest cosine allowed; ``None`` where the difference counts."""
        return MIN_COSINES.get(self.compute_type) if self.compared == HIDDEN_STATES else None

    @property
    def faithful(self) -> bool:
        """Whether the engine is within its bounds, see the module (a NaN is not)."""
        if self.cosine_bound is not None:
            return self.min_cosine >= self.cosine_bound
        close = self.max_difference <= self.tolerance and self.wrong_tokens == 0
        many = self.compared == TOKENS  # a few texts have too few classes for a share of them
        return close and (not many or self.equal_tokens_of_text >= MIN_EQUAL_TOKENS)

    def to_dict(self) -> dict[str, Any]:
        """Every attribute, the bounds and ``faithful``, ready for JSON."""
        bounds = {"tolerance": self.tolerance, "cosine_bound": self.cosine_bound}
        verdict = {**bounds, "faithful": self.faithful}
        return {**dataclasses.asdict(self), **verdict}

    def format(self) -> str:
        """The report as text for a terminal."""
        words = _WORDINGS[self.compared]
        wrong = f", {self.wrong_tokens} of them wrong" if self.wrong_tokens else ""
        allowed = f" (allowed: {self.tolerance:g})" if self.cosine_bound is None else ""
        lines = [
            f"model               {self.model}",
            f"compared            pyengine ({self.compute_type}, {self.isa}) with onnxruntime "
            f"{self.onnxruntime}, {words.how}",
            f"sources             {self.sentences} sentences, {self.random_sources} of random "
            f"ids; {self.positions} {words.rows}",
            f"largest difference  {self.max_difference:.2e} of the largest {words.entry}"
            f"{allowed}; mean {self.mean_difference:.2e}",
        ]
        if self.compared == HIDDEN_STATES:
            bound = "" if self.cosine_bound is None else f" (allowed: {self.cosine_bound:g})"
            lines.append(f"smallest cosine     {self.min_cosine:.6f} of a text's vectors{bound}")
        if self.compared != HIDDEN_STATES:
            lines.append(
                f"{'equal ' + self.compared:20}{self.equal_tokens:.2%} "
                f"({self.equal_tokens_of_text:.2%} of the sentences'){wrong}"
            )
        lines.append(f"verdict             {'faithful' if self.faithful else 'NOT FAITHFUL'}")
        return "\n".join(lines)


def verify_model(
    model: AnyModel, sentences: Sequence[str] | None = None, max_new_tokens: int = 64
) -> VerifyReport:
    """Compare a loaded model with onnxruntime on the folder's files.

    Args:
        model: the engine to check: a ``Translator``, a ``Generator`` or an ``Encoder``.
        sentences: text that it reads; ``None``: a few built-in English sentences if the folder
            holds a tokenizer. Random ids are compared in any case.
        max_new_tokens: positions generated for each source at most; fewer if the model's limits say
            so. An encoder alone generates none.

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
    oracle = open_oracle(model, max_new_tokens)
    texts, random_ids = _encoded(oracle, sentences), oracle.random_ids()
    tally = _Tally(TOLERANCES[model.compute_type], oracle.compared)
    min_cosine = 1.0
    equal_tokens_of_text = 1.0
    for number, source in enumerate([*texts, *random_ids], 1):
        actual, expected = oracle.compare(source)
        tally.add(actual, expected)
        if oracle.compared == HIDDEN_STATES:
            min_cosine = float(np.minimum(min_cosine, oracle.cosine(actual, expected)))
        if number == len(texts):
            equal_tokens_of_text = tally.equal / tally.positions
    return VerifyReport(
        model=str(model.path),
        onnxruntime=ort.__version__,
        compute_type=model.compute_type,
        isa=model.isa,
        compared=oracle.compared,
        sentences=len(texts),
        random_sources=len(random_ids),
        positions=tally.positions,
        max_difference=tally.max_difference,
        mean_difference=tally.sum_of_differences / tally.positions,
        equal_tokens=tally.equal / tally.positions,
        equal_tokens_of_text=equal_tokens_of_text,
        wrong_tokens=tally.wrong,
        min_cosine=min_cosine,
    )


class _Tally:
    """Differences over all rows seen so far; tokens closer than `tolerance` are not wrong."""

    def __init__(self, tolerance: float, compared: str = TOKENS) -> None:
        self._tolerance = tolerance
        self._prefers = compared != HIDDEN_STATES
        self._smallest_scale = 1.0 if compared == CLASSES else 0.0
        self.positions = self.equal = self.wrong = 0
        self.max_difference = self.sum_of_differences = 0.0

    def add(self, actual: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
        """Compare rows, both [rows, entries]."""
        a, b = actual.astype(np.float64), expected.astype(np.float64)
        counted = b > _MASKED
        scale = np.abs(b).max(axis=1, where=counted, initial=self._smallest_scale)  # [rows]
        gaps = np.abs(a - b).max(axis=1, where=counted, initial=0.0) / scale
        self.positions += len(b)
        self.max_difference = float(np.fmax(self.max_difference, gaps.max()))
        self.sum_of_differences += float(gaps.sum())
        if np.isnan(gaps).any():
            self.max_difference = float("nan")
        if not self._prefers:
            self.equal += len(b)
            return
        rows = np.arange(len(b))
        best_a, best_b = np.where(counted, a, -np.inf).argmax(axis=1), b.argmax(axis=1)
        apart = (b[rows, best_b] - b[rows, best_a]) / scale
        self.equal += int((best_a == best_b).sum())
        self.wrong += int(((best_a != best_b) & ~(apart <= self._tolerance)).sum())


def _encoded(oracle: Oracle, sentences: Sequence[str] | None) -> Sequence[Ids]:
    if sentences is not None:
        if not any(text.strip() for text in sentences):
            raise OptionError("text: found no sentence, expected one a line")
        return oracle.encoded(sentences)
    try:
        return oracle.encoded(DEFAULT_SENTENCES[:DEFAULT_SENTENCE_COUNT])
    except TokenizerMissingError:
        return []
