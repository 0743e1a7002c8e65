"""What the classes of transformers change of a ``tokenizer.json``, by ``tokenizer_config.json``.

A class that is named there, or belongs to the ``model_type``, makes a part of the tokenizer anew
from settings with defaults of its own, whatever the file says. The base classes
(``PreTrainedTokenizerFast``, ``TokenizersBackend``) change nothing. ``add_bos_token`` and
``add_eos_token`` change nothing either: what stands around a text is the file's ``post_processor``.

Source: the classes of these names in transformers 5.24.0; 4.57.6 does the same but for the
settings that docs/compatibility.md names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pyengine.errors import ModelFormatError
from pyengine.models.json_file import read_optional_json_object

if TYPE_CHECKING:
    import tokenizers
    from tokenizers.pre_tokenizers import PreTokenizer

CONFIG = "tokenizer_config.json"

_DEFAULTS = {
    "bert": "BertTokenizer",
    "distilbert": "DistilBertTokenizer",
    "roberta": "RobertaTokenizer",
    "bart": "BartTokenizer",
    "gpt2": "GPT2Tokenizer",
    "qwen2": "Qwen2Tokenizer",
}
"""The class of a folder that names none, by its ``model_type``."""

_BASE_CLASSES = ("PreTrainedTokenizerFast", "TokenizersBackend")
_READ_BY_BASE = ("mistral",)
"""Of these a base class reads the file, whatever class the folder names."""

_BERT = ("BertTokenizer", "DistilBertTokenizer")
_BYTE_LEVEL = ("BartTokenizer", "RobertaTokenizer", "GPT2Tokenizer", "Qwen2Tokenizer")
_LLAMA = "LlamaTokenizer"


def tokenizer_class(folder: Path, raw_config: Mapping[str, Any], default: str | None = None) -> str:
    """The class of the tokenizer in transformers, without "Fast"; "" if nothing tells.

    Args:
        folder: may hold ``tokenizer_config.json``, which names it.
        raw_config: ``config.json``, which names it otherwise.
        default: where neither does; ``None``: that of the ``model_type``.
    """
    settings = read_optional_json_object(folder / CONFIG)
    named = settings.get("tokenizer_class") or raw_config.get("tokenizer_class")
    model_type = raw_config.get("model_type")
    if default is None and model_type in _READ_BY_BASE:
        return ""
    if default is not None and named in _BASE_CLASSES:
        named = None  # they know no languages, which the folder has all the same
    return str(named or default or _DEFAULTS.get(str(model_type), "")).removesuffix("Fast")


def apply_settings(tokenizer: tokenizers.Tokenizer, kind: str, folder: Path) -> None:
    """Change a tokenizer as its class does.

    Args:
        tokenizer: of a ``tokenizer.json``.
        kind: of :func:`tokenizer_class`.
        folder: holds the settings.

    Raises:
        ModelFormatError: a setting is no boolean.
    """
    settings = _Settings(folder / CONFIG)
    if kind in _BERT and type(tokenizer.model).__name__ == "WordPiece":
        _normalize_as_bert(tokenizer, settings)
    elif kind in _BYTE_LEVEL:
        for step in _byte_level_steps(tokenizer.pre_tokenizer):
            step.add_prefix_space = settings.flag("add_prefix_space", False)
    elif kind == _LLAMA and not any(_byte_level_steps(tokenizer.pre_tokenizer)):
        add_prefix_space = settings.optional_flag("add_prefix_space")
        if add_prefix_space is not None:
            _mark_words_as_llama(tokenizer, add_prefix_space, settings.flag("legacy", False))


def lowercase_first(tokenizer: tokenizers.Tokenizer) -> None:
    """Let the normalizer begin with lowercasing, unless it lowercases already."""
    from tokenizers import normalizers

    before = tokenizer.normalizer
    steps = [before] if before is not None else []
    if isinstance(before, normalizers.Sequence):
        steps = list(cast(Iterable[Any], before))
    if not any(map(_lowercases, steps)):
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps])


def _lowercases(step: Any) -> bool:
    from tokenizers.normalizers import BertNormalizer, Lowercase

    return isinstance(step, Lowercase) or (isinstance(step, BertNormalizer) and step.lowercase)


class _Settings:
    """The booleans of a ``tokenizer_config.json``, which need not exist."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values = read_optional_json_object(path)

    def flag(self, name: str, default: bool) -> bool:
        """The value of a setting; null counts as unset."""
        value = self.optional_flag(name)
        return default if value is None else value

    def optional_flag(self, name: str) -> bool | None:
        """The value of a setting that may be null, or missing, which is the same."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, bool):
            raise ModelFormatError(
                f"{self._path}: expected true or false for {name}, found {value!r:.60}"
            )
        return value


def _normalize_as_bert(tokenizer: tokenizers.Tokenizer, settings: _Settings) -> None:
    from tokenizers.normalizers import BertNormalizer

    tokenizer.normalizer = BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.flag("tokenize_chinese_chars", True),
        strip_accents=settings.optional_flag("strip_accents"),
        lowercase=settings.flag("do_lower_case", True),
    )


def _byte_level_steps(pre_tokenizer: PreTokenizer | None) -> Iterator[Any]:
    """The byte-level steps of a pre-tokenizer, itself or those of a sequence."""
    from tokenizers.pre_tokenizers import ByteLevel, Sequence

    if isinstance(pre_tokenizer, ByteLevel):
        yield pre_tokenizer
    elif isinstance(pre_tokenizer, Sequence):
        for step in cast(Iterable[Any], pre_tokenizer):
            yield from _byte_level_steps(step)


def _mark_words_as_llama(
    tokenizer: tokenizers.Tokenizer, add_prefix_space: bool, legacy: bool
) -> None:
    from tokenizers import decoders
    from tokenizers.pre_tokenizers import Metaspace

    scheme = ("always" if legacy else "first") if add_prefix_space else "never"
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = Metaspace("\u2581", prepend_scheme=scheme, split=False)
    steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    if add_prefix_space:
        steps.append(decoders.Strip(content=" ", left=1))
    tokenizer.decoder = decoders.Sequence(steps)
