"""Lexical shortlists: the file, the candidates it gives, and searches that choose from them."""

from __future__ import annotations

import functools
import gzip
import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor
from tiny_marian import random_lists, shortlist, write_folder, write_vocabulary

from pyengine import (
    ModelFormatError,
    ModelNotFoundError,
    OptionError,
    Translator,
    UnsupportedModelError,
    _core,
)
from pyengine.cli import main
from pyengine.convert.firefox import convert
from pyengine.errors import Error
from pyengine.models import read_folder
from pyengine.models.shortlist import (
    check_vocabularies,
    read_binary_shortlist,
    read_text_shortlist,
)

FIXTURES = Path(__file__).parents[1] / "fixtures"
VOCAB = 700  # more than one run of the vocabulary reduction
END, PADDING = 0, VOCAB
FIRST, LISTS = 9, random_lists(3, VOCAB, 90)
FILE = shortlist(FIRST, LISTS)
NAME = "lex.50.50.xxyy.s2t.bin"
# From 10 candidates to more than one run of them, and source ids without any.
SOURCES = [[(7 * i + 13 * j) % VOCAB for j in range(1 + 9 * i % 23)] + [END] for i in range(12)]
COMPUTE_TYPES = ("int8", "bfloat16", "float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shortlist") / "xxyy"
    write_folder(path, seed=1, vocab_size=VOCAB)
    (path / NAME).write_bytes(FILE)
    return path


def candidates(source: list[int]) -> list[int]:
    """The definition."""
    ids = {*range(FIRST), END}
    for source_id in source:
        ids |= {source_id, *(LISTS[source_id] if source_id < len(LISTS) else ())}
    return sorted(ids)


def test_sources_are_of_all_kinds() -> None:
    counts = [len(candidates(source)) for source in SOURCES]
    assert min(counts) < 32 < 512 < max(counts)


SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "suppressed": {"suppress_tokens": (1, 3, 5, 44, 45, 46), "min_length": 6},
    "forced": {"forced_bos_token_id": 3, "forced_eos_token_id": 0, "bad_words_ids": ((5, 6),)},
    "beam": {"num_beams": 4, "num_return_sequences": 4, "length_penalty": 0.6},
    "penalised": {"repetition_penalty": 1.4, "encoder_repetition_penalty": 2.0},
    "sampled": {"do_sample": True, "top_k": 0, "num_return_sequences": 3, "seed": 3},
    "sampled from few": {"do_sample": True, "top_k": 9, "repetition_penalty": 0.7, "seed": 4},
    "sampled by min_p": {
        "do_sample": True,
        "top_k": 0,
        "repetition_penalty": 3.0,
        "min_p": 0.1,
        "seed": 5,
    },
    "more beams than candidates": {"num_beams": 40, "num_return_sequences": 2, "max_length": 4},
}


