"""Make the tokenizer folders and golden files under tests/fixtures/tokenizers.

    python -m tools.make_tokenizer_goldens [NAME ...]

Needs transformers, tokenizers and sentencepiece. Trains tiny SentencePiece models on sentences that
this script makes up from its own word lists, writes one folder for each kind of tokenizer, and
records what the oracle (transformers' own tokenizer; for the reference-style folder the
sentencepiece library) makes of the same 1,000 lines, and of random ids when it decodes.

Each folder holds golden.json.gz: {"oracle", "ids": [1000 lists], "decoded": [1000 texts of those
ids], "random_ids": [lists], "random_decoded": [texts]}; of the families, of every fourth line, and
with "source_ids": {language: ids of a few lines}. The lines are in lines.json.gz. The files are the
same at every run with the same versions of the libraries.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sentencepiece
import tokenizers
import transformers

from tools import family_tokenizers

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parent / "tests" / "fixtures" / "tokenizers"

SOURCE_WORDS = """a the two one three man woman child children dog cat bird horse boy girl friend is
are was not do n't don't it's he's we they you I'm plays runs sleeps sings rides eats reads writes
walks talks looks jumps playing running sleeping singing riding eating reading writing walking
talking looking jumping red green blue old young tall small happy quiet street house garden river
mountain bicycle guitar book letter bread apple water snow rain summer winter morning evening in on
at by with under over near behind between and or but because while when where who what why quickly
slowly today tomorrow yesterday never always sometimes again Paris London Berlin Mr. Dr. 3 7 12 1999
2,500 3.14 50% $20""".split()

TARGET_WORDS = """un une le la les des deux trois homme femme enfant enfants chien chat oiseau
cheval garçon fille ami est sont était n'est pas l'eau d'été qu'il joue court dort chante lit écrit
marche parle regarde saute rouge vert bleu vieux jeune grand petit heureux calme rue maison jardin
rivière montagne vélo guitare livre lettre pain pomme neige pluie hiver matin soir dans sur à près
derrière entre et ou mais où qui quoi pourquoi vite lentement aujourd'hui demain hier jamais
toujours parfois encore ein eine der die das Straße Mädchen Bäume schön fünf größer über für müde
Äpfel Öl Übung cœur naïf maïs ça là être très forêt fête 3 7 12 1999 2.500 3,14 50 %""".split()

NASTY = [
    "",
    " ",
    "   \t \n ",
    ".",
    "…",
    "\ufeffwith a byte order mark",
    "NBSP\u00a0between\u00a0words",
    "thin\u2009space, em\u2003space, ideographic\u3000space, narrow\u202fnbsp",
    "tab\tand\ttab, newline\nand\r\nreturn",
    "zero\u200bwidth\u200dspace\u2060 and soft\u00adhyphen",
    "\u202eright to left override\u202c and \u2066isolate\u2069",
    "nul\x00inside\x00",
    "\x00",
    "\x01\x02\x1b[31mcontrol\x7f\x85 characters",
    "\U0001f600 smile \U0001f468\u200d\U0001f469\u200d\U0001f467 family \U0001f1eb\U0001f1f7 flag",
    "thumbs \U0001f44d\U0001f3fd, heart \u2764\ufe0f, keycap 1\ufe0f\u20e3",
    "combining e\u0301 a\u0308 n\u0303 o\u0302\u0323, many: z\u0351\u036b\u0343\u036a\u0302",
    "composed \u00e9 decomposed e\u0301 ligature \ufb01 \ufb03 \u0132 width \uff21\uff22 \uff11",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    "\u65e5\u672c\u8a9e\u306e\u6587\u7ae0\u3067\u3059\u3002 \u4e2d\u6587\u3002\ud55c\uad6d\uc5b4",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "\U0001d4d0\U0001d4d1 mathematical \u2460 \u00bd \u2162 \u00b2",
    "private use \ue000 \U000f0000 noncharacter \uffff \ufdd0 replacement \ufffd",
    "\u2581 the mark of SentencePiece \u2581\u2581word",
    "\u201ecurly\u201c \u2018quotes\u2019 \u00abguillemets\u00bb -- \u2013 \u2014 '' `` \"",
    "Hello , world ! Is n't it ? I 'm sure he 's here . We 've ' been ' there",
    ">>fra<< the dog runs",
    ">>fra<<the dog runs",
    ">>deu<< the dog runs",
    ">>xxx<< an unknown code",
    " >>fra<< a space before the code",
    ">>fra the code never ends",
    ">>a long << thing that is no code <<",
    ">><<",
    ">>fra<<",
    ">>fra<<>>deu<< two codes",
    "in the middle >>fra<< of a line",
    "<<fra>> turned round",
    "end of </s> sentence",
    "</s>",
    "</s></s> </s>",
    "</s>>>fra<< a code behind an end token",
    "<unk> <pad> <s> <mask> <extra_id_0> <extra_id_99> <extra_id_100> [CLS] [MASK]",
    "a<pad>b<unk>c</s>d",
    "< /s> </S> <Unk> &lt;/s&gt;",
    "x <keep> y<keep>z  <keep>  <word>in<word> <word> a<word> <word>b",
    "<eat>  both sides  <eat>here",
    "a <word></s> b",
    "a </s><word> b <word><word> c",
    "<eat></s> d <eat><keep>  e",
    "<keep <keep> <keepsake> <<keep>>",
    "<json>  f<json>g <keep> <json>",
    "<0x0A> <0xE2><0x82><0xAC> \u20ac",
    "a" * 5000,
    "the dog " * 500,
    "\u65e5" * 700,
    "Donaudampfschifffahrtsgesellschaftskapit\u00e4nsm\u00fctze" * 8,
]

SCRIPTS = [(0x20, 0x7E), (0xA0, 0x17F), (0x300, 0x36F), (0x370, 0x52F), (0x590, 0x6FF)]
SCRIPTS += [(0x2000, 0x206F), (0x2190, 0x22FF), (0x3040, 0x30FF), (0x4E00, 0x4FFF)]
SCRIPTS += [(0xAC00, 0xACFF), (0xFB00, 0xFB4F), (0xFF00, 0xFFEF), (0x1F300, 0x1F6FF), (0, 0x1F)]


def sentence(rng: random.Random, words: list[str]) -> str:
    """3 to 16 words with a capital, a comma now and then, and an end mark."""
    text = " ".join(rng.choice(words) for _ in range(rng.randint(3, 16)))
    if rng.random() < 0.3:
        text = text.replace(" ", ", ", 1)
    return text[0].upper() + text[1:] + rng.choice([".", ".", ".", "!", "?", "…", ""])


def spaced(rng: random.Random, text: str) -> str:
    """``text`` with odd white space for its spaces."""
    spaces = [" ", " ", "  ", "   ", "\t", "\u00a0", "\n", "\u3000", " \u200b", "\u2009"]
    return rng.choice(["", " "]) + "".join(rng.choice(spaces) if c == " " else c for c in text)


def noise(rng: random.Random) -> str:
    """Up to 60 characters out of two scripts."""
    ranges = rng.sample(SCRIPTS, 2)
    return "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(1, 60)))


def tokens_inside(rng: random.Random, text: str) -> str:
    """``text`` with special tokens, codes and added tokens dropped in."""
    tokens = ["</s>", "<unk>", "<pad>", ">>fra<<", ">>deu<<", ">>zzz<<", ">>", "<<", "<keep>"]
    tokens += ["<word>", "<eat>", "<mask>", "<extra_id_3>", "<s>"]
    parts = text.split(" ")
    for _ in range(rng.randint(1, 3)):
        parts.insert(rng.randint(0, len(parts)), rng.choice(tokens))
    return rng.choice([" ", " ", ""]).join(parts)


def make_lines() -> list[str]:
    """The 1,000 lines that every golden file is about."""
    rng = random.Random(20261123)
    lines = list(NASTY)
    lines += [sentence(rng, SOURCE_WORDS) for _ in range(350)]
    lines += [sentence(rng, TARGET_WORDS) for _ in range(150)]
    lines += [rng.choice([">>fra<< ", ">>deu<<"]) + sentence(rng, SOURCE_WORDS) for _ in range(60)]
    lines += [spaced(rng, sentence(rng, SOURCE_WORDS + TARGET_WORDS)) for _ in range(100)]
    lines += [tokens_inside(rng, sentence(rng, SOURCE_WORDS)) for _ in range(140)]
    lines += [noise(rng) for _ in range(1000 - len(lines))]
    return lines


NORMALISED = {
    "\u00a0": " ",
    "\u3000": " ",
    "\t": " ",
    "\n": " ",
    "\ufb01": "fi",
    "\u200b": " ",
    "e\u0301": "é",
}
"""A small stand-in for nmt_nfkc, whose table takes 240 kB of a model (and 320 kB in JSON)."""


def train(
    path: Path, words: list[str], seed: int, rules: dict[str, str] | None = None, **options: Any
) -> None:
    """Train a SentencePiece model on 3,000 made-up sentences and write it to ``path``."""
    rng = random.Random(seed)
    model = io.BytesIO()
    # Both paths below end up inside the model, so neither may be one of this machine.
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        if rules is not None:
            sides = (
                [" ".join(f"{ord(c):X}" for c in side) for side in rule] for rule in rules.items()
            )
            Path("rules.tsv").write_text("".join("\t".join(rule) + "\n" for rule in sides))
            options["normalization_rule_tsv"] = "rules.tsv"
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(sentence(rng, words) for _ in range(3000)),
            model_writer=model,
            num_threads=1,
            hard_vocab_limit=False,
            minloglevel=2,
            **options,
        )
    path.write_bytes(model.getvalue())


def pieces(path: Path) -> list[str]:
    """All pieces of a SentencePiece model but its control symbols and the unknown one."""
    spm = sentencepiece.SentencePieceProcessor(model_file=str(path))
    ids = range(spm.get_piece_size())
    return [spm.id_to_piece(i) for i in ids if not (spm.is_control(i) or spm.is_unknown(i))]


def write_json(path: Path, content: Any) -> None:
    """Readable JSON with a line end."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def places(tokens: list[str]) -> dict[str, int]:
    """Token to its place, each token once."""
    return {token: place for place, token in enumerate(dict.fromkeys(tokens))}


