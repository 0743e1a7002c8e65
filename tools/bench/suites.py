"""The suites: a model, the sentences it translates and the searches that are timed.

opus-base        random weights in the shape of the Helsinki-NLP ``opus-mt-*`` models (Tiedemann and
                 Thottingal, 2020): 74 million parameters
transformer-big  random weights in the shape of the big model of "Attention Is All You Need":
                 214 million parameters
multi30k-tiny    the committed English-German model, 2.1 million parameters, on real text
varied-lengths   the same model widened to the shape of opus-base, on sources of 5 to 80 tokens:
                 one to a few sentences of the text each
firefox-tiny     Firefox's English-Portuguese model of the extra "demo", 17 million parameters, from
                 text to text
families/NAME    random weights in the shape of one family: translations or continuations, or last
                 hidden states of texts of 8 to 128 tokens

Random weights never end a sentence by themselves, so all engines are made to give the same number
of target tokens; the trained model's translations are as long as it likes.
"""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyengine.bench.sentences import DEFAULT_SENTENCES
from pyengine.bench.worker import Case, Ids
from tools.bench import random_families
from tools.bench.random_families import FAMILY_MODELS, RandomModel
from tools.bench.random_marian import END_TOKEN_ID, Dimensions
from tools.bench.store import Installed, Source, Widened

ROOT = Path(os.path.relpath(Path(__file__).parents[2]))  # figures name no machine's folders
TINY_MODEL = ROOT / "tests" / "fixtures" / "multi30k-en-de"
DATA = ROOT.resolve().parent / "shared" / "data"
TEST_SET = DATA / "multi30k" / "test_2016_flickr.en.gz"
NEWS = DATA / "flores-dev" / "dev.en"

OPUS_BASE = Dimensions(58_101, 512, layers=6, heads=8, ffn_dim=2048, activation="swish")
TRANSFORMER_BIG = Dimensions(37_000, 1024, layers=6, heads=16, ffn_dim=4096, activation="relu")

SEED = 7
RANDOM_SENTENCES = 64
RANDOM_LENGTHS = (8, 45)
"""Source tokens of random sentences, shortest and longest."""

VARIED_LENGTHS = (5, 80)
VARIED_SENTENCES = 256

ONE_GREEDY, ONE_BEAM = "batch 1, greedy", "batch 1, beam 4"
MANY_GREEDY, MANY_BEAM = "batch 32, greedy", "batch 32, beam 4"
CORPUS = "corpus, beam 5"
LIST = "one list, greedy"
ONE_TEXT, FEW_TEXTS, MANY_TEXTS = "batch 1", "batch 8", "batch 32"
IN_FLIGHT, STATIC, STATIC_SORTED = "in-flight", "static batches", "static batches, sorted by length"
"""Names of the cases. A corpus is translated as each engine does it best; of the last three the
first is one call with all sentences, the others are a call for every 32."""

FAMILIES = "families"
"""What the names of the families' suites begin with."""

ENCODED_LENGTHS = (8, 128)
ENCODED_TEXTS = 64

TOKENS, SENTENCES = "tokens/s", "sentences/s"


@dataclass(frozen=True)
class Suite:
    """A model and its cases.

    Attributes:
        name: of the suite and of its model.
        source: see ``ModelStore``.
        unit: of its rates; target tokens where their number is given, else sentences.
        cases: small ones first; called with whether it is to be quick.
        min_seconds: passes over a case are repeated until they took this long.
        engines: names of those that take part; empty: all.
        most_threads_only: nothing is to be learnt from fewer.
        of_text: its engines are ``TEXT_ENGINES``, which always run on one thread too.
        of_family: its engines are ``FAMILY_ENGINES``.
    """

    name: str
    source: Source
    unit: str
    cases: Callable[[bool], list[Case]]
    min_seconds: float
    engines: tuple[str, ...] = ()
    most_threads_only: bool = False
    of_text: bool = False
    of_family: bool = False


