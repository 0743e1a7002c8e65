"""Greedy search with a key-value cache in onnxruntime: the oracle of verify, the peer of bench.

It is written to be as fast as onnxruntime allows from Python: the first step computes the
cross-attention keys and values once; keys, values and logits are NumPy views of onnxruntime's own
memory, which ``run`` neither copies in nor out on a CPU. Measured (AMD EPYC, 1 thread): on the
OPUS-MT base shape ``run``, ``run_with_ort_values`` and IO binding are within 1 % of each other at
batch 32, on a tiny model ``run`` takes 84 microseconds a step and the others 112; the pair of
decoders is up to 5 % faster than the merged one at batch 1, so the pair is preferred.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyengine.bench.dequantised import dequantised
from pyengine.bench.widened import widened
from pyengine.errors import Error, UnsupportedModelError
from pyengine.generation_options import NO_PENALTIES

if TYPE_CHECKING:
    from pyengine.generation_options import GenerationOptions

Tensors = dict[str, NDArray[Any]]
OpenSession = Callable[[Path, int], Any]
"""Opens a file for that many threads: ``get_inputs``, ``get_outputs`` and ``run`` as in
onnxruntime, whose arrays stay valid until the second next ``run``."""

_PAST = "past_key_values"

GREEDY: dict[str, Any] = {
    "num_beams": 1,
    "num_return_sequences": 1,
    "do_sample": False,
    **NO_PENALTIES,
}
"""Keywords of a call that search greedily, whatever the model folder's defaults are."""


class MissingPackageError(Error, ImportError):
    """An optional package is not installed; the message holds the command that installs it."""


@dataclass(frozen=True)
class OnnxFiles:
    """The ONNX files of one encoder-decoder folder.

    ``decoder`` is a merged decoder, or the one of the first step when ``decoder_with_past`` is
    given. (``pyengine.models`` has the like; importing it loads onnx, which would count against the
    peer's memory and loading time.)
    """

    encoder: Path
    decoder: Path
    decoder_with_past: Path | None = None


@dataclass(frozen=True)
class GreedySearch:
    """What greedy search needs to know. Lengths count the decoder start token."""

    decoder_start_token_id: int
    eos_token_ids: tuple[int, ...]
    pad_token_id: int
    max_length: int
    min_length: int = 0
    never: tuple[int, ...] = ()
    forced_bos_token_id: int | None = None
    forced_eos_token_ids: tuple[int, ...] = ()

    @classmethod
    def of(cls, options: GenerationOptions, pad_token_id: int) -> GreedySearch:
        """Take over the options that greedy search has; longer bad words are left out."""
        words = [word[0] for word in options.bad_words_ids if len(word) == 1]
        never = {*options.suppress_tokens, *words} - set(options.eos_token_id)
        return cls(
            decoder_start_token_id=options.decoder_start_token_id,
            eos_token_ids=options.eos_token_id,
            pad_token_id=pad_token_id,
            max_length=options.max_length,
            min_length=options.min_length,
            never=tuple(sorted(never)),
            forced_bos_token_id=options.forced_bos_token_id,
            forced_eos_token_ids=options.forced_eos_token_id,
        )


@dataclass
class GreedyResult:
    """Generated ids of each sentence, the end token included, without the decoder start token.

    ``logits`` holds, if asked for, one array [generated tokens, vocab_size] for each sentence.
    """

    ids: list[list[int]]
    logits: list[NDArray[np.float32]] = field(default_factory=list)