def make_marian_multi(folder: Path) -> None:
    """As the multilingual OPUS-MT folders: one vocabulary, language codes, </s> 0, <pad> last."""
    options = {"vocab_size": 350, "model_type": "unigram"}
    train(folder / "source.spm", SOURCE_WORDS, 1, rules=NORMALISED, **options)
    train(folder / "target.spm", TARGET_WORDS, 2, rules=NORMALISED, **options)
    both = pieces(folder / "source.spm") + pieces(folder / "target.spm")
    vocab = places(["</s>", "<unk>", *sorted(set(both)), ">>fra<<", ">>deu<<", "<pad>"])
    write_json(folder / "vocab.json", vocab)
    config = {"source_lang": "eng", "target_lang": "fra+deu", "model_max_length": 512}
    write_json(folder / "tokenizer_config.json", {**config, "tokenizer_class": "MarianTokenizer"})
    tokens = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    write_json(folder / "special_tokens_map.json", tokens)


def make_marian_separate(folder: Path) -> None:
    """Separate vocabularies, whose special tokens even have different ids, and are cut in text."""
    options = {"model_type": "bpe", "normalization_rule_name": "identity"}
    train(folder / "source.spm", SOURCE_WORDS, 3, vocab_size=300, **options)
    train(folder / "target.spm", TARGET_WORDS, 4, vocab_size=500, byte_fallback=True, **options)
    source = ["</s>", "<unk>", *pieces(folder / "source.spm"), ">>fra<<", "<pad>"]
    target = ["<pad>", "</s>", *pieces(folder / "target.spm"), "<unk>"]
    write_json(folder / "vocab.json", places(source))
    write_json(folder / "target_vocab.json", places(target))
    config = {
        "tokenizer_class": "MarianTokenizer",
        "separate_vocabs": True,
        "split_special_tokens": True,
    }
    write_json(folder / "tokenizer_config.json", config)