def test_sentences() -> list[str]:
    """Multi30k's first test set if it is at hand, else sentences of our own."""
    if TEST_SET.is_file():
        with gzip.open(TEST_SET, "rt", encoding="utf-8") as file:
            return file.read().splitlines()
    return list(DEFAULT_SENTENCES)


def encoded_test_sentences() -> Ids:
    """The same as ids of the committed model."""
    from pyengine import Translator

    with Translator(TINY_MODEL, threads=1) as translator:
        return translator.encode_batch(test_sentences())


def random_sources(vocab_size: int) -> Ids:
    """Random ids that are neither end nor padding, longest sentence first."""
    rng = random.Random(SEED)
    lengths = sorted((rng.randint(*RANDOM_LENGTHS) for _ in range(RANDOM_SENTENCES)), reverse=True)
    return [
        [rng.randrange(1, vocab_size - 1) for _ in range(length - 1)] + [END_TOKEN_ID]
        for length in lengths
    ]


def spread_out(sources: Ids, count: int) -> Ids:
    """``count`` of them at equal distances, so of all lengths where they are sorted."""
    return [sources[(2 * i + 1) * len(sources) // (2 * count)] for i in range(count)]


def _opus_base(quick: bool) -> list[Case]:
    if quick:
        return _forced_cases(OPUS_BASE, (2, 1, 32, 32), target_tokens=8)
    return _forced_cases(OPUS_BASE, (6, 4, 64, 32), target_tokens=32)


def _transformer_big(quick: bool) -> list[Case]:
    if quick:
        return _forced_cases(TRANSFORMER_BIG, (1, 1, 32, 32), target_tokens=4)
    return _forced_cases(TRANSFORMER_BIG, (4, 2, 32, 32), target_tokens=16)


def _forced_cases(
    size: Dimensions, sentences: tuple[int, int, int, int], target_tokens: int
) -> list[Case]:
    sources = random_sources(size.vocab_size)
    shapes = ((ONE_GREEDY, 1, 1), (ONE_BEAM, 1, 4), (MANY_GREEDY, 32, 1), (MANY_BEAM, 32, 4))
    return [
        Case(name, spread_out(sources, count), batch, beams, target_tokens, target_tokens)
        for (name, batch, beams), count in zip(shapes, sentences, strict=True)
    ]


def _multi30k_tiny(quick: bool) -> list[Case]:
    corpus = encoded_test_sentences()
    longest_first = sorted(corpus[:256], key=len, reverse=True)
    one, many, all_of_it = (8, 64, 128) if quick else (64, 256, 1000)
    most = 199  # the model folder's max_length without the start token
    return [
        Case(ONE_GREEDY, corpus[:one], 1, 1, 0, most),
        Case(ONE_BEAM, corpus[:one], 1, 4, 0, most),
        Case(MANY_GREEDY, longest_first[-many:], 32, 1, 0, most),
        Case(MANY_BEAM, longest_first[-many:], 32, 4, 0, most),
        Case(CORPUS, corpus[:all_of_it], 64, 5, 0, most),
    ]


def varied_sources(corpus: Ids, count: int) -> Ids:
    """Sentences joined until they are about as long as a random number says, each with one end."""
    rng = random.Random(SEED)
    shortest, longest = VARIED_LENGTHS
    bodies = [source[:-1] for source in corpus if shortest <= len(source) <= longest // 2]
    end = corpus[0][-1]
    joined: Ids = []
    following = 0
    while len(joined) < count:
        goal = rng.randint(shortest, longest)
        ids: list[int] = []
        while len(ids) + 1 < goal:
            body = bodies[following % len(bodies)]
            if ids and len(ids) + len(body) + 1 > longest:
                break
            ids += body
            following += 1
        joined.append([*ids, end])
    return joined


def _varied_lengths(quick: bool) -> list[Case]:
    sources = varied_sources(encoded_test_sentences(), 64 if quick else VARIED_SENTENCES)
    by_length = sorted(sources, key=len, reverse=True)
    most = 20 if quick else 120
    return [
        Case(STATIC, sources, 32, 1, 0, most, call_size=32),
        Case(STATIC_SORTED, by_length, 32, 1, 0, most, call_size=32),
        Case(IN_FLIGHT, sources, 32, 1, 0, most),
    ]


def _family_cases(random_model: RandomModel) -> Callable[[bool], list[Case]]:
    def generated(quick: bool) -> list[Case]:
        sources = family_sources(RANDOM_SENTENCES, RANDOM_LENGTHS)
        one, many, length = (2, 32, 8) if quick else (6, 64, 32)
        return [
            Case(ONE_GREEDY, spread_out(sources, one), 1, 1, length, length),
            Case(MANY_GREEDY, spread_out(sources, many), 32, 1, length, length),
        ]

    def encoded(quick: bool) -> list[Case]:
        sources = family_sources(32 if quick else ENCODED_TEXTS, ENCODED_LENGTHS)
        most = ENCODED_LENGTHS[1] + 1  # an entry of each token is given
        return [
            Case(ONE_TEXT, sources, 1, 1, 0, most),
            Case(FEW_TEXTS, sources, 8, 1, 0, most),
            Case(MANY_TEXTS, sources, 32, 1, 0, most),
        ]

    return encoded if random_model.task == random_families.ENCODING else generated


def family_sources(count: int, lengths: tuple[int, int]) -> Ids:
    """Random ids that are no special tokens and an end token, longest first."""
    rng = random.Random(SEED)
    low, high = random_families.END_TOKEN_ID + 1, random_families.VOCAB_SIZE
    return [
        [*(rng.randrange(low, high) for _ in range(length - 1)), random_families.END_TOKEN_ID]
        for length in sorted((rng.randint(*lengths) for _ in range(count)), reverse=True)
    ]


def _family_suite(name: str, random_model: RandomModel) -> Suite:
    encodes = random_model.task == random_families.ENCODING
    return Suite(
        f"{FAMILIES}/{name}",
        random_model,
        SENTENCES if encodes else TOKENS,
        _family_cases(random_model),
        min_seconds=0.5,
        most_threads_only=True,
        of_family=True,
    )


def _firefox_tiny(quick: bool) -> list[Case]:
    lines = NEWS.read_text(encoding="utf-8").splitlines() if NEWS.is_file() else DEFAULT_SENTENCES
    texts = [list(line.encode()) for line in lines]
    one, many = (4, 32) if quick else (100, len(texts))
    most = 2**20  # the model's own limit
    return [
        Case(ONE_GREEDY, spread_out(texts, one), 1, 1, 0, most),
        Case(LIST, spread_out(texts, many), 32, 1, 0, most),
    ]


SUITES = {
    suite.name: suite
    for suite in (
        Suite("opus-base", OPUS_BASE, TOKENS, _opus_base, min_seconds=0.5),
        Suite("transformer-big", TRANSFORMER_BIG, TOKENS, _transformer_big, min_seconds=0.5),
        Suite("multi30k-tiny", TINY_MODEL, SENTENCES, _multi30k_tiny, min_seconds=0.3),
        Suite(
            "varied-lengths",
            Widened(TINY_MODEL, OPUS_BASE),
            SENTENCES,
            _varied_lengths,
            min_seconds=0.3,
            engines=("pyengine int8", "CTranslate2 int8"),
            most_threads_only=True,
        ),
        Suite(
            "firefox-tiny",
            Installed("en", "pt"),
            SENTENCES,
            _firefox_tiny,
            min_seconds=0.5,
            of_text=True,
        ),
        *(_family_suite(name, random_model) for name, random_model in FAMILY_MODELS.items()),
    )
}
