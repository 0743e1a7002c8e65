"""Runs transformers' `generate` and keeps the results that no rounding can change.

A record of a golden JSON file is {"name", "options", "results"}: options in transformers' names,
to be laid over the folder's generation_config.json; results one per kept source, {"source": index,
"ids": n-best token ids without decoder start, end token and padding, "scores": sequences_scores}.
Greedy search has no scores in transformers; null stands for them.
"""

from __future__ import annotations

import random
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.generation import EncoderRepetitionPenaltyLogitsProcessor

# A case whose outcome changes under such noise on the logits is a near-tie and is not recorded.
NOISE = 1e-4
NUM_NOISY_RUNS = 2

Case = tuple[str, dict[str, Any]]


class Noise:
    """Adds uniform noise to the logits of a model while active."""

    def __init__(self, model: PreTrainedModel, size: float, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._size = size
        self._hook = model.register_forward_hook(self._add)

    def _add(self, module: Any, args: Any, output: Any) -> Any:
        noise = torch.rand(output.logits.shape, generator=self._generator)
        output.logits = output.logits + self._size * (2 * noise - 1)
        return output

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        self._hook.remove()


def whole_penalty(source: torch.Tensor, options: dict[str, Any]) -> dict[str, Any]:
    """Arguments that make encoder_repetition_penalty count for every beam.

    transformers gathers and scatters by the source ids [batch, s], so that of one source's beams it
    changes the first alone, and of several sources' those of the first source.
    """
    if "encoder_repetition_penalty" not in options:
        return {}
    ids = source.expand(options.get("num_beams", 1), -1)
    penalty = EncoderRepetitionPenaltyLogitsProcessor(options["encoder_repetition_penalty"], ids)
    return {"logits_processor": [penalty]}


def search(
    model: PreTrainedModel, source: list[int], options: dict[str, Any]
) -> tuple[list[list[int]], list[float] | None]:
    """Hypotheses of one source, best first, and their scores (None for greedy search)."""
    input_ids = torch.tensor([source])
    # transformers' beam search takes the number of logits from config.vocab_size, which for
    # separate tables is the source's.
    source_vocab_size = model.config.vocab_size
    model.config.vocab_size = model.lm_head.out_features
    try:
        output = model.generate(
            input_ids,
            attention_mask=torch.ones_like(input_ids),
            return_dict_in_generate=True,
            output_scores=True,
            **whole_penalty(input_ids, options),
            **options,
        )
    finally:
        model.config.vocab_size = source_vocab_size
    scores = getattr(output, "sequences_scores", None)
    end = options.get("eos_token_id", model.generation_config.eos_token_id)
    ids = [strip(model, row, end) for row in output.sequences.tolist()]
    return ids, None if scores is None else scores.tolist()


def strip(model: PreTrainedModel, row: list[int], end: int | list[int]) -> list[int]:
    """Without decoder start token, end token (one of several) and padding."""
    ends = end if isinstance(end, list) else [end]
    ids = row[1:]
    stops = [i for i, token in enumerate(ids) if token in ends]
    if stops:
        return ids[: stops[0]]
    while ids and ids[-1] == model.generation_config.pad_token_id:
        ids.pop()
    return ids


def fixed_cases(model: PreTrainedModel, sources: list[list[int]]) -> list[Case]:
    """Each option alone, with values that change the outcome of these sources."""
    greedy = [search(model, source, {"num_beams": 1})[0][0] for source in sources]
    second = sorted({ids[1] for ids in greedy if len(ids) > 1})
    first = sorted({ids[0] for ids in greedy if ids})
    pairs = [ids[1:3] for ids in greedy if len(ids) > 2]
    padding = [model.config.pad_token_id]
    cases: list[Case] = [("defaults", {})]
    for num_beams in (1, 2, 4, 5):
        cases.append((f"beams-{num_beams}", {"num_beams": num_beams}))
    for num_beams in (2, 4, 5):
        for count in {2, num_beams}:
            options = {"num_beams": num_beams, "num_return_sequences": count}
            cases.append((f"beams-{num_beams}-return-{count}", options))
    for penalty in (0.0, 0.6, 1.0, 2.0, -1.0):
        for early in (False, True, "never"):
            options = {"length_penalty": penalty, "early_stopping": early}
            name = f"length-penalty-{penalty}-early-{early}"
            cases.append((name, {"num_beams": 4, "num_return_sequences": 4, **options}))
    single: list[Case] = [
        ("min-length", {"min_length": 9}),
        ("min-new-tokens", {"min_new_tokens": 8}),
        ("max-length", {"max_length": 6}),
        ("max-length-1-token", {"max_length": 2}),
        ("max-new-tokens", {"max_new_tokens": 5}),
        ("max-new-tokens-no-forced-end", {"max_new_tokens": 5, "forced_eos_token_id": None}),
        ("no-forced-end", {"forced_eos_token_id": None}),
        ("forced-bos", {"forced_bos_token_id": 7}),
        ("suppress-tokens", {"suppress_tokens": second}),
        ("begin-suppress-tokens", {"begin_suppress_tokens": first}),
        ("bad-words-single", {"bad_words_ids": [padding, *([token] for token in second)]}),
        ("bad-words-multi", {"bad_words_ids": [padding, *pairs]}),
        ("bad-words-none", {"bad_words_ids": None, "suppress_tokens": padding}),
        ("two-end-tokens", {"eos_token_id": [model.config.eos_token_id, second[-1]]}),
        ("two-end-tokens-n-best", {"eos_token_id": [model.config.eos_token_id, second[0]]}),
        ("decoder-start", {"decoder_start_token_id": 5}),
        ("renormalize-off", {"renormalize_logits": False}),
        (
            "renormalize-off-suppress",
            {"renormalize_logits": False, "suppress_tokens": second},
        ),
    ]
    for name, options in single:
        for num_beams in (1, 4):
            n_best = {"num_return_sequences": num_beams} if name.endswith("n-best") else {}
            beams = {"num_beams": num_beams, **n_best}
            cases.append((f"{name}-beams-{num_beams}", beams | options))
    return cases


def penalty_cases(num_beams: int) -> list[Case]:
    """The processors that look at what was generated, and at the source, alone and together."""
    options: tuple[dict[str, Any], ...] = (
        {"no_repeat_ngram_size": 1},
        {"no_repeat_ngram_size": 2},
        {"no_repeat_ngram_size": 3, "min_length": 16},
        {"repetition_penalty": 1.4},
        {"repetition_penalty": 0.7},
        {"repetition_penalty": 1.3, "renormalize_logits": True},
        {"encoder_repetition_penalty": 1.5},
        {"encoder_repetition_penalty": 0.6, "repetition_penalty": 1.2},
        {"encoder_no_repeat_ngram_size": 1, "renormalize_logits": False},
        {"encoder_no_repeat_ngram_size": 2, "no_repeat_ngram_size": 2, "repetition_penalty": 1.1},
        {"repetition_penalty": 1.5, "suppress_tokens": [5, 9, 17], "renormalize_logits": True},
        {"repetition_penalty": 2.0, "encoder_repetition_penalty": 2.0, "no_repeat_ngram_size": 2},
    )
    n_best = {"num_beams": num_beams, "num_return_sequences": num_beams}
    return [
        (f"penalties-{number}-beams-{num_beams}", n_best | case)
        for number, case in enumerate(options)
    ]


def random_cases(
    model: PreTrainedModel, sources: list[list[int]], count: int, seed: int
) -> list[Case]:
    """Combinations of options, each option present in about one case of three."""
    rng = random.Random(seed)
    greedy = [search(model, source, {"num_beams": 1})[0][0] for source in sources]
    often = sorted({token for ids in greedy for token in ids[:4]})
    pairs = [ids[i : i + 2] for ids in greedy for i in range(0, len(ids) - 1, 2)]
    limit = model.generation_config.max_length
    choices = {
        "length_penalty": lambda: rng.choice([0.0, 0.6, 1.0, 1.3, 2.0]),
        "early_stopping": lambda: rng.choice([False, True, "never"]),
        "min_length": lambda: rng.randint(3, 10),
        "max_length": lambda: rng.randint(5, limit),
        "min_new_tokens": lambda: rng.randint(2, 9),
        "eos_token_id": lambda: [model.config.eos_token_id, rng.choice(often)],
        "suppress_tokens": lambda: rng.sample(often, min(3, len(often))),
        "begin_suppress_tokens": lambda: rng.sample(often, min(2, len(often))),
        "bad_words_ids": lambda: [
            *rng.sample(pairs, min(2, len(pairs))),
            [rng.choice(often)],
            [model.config.pad_token_id],
        ],
        "renormalize_logits": lambda: rng.choice([False, True]),
        "forced_eos_token_id": lambda: rng.choice([None, model.config.eos_token_id]),
        "forced_bos_token_id": lambda: rng.choice(often),
    }
    cases: list[Case] = []
    for i in range(count):
        num_beams = (1, 2, 4, 5)[i % 4]
        options: dict[str, Any] = {"num_beams": num_beams}
        options["num_return_sequences"] = rng.randint(1, num_beams)
        for name, choose in choices.items():
            beam_only = name in ("length_penalty", "early_stopping")
            if rng.random() < 0.35 and not (beam_only and num_beams == 1):
                options[name] = choose()
        # A first token both forced and suppressed has no meaning to compare.
        if options.get("forced_bos_token_id") not in options.get("suppress_tokens", ()):
            cases.append((f"random-{i}", options))
    return cases


def record(
    model: PreTrainedModel, sources: list[list[int]], cases: list[Case]
) -> list[dict[str, Any]]:
    """The searches whose ids are the same in float64 and under noise; see the module."""
    found = [[search(model, source, options) for source in sources] for _, options in cases]
    model.double()
    records: list[dict[str, Any]] = []
    dropped = 0
    for (name, options), outcomes in zip(cases, found, strict=True):
        results = []
        for i, (source, (ids, scores)) in enumerate(zip(sources, outcomes, strict=True)):
            # -1e9 is transformers' mark of a place that stayed empty. Padding that is generated
            # cannot be told from padding that fills.
            empty = scores and min(scores) < -1e6
            padded = any(model.config.pad_token_id in hypothesis for hypothesis in ids)
            if empty or padded or not is_safe(model, source, options, ids):
                dropped += 1
                continue
            rounded = None if scores is None else [round(score, 6) for score in scores]
            results.append({"source": i, "ids": ids, "scores": rounded})
        if results:
            records.append({"name": name, "options": options, "results": results})
    model.float()
    kept = sum(len(record["results"]) for record in records)
    print(f"  kept {kept} searches, dropped {dropped}")
    return records


def is_safe(
    model: PreTrainedModel, source: list[int], options: dict[str, Any], ids: list[list[int]]
) -> bool:
    """Whether `model`, in float64 and with noise on the logits, still gives `ids`."""
    for seed in range(NUM_NOISY_RUNS):
        with Noise(model, NOISE, seed):
            if search(model, source, options)[0] != ids:
                return False
    return True