def make_marian_added(folder: Path) -> None:
    """Everything a configuration can say of added tokens, old style, and tidied spaces."""
    options = {"vocab_size": 250, "model_type": "unigram", "normalization_rule_name": "identity"}
    # Spaces stay, so that it shows which of them an added token eats.
    kept = {"user_defined_symbols": "guitar", "remove_extra_whitespaces": False}
    train(folder / "source.spm", SOURCE_WORDS, 5, **kept, **options)
    train(folder / "target.spm", SOURCE_WORDS, 6, **options)
    both = pieces(folder / "source.spm") + pieces(folder / "target.spm")
    vocab = places(["<pad>", "</s>", *sorted(set(both)), ">>fra<<", "<unk>"])
    write_json(folder / "vocab.json", vocab)
    config = {
        "tokenizer_class": "MarianTokenizer",
        "clean_up_tokenization_spaces": True,
        "additional_special_tokens": [">>fra<<"],
        "bos_token": "<s>",
    }
    write_json(folder / "tokenizer_config.json", config)
    flags = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False}
    tokens = {
        "eos_token": "</s>",
        "mask_token": {"content": "<mask>", **flags, "lstrip": True},
        "additional_special_tokens": [
            {"content": "<eat>", **flags, "lstrip": True, "rstrip": True},
            {"content": "<word>", **flags, "single_word": True},
        ],
    }
    write_json(folder / "special_tokens_map.json", tokens)
    # One added token begins another, so the longest match counts.
    write_json(folder / "added_tokens.json", {"<keep": len(vocab), "<keep>": len(vocab) + 1})
    # MarianTokenizer takes added tokens from a tokenizer.json too.
    token = {"id": len(vocab) + 2, "content": "<json>", **flags, "rstrip": True, "special": False}
    write_json(folder / "tokenizer.json", {"added_tokens": [token]})