class _GreedyModel(ABC):
    """The loop over a decoder's steps; a subclass says what the decoder is fed."""

    def __init__(self, first: _Graph, later: _Graph) -> None:
        self._first, self._later = first, later

    @property
    def has_cache(self) -> bool:
        """Whether the files keep keys and values from step to step; a slow peer if they do not."""
        return bool(self._later.past)

    def greedy(
        self, inputs: Sequence[Sequence[int]], search: GreedySearch, keep_logits: bool = False
    ) -> GreedyResult:
        """Generate from a batch of ids: sources as the encoder sees them, or prompts.

        The batch is padded to its longest and masked. A finished sentence goes on with padding,
        until half of the rows are finished: those then leave the batch.
        """
        state = _State(len(inputs), search)
        feeds = self._first_feeds(inputs, state)
        kept: list[list[NDArray[np.float32]]] = [[] for _ in inputs]
        cache: Tensors = {}
        while not state.done:
            logits, cache = self._step(feeds, cache)
            if keep_logits:
                for row, sentence in state.running_rows():
                    kept[sentence].append(logits[row].copy())
            state.advance(logits)
            rows = state.shrink()
            if rows is not None:
                feeds = {name: value[rows] for name, value in feeds.items()}
                cache = {name: value[rows] for name, value in cache.items()}
            feeds = self._next_feeds(feeds, state)
        return GreedyResult(
            state.sequences, [np.stack(steps) for steps in kept] if keep_logits else []
        )

    @abstractmethod
    def _first_feeds(self, inputs: Sequence[Sequence[int]], state: _State) -> Tensors:
        """What the first step is fed, each [batch, ...]."""

    @abstractmethod
    def _next_feeds(self, feeds: Tensors, state: _State) -> Tensors:
        """What the next step is fed, after one that was fed `feeds`."""

    def _step(self, feeds: Tensors, cache: Tensors) -> tuple[NDArray[np.float32], Tensors]:
        """One decoder step: logits [batch, vocab_size] of the last position and the new cache."""
        graph = self._later if cache else self._first
        step = {**feeds, **cache}
        if graph.is_merged:
            step["use_cache_branch"] = np.array([bool(cache)])
        if not cache:
            step.update(self._empty_cache(graph, feeds))
        logits, *present = graph.run(step)
        last = logits[:, -1]
        if not self.has_cache:
            return last, {}
        if not cache:
            return last, dict(zip(graph.present, present, strict=True))
        for name, value in zip(graph.present, present, strict=True):
            if ".encoder." not in name:  # a merged decoder returns those empty from step 2 on
                cache[name] = value
        return last, cache

    def _empty_cache(self, graph: _Graph, feeds: Tensors) -> Tensors:
        batch = len(feeds["input_ids"])
        return {
            name: np.zeros((batch, shape[1], 0, shape[3]), np.float32)
            for name, shape in graph.past.items()
        }


class OnnxRuntimeModel(_GreedyModel):
    """The sessions of one encoder-decoder, at onnxruntime's best settings for ``threads`` threads.

    Args:
        files: the ONNX files.
        threads: threads of an operator; operators run one after the other.
        open_session: opens a file; another runtime's sessions serve if they look the same.

    Raises:
        MissingPackageError: onnxruntime is not installed.

    Example::

        files = OnnxFiles(Path("encoder_model.onnx"), Path("decoder_model_merged.onnx"))
        model = OnnxRuntimeModel(files, threads=2)
        model.greedy([[12, 7, 2]], GreedySearch(1, (2,), 0, max_length=64)).ids
    """

    def __init__(
        self, files: OnnxFiles, threads: int, open_session: OpenSession | None = None
    ) -> None:
        opened = open_session or onnxruntime_session
        self._encoder = _Graph(opened(files.encoder, threads))
        first = later = _Graph(opened(files.decoder, threads))
        if files.decoder_with_past is not None:
            later = _Graph(opened(files.decoder_with_past, threads))
        super().__init__(first, later)

    def _first_feeds(self, inputs: Sequence[Sequence[int]], state: _State) -> Tensors:
        ids, mask = _padded(inputs, state.search.pad_token_id)
        (hidden,) = self._encoder.run({"input_ids": ids, "attention_mask": mask})
        return {
            "encoder_attention_mask": mask,
            "encoder_hidden_states": hidden,
            "input_ids": state.tokens,
        }

    def _next_feeds(self, feeds: Tensors, state: _State) -> Tensors:
        return {**feeds, "input_ids": state.tokens if self.has_cache else state.prefix}


