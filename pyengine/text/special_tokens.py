"""Special and added tokens, read from a tokenizer's configuration as transformers reads them.

Two files of the folder speak of them, and which one counts depends on the age of the folder:

* ``tokenizer_config.json`` with an ``added_tokens_decoder``: it alone counts;
* otherwise ``special_tokens_map.json`` overrides it, and the added tokens, which are kept whole in
  the text, come from ``added_tokens.json`` and from the ``added_tokens`` of ``tokenizer.json``.

Special tokens without a role of their own are a list ``additional_special_tokens`` (until version
4), a list ``extra_special_tokens`` (from version 5 on), or an object of that name (both); also any
other text whose key ends as that of a role, such as ``image_token`` (from version 5 on).

Source: ``PreTrainedTokenizerBase._from_pretrained`` in transformers 4.57.6 and 5.24.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyengine.errors import ModelFormatError
from pyengine.models.json_file import read_optional_json_object

ROLES = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)
"""The settings that name one special token each, in transformers' order."""

_CLEAN_UP_BPE = "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"


@dataclass(frozen=True)
class AddedToken:
    """A token that is found in the text before the model of the tokenizer sees it.

    ``lstrip`` and ``rstrip`` eat the white space beside it; ``single_word`` wants it to stand
    alone; ``normalized`` looks for it in the normalised text (``tokenizer.json`` only).
    """

    content: str
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool = False
    special: bool = False


@dataclass(frozen=True)
class SpecialTokens:
    """What the configuration says of special and added tokens.

    Attributes:
        named: the special tokens, by their role in transformers' order, then the additional ones;
            decoding drops them.
        roles: role to the text of its token.
        added: id to token, for the added tokens whose id the files state.
        split_special_tokens: whether special tokens in the text are cut like any other text.
        clean_up_spaces: whether decoding removes spaces before punctuation.
        clean_up_spaces_of_bpe: whether it does so where the model of the tokenizer is a BPE.
        spaces_around_added: whether added tokens that are not special stand between spaces in
            decoded text. These two: from version 5 on only where asked for, and never.
    """

    named: tuple[AddedToken, ...]
    roles: dict[str, str]
    added: dict[int, AddedToken]
    split_special_tokens: bool
    clean_up_spaces: bool
    clean_up_spaces_of_bpe: bool
    spaces_around_added: bool


def read_special_tokens(folder: Path, defaults: dict[str, str]) -> SpecialTokens:
    """The special tokens of the tokenizer in ``folder``; missing files count as empty.

    Args:
        folder: holds ``tokenizer_config.json`` and the rest.
        defaults: role to token text, where the files name none.

    Raises:
        ModelFormatError: a file is no JSON object, or describes a token in an unknown way.
    """
    config_path = folder / "tokenizer_config.json"
    config = read_optional_json_object(config_path)
    if "added_tokens_decoder" in config:
        added = _tokens_by_id(config["added_tokens_decoder"], config_path)
    else:
        _override(config, folder / "special_tokens_map.json")
        added = _older_added_tokens(folder, config)
    stated = {role: config[role] for role in ROLES if config.get(role) is not None}
    known = {**defaults, **stated}
    roles = {role: known[role] for role in ROLES if role in known}
    additional = _additional_tokens(config, config_path)
    tokens = [_token(text, config_path, special=True) for text in [*roles.values(), *additional]]
    clean_up = bool(config.get("clean_up_tokenization_spaces", False))
    is_version_5 = "backend" in config  # which writes it into every folder
    return SpecialTokens(
        named=tuple({token.content: token for token in tokens if token.content}.values()),
        roles={role: _token(text, config_path).content for role, text in roles.items()},
        added=added,
        split_special_tokens=bool(config.get("split_special_tokens", False)),
        clean_up_spaces=clean_up,
        clean_up_spaces_of_bpe=clean_up and (not is_version_5 or bool(config.get(_CLEAN_UP_BPE))),
        spaces_around_added=not is_version_5,
    )