def make_t5(folder: Path) -> None:
    """T5TokenizerFast converted from a unigram spiece.model, as T5 folders have it."""
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch, "spiece.model")
        ids = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
        options = {"vocab_size": 400, "model_type": "unigram"}
        train(model, SOURCE_WORDS + TARGET_WORDS, 7, rules=NORMALISED, **options, **ids)
        tokenizer = transformers.T5TokenizerFast(vocab_file=str(model))
        tokenizer.save_pretrained(folder)
    (folder / "spiece.model").unlink(missing_ok=True)


def make_fast_bpe(folder: Path) -> None:
    """A byte-level BPE; truncation and padding in the file, special tokens in the configuration."""
    rng = random.Random(8)
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=450,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    text = (sentence(rng, SOURCE_WORDS) for _ in range(1000))
    tokenizer.train_from_iterator(text, trainer)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=12)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": True,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
        "additional_special_tokens": [">>fra<<"],
        "split_special_tokens": True,
        # Added by id, not in this order; <mask> is special by its role alone.
        "added_tokens_decoder": {
            "452": {"content": "<word>", "single_word": True, "special": False},
            "450": {"content": "<keep>", "normalized": False, "special": False},
            "451": {"content": "<mask>", "normalized": False, "special": False},
        },
    }
    write_json(folder / "tokenizer_config.json", config)


def make_spiece(folder: Path) -> None:
    """As tools/reference writes it: a joint BPE whose ids are the model's."""
    ids = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
    words = SOURCE_WORDS + TARGET_WORDS
    options = {"vocab_size": 400, "model_type": "bpe", "character_coverage": 1.0}
    train(folder / "spiece.model", words, 9, **options, **ids)
    spm = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    config = {"model_type": "transformer", "vocab_size": len(spm), "eos_token_id": 2}
    write_json(folder / "config.json", config)


class SentencePieceOracle:
    """The sentencepiece library in the shape of a transformers tokenizer."""

    def __init__(self, folder: Path) -> None:
        self.spm = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": self.spm.encode(text, add_eos=True)}

    def __len__(self) -> int:
        return int(self.spm.get_piece_size())

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        special = {self.spm.pad_id(), self.spm.bos_id(), self.spm.eos_id(), self.spm.unk_id()}
        return str(self.spm.decode([i for i in ids if i < len(self) and i not in special]))


def train_both(path: Path, seed: int, **options: Any) -> None:
    """A SentencePiece model of both languages' words."""
    train(path, SOURCE_WORDS + TARGET_WORDS, seed, rules=NORMALISED, **options)


def make_family(make: Callable[..., None], *more: Any) -> Callable[[Path], None]:
    """`make` of tools/family_tokenizers.py with what it needs."""
    return lambda folder: make(folder, train_both, *more)


def make_bart(folder: Path) -> None:
    """A BART folder; see tools/family_tokenizers.py."""
    rng = random.Random(20)
    family_tokenizers.make_bart(folder, [sentence(rng, SOURCE_WORDS) for _ in range(2000)])


Oracle = Callable[[Path], Any]

FAMILIES: dict[str, tuple[Callable[[Path], None], Oracle]] = {
    "bart": (make_bart, transformers.BartTokenizerFast.from_pretrained),
    "pegasus": (
        make_family(family_tokenizers.make_pegasus),
        transformers.PegasusTokenizerFast.from_pretrained,
    ),
    "mbart": (
        make_family(family_tokenizers.make_mbart),
        transformers.MBartTokenizerFast.from_pretrained,
    ),
    "mbart50": (
        make_family(family_tokenizers.make_mbart50),
        transformers.MBart50TokenizerFast.from_pretrained,
    ),
    "nllb": (
        make_family(family_tokenizers.make_nllb),
        transformers.NllbTokenizerFast.from_pretrained,
    ),
    "m2m": (
        make_family(family_tokenizers.make_m2m, pieces),
        transformers.M2M100Tokenizer.from_pretrained,
    ),
}
SAVED = ("tokenizer_config.json",)