@pytest.mark.parametrize("compute_type", COMPUTE_TYPES)
@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES.keys())
def test_it_is_the_search_with_all_others_suppressed(
    folder: Path, compute_type: str, search: dict[str, Any]
) -> None:
    search = {"max_length": 20, "renormalize_logits": True, "suppress_tokens": (), **search}
    with (
        Translator(folder, compute_type) as translator,
        Translator(folder, compute_type, shortlist=False) as whole,
    ):
        assert translator.shortlist == folder / NAME
        assert whole.shortlist is None
        for source in SOURCES:
            allowed = {*candidates(source)} - {*search["suppress_tokens"]}
            others = tuple(i for i in range(VOCAB + 1) if i not in allowed)
            (found,) = translator.generate([source], **search)
            (expected,) = whole.generate([source], **{**search, "suppress_tokens": others})
            assert {i for h in found for i in h.ids} <= allowed
            assert [h.ids for h in found] == [h.ids for h in expected]
            scores = [h.score for h in expected]
            assert [h.score for h in found] == pytest.approx(scores, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_forced_token_need_not_be_a_candidate(folder: Path, num_beams: int) -> None:
    outside = next(i for i in range(VOCAB) if i not in candidates(SOURCES[4]))
    options = {"forced_bos_token_id": outside, "max_length": 9, "num_beams": num_beams}
    with Translator(folder) as translator:
        ((best, *_),) = translator.generate([SOURCES[4]], **options)
    assert best.ids[0] == outside
    assert {*best.ids[1:]} <= {*candidates(SOURCES[4])}


@pytest.mark.parametrize("compute_type", COMPUTE_TYPES)
def test_all_ids_as_candidates_change_nothing(tmp_path: Path, compute_type: str) -> None:
    write_folder(tmp_path, seed=1, vocab_size=VOCAB)
    (tmp_path / NAME).write_bytes(shortlist(VOCAB + 1, LISTS))
    with (
        Translator(tmp_path, compute_type, shortlist=True) as all_ids,
        Translator(tmp_path, compute_type, shortlist=False) as whole,
    ):
        for beams in (1, 3):
            options = {"max_length": 16, "num_beams": beams}
            assert all_ids.generate(SOURCES, **options) == whole.generate(SOURCES, **options)


@pytest.mark.parametrize("compute_type", COMPUTE_TYPES)
@pytest.mark.parametrize("search", ["greedy", "suppressed", "beam", "penalised beam", "sampled"])
def test_invariance(folder: Path, compute_type: str, search: str) -> None:
    # With penalties not the search above: log-probabilities are those among the candidates.
    penalised_beam = SEARCHES["beam"] | SEARCHES["penalised"]
    options = {"max_length": 24, **(SEARCHES.get(search) or penalised_beam)}
    with Translator(folder, compute_type, threads=1, batch_size=1) as translator:
        alone = [translator.generate([source], **options)[0] for source in SOURCES]
    for isa in _core.available_isas():
        for batch_size, threads in ((3, 1), (32, 2)):
            with Translator(folder, compute_type, threads, batch_size, isa) as translator:
                assert translator.generate(SOURCES[::-1], **options)[::-1] == alone


def test_scores_and_logits_are_of_the_whole_vocabulary(folder: Path) -> None:
    target = [699, 5, 44, 0]
    ids = np.array(SOURCES[2], np.int32), np.array([PADDING, *target], np.int32)
    with Translator(folder) as translator, Translator(folder, shortlist=False) as whole:
        for one, other in zip(
            translator.score(SOURCES, [target] * 12),
            whole.score(SOURCES, [target] * 12),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(translator.engine.logits(*ids), whole.engine.logits(*ids))


def test_converted_is_the_same(tmp_path: Path, folder: Path) -> None:
    convert(folder, tmp_path / "out")
    with Translator(folder) as one, Translator(tmp_path / "out", shortlist=True) as other:
        assert other.shortlist is not None
        assert other.shortlist.read_bytes() == FILE
        assert other.generate(SOURCES, max_length=20) == one.generate(SOURCES, max_length=20)


def test_from_the_packed_cache(tmp_path: Path, folder: Path) -> None:
    with (
        Translator(folder, cache_dir=tmp_path) as cold,
        Translator(folder, cache_dir=tmp_path) as warm,
    ):
        assert warm.from_cache and warm.shortlist is not None
        assert warm.generate(SOURCES, max_length=20) == cold.generate(SOURCES, max_length=20)
    with Translator(folder, cache_dir=tmp_path, shortlist=False) as whole:
        assert whole.from_cache and whole.shortlist is None


def test_settings(tmp_path: Path, folder: Path) -> None:
    write_folder(tmp_path, seed=1, vocab_size=40)
    with Translator(tmp_path) as translator:
        assert translator.shortlist is None
    with pytest.raises(ModelNotFoundError, match=r"lacks a lexical shortlist \(lex\*\.bin or"):
        Translator(tmp_path, shortlist=True)
    with pytest.raises(OptionError, match="shortlist: found 'yes', expected None, True or False"):
        Translator(folder, shortlist="yes")  # type: ignore[arg-type]


def test_commands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flags, name in (([], NAME), (["--no-shortlist"], None)):
        assert main(["info", str(folder), "--json", *flags]) == 0
        assert json.loads(capsys.readouterr().out)["shortlist"] == name
        assert main(["info", str(folder), *flags]) == 0
        assert f"shortlist     {name or 'none'}" in capsys.readouterr().out
        text = "ab cd, ef gh."
        assert main(["translate", "-m", str(folder), "--max-length=9", *flags, text]) == 0
        with Translator(folder, shortlist=name is not None) as translator:
            assert capsys.readouterr().out == translator.translate(text, max_length=9) + "\n"


def test_the_ids_of_a_source_are_candidates_only_in_a_shared_vocabulary(tmp_path: Path) -> None:
    write_folder(tmp_path, seed=1, vocab_size=VOCAB)
    (tmp_path / NAME).write_bytes(shortlist(1, [[] for _ in range(VOCAB)]))
    source = [*range(100, 140), END]
    with Translator(tmp_path) as translator:
        ((shared, *_),) = translator.generate([source], max_length=9)
    (tmp_path / "vocab.xxyy.spm").rename(tmp_path / "srcvocab.xxyy.spm")
    write_vocabulary(tmp_path / "trgvocab.xxyy.spm", VOCAB, scale=2.0)
    with Translator(tmp_path) as translator:
        ((separate, *_),) = translator.generate([source], max_length=9)
    assert shared.ids and {*shared.ids} <= {*source}
    assert separate.ids == []  # only the end token was left


# --- the binary file -----------------------------------------------------------------------------


def read(tmp_path: Path, folder: Path, content: bytes, name: str = "lex.bin") -> Any:
    (tmp_path / name).write_bytes(content)
    return read_checked(tmp_path / name, read_folder(folder).config)


def read_checked(path: Path, config: Any) -> Any:
    shortlist = read_binary_shortlist(path)
    check_vocabularies(path, shortlist, config)
    return shortlist


def test_the_file_is_read_as_it_is(tmp_path: Path, folder: Path) -> None:
    plain = read(tmp_path, folder, FILE)
    packed = read(tmp_path, folder, gzip.compress(FILE), "lex.bin.gz")
    for found in (plain, packed):
        assert found.num_first == FIRST
        for source_id, expected in enumerate(LISTS):
            begin, end = map(int, found.offsets[source_id : source_id + 2])
            assert found.entries[begin:end].tolist() == expected


DAMAGED = {
    "empty": (b"", r"lex\.bin: the header needs 48 bytes"),
    "foreign": (b"\x93NUMPY\x01\0" + FILE[8:], r"lex\.bin: not a lexical shortlist: .* 0xf11a48d5"),
    "cut": (FILE[:-1], r"lex\.bin: the entries needs \d+ bytes at byte 5656"),
    "longer": (FILE + b"\0", r"lex\.bin: found 1 more bytes"),
    "many offsets": (
        FILE[:32] + b"\xff" * 8 + FILE[40:],
        r"lex\.bin: the offsets needs 1475739525\d+ bytes",
    ),
    "other source": (shortlist(9, LISTS[:-1]), "found 699 source ids, expected 700"),
    "other target": (shortlist(9, [*LISTS[:-1], [701]]), "the target id 701, .* has 701"),
    "many first": (shortlist(702, LISTS), "the target id 701, .* has 701"),
    "falling": (FILE[:70] + b"\x09" + FILE[71:], "offsets do not rise from 0 to"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged(tmp_path: Path, folder: Path, name: str) -> None:
    content, message = DAMAGED[name]
    with pytest.raises(ModelFormatError, match=message):
        read(tmp_path, folder, content)


def test_several_files(tmp_path: Path, folder: Path) -> None:
    write_folder(tmp_path, seed=1, vocab_size=VOCAB)
    for name in ("lex.a.bin", "lex.b.bin"):
        (tmp_path / name).write_bytes(FILE)
    with pytest.raises(ModelFormatError, match=r"lex\.a\.bin and lex\.b\.bin, expected one"):
        Translator(tmp_path)


@functools.cache
def model_config() -> Any:
    with tempfile.TemporaryDirectory() as name:
        write_folder(Path(name), seed=1, vocab_size=VOCAB)
        return read_folder(name).config


@settings(max_examples=300)
@given(
    start=st.one_of(st.integers(0, 60), st.integers(0, len(FILE) - 1)),
    length=st.integers(0, 40),
    put=st.binary(max_size=40),
)
def test_any_damage(start: int, length: int, put: bytes) -> None:
    config = model_config()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lex.bin")
        path.write_bytes(FILE[:start] + put + FILE[start + length :])
        try:
            found = read_checked(path, config)
        except Error as error:
            assert "lex.bin" in str(error)
            return
    assert len(found.offsets) == VOCAB + 1 and found.offsets[-1] == len(found.entries)
    assert (found.offsets[:-1] <= found.offsets[1:]).all()
    assert found.num_first <= config.vocab_size and (found.entries < config.vocab_size).all()


# --- the text file -------------------------------------------------------------------------------


def pieces(path: Path) -> list[str]:
    processor = SentencePieceProcessor(str(path))
    return [processor.id_to_piece(i) for i in range(len(processor))]


def text_lines(vocabulary: list[str], lists: list[list[int]], rng: random.Random) -> list[str]:
    """A text whose most probable pairs are ``lists``, with less probable ones among them."""
    lines = []
    for source_id, targets in enumerate(lists):
        others = rng.sample(range(len(lists)), 5) if len(targets) == BEST else []
        for target in targets:
            lines.append(f"{vocabulary[target]} {vocabulary[source_id]} {rng.uniform(0.5, 1):.7f}")
        for target in others:
            lines.append(f"{vocabulary[target]} {vocabulary[source_id]} {rng.uniform(0, 0.1):.7f}")
    lines += [f"NULL {vocabulary[7]} 1.0", f"{vocabulary[9]}\tNULL\t1.0"]
    rng.shuffle(lines)
    return lines


BEST = 12


@pytest.mark.parametrize("packed", [False, True])
def test_a_text_is_the_binary_file_made_of_it(tmp_path: Path, packed: bool) -> None:
    write_folder(tmp_path, seed=1, vocab_size=VOCAB)
    rng = random.Random(5)
    lists = [sorted(rng.sample(range(VOCAB), rng.choice((0, 3, BEST)))) for _ in range(VOCAB)]
    (tmp_path / "lex.bin").write_bytes(shortlist(FIRST, lists))
    with Translator(tmp_path) as translator:
        expected = translator.generate(SOURCES, max_length=20)
    (tmp_path / "lex.bin").unlink()
    vocabulary = pieces(tmp_path / "vocab.xxyy.spm")
    content = "\n".join(text_lines(vocabulary, lists, rng)).encode()
    name = f"lex.{FIRST}.{BEST}.xxyy.s2t" + (".gz" if packed else "")
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    with Translator(tmp_path) as translator:
        assert translator.shortlist == tmp_path / name
        assert translator.generate(SOURCES, max_length=20) == expected
    convert(tmp_path, tmp_path / "out")
    with Translator(tmp_path / "out") as translator:
        assert translator.generate(SOURCES, max_length=20) == expected


def test_a_text_without_numbers_in_its_name_has_those_of_marian(tmp_path: Path) -> None:
    path = tmp_path / "lex.s2t"
    path.write_text("".join(f"{i} 3 0.{i:03}\n" for i in range(100, 250)))
    found = read_text_shortlist(path, int, int, num_sources=5)
    assert found.num_first == 100
    assert found.offsets.tolist() == [0, 0, 0, 0, 100, 100]
    assert found.entries.tolist() == list(range(150, 250))


@pytest.mark.parametrize("line", ["a b", "a b c", "a b 0.5 d", "", "\udcff b 0.5"])
def test_a_line_that_is_no_pair(tmp_path: Path, line: str) -> None:
    path = tmp_path / "lex.s2t"
    path.write_bytes(f"a b 0.5\n{line}\n".encode(errors="surrogateescape"))
    with pytest.raises(ModelFormatError, match=r"lex\.s2t: line 2 is b.*expected a target piece"):
        read_text_shortlist(path, len, len, num_sources=5)


def test_a_text_needs_the_ids_of_its_pieces(tmp_path: Path) -> None:
    folder = tmp_path / "marian"
    shutil.copytree(FIXTURES / "marian-split", folder)
    (folder / "lex.s2t").write_text("a b 0.5")
    with pytest.raises(UnsupportedModelError, match=r"lex\.s2t: .* needs source\.spm and target"):
        Translator(folder, cache_dir=False)
