"""Text handed out in pieces, as ids are made: together it is the text of all ids."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from pyengine.text.fast import FastTokenizer
from pyengine.token_stream import ids_of, text_of

CLEANED = "Is n't it ' s , I 'm he 've . ? ! a.b ' ' 's n't don 't  n't ' 've"


def one_by_one(ids: list[int]) -> Iterator[list[int]]:
    for number in ids:
        yield [number]


@given(ids=st.lists(st.integers(0, 600), max_size=40))
def test_pieces_of_any_ids(case: Any, ids: list[int]) -> None:
    expected = case.tokenizer.decode(ids)
    assert "".join(text_of(one_by_one(ids), case.tokenizer)) == expected
    for size in (2, 7):
        batches = (ids[i : i + size] for i in range(0, len(ids), size))
        assert "".join(text_of(batches, case.tokenizer)) == expected


def test_pieces_of_long_texts(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many ids are twice the work, and the text stays that of all of them."""
    tokenizer, decoded = case.tokenizer, 0
    decode = tokenizer.decode

    def counted(ids: list[int]) -> str:
        nonlocal decoded
        decoded += len(ids)
        return str(decode(ids))

    monkeypatch.setattr(tokenizer, "decode", counted)
    draw, work = random.Random(2), []
    for count in (300, 600):
        ids, decoded = draw.choices(range(300), k=count), 0
        assert "".join(text_of(one_by_one(ids), tokenizer)) == decode(ids)
        work.append(decoded)
    assert work[1] < 2.5 * work[0]


@pytest.mark.parametrize("count", [12])
def test_pieces_of_the_golden_lines(case: Any, lines: list[str], count: int) -> None:
    for line in [*case.lines_of(lines)[::7][:count], CLEANED, "na\u00efve \U0001f600 \u4f60\u597d"]:
        ids = case.tokenizer.encode(line)
        pieces = list(text_of(one_by_one(ids), case.tokenizer))
        assert "".join(pieces) == case.tokenizer.decode(ids)
        assert all(pieces)


@given(text=st.lists(st.sampled_from([*CLEANED, *CLEANED.split(" ")])).map("".join))
def test_pieces_of_what_is_cleaned_up(cases: Any, text: str) -> None:
    tokenizer = cases["fast-bpe"].tokenizer
    ids = tokenizer.encode(text)
    assert "".join(text_of(one_by_one(ids), tokenizer)) == tokenizer.decode(ids)


@pytest.fixture(scope="module")
def byte_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> FastTokenizer:
    """As Llama's: characters outside the vocabulary are the tokens of their bytes."""
    folder = tmp_path_factory.mktemp("bytes")
    tokens = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", "a", "b", "\u2581c"]
    model = tokenizers.models.BPE(
        {token: number for number, token in enumerate(tokens)},
        [("\u2581", "c")] if "c" in tokens else [],
        byte_fallback=True,
        unk_token="<unk>",
    )
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.decoder = tokenizers.decoders.Sequence(
        [
            tokenizers.decoders.Replace("\u2581", " "),
            tokenizers.decoders.ByteFallback(),
            tokenizers.decoders.Fuse(),
            tokenizers.decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return FastTokenizer(folder, "PreTrainedTokenizerFast")


@given(
    ids=st.lists(
        st.sampled_from([257, 258, 259, 260, *(byte + 1 for byte in "\u00e9\u4f60\u20ac".encode())])
    )
)
def test_bytes_that_become_characters(byte_tokenizer: FastTokenizer, ids: list[int]) -> None:
    assert "".join(text_of(one_by_one(ids), byte_tokenizer)) == byte_tokenizer.decode(ids)


def test_a_character_waits_for_its_bytes(byte_tokenizer: FastTokenizer) -> None:
    ids = [258, *(byte + 1 for byte in "\u4f60".encode()), 259, 260]
    assert list(text_of(one_by_one(ids), byte_tokenizer)) == ["a", "\u4f60b", " c"]


def test_ids_one_by_one() -> None:
    assert list(ids_of(iter([[1, 2], [3]]))) == [1, 2, 3]