def clean_up_spaces(text: str) -> str:
    """Remove the spaces before English punctuation and contractions.

    Source: ``PreTrainedTokenizerBase.clean_up_tokenization`` in transformers 4.57.6.

    >>> clean_up_spaces("I do n't know .")
    "I don't know."
    """
    for mark in (" .", " ?", " !", " ,"):
        text = text.replace(mark, mark[1])
    text = text.replace(" ' ", "'")
    for contraction in ("n't", "'m", "'s", "'ve", "'re"):
        text = text.replace(" " + contraction, contraction)
    return text


def _override(config: dict[str, Any], path: Path) -> None:
    """Let ``special_tokens_map.json`` override the configuration; additional tokens join up."""
    overriding = read_optional_json_object(path)
    more = _additional_tokens(overriding, path)
    known = _additional_tokens(config, path.with_name("tokenizer_config.json"))
    config.update(overriding)
    config["extra_special_tokens"] = None
    config["additional_special_tokens"] = known + [token for token in more if token not in known]


def _additional_tokens(config: dict[str, Any], path: Path) -> list[Any]:
    """The special tokens without a role: those with a name of their own, then the others."""
    named = [
        text
        for key, text in config.items()
        if key.endswith("_token") and key not in ROLES and isinstance(text, str)
    ]
    extra = config.get("extra_special_tokens") or []
    if isinstance(extra, dict):
        named += extra.values()
        return named + _token_list("additional_special_tokens", config, path)
    extra = _token_list("extra_special_tokens", config, path)
    return named + (extra or _token_list("additional_special_tokens", config, path))


def _token_list(name: str, config: dict[str, Any], path: Path) -> list[Any]:
    tokens = config.get(name) or []
    if not isinstance(tokens, list):
        raise ModelFormatError(f"{path}: expected a list of {name}, found {tokens!r}")
    return tokens


def _older_added_tokens(folder: Path, config: dict[str, Any]) -> dict[int, AddedToken]:
    """Added tokens of a folder that is older than ``added_tokens_decoder``."""
    path = folder / "tokenizer_config.json"
    descriptions = [*map(config.get, ROLES), *_additional_tokens(config, path)]
    special = {_token(d, path).content for d in descriptions if d is not None}
    added: dict[int, AddedToken] = {}
    path = folder / "added_tokens.json"
    for content, number in read_optional_json_object(path).items():
        is_special = content in special
        added[_id(number, path)] = AddedToken(
            content, normalized=not is_special, special=is_special
        )
    path = folder / "tokenizer.json"
    serialized = read_optional_json_object(path).get("added_tokens") or []
    if not isinstance(serialized, list):
        raise ModelFormatError(f"{path}: expected a list of added_tokens, found {serialized!r}")
    for description in serialized:
        number = description.get("id") if isinstance(description, dict) else None
        added[_id(number, path)] = _token(description, path)
    return added


def _tokens_by_id(table: object, path: Path) -> dict[int, AddedToken]:
    if not isinstance(table, dict):
        raise ModelFormatError(f"{path}: expected an object added_tokens_decoder, found {table!r}")
    return {_id(number, path): _token(description, path) for number, description in table.items()}


def _id(number: object, path: Path) -> int:
    """The id of an added token; a JSON key holds it as text."""
    is_text = isinstance(number, str) and number.isascii() and number.isdigit()
    if is_text or type(number) is int:
        value = int(number)  # type: ignore[call-overload]
        if 0 <= value < 2**31:
            return int(value)
    raise ModelFormatError(f"{path}: expected the id of an added token, found {number!r}")


def _token(description: object, path: Path, special: bool = False) -> AddedToken:
    """The token of a text, or of an object with ``content`` and flags."""
    if isinstance(description, str):
        return AddedToken(description, special=special)
    if isinstance(description, dict) and isinstance(description.get("content"), str):
        is_special = bool(description.get("special", special))
        return AddedToken(
            content=description["content"],
            lstrip=bool(description.get("lstrip", False)),
            rstrip=bool(description.get("rstrip", False)),
            single_word=bool(description.get("single_word", False)),
            normalized=bool(description.get("normalized", not is_special)),
            special=is_special,
        )
    raise ModelFormatError(f"{path}: expected a token, found {description!r}")
