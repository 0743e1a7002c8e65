"""The tokenizer of any folder with a ``tokenizer.json``, through the tokenizers library.

Source: ``PreTrainedTokenizerFast`` in transformers 4.57.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pyengine import exits
from pyengine.errors import ModelFormatError
from pyengine.models.source_file import read_source
from pyengine.text.fast_classes import apply_settings, lowercase_first
from pyengine.text.special_tokens import AddedToken, clean_up_spaces, read_special_tokens
from pyengine.text.tokenizer import Tokenizer, TypedIds, longest_first

if TYPE_CHECKING:
    import tokenizers

FILES = ("tokenizer.json",)


class FastTokenizer(Tokenizer):
    """A ``tokenizer.json`` with the special tokens that the configuration adds to it.

    Truncation and padding settings in the file are ignored, as transformers does by default.

    Args:
        folder: holds :data:`FILES`.
        kind: the class in transformers, without "Fast".

    Raises:
        ModelFormatError: the file is damaged, or a setting of the class is no boolean.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        with exits.guarded_imports:
            import tokenizers  # 3 MB, which the other kinds do without

        self._path = folder / "tokenizer.json"
        special = read_special_tokens(folder, {})
        content = read_source(self._path)
        with self._naming_the_file():
            self._tokenizer = tokenizers.Tokenizer.from_str(content.decode("utf-8"))
            apply_settings(self._tokenizer, kind, folder)
            self._add_missing([special.added[i] for i in sorted(special.added)], special.named)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = special.split_special_tokens
        is_bpe = type(self._tokenizer.model).__name__ == "BPE"
        self._clean_up = special.clean_up_spaces_of_bpe if is_bpe else special.clean_up_spaces
        tokens = (f"<0x{byte:02X}>" for byte in range(256))
        self._bytes = {self._tokenizer.token_to_id(token) for token in tokens}
        unknown = self._tokenizer.token_to_id(special.roles.get("unk_token", "<unk>"))
        self.unknown_ids = frozenset(i for i in (unknown, *self._bytes) if i is not None)

    def _add_missing(self, added: list[AddedToken], named: tuple[AddedToken, ...]) -> None:
        """Tell the library of tokens that only the configuration knows, or flags differently."""
        known = {_flags(token) for token in self._tokenizer.get_added_tokens_decoder().values()}
        contents = {token.content for token in named}
        missing = [token for token in added if _flags(token) not in known]
        told = {flags[0] for flags in known} | {token.content for token in missing}
        missing += [token for token in named if token.content not in told]
        self._tokenizer.add_tokens(
            [_as_library_token(token, token.content in contents) for token in missing]
        )

    def _encode(self, texts: list[str]) -> list[list[int]]:
        # One call a text: the batch call uses threads that nobody asked for, and warns on stderr if
        # the process forks later; it was no faster beside other work (docs/performance.md).
        with self._naming_the_file():
            return [self._encode_one(text) for text in texts]

    def _encode_one(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def _encode_pair(self, first: str, second: str, limit: int | None) -> TypedIds:
        with self._naming_the_file():
            parts = [self._tokenizer.encode(x, add_special_tokens=False) for x in (first, second)]
            if limit is not None:
                room = limit - self._tokenizer.num_special_tokens_to_add(is_pair=True)
                lengths = longest_first((len(parts[0]), len(parts[1])), room)
                for part, length in zip(parts, lengths, strict=True):
                    part.truncate(length)
            pair = self._tokenizer.post_process(parts[0], parts[1])
        return TypedIds(pair.ids, pair.type_ids)

    def lowercase(self) -> None:
        lowercase_first(self._tokenizer)

    def settled(self, ids: Sequence[int], text: str) -> str:
        # If one byte of a run of them is wrong, the library makes all of them U+FFFD.
        return "" if ids and ids[-1] in self._bytes else super().settled(ids, text)

    def _decode(self, sequences: list[list[int]]) -> list[str]:
        with self._naming_the_file():
            texts = [self._tokenizer.decode(ids) for ids in sequences]
        return [clean_up_spaces(text) for text in texts] if self._clean_up else texts

    @contextmanager
    def _naming_the_file(self) -> Iterator[None]:
        """Turn the library's errors, plain Exceptions and Rust panics, into ours."""
        try:
            yield
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise ModelFormatError(
                f"{self._path}: expected a tokenizer that works, but: {error}"
            ) from error


def _flags(token: AddedToken | tokenizers.AddedToken) -> tuple[str, bool, bool, bool, bool, bool]:
    return (
        token.content,
        token.lstrip,
        token.rstrip,
        token.single_word,
        token.normalized,
        token.special,
    )


def _as_library_token(token: AddedToken, special: bool) -> tokenizers.AddedToken:
    from tokenizers import AddedToken as LibraryToken

    return LibraryToken(
        token.content,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        single_word=token.single_word,
        normalized=token.normalized,
        special=token.special or special,
    )
