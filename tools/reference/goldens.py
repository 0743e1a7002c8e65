"""Golden decodings of the committed model by transformers' `generate()`.

    python -m tools.reference.goldens tests/fixtures/multi30k-en-de tests/fixtures/golden

writes multi30k_search.json and multi30k_processors.json. A sentence is left out of a case when
the search, run in float64, had to choose between candidates closer than 1e-4.
"""

import argparse
import json
from pathlib import Path

import sentencepiece
import torch
from transformers import GenerationConfig, MarianMTModel

from tools.reference.folder import load_folder
from tools.reference.golden_cases import PROCESSOR_CASES, SEARCH_CASES, SENTENCES
from tools.reference.marian import to_marian
from tools.reference.model import Transformer
from tools.reference.onnx_check import difference

CLOSE = 1e-4
"""Candidates nearer than this (in nats) may swap places between two correct engines."""


class MarginMarian(MarianMTModel):
    """Remembers the smallest gap between neighbouring candidates of beam search."""

    margin = float("inf")

    def _get_top_k_continuations(self, *, accumulated_log_probs, beams_to_keep, **options):
        values = accumulated_log_probs.topk(beams_to_keep + 1).values
        self.margin = min(self.margin, smallest_gap(values))
        return super()._get_top_k_continuations(
            accumulated_log_probs=accumulated_log_probs, beams_to_keep=beams_to_keep, **options
        )


def smallest_gap(values: torch.Tensor) -> float:
    """Smallest difference of neighbours in a descending [1, n], those of -inf apart."""
    gaps = values[:, :-1] - values[:, 1:]
    return gaps[gaps.isfinite()].min().item() if gaps.isfinite().any() else float("inf")


def strip(ids: list[int], config) -> list[int]:
    """The generated ids without start, end and padding."""
    special = (config.eos_token_id, config.pad_token_id)
    return [i for i in ids[1:] if i not in special]


def generate(model: MarginMarian, source: list[int], options: dict) -> tuple[list[dict], float]:
    """Hypotheses of one sentence, best first, and the smallest margin of the search."""
    config = model.config
    settings = GenerationConfig(
        decoder_start_token_id=config.decoder_start_token_id,
        pad_token_id=config.pad_token_id,
        eos_token_id=config.eos_token_id,
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
        **options,
    )
    model.margin = float("inf")
    out = model.generate(torch.tensor([source]), generation_config=settings)
    if settings.num_beams == 1:
        return greedy_result(out, settings, config)
    scores = out.sequences_scores
    margin = min(model.margin, smallest_gap(scores[None]))
    rows = zip(out.sequences.tolist(), scores.tolist(), strict=True)
    return [{"ids": strip(ids, config), "score": score} for ids, score in rows], margin


def greedy_result(out, settings: GenerationConfig, config) -> tuple[list[dict], float]:
    """Greedy search with the score that beam search would give, which transformers leaves out.

    The score adds up the log-softmax of the raw logits, 0 for a forced token.
    """
    total, margin = 0.0, float("inf")
    tokens = out.sequences[0, 1:].tolist()
    for token, logits, processed in zip(tokens, out.logits, out.scores, strict=True):
        forced = processed[0].isfinite().sum() == 1
        total += 0.0 if forced else logits[0].log_softmax(-1)[token].item()
        margin = min(margin, smallest_gap(processed.topk(2).values))
    score = total / len(tokens) ** settings.length_penalty
    return [{"ids": strip(out.sequences[0].tolist(), config), "score": score}], margin


def run_case(model: MarginMarian, sources: list[list[int]], case: dict) -> dict:
    """One option set over all sentences."""
    results = []
    for i, source in enumerate(sources):
        hypotheses, margin = generate(model, source, case["options"])
        if margin >= CLOSE:
            results.append({"source": i, "hypotheses": hypotheses})
    return case | {"results": results}


@torch.no_grad()
def check_oracle(model: Transformer, marian: MarianMTModel, sources: list[list[int]]) -> None:
    """Teacher-forced logits of both models agree.

    Raises:
        ValueError: they differ by more than 1e-5 of the largest.
    """
    for source in sources:
        ids = torch.tensor([source])
        expected = marian(input_ids=ids, decoder_input_ids=ids).logits
        actual = model.decoder.logits(model(ids, torch.ones_like(ids), ids))
        if difference(actual, expected) > 1e-5:
            raise ValueError(f"logits differ by {difference(actual, expected):.1e}")


def write(path: Path, sources: list[dict], cases: list[dict]) -> None:
    """JSON with one sentence of a case on a line."""
    content = {"model": "multi30k-en-de", "sources": sources, "cases": cases}
    text = json.dumps(content, ensure_ascii=False)
    for mark in ('{"source"', '{"text"', '{"name"'):
        text = text.replace(mark, "\n" + mark)
    path.write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Write both golden files."""
    parser = argparse.ArgumentParser(description="Golden decodings by transformers' generate().")
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_folder(arguments.folder)
    tokenizer = sentencepiece.SentencePieceProcessor(
        model_file=str(arguments.folder / "spiece.model")
    )
    sources = [{"text": text, "ids": tokenizer.encode(text, add_eos=True)} for text in SENTENCES]
    ids = [source["ids"] for source in sources]
    oracle = to_marian(model, MarginMarian)
    check_oracle(model, oracle, ids)
    oracle.double()
    for name, cases in (("search", SEARCH_CASES), ("processors", PROCESSOR_CASES)):
        results = [run_case(oracle, ids, case) for case in cases]
        write(arguments.out / f"multi30k_{name}.json", sources, results)
        kept = sum(len(case["results"]) for case in results)
        print(f"multi30k_{name}.json: {kept} of {len(ids) * len(cases)} decodings recorded")


if __name__ == "__main__":
    main()
