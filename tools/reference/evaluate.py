"""BLEU of a model folder on Multi30k.

    python -m tools.reference.evaluate tests/fixtures/multi30k-en-de

prints, for each test set, the figure of the literature (lowercased, Moses-tokenised) and plain
sacreBLEU with its signature.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import sacrebleu
import sentencepiece
import torch
from sacremoses import MosesTokenizer
from tqdm import tqdm

from tools.reference.data import pad, read_lines
from tools.reference.folder import load_folder
from tools.reference.model import Transformer
from tools.reference.search import beam_search

TEST_SETS = ("test_2016_flickr", "test_2017_flickr", "test_2017_mscoco")
BATCH_SENTENCES = 50


def lowercased_bleu(hypotheses: list[str], references: list[str]) -> float:
    """BLEU of lowercased text in Moses tokens, as the Multi30k literature reports it."""
    tokenizer = MosesTokenizer("de")

    def prepare(lines: list[str]) -> list[str]:
        return [tokenizer.tokenize(line.lower(), return_str=True, escape=False) for line in lines]

    bleu = sacrebleu.BLEU(tokenize="none", force=True)
    return bleu.corpus_score(prepare(hypotheses), [prepare(references)]).score


def plain_bleu(hypotheses: list[str], references: list[str]) -> tuple[float, str]:
    """sacreBLEU with its defaults, and its signature."""
    bleu = sacrebleu.BLEU()
    score = bleu.corpus_score(hypotheses, [references]).score
    return score, str(bleu.get_signature())


def pytorch_translate(
    model: Transformer, tokenizer: sentencepiece.SentencePieceProcessor, **options
) -> Callable[[list[str]], list[str]]:
    """A function from sentences to translations; `options` are those of `beam_search`."""

    def translate(sentences: list[str]) -> list[str]:
        ids = tokenizer.encode(sentences, add_eos=True)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        translations = [""] * len(ids)
        for start in tqdm(range(0, len(order), BATCH_SENTENCES), disable=None, leave=False):
            rows = order[start : start + BATCH_SENTENCES]
            batch = pad([ids[i] for i in rows])
            found = beam_search(model, batch, (batch != 0).long(), **options)
            for i, hypotheses in zip(rows, found, strict=True):
                translations[i] = tokenizer.decode(hypotheses[0].ids)
        return translations

    return translate


def default_engine() -> str:
    """Ours where it is installed, else PyTorch."""
    try:
        import pyengine  # noqa: F401
    except ImportError:
        return "pytorch"
    return "pyengine"


def folder_translate(folder: Path, engine: str, num_beams: int) -> Callable[[list[str]], list[str]]:
    """Translate with the folder, by our engine or by the PyTorch model read back from it."""
    if engine == "pyengine":
        import pyengine

        translator = pyengine.Translator(folder, threads=1)
        return lambda sentences: translator.translate(sentences, split=False, num_beams=num_beams)
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    penalty = json.loads((folder / "generation_config.json").read_text())["length_penalty"]
    return pytorch_translate(
        load_folder(folder), tokenizer, num_beams=num_beams, length_penalty=penalty
    )


def report(translate: Callable[[list[str]], list[str]], data: Path, splits) -> None:
    """Print both figures of each split."""
    for split in splits:
        hypotheses = translate(read_lines(data / f"{split}.en.gz"))
        references = read_lines(data / f"{split}.de.gz")
        score, signature = plain_bleu(hypotheses, references)
        lowercased = lowercased_bleu(hypotheses, references)
        print(f"{split}: lowercased Moses {lowercased:.2f}, sacreBLEU {score:.2f} ({signature})")


def main() -> None:
    """Evaluate a folder."""
    parser = argparse.ArgumentParser(description="BLEU of a model folder on Multi30k.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/multi30k"))
    parser.add_argument("--engine", choices=("pyengine", "pytorch"), default=default_engine())
    parser.add_argument("--num-beams", type=int, default=5)
    parser.add_argument("--splits", nargs="+", default=TEST_SETS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    translate = folder_translate(arguments.folder, arguments.engine, arguments.num_beams)
    report(translate, arguments.data, arguments.splits)


if __name__ == "__main__":
    main()
