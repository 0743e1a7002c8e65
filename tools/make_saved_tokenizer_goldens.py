"""Make tests/fixtures/saved_tokenizers: the tokenizer folders as transformers 5 saves them.

    python -m tools.make_saved_tokenizer_goldens [NAME ...]

Needs transformers 5.24. Loads a tokenizer folder of the fixtures, adds tokens to some, saves it,
and records the files that came of it and what the saved tokenizer makes of lines and of random ids.
Each NAME.json.gz holds {"oracle", "fixture": the folder that it was loaded from, "files": {name:
text}, "copied": names of the fixture's files that were saved as they are, "ids": lists, "decoded":
their texts, "random_ids": 500 lists, "random_decoded": their texts}. Ids are those that the
tokenizer knows. The lines are in lines.json.gz.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parent / "tests" / "fixtures"
TOKENIZERS = FIXTURES / "tokenizers"
OUTPUT = FIXTURES / "saved_tokenizers"

CLASSES = {
    "tokenizers/bart": "BartTokenizer",
    "tokenizers/pegasus": "PegasusTokenizer",
    "tokenizers/mbart": "MBartTokenizer",
    "tokenizers/mbart50": "MBart50Tokenizer",
    "tokenizers/nllb": "NllbTokenizer",
    "tokenizers/t5": "T5Tokenizer",
    "tokenizers/xlm-roberta-numbered": "XLMRobertaTokenizer",
    "tokenizers/fast-bpe": "PreTrainedTokenizerFast",
    "tokenizers/m2m": "M2M100Tokenizer",
    "tokenizers/marian-multi": "MarianTokenizer",
    "tokenizers/marian-added": "MarianTokenizer",
    "bert-cls": "AutoTokenizer",
}


def add_special(tokenizer: Any) -> None:
    """Special tokens beside those of the folder, as a user adds them before fine-tuning."""
    tokens = ["<zz>", transformers.AddedToken("<strip>", lstrip=True, rstrip=True)]
    tokenizer.add_special_tokens(
        {"extra_special_tokens": tokens}, replace_extra_special_tokens=False
    )


def add_plain(tokenizer: Any) -> None:
    """Tokens that decoding keeps, with every flag."""
    strips = transformers.AddedToken("<strip>", lstrip=True, rstrip=True)
    alone = transformers.AddedToken("wordy", single_word=True)
    tokenizer.add_tokens(["<zz>", strips, alone])


def nothing(tokenizer: Any) -> None:
    """Leave the tokenizer as it is."""


Change = Callable[[Any], None]
CASES: dict[str, tuple[str, Change]] = {
    **{name.split("/")[-1].removesuffix("-numbered"): (name, nothing) for name in CLASSES},
    **{f"{name}-special": (f"tokenizers/{name}", add_special) for name in ("m2m", "marian-multi")},
    **{f"{name}-plain": (f"tokenizers/{name}", add_plain) for name in ("m2m", "marian-multi")},
    "t5-special": ("tokenizers/t5", add_special),
    "bart-plain": ("tokenizers/bart", add_plain),
}


def with_added_tokens(lines: list[str]) -> list[str]:
    """Every twentieth line, with the added tokens dropped in."""
    return [
        line.replace(" ", " <zz> ", 1).replace("e", "<strip> ", 1) + " wordy <zz>wordy."
        for line in lines[::20]
    ]


def saved(fixture: Path, kind: str, change: Change, folder: Path) -> Any:
    """The tokenizer of a fixture, changed, saved to ``folder`` and loaded from there."""
    tokenizer_class = getattr(transformers, kind)
    tokenizer = tokenizer_class.from_pretrained(fixture)
    change(tokenizer)
    tokenizer.save_pretrained(folder)
    return tokenizer_class.from_pretrained(folder)


def golden(name: str, lines: list[str]) -> dict[str, Any]:
    """The content of NAME.json.gz."""
    source, change = CASES[name]
    fixture = FIXTURES / source
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        oracle = saved(fixture, CLASSES[source], change, folder)
        paths = sorted(folder.iterdir())
        copied = [p.name for p in paths if _is_copy(p, fixture / p.name)]
        files = {p.name: _shortened(p) for p in paths if p.name not in copied}
    rng = random.Random(23)
    known = len(oracle)
    pools = [range(known), range(known), range(4), range(known - 12, known)]
    random_ids = [
        [rng.choice(rng.choice(pools)) for _ in range(rng.randint(0, 25))] for _ in range(500)
    ]
    ids = [oracle(line)["input_ids"] for line in lines]
    return {
        "oracle": f"{type(oracle).__name__}, transformers {transformers.__version__}",
        "fixture": source,
        "files": files,
        "copied": copied,
        "ids": ids,
        "decoded": [oracle.decode(i, skip_special_tokens=True) for i in ids],
        "random_ids": random_ids,
        "random_decoded": [oracle.decode(i, skip_special_tokens=True) for i in random_ids],
    }


def _is_copy(path: Path, original: Path) -> bool:
    return original.is_file() and original.read_bytes() == path.read_bytes()


def _shortened(path: Path) -> str:
    """The same JSON without line breaks."""
    return json.dumps(json.loads(path.read_text("utf-8")), separators=(",", ":"))


def write_gzip(path: Path, content: Any) -> None:
    """Compact JSON, compressed, without a time stamp so that the bytes repeat."""
    data = json.dumps(content, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(data, 9, mtime=0))


def main(names: list[str]) -> None:
    """Write the files of these names, or all."""
    lines = json.loads(gzip.decompress((TOKENIZERS / "lines.json.gz").read_bytes()))
    chosen = [*lines[::5], *with_added_tokens(lines)]
    OUTPUT.mkdir(exist_ok=True)
    write_gzip(OUTPUT / "lines.json.gz", chosen)
    for name in names or CASES:
        write_gzip(OUTPUT / f"{name}.json.gz", golden(name, chosen))


if __name__ == "__main__":
    main(sys.argv[1:])
