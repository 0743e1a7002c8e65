"""Translator: a model folder loaded once, text or token ids in, translations out."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast, overload

from pyengine import _core, _ragged, exits, stream
from pyengine.call_errors import explained
from pyengine.cancel import CancelToken, within
from pyengine.encoder_decoder_model import EncoderDecoderModel
from pyengine.errors import InputTypeError
from pyengine.inputs import check_boolean, checked_text, checked_texts
from pyengine.models.languages import languages_of, source_language_of
from pyengine.options import one_hypothesis
from pyengine.progress import shown
from pyengine.wording import Wording

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pyengine.call_types import Items, One, Several, TextOptions
    from pyengine.call_types import TranslateOptions as Options
    from pyengine.text_pipeline import EncodedSentence, EncodedText, TextPipeline


class Translator(EncoderDecoderModel):
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

    @overload
    def translate(
        self, text: str, *, num_return_sequences: One = ..., **options: Unpack[Options]
    ) -> str: ...
    @overload
    def translate(
        self, text: str, *, num_return_sequences: Several, **options: Unpack[Options]
    ) -> list[str]: ...
    @overload
    def translate(
        self, text: Items[str], *, num_return_sequences: One = ..., **options: Unpack[Options]
    ) -> list[str]: ...
    @overload
    def translate(
        self, text: Items[str], *, num_return_sequences: Several, **options: Unpack[Options]
    ) -> list[list[str]]: ...
    @overload
    def translate(
        self,
        text: str | Items[str],
        *,
        num_return_sequences: int | None,
        **options: Unpack[Options],
    ) -> str | list[str] | list[list[str]]: ...

    @explained
    def translate(
        self,
        text: str | Items[str],
        *,
        source: str | None = None,
        target: str | None = None,
        prefix: str = "",
        split: bool = True,
        truncate: bool = False,
        language: str | None = None,
        keep_spans: bool | None = None,
        progress: bool = False,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
        **options: Any,
    ) -> str | list[str] | list[list[str]]:
        """Translate one text, or a list of texts, of any length.

        A text is split as the model needs. Models that translate sentences get one at a time; white
        space between sentences, line breaks and paragraphs stay as they are. A sentence ends at the
        end of its line at the latest; one that is too long (more than 128 tokens, or the model's
        positions) is cut at its clause marks. Models that read whole texts get the text as it is:
        BART, Pegasus and T5, unless a ``target``, a ``prefix`` that holds "translate", or the
        languages in the folder's name say that they translate.

        Args:
            text: a text, or several.
            source, target: of a multilingual model, the codes of the languages as it calls them
                (:attr:`languages`); ``None``: what the folder's configuration says.
            prefix: goes before each sentence, such as T5's "translate English to German: ".
            split: ``False``: put each text to the model as it is, in one pass; a text that is empty
                or all space then gives an empty translation.
            truncate: of a text that is not split, cut what is longer than the model's positions,
                with a :class:`TruncationWarning`, instead of raising.
            language: code of the texts' language, whose rules say where sentences end; ``None``:
                ``source``, else the model's source language if its folder tells, else English.
            keep_spans: whether what means something to a program, or is unknown to the model, stays
                as it is: placeholders (``{name}``, ``%s``, ``${x}``, ...), tags, entities,
                addresses, times of subtitles, and characters that the vocabulary lacks, such as
                emoji; ``None``: where texts are split. Translations of sentences without any do not
                change; one that loses some is made again.
            progress: show a bar on stderr, or in a notebook, that counts the texts.
            timeout: seconds that the call may take; ``None``: any number.
            cancel: a :class:`CancelToken` that ends the call.
            **options: see :class:`pyengine.GenerationOptions`; what is not given comes from
                the folder's ``generation_config.json``.

        Returns:
            A string for a string, a list in the same order for a list. With
            ``num_return_sequences`` n above 1, each string is a list of n, best first; of a text of
            several sentences, the i-th joins the i-th best of each.

        Raises:
            InputError: a text that is not split is longer than the model's positions, or a text
                holds a NUL character; nothing was translated.
            InputTypeError: something other than text.
            OptionError, UnknownOptionError: a keyword or its value is wrong, or a language none of
                the model's; ``truncate`` with a text that is split.
            TokenizerMissingError: the folder holds no tokenizer files.
            DeadlineError, CancelledError: the time is up, or the token ended the call.
            ClosedError: after :meth:`close`.

        Example::

            translator.translate("It rains. We stay at home.\\n\\nTomorrow we go out.")
            translator.translate(["A dog runs.", "Two women talk."], num_beams=5)
            nllb.translate("Un chien court.", source="fra_Latn", target="deu_Latn")
        """
        token = within(timeout, cancel)
        wording = Wording(source, target, prefix)
        pipeline = self._pipeline(wording, split, truncate, language, keep_spans, options)
        texts = [text] if isinstance(text, str) else checked_texts(text)
        if check_boolean("progress", progress):
            results = list(shown(self._each(pipeline, texts, token), len(texts)))
        else:
            results = pipeline.unpacked(pipeline.translate(texts, token))
        return cast(
            "str | list[str] | list[list[str]]", results[0] if isinstance(text, str) else results
        )

    @overload
    def translate_iter(
        self, texts: Items[str], *, num_return_sequences: One = ..., **options: Unpack[TextOptions]
    ) -> Generator[str, None, None]: ...
    @overload
    def translate_iter(
        self, texts: Items[str], *, num_return_sequences: Several, **options: Unpack[TextOptions]
    ) -> Generator[list[str], None, None]: ...
    @overload
    def translate_iter(
        self, texts: Items[str], *, num_return_sequences: int | None, **options: Unpack[TextOptions]
    ) -> Generator[str, None, None] | Generator[list[str], None, None]: ...

    @explained
    def translate_iter(
        self,
        texts: Items[str],
        *,
        source: str | None = None,
        target: str | None = None,
        prefix: str = "",
        split: bool = True,
        truncate: bool = False,
        language: str | None = None,
        keep_spans: bool | None = None,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
        **options: Any,
    ) -> Generator[Any, None, None]:
        """Translate texts as they are asked for, also of an input without end.

        About as fast as one :meth:`translate` of all, in bounded memory: of ``texts``, read in the
        thread that iterates, and of translations no more than 16 times ``batch_size`` are held at
        a time. The first translation comes after as many texts were read, or all: to answer one
        text at a time, call :meth:`translate`. Threads of the background end when the iterator
        ends, is closed or is dropped.

        Args:
            texts: any iterable of strings.
            source, target, prefix, split, truncate, language, keep_spans: see :meth:`translate`.
            timeout: seconds from the call to the last translation; ``None``: any number.
            cancel: a :class:`CancelToken` that ends the stream.
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
        DeadlineError and CancelledError come after those whose chunks were done.
        ForkedError is raised in a child forked meanwhile.

        Example::

            with open("english.txt", encoding="utf-8") as lines:
                for translation in translator.translate_iter(lines, num_beams=5):
                    print(translation, end="")  # each line keeps its break
        """
        token = within(timeout, cancel)
        wording = Wording(source, target, prefix)
        pipeline = self._pipeline(wording, split, truncate, language, keep_spans, options)
        self.require_tokenizer()
        if isinstance(texts, (str, bytes, bytearray)) or not isinstance(texts, Iterable):
            found = type(texts).__name__
            raise InputTypeError(f"texts: expected an iterable of texts, found {found}")

        return self._each(pipeline, texts, token)

    @explained
    def translate_stream(
        self,
        text: str,
        *,
        source: str | None = None,
        target: str | None = None,
        prefix: str = "",
        split: bool = True,
        truncate: bool = False,
        language: str | None = None,
        keep_spans: bool | None = None,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
        **options: Any,
    ) -> Generator[str, None, None]:
        """Translate one text, greedy or sampling, and hand out its translation as it is made.

        Work starts when the first piece is asked for, and goes on ahead of the reader to the end of
        the sentence. It ends when the generator ends, is closed or is dropped; other calls share
        its batches.

        Args:
            text: a text of any length.
            source, target, prefix, split, truncate, language, keep_spans: see :meth:`translate`.
            timeout: seconds from the call to the last piece; ``None``: any number.
            cancel: a :class:`CancelToken` that ends the stream.
            **options: see :meth:`translate`; ``num_beams`` is 1, whatever the folder says, unless
                the call says otherwise.

        Returns:
            A generator of pieces, which together are what :meth:`translate` returns.

        Raises:
            InputError, InputTypeError, OptionError, UnknownOptionError, TokenizerMissingError,
            ClosedError: as :meth:`translate`; OptionError also for several beams or results.
            DeadlineError, CancelledError: as :meth:`translate`, while iterating.

        Example::

            for piece in translator.translate_stream("A dog runs. It is fast."):
                print(piece, end="", flush=True)
        """
        with exits.guarded_imports:
            from pyengine.token_stream import stream_text, text_of

        loaded = self._open()
        token = within(timeout, cancel)
        wording = Wording(source, target, prefix)
        options = {"num_beams": 1, **options}
        pipeline = self._pipeline(wording, split, truncate, language, keep_spans, options)
        resolved = one_hypothesis(self._resolve(options, wording))
        tokenizer = self._get_tokenizer()

        def pieces(sentence: EncodedSentence) -> Generator[str, None, None]:
            if sentence.protected is not None:  # whether its spans are there shows at its end
                yield pipeline.translate_sentences([sentence], token)[0][0]
                return
            values, _ = _ragged.pack([sentence.ids], self.config.source_vocab_size)
            yield from text_of(self._stream(loaded, values, resolved, token), tokenizer)

        return stream_text(pipeline.encode(checked_text(text), 0, token), pieces)

    translate_text = translate
    """:meth:`translate` by the name that it had while it took sentences only."""

    @explained
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
        wording = Wording(source, target, prefix)
        return wording.encode_batch(self._get_tokenizer(), [checked_text(text)])[0]

    @explained
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

    def _each(
        self, pipeline: TextPipeline, texts: Iterable[str], token: _core.CancelToken | None
    ) -> Generator[Any, None, None]:
        """The result of each text, in order, as :meth:`translate_iter` makes them."""

        def encoded() -> Iterator[EncodedText]:
            for item, text in enumerate(texts):
                self._open()
                yield pipeline.encode(checked_text(text, f"item {item}"), item, token)

        def work(chunk: list[EncodedText], cancel: _core.CancelToken) -> list[Any]:
            return pipeline.unpacked(pipeline.translate_encoded(chunk, cancel))

        return stream.in_order(encoded(), work, stream.CHUNK_BATCHES * self.batch_size, token)

    @cached_property
    def folder_languages(self) -> tuple[str, str] | None:
        """Codes of the source and the target language, where the folder's files or name say."""
        return languages_of(self.path)

    @cached_property
    def source_language(self) -> str:
        """The language that the model reads unless a call says otherwise, such as "en"."""
        return source_language_of(self.path)

    def _pipeline(
        self,
        wording: Wording,
        split: bool,
        truncate: bool,
        language: str | None,
        keep_spans: bool | None,
        options: dict[str, Any],
    ) -> TextPipeline:
        """The steps from texts to translations, for the arguments of a call."""
        with exits.guarded_imports:
            from pyengine.layout import checked_splitter
            from pyengine.text_pipeline import TextPipeline

        loaded = self._open()
        resolved = self._resolve(options, wording)
        keep_blocks = keep_spans is not False
        splitter = checked_splitter(self, wording, split, truncate, language, keep_blocks)

        def fit(source: list[int], item: int) -> list[int]:
            return self._fitted([source], [item], truncate)[0]

        def search(
            sources: list[list[int]], cancel: _core.CancelToken | None
        ) -> list[list[list[int]]]:
            packed = _ragged.pack(sources, self.config.source_vocab_size)
            rows = self._search(loaded, *packed, resolved, return_scores=False, cancel=cancel)
            return [[hypothesis.ids for hypothesis in row] for row in rows]

        count = resolved.num_return_sequences
        if keep_spans is None:
            keep_spans = splitter is not None
        check_boolean("keep_spans", keep_spans, "None, True or False")
        return TextPipeline(splitter, keep_spans, self._get_tokenizer, wording, fit, search, count)
