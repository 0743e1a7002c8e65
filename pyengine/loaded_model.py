"""LoadedModel: a model folder in memory: its properties, its tokenizer, its life."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from pyengine import _core, exits, forks
from pyengine.call_errors import explained
from pyengine.errors import ClosedError, TokenizerMissingError
from pyengine.inputs import ItemError, ItemTruncated, Offsets
from pyengine.loading import Loaded, Settings, checked, checked_batch_size, load
from pyengine.option_names import check_settings
from pyengine.warning import warn

if TYPE_CHECKING:
    from typing_extensions import Self

    from pyengine.call_types import ComputeType, Isa
    from pyengine.models import ModelConfig, ModelFolder
    from pyengine.text import Tokenizer


class LoadedModel:
    """What a :class:`~pyengine.Translator` is before it translates, and an
    :class:`~pyengine.Encoder` before it encodes.
    """

    _STACKS: tuple[str, ...]
    """What the models of a class consist of."""

    @explained
    def __init__(
        self,
        model: str | os.PathLike[str],
        compute_type: ComputeType = "default",
        threads: int | None = None,
        batch_size: int | None = None,
        isa: Isa | None = None,
        cache_dir: str | os.PathLike[str] | Literal[False] | None = None,
        shortlist: bool | None = None,
        variant: str | None = None,
        **unknown: NoReturn,
    ) -> None:
        check_settings(type(self).__name__, unknown)
        given = (compute_type, threads, batch_size, isa, cache_dir, shortlist, variant)
        settings = Settings.checked(*given)
        self._given = given
        self._settings = settings
        self._loaded: Loaded | None = None
        with _core.FloatEnvironment():
            self._loaded = load(model, settings, self._STACKS)
        self._model, weights = self._loaded.model, self._loaded.weights
        self._compute_type, self._shortlist = self._loaded.compute_type, self._loaded.shortlist
        self._parameters = weights.parameters
        self._cache_file, self._from_cache = weights.cache_file, weights.mapped is not None
        self._snapshot = self._loaded.snapshot
        self._batch_size = settings.batch_size
        self._tokenizer: Tokenizer | None = None
        self._lock = forks.ForkSafeLock()

    def close(self) -> None:
        """Let the model go; its memory is free once calls in other threads end. May be repeated."""
        self._loaded = None

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled and copied as folder and settings: what comes of it loads the model again, in a
        worker process or on another machine that has the folder in the same place.

        Raises:
            ClosedError: after :meth:`close`.
        """
        self._open()
        return type(self), (str(self.path.resolve()), *self._given)

    def __repr__(self) -> str:
        state = f"isa={self.isa!r}, threads={self.threads}" if self._loaded else "closed"
        return f"<pyengine.{type(self).__name__} {str(self.path)!r} {self.model_type} {state}>"

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._loaded is None

    @property
    def path(self) -> Path:
        """The model folder."""
        return self._model.path

    @property
    def model_type(self) -> str:
        """The architecture, as in ``config.json``."""
        return self._model.model_type

    @property
    def folder(self) -> ModelFolder:
        """What the model folder holds, without the tensors."""
        return self._model

    @property
    def variant(self) -> str | None:
        """The variant of the ONNX files that was asked for; ``None``: none in particular."""
        return self._model.variant

    @property
    def config(self) -> ModelConfig:
        """Sizes of the model."""
        return self._model.config

    @property
    def parameters(self) -> int:
        """Numbers in the model; tied tensors count once."""
        return self._parameters

    @property
    def generation_config(self) -> dict[str, Any]:
        """The folder's decoding defaults, in transformers' names."""
        return dict(self._model.generation_config)

    @property
    def tokenizer_name(self) -> str | None:
        """Kind of the folder's tokenizer; ``None`` if it holds none, so takes token ids only."""
        try:
            return type(self._get_tokenizer()).__name__
        except TokenizerMissingError:
            return None

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that a multilingual model is told; empty for any other model.

        Raises:
            TokenizerMissingError: the folder holds no tokenizer files.
        """
        languages = self._get_tokenizer().languages
        return () if languages is None else languages.codes

    @property
    def compute_type(self) -> str:
        """The type the weights are computed in."""
        return self._compute_type

    @property
    def cache_file(self) -> Path | None:
        """The file that holds the packed weights for later loads; ``None`` if there is none."""
        self._check()
        return self._cache_file

    @property
    def from_cache(self) -> bool:
        """Whether the weights were mapped from :attr:`cache_file`, not read from ONNX."""
        self._check()
        return self._from_cache

    @property
    def shortlist(self) -> Path | None:
        """The file of the lexical shortlist that is used; ``None`` if none is."""
        return self._shortlist

    @property
    def threads(self) -> int:
        """Threads that compute."""
        return self._open().engine.num_threads

    @property
    def batch_size(self) -> int:
        """Sentences decoded together at most; may be set, and never changes the output."""
        return self._batch_size

    @batch_size.setter
    def batch_size(self, value: int | None) -> None:
        self._batch_size = checked_batch_size(value)

    @property
    def isa(self) -> str:
        """The instruction set in use."""
        return self._open().engine.isa

    @property
    def lost_at_fork(self) -> bool:
        """Whether this is a forked child, and the parent was computing with the model at the fork.

        Its calls raise ForkedError then: load it again.
        """
        return self._loaded is not None and self._loaded.engine.lost_at_fork

    @property
    def engine(self) -> _core.Engine:
        """The C++ engine, for verification and tests: arrays in, arrays out, nothing checked."""
        return self._open().engine

    def require_tokenizer(self) -> None:
        """Load the tokenizer now rather than with the first text.

        Raises:
            TokenizerMissingError: the folder holds no tokenizer files.
        """
        self._get_tokenizer()

    def _open(self) -> Loaded:
        loaded = self._loaded
        if loaded is None:
            kind = type(self).__name__.lower()
            raise ClosedError(f"the {kind} of {str(self.path)!r} is closed")
        return loaded if loaded.is_checked else self._check() or loaded

    def _check(self) -> Loaded | None:
        """The model, its mapped weights compared with their checksums; ``None`` once closed."""
        loaded = self._loaded
        if loaded is None or loaded.is_checked:
            return loaded
        sound = checked(loaded, self._settings)
        if self._loaded is loaded:  # and not closed meanwhile
            self._loaded = sound
        self._cache_file = sound.weights.cache_file
        self._from_cache = sound.weights.mapped is not None
        return sound

    def _get_tokenizer(self) -> Tokenizer:
        if self._tokenizer is None:
            with self._lock.held():
                if self._tokenizer is None:  # still, and not loaded by another thread meanwhile
                    with exits.guarded_imports:
                        from pyengine.text import load_tokenizer

                    with self._snapshot.reading():
                        self._tokenizer = load_tokenizer(self.path, self._model.raw_config)
        return self._tokenizer

    @property
    def _max_tokens(self) -> int:
        """Tokens of a text at most."""
        return self.config.max_positions

    def _too_long(self, length: int) -> str:
        """What is said of a text that has more."""
        return f"{length} tokens, the model has {self.config.max_positions} positions"

    def _fitted(
        self, encoded: list[list[int]], items: Sequence[int], truncate: bool
    ) -> list[list[int]]:
        """``encoded`` with each sentence within the model's positions, or an error."""
        limit = self._max_tokens
        fitted = []
        for item, ids in zip(items, encoded, strict=True):
            if len(ids) > limit:
                length = self._too_long(len(ids))
                if not truncate:
                    raise ItemError(item, f"{length}; split the text, or set truncate=True")
                warn(ItemTruncated(item, f"{length}; the rest was cut"))
                final = self._get_tokenizer().num_final  # the end token stays
                ids = [*ids[: limit - final], *ids[len(ids) - final :]]
            fitted.append(ids)
        return fitted

    def _check_lengths(self, offsets: Offsets, which: str = "", shortest: int = 1) -> None:
        lengths = offsets[1:] - offsets[:-1]
        limit = self.config.max_positions
        bad = (lengths < shortest) | (lengths > limit)
        if bad.any():
            item = int(bad.argmax())
            expected = f"{shortest} to {limit}, the model's positions"
            raise ItemError(item, f"{which}found {lengths[item]} tokens, expected {expected}")