class OnnxRuntimeGenerator(_GreedyModel):
    """The session of one decoder alone; its prompts are padded on the left.

    Args:
        file: the ONNX file, with keys and values.
        threads, open_session: see :class:`OnnxRuntimeModel`.

    Raises:
        MissingPackageError: onnxruntime is not installed.

    Example::

        model = OnnxRuntimeGenerator(Path("model.onnx"), threads=2)
        model.greedy([[12, 7, 2]], GreedySearch(0, (2,), 0, max_length=64)).ids
    """

    def __init__(self, file: Path, threads: int, open_session: OpenSession | None = None) -> None:
        graph = _Graph((open_session or onnxruntime_session)(file, threads))
        super().__init__(graph, graph)

    def _first_feeds(self, inputs: Sequence[Sequence[int]], state: _State) -> Tensors:
        ids, mask = _padded(inputs, state.search.pad_token_id, left=True)
        positions = np.maximum(mask.cumsum(axis=1) - 1, 0)
        return {"input_ids": ids, "attention_mask": mask, "position_ids": positions}

    def _next_feeds(self, feeds: Tensors, state: _State) -> Tensors:
        mask, positions = feeds["attention_mask"], feeds["position_ids"]
        return {
            "input_ids": state.tokens,
            "attention_mask": np.pad(mask, ((0, 0), (0, 1)), constant_values=1),
            "position_ids": positions[:, -1:] + 1,
        }


class OnnxRuntimeEncoder:
    """The session of an encoder alone.

    Args:
        file, threads, open_session: see :class:`OnnxRuntimeGenerator`.

    Raises:
        MissingPackageError: onnxruntime is not installed.

    Example::

        OnnxRuntimeEncoder(Path("model.onnx"), threads=2).run([[101, 7592, 102]])[0].shape
    """

    def __init__(self, file: Path, threads: int, open_session: OpenSession | None = None) -> None:
        self._graph = _Graph((open_session or onnxruntime_session)(file, threads))

    def run(self, texts: Sequence[Sequence[int]], pad: int = 0) -> list[NDArray[np.float32]]:
        """The output of each text: float32 [len(ids), hidden_size] of last hidden states, or
        [num_labels] of a file with a head for classes. The batch is padded and masked."""
        ids, mask = _padded(texts, pad)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        output = self._graph.run(feeds)[0]
        if output.ndim == 2:
            return list(output)
        return [row[: len(text)] for row, text in zip(output, texts, strict=True)]