def numbered(
    name: str, seed: int, *keep: str, **options: Any
) -> tuple[Callable[[Path], None], Oracle]:
    """A folder without tokenizer.json and the class in transformers that needs none."""
    tokenizer_class = getattr(transformers, name)

    def make(folder: Path) -> None:
        family_tokenizers.make_numbered(folder, train_both, tokenizer_class, seed, keep, **options)

    return make, tokenizer_class.from_pretrained


NUMBERED = {
    "t5-numbered": numbered("T5Tokenizer", 31),
    "mt5-numbered": numbered("T5Tokenizer", 32, *SAVED, legacy=False, extra_ids=5),
    "pegasus-numbered": numbered("PegasusTokenizer", 33),
    "xlm-roberta-numbered": numbered("XLMRobertaTokenizer", 34),
    "mbart-numbered": numbered("MBartTokenizer", 35, *SAVED),
    "mbart50-numbered": numbered("MBart50Tokenizer", 36, "special_tokens_map.json"),
    "nllb-numbered": numbered("NllbTokenizer", 37, *SAVED),
}
FAMILIES |= NUMBERED
FOLDERS: dict[str, tuple[Callable[[Path], None], Oracle]] = {
    **FAMILIES,
    "marian-multi": (make_marian_multi, transformers.MarianTokenizer.from_pretrained),
    "marian-separate": (make_marian_separate, transformers.MarianTokenizer.from_pretrained),
    "marian-added": (make_marian_added, transformers.MarianTokenizer.from_pretrained),
    "t5": (make_t5, transformers.T5TokenizerFast.from_pretrained),
    "fast-bpe": (make_fast_bpe, transformers.PreTrainedTokenizerFast.from_pretrained),
    "spiece": (make_spiece, SentencePieceOracle),
}


def golden(name: str, oracle: Any, lines: list[str], every: int) -> dict[str, Any]:
    """What the oracle makes of every so many lines, and of 400 random sequences of ids."""
    lines = lines[::every]
    rng = random.Random(17)
    ids = [oracle(line)["input_ids"] for line in lines]
    known = len(oracle)
    # Special tokens are often among the first and the last ids; a few ids do not exist at all.
    beyond = 0 if name in NUMBERED else 3  # their oracles stop at an id that does not exist
    pools = [range(known), range(known), range(4), range(known - 12, known + beyond)]
    random_ids = [
        [rng.choice(rng.choice(pools)) for _ in range(rng.randint(0, 25))] for _ in range(400)
    ]
    return {
        "oracle": f"{type(oracle).__name__}, transformers {transformers.__version__}, "
        f"sentencepiece {sentencepiece.__version__}, tokenizers {tokenizers.__version__}",
        "every": every,
        "ids": ids,
        "source_ids": family_tokenizers.source_ids(oracle, lines[20::70]),
        "decoded": [oracle.decode(i, skip_special_tokens=True) for i in ids],
        "random_ids": random_ids,
        "random_decoded": [oracle.decode(i, skip_special_tokens=True) for i in random_ids],
    }


def write_gzip(path: Path, content: Any) -> None:
    """Compact JSON, compressed, without a time stamp so that the bytes repeat."""
    data = json.dumps(content, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(data, 9, mtime=0))


def main(output: Path, names: list[str]) -> None:
    """Write the folders of these names, or all, with their golden files."""
    lines = make_lines()
    assert len(lines) == 1000
    output.mkdir(parents=True, exist_ok=True)
    write_gzip(output / "lines.json.gz", lines)
    for name in names or FOLDERS:
        make, load_oracle = FOLDERS[name]
        folder = output / name
        folder.mkdir(exist_ok=True)
        make(folder)
        every = 4 if name in FAMILIES else 1
        write_gzip(folder / "golden.json.gz", golden(name, load_oracle(folder), lines, every))
        print(f"{name}: {sum(f.stat().st_size for f in folder.iterdir()):,} bytes")


if __name__ == "__main__":
    main(OUTPUT, sys.argv[1:])
