"""Translator: a model folder loaded once, text or token ids in, translations out."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast, overload

import numpy as np
from numpy.typing import NDArray

from pyengine import _core, _ragged, stream
from pyengine.errors import InputError, InputTypeError
from pyengine.inputs import Ids, Offsets, checked_texts, is_blank, packed
from pyengine.loaded_model import LoadedModel
from pyengine.options import GenerationOptions, ModelLimits, resolve_options, to_core
from pyengine.wording import Wording

if TYPE_CHECKING:
    from pyengine.loading import Loaded


class Hypothesis(NamedTuple):
    """One translation as token ids.

    Attributes:
        ids: without the decoder start token and without the end token.
        score: sum of the log-probabilities / (generated tokens, end token included) **
            ``length_penalty``; with a shortlist, probabilities over the sentence's candidates.
    """

    ids: list[int]
    score: float


class Translator(LoadedModel):
    """A translation model, ready to run.

    A sentence's ids and score do not depend on the other sentences of the call, on ``batch_size``,
    on ``threads`` or on the instruction set: they are equal to the bit. One translator may be used
    from many threads at once; their sentences share the batches.

    Args:
        model: folder as an ONNX exporter wrote it (``config.json``, ``encoder_model.onnx``,
            ``decoder_model.onnx`` or ``decoder_model_merged.onnx``, tokenizer files), or that of a
            Firefox Translations model.
        compute_type: what the weights are held and multiplied as. ``"default"`` is what the files
            hold; ``"float32"``; ``"bfloat16"``: weights rounded to half the bytes, sums in float32;
            ``"int8"``: weights and activations in 8 bits (a scale for each output channel and each
            row), sums in int32; ``"auto"``: the fastest on this processor, so int8 with SIMD.
        threads: threads that compute; ``None``: the cores this process may use.
        batch_size: sentences decoded together at most; ``None``: 32.
        isa: ``"avx512vnni"``, ``"avx512"``, ``"avxvnni"``, ``"avx2"`` or ``"scalar"``; ``None``:
            the environment variable ``PYENGINE_ISA`` if set, else the best of this processor.
        cache_dir: folder where packed weights are kept. The first load writes them there if it
            can; later ones map that file, and all processes share its memory. ``None``:
            ``pyengine`` in the user's cache folder (``$XDG_CACHE_HOME``, else ``~/.cache``);
            ``False``: keep none.
        shortlist: whether a translation is chosen from the candidates of its sentence alone, which
            the folder's lexical shortlist (``lex*.bin`` or ``lex*.s2t``) gives, instead of the
            whole vocabulary: much faster, and rarely another translation. ``None``: if the folder
            holds one.
        variant: what the names of the ONNX files add: ``"fp16"`` for ``encoder_model_fp16.onnx``
            and ``decoder_model_fp16.onnx``. ``None``: nothing, or where such files are not there
            the first of ``"optimized"``, ``"fp16"``, ``"quantized"``, ``"int8"``, ``"uint8"``,
            ``"q4f16"``, ``"q4"`` and ``"bnb4"`` that is.

    Raises:
        ModelNotFoundError: the folder or one of its files does not exist, or not in this variant;
            or it holds no shortlist and ``shortlist`` is true.
        ModelFormatError: a file is damaged, or not what the configuration says.
        UnsupportedModelError: an architecture that pyengine does not run.
        OptionError: ``compute_type``, ``threads``, ``batch_size``, ``isa``, ``cache_dir``,
            ``shortlist`` or ``variant`` is out of range.

    Example::

        with pyengine.Translator("path/to/model") as translator:
            print(translator.translate("A man is riding a bicycle."))
    """

    _STACKS = ("encoder", "decoder")

    # --- text ------------------------------------------------------------------------------------

    @overload
    def translate(self, text: str, **arguments: Any) -> str: ...
    @overload
    def translate(self, text: Sequence[str], **arguments: Any) -> list[str]: ...

    def translate(
        self,
        text: str | Sequence[str],
        *,
        source: str | None = None,
        target: str | None = None,
        prefix: str = "",
        truncate: bool = False,
        **options: Any,
    ) -> str | list[str] | list[list[str]]:
        """Translate one text, or a list of texts.

        Args:
            text: one sentence, or several; text that is empty or all space gives an empty
                translation.
            source, target: of a multilingual model, the codes of the languages as it calls them
                (:attr:`languages`); ``None``: what the folder's configuration says.
            prefix: goes before each text, such as T5's "translate English to German: ".
            truncate: cut a sentence that is longer than the model's positions, with a
                :class:`TruncationWarning`, instead of raising.
            **options: see :class:`pyengine.options.GenerationOptions`; what is not given comes from
                the folder's ``generation_config.json``.

        Returns:
            A string for a string, a list in the same order for a list. With
            ``num_return_sequences`` n above 1, each string is a list of n, best first.

        Raises:
            InputError: a sentence is longer than the model's positions; nothing was translated.
            InputTypeError: something other than text.
            OptionError, UnknownOptionError: a keyword or its value is wrong, or a language none of
                the model's.
            TokenizerMissingError: the folder holds no tokenizer files.
            ClosedError: after :meth:`close`.

        Example::

            translator.translate(["A dog runs.", "Two women talk."], num_beams=5)
            nllb.translate("Un chien court.", source="fra_Latn", target="deu_Latn")
        """
        loaded = self._open()
        wording = Wording(source, target, prefix)
        resolved = self._resolve(options, wording)
        texts = [text] if isinstance(text, str) else checked_texts(text)
        spoken = [i for i, sentence in enumerate(texts) if not is_blank(sentence)]
        sources: list[list[int]] = [[] for _ in texts]
        if spoken:
            encoded = wording.encode_batch(self._get_tokenizer(), [texts[i] for i in spoken])
            for item, ids in zip(spoken, self._fitted(encoded, spoken, truncate), strict=True):
                sources[item] = ids
        results = self._translate_ids(loaded, sources, resolved)
        return cast("str | list[str]", results[0] if isinstance(text, str) else results)

    def translate_iter(
        self,
        texts: Iterable[str],
        *,
        source: str | None = None,
        target: str | None = None,
        prefix: str = "",
        truncate: bool = False,
        **options: Any,
    ) -> Generator[Any, None, None]:
        """Translate texts as they are asked for, also of an input without end.

        About as fast as one :meth:`translate` of all, in bounded memory: of ``texts``, read in the
        thread that iterates, and of translations no more than 16 times ``batch_size`` are held at
        a time. The first translation comes after as many texts were read, or all: to answer one
        text at a time, call :meth:`translate`. Threads of the background end when the iterator
        ends, is closed or is dropped.

        Args:
            texts: any iterable of strings; text that is empty or all space gives an empty
                translation.
            source, target, prefix, truncate: see :meth:`translate`.
            **options: see :meth:`translate`; fixed for the whole stream.

        Returns:
            A generator of what :meth:`translate` returns for each text, in the order of
            ``texts``.

        Raises:
            InputTypeError: ``texts`` is no iterable, or one string.
            OptionError, UnknownOptionError, TokenizerMissingError, ClosedError: as
                :meth:`translate`, before anything is read.

        While iterating, an error comes after the translations of all texts before it:
        InputError (which names the item, counted from 0) and InputTypeError of a text, ClosedError
        for what was not read before :meth:`close`, and whatever reading ``texts`` raises.
        ForkedError is raised in a child forked meanwhile.

        Example::

            with open("english.txt", encoding="utf-8") as lines:
                for translation in translator.translate_iter(lines, num_beams=5):
                    print(translation)
        """
        loaded = self._open()
        wording = Wording(source, target, prefix)
        resolved = self._resolve(options, wording)
        self.require_tokenizer()
        if isinstance(texts, (str, bytes, bytearray)) or not isinstance(texts, Iterable):
            found = type(texts).__name__
            raise InputTypeError(f"texts: expected an iterable of texts, found {found}")

        def work(sources: list[list[int]], stop: _core.StopFlag) -> list[Any]:
            return self._translate_ids(loaded, sources, resolved, stop)

        sources = self._encode_each(iter(texts), wording, truncate)
        return stream.in_order(sources, work, stream.CHUNK_BATCHES * self.batch_size)

    @overload
    def translate_text(self, text: str, **arguments: Any) -> str: ...
    @overload
    def translate_text(self, text: Sequence[str], **arguments: Any) -> list[str]: ...

    def translate_text(
        self,
        text: str | Sequence[str],
        *,
        language: str | None = None,
        source: str | None = None,
        target: str | None = None,
        prefix: str = "",
        **options: Any,
    ) -> str | list[str]:
        """Translate texts of any length, sentence by sentence.

        White space between sentences, line breaks and paragraphs stay as they are. A sentence ends
        at the end of its line at the latest; one that is too long (more than 128 tokens, or the
        model's positions) is cut at its clause marks.

        Args:
            text: a text, or several.
            language: code of the texts' language, whose rules say where sentences end; ``None``:
                ``source``, else the model's source language if its folder tells, else English.
            source, target, prefix: see :meth:`translate`; the prefix goes before each sentence.
            **options: see :meth:`translate`; one translation is returned of each text.

        Raises:
            OptionError: also for ``num_return_sequences`` above 1, and a ``language`` that is none.
            InputTypeError, UnknownOptionError, TokenizerMissingError, ClosedError: as
                :meth:`translate`.

        Example::

            translator.translate_text("It rains. We stay at home.\\n\\nTomorrow we go out.")
        """
        from pyengine.whole_text import translate_texts

        texts = [text] if isinstance(text, str) else checked_texts(text)
        wording = Wording(source, target, prefix)
        results = translate_texts(self, texts, language, wording, options)
        return results[0] if isinstance(text, str) else results

    def encode(
        self,
        text: str,
        source: str | None = None,
        target: str | None = None,
        prefix: str = "",
    ) -> list[int]:
        """Token ids of ``text`` as the encoder sees them, with the end token.

        Args:
            text: one text.
            source, target, prefix: see :meth:`translate`.

        Raises:
            InputTypeError: ``text`` is not a string.
            OptionError: a language that is none of the model's.
            TokenizerMissingError: the folder holds no tokenizer files.

        Example::

            translator.generate([translator.encode("A dog runs.")])
        """
        self._open()
        if not isinstance(text, str):
            raise InputTypeError(f"text: expected a string, found {type(text).__name__}")
        return Wording(source, target, prefix).encode_batch(self._get_tokenizer(), [text])[0]

    def encode_batch(self, texts: Sequence[str], truncate: bool = False) -> list[list[int]]:
        """Token ids of several texts, each within the model's positions.

        Raises:
            InputError: a text is longer than the model's positions and ``truncate`` is not set.
            InputTypeError: something other than a list of strings.
            TokenizerMissingError: the folder holds no tokenizer files.

        Example::

            translator.generate(translator.encode_batch(["A dog runs.", "Two women talk."]))
        """
        self._open()
        checked = checked_texts(texts)
        encoded = self._get_tokenizer().encode_batch(checked)
        return self._fitted(encoded, range(len(checked)), truncate)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids as :meth:`generate` returns them; special tokens are dropped.

        Raises:
            InputError, InputTypeError: an id is outside the vocabulary, or no integer.
            TokenizerMissingError: the folder holds no tokenizer files.

        Example::

            translator.decode(translator.generate([[12, 7, 2]])[0][0].ids)
        """
        self._open()
        values, _ = _ragged.pack([ids], self.config.vocab_size)
        return self._get_tokenizer().decode(values.tolist())

    # --- token ids -------------------------------------------------------------------------------

    def generate(self, sources: Sequence[Sequence[int]], **options: Any) -> list[list[Hypothesis]]:
        """Translate token ids.

        Args:
            sources: the ids of each sentence, exactly as the encoder sees them (so with the end
                token); 1 to ``max_positions`` of them.
            **options: see :meth:`translate`.

        Returns:
            For each sentence its ``num_return_sequences`` hypotheses, best first.

        Raises:
            InputError, InputTypeError: names the item and the position; nothing was computed.
            OptionError, UnknownOptionError: a keyword or its value is wrong.
            ClosedError: after :meth:`close`.

        Example::

            translator.generate([[12, 7, 2]], num_beams=4, num_return_sequences=2)
        """
        loaded = self._open()
        resolved = self._resolve(options)
        values, offsets = _ragged.pack(sources, self.config.source_vocab_size)
        self._check_lengths(offsets)
        return self._run(loaded, values, offsets, to_core(resolved))

    def score(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
    ) -> list[NDArray[np.float32]]:
        """Log-probability of every given target id, given the source and the ids before it.

        No option takes part, nor a shortlist: the model's own distribution. The float32 sum, first
        to last, over ``ids + [end token]`` of a hypothesis is its unnormalised score to the bit
        when no option and no shortlist changed its probabilities.

        Args:
            sources: ids of each source, as in :meth:`generate`.
            targets: ids of each target, without the decoder start token; at most
                ``max_positions`` of them.

        Returns:
            For each pair a float32 array [len(target)], natural logarithms.

        Raises:
            InputError, InputTypeError: names the item; nothing was computed.
            OptionError: the folder names no decoder start token.

        Example::

            translator.score([[12, 7, 2]], [[5, 9, 2]])[0].sum()
        """
        loaded = self._open()
        source_values, source_offsets = packed("sources", sources, self.config.source_vocab_size)
        target_values, target_offsets = packed("targets", targets, self.config.vocab_size)
        if len(source_offsets) != len(target_offsets):
            raise InputError(
                f"found {len(source_offsets) - 1} sources and {len(target_offsets) - 1} targets, "
                "expected one target for each source"
            )
        self._check_lengths(source_offsets, "source: ")
        self._check_lengths(target_offsets, "target: ", shortest=0)
        if len(source_offsets) == 1:
            return []
        scores = loaded.engine.score(
            source_values,
            source_offsets,
            target_values,
            target_offsets,
            self._resolve({}).decoder_start_token_id,
            self.batch_size,
        )
        return np.split(scores, target_offsets[1:-1])

    @property
    def max_source_length(self) -> int:
        """Source tokens of one sentence at most, the end token included."""
        return self.config.max_positions

    def generation_options(self, **options: Any) -> GenerationOptions:
        """The options of a call with these keywords: theirs and the folder's, checked.

        Raises:
            OptionError, UnknownOptionError: a keyword or a value, also of the folder's, is wrong.

        Example::

            translator.generation_options(num_beams=4).max_length
        """
        return self._resolve(options)

    # --- the path from ids to hypotheses ---------------------------------------------------------

    def _resolve(
        self, options: dict[str, Any], wording: Wording | None = None
    ) -> GenerationOptions:
        if wording and (wording.source is not None or wording.target is not None):
            options = {**wording.options(self._get_tokenizer()), **options}
        limits = ModelLimits(self.config.vocab_size, self.config.max_positions)
        return resolve_options(self._model.generation_config, options, limits)

    def _encode_each(
        self, texts: Iterator[str], wording: Wording, truncate: bool
    ) -> Iterator[list[int]]:
        """Token ids of each text, none of a blank one; an error names the text."""
        for item, text in enumerate(texts):
            self._open()
            if not isinstance(text, str):
                raise InputTypeError(f"item {item}: expected a string, found {type(text).__name__}")
            ids = [] if is_blank(text) else wording.encode_batch(self._get_tokenizer(), [text])[0]
            yield self._fitted([ids], [item], truncate)[0]

    def _translate_ids(
        self,
        loaded: Loaded,
        sources: list[list[int]],
        options: GenerationOptions,
        stop: _core.StopFlag | None = None,
    ) -> list[Any]:
        """What :meth:`translate` returns for each source; one without ids is a blank text."""
        best = [[""] * options.num_return_sequences for _ in sources]
        spoken = [item for item, ids in enumerate(sources) if ids]
        if spoken:
            packed = _ragged.pack([sources[item] for item in spoken], self.config.source_vocab_size)
            rows = self._run(loaded, *packed, to_core(options, return_scores=False), stop)
            flat = [hypothesis.ids for row in rows for hypothesis in row]
            texts = iter(self._get_tokenizer().decode_batch(flat))
            for item, row in zip(spoken, rows, strict=True):
                best[item] = [next(texts) for _ in row]
        return best if options.num_return_sequences > 1 else [row[0] for row in best]

    def _run(
        self,
        loaded: Loaded,
        values: Ids,
        offsets: Offsets,
        options: _core.GenerationOptions,
        stop: _core.StopFlag | None = None,
    ) -> list[list[Hypothesis]]:
        if len(offsets) == 1:
            return []
        order = _ragged.length_order(offsets)
        values, offsets = _ragged.permute(values, offsets, order)
        ids, ends, scores = loaded.engine.generate(values, offsets, options, self.batch_size, stop)
        grouped = _ragged.group(ids, ends, scores, options.num_return_sequences, order)
        return [[Hypothesis(*pair) for pair in pairs] for pairs in grouped]