def _padded(
    sequences: Sequence[Sequence[int]], pad: int, left: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """ids and attention mask, both [batch, longest]."""
    longest = max(len(ids) for ids in sequences)
    padded = np.full((len(sequences), longest), pad, np.int64)
    mask = np.zeros_like(padded)
    for row, ids in enumerate(sequences):
        place = slice(longest - len(ids), None) if left else slice(len(ids))
        padded[row, place] = ids
        mask[row, place] = 1
    return padded, mask


_FIRST = ("logits", "last_hidden_state", "token_embeddings")
"""Outputs that a model is run for, in case it has others too."""


def _place(output: Any) -> tuple[int, bool]:
    """Behind them, those of the shape of hidden states come first."""
    place = _FIRST.index(output.name) if output.name in _FIRST else len(_FIRST)
    return place, len(output.shape) != 3


class _Graph:
    """A session with its names at hand: asking for them at every step costs 0.1 ms."""

    def __init__(self, session: Any) -> None:
        shapes = {node.name: node.shape for node in session.get_inputs()}
        outputs = sorted(session.get_outputs(), key=_place)
        self._session = session
        self._inputs = tuple(shapes)
        self._outputs = [node.name for node in outputs]
        self.is_merged = "use_cache_branch" in shapes
        self.past = {name: shape for name, shape in shapes.items() if name.startswith(_PAST)}
        self.present = [
            name.replace("present", _PAST, 1) for name in self._outputs if name != "logits"
        ]

    def run(self, feeds: Tensors) -> list[NDArray[Any]]:
        """The outputs, those of `_FIRST` first; what the graph has no input for is left out."""
        wanted = {name: feeds[name] for name in self._inputs}
        outputs: list[NDArray[Any]] = self._session.run(self._outputs, wanted)
        return outputs


class _State:
    """The ids generated so far and the rules that pick the next ones."""

    def __init__(self, batch: int, search: GreedySearch) -> None:
        self.search = search
        self.sequences: list[list[int]] = [[] for _ in range(batch)]
        self.prefix = np.full((batch, 1), search.decoder_start_token_id, np.int64)
        self._running = np.ones(batch, bool)
        self._sentences = np.arange(batch)  # the sentence of each row
        self._ends = np.array(search.eos_token_ids, np.int64)

    @property
    def tokens(self) -> NDArray[np.int64]:
        """The inputs of the next step, [batch, 1]."""
        return np.ascontiguousarray(self.prefix[:, -1:])

    @property
    def _length(self) -> int:
        return self.prefix.shape[1]

    @property
    def done(self) -> bool:
        return not self._running.any() or self._length >= self.search.max_length

    def advance(self, logits: NDArray[np.float32]) -> None:
        """Append the best token of each running row of ``logits`` [batch, vocab_size]."""
        picked = self._pick(logits)
        for row, sentence in self.running_rows():
            self.sequences[sentence].append(int(picked[row]))
        picked = np.where(self._running, picked, self.search.pad_token_id)
        self._running &= (picked[:, None] != self._ends).all(axis=1)
        self.prefix = np.hstack([self.prefix, picked[:, None]])

    def running_rows(self) -> list[tuple[int, int]]:
        """The rows that are not finished, each with its sentence."""
        rows = np.flatnonzero(self._running)
        return list(zip(rows.tolist(), self._sentences[rows].tolist(), strict=True))

    def shrink(self) -> NDArray[np.int64] | None:
        """Drop the finished rows if they are half or more; the rows that stay, else ``None``."""
        rows = np.flatnonzero(self._running)
        if 2 * len(rows) > len(self._running):
            return None
        self.prefix, self._sentences = self.prefix[rows], self._sentences[rows]
        self._running = self._running[rows]
        return rows

    def _pick(self, logits: NDArray[np.float32]) -> NDArray[np.int64]:
        search = self.search
        forced = None
        if self._length == 1:
            forced = search.forced_bos_token_id
        if self._length == search.max_length - 1 and search.forced_eos_token_ids:
            forced = search.forced_eos_token_ids[0]
        if forced is not None:
            return np.full(len(logits), forced, np.int64)
        never = list(search.never)
        if self._length < search.min_length:
            never += search.eos_token_ids
        if never:
            logits[:, never] = -np.inf
        best: NDArray[np.int64] = logits.argmax(axis=-1)
        return best


def import_onnxruntime() -> Any:
    """Import onnxruntime, or say how to install it."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError(
            "onnxruntime is not installed; install it with: pip install onnxruntime"
        ) from error
    return onnxruntime


def onnxruntime_session(path: Path, threads: int) -> Any:
    """A session at onnxruntime's best settings.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        UnsupportedModelError: it does not load the file.
    """
    return _session(path, _settings(threads))


def exact_session(path: Path, threads: int) -> Any:
    """The same, but all is computed in float32. A DequantizeLinear is, as it is written: otherwise
    onnxruntime may multiply its int8 weight with activations that it quantises, which is faster.
    So are weights of 16 bits, whatever the graph says, and products of integers.
    """
    settings = _settings(threads)
    settings.add_session_config_entry("session.disable_quant_qdq", "1")
    with widened(path) as wide, dequantised(wide) as file:
        return _session(file, settings)


def _session(file: Path, settings: Any) -> Any:
    ort = import_onnxruntime()
    try:
        return ort.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own kinds have no common base
        raise UnsupportedModelError(
            f"{file.name}: onnxruntime does not load it ({error})"
        ) from error


def _settings(threads: int) -> Any:
    ort = import_onnxruntime()
    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3  # errors
    return settings
