"""Makes the small random models of tests/fixtures and records what transformers says about them.

    python -m tools.make_fixtures [NAME ...]

Needs torch, transformers and optimum-onnx, which no test imports. Each entry of FIXTURES becomes a
folder tests/fixtures/NAME as `optimum-cli export onnx` writes it and two files in
tests/fixtures/golden: NAME.npz with teacher-forced logits and NAME.json with searches (see
tools/golden_search.py). A family is added as one more entry with its own `make`. The reference
Transformers, which transformers does not know, are made by tools/make_reference_fixtures.py.
"""

import argparse
import copy
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from optimum.exporters.onnx import onnx_export_from_model
from transformers import GenerationConfig, MarianConfig, MarianMTModel, PreTrainedModel

from tools import decoder_fixtures, dynamo_export, encoder_fixtures, golden_search, toy_language
from tools.family_fixtures import FAMILY_FIXTURES
from tools.fixture import MERGED, SPLIT, TWO, Fixture, randomize, stack_sizes

FIXTURES_DIR = Path(__file__).resolve().parents[1] / "tests" / "fixtures"


def make_marian(config: dict[str, Any]) -> MarianMTModel:
    """A MarianMT model whose every parameter matters: random biases, norms and final bias."""
    marian_config = MarianConfig(**config)
    model = MarianMTModel(marian_config).eval()
    width = marian_config.d_model
    if not marian_config.share_encoder_decoder_embeddings:  # transformers sizes it as the source's
        num_targets = marian_config.decoder_vocab_size
        model.model.decoder.embed_tokens = torch.nn.Embedding(num_targets, width)
    randomize(model, width)
    return model


def opus_config(vocab_size: int, **fields: Any) -> dict[str, Any]:
    """Marian fields as OPUS-MT folders have them: end is 0, padding the last id and the start."""
    special = {"eos_token_id": 0, "forced_eos_token_id": 0}
    padding = {"pad_token_id": vocab_size - 1, "decoder_start_token_id": vocab_size - 1}
    return {"vocab_size": vocab_size, "scale_embedding": True, **special, **padding, **fields}


OPUS_GENERATION = {
    "num_beams": 4,
    "renormalize_logits": True,
    "bad_words_ids": [[210]],
    "forced_eos_token_id": 0,
    "max_length": 24,
}

FIXTURES = (
    Fixture(  # as an OPUS-MT folder: three files, tied tables, swish, its generation_config.json
        name="marian-split",
        make=make_marian,
        config=opus_config(
            211,
            d_model=32,
            max_position_embeddings=40,
            activation_function="swish",
            **stack_sizes((2, 2), (4, 4), (64, 64)),
        ),
        generation=OPUS_GENERATION,
        files=SPLIT,
        fixed_cases=True,
        random_cases=40,
        seed=1,
    ),
    Fixture(  # onnx/ with a merged decoder, unequal stacks, ReLU, embeddings not scaled
        name="marian-merged",
        make=make_marian,
        config=opus_config(
            203,
            d_model=48,
            max_position_embeddings=48,
            activation_function="relu",
            **{"scale_embedding": False},
            **stack_sizes((3, 2), (2, 2), (64, 56)),
        ),
        generation={"num_beams": 1, "max_length": 20},
        files=MERGED,
        subfolder="onnx",
        seed=2,
    ),
    Fixture(  # external data, separate tables of unequal sizes, more than 1024 target tokens
        name="marian-external",
        make=make_marian,
        config=opus_config(
            150,
            decoder_vocab_size=1100,
            share_encoder_decoder_embeddings=False,
            tie_word_embeddings=False,
            d_model=24,
            max_position_embeddings=32,
            activation_function="relu",
            **stack_sizes((1, 2), (3, 3), (40, 48)),
        ),
        generation={"num_beams": 2, "max_length": 16, "forced_eos_token_id": 0},
        files=TWO,
        external_data=True,
        seed=3,
    ),
    Fixture(  # sizes that fit no vector width: hidden 72, heads of 24, ffn 77; GELU with erf
        name="marian-odd",
        make=make_marian,
        config=opus_config(
            131,
            d_model=72,
            max_position_embeddings=37,
            activation_function="gelu",
            **stack_sizes((1, 1), (3, 3), (90, 77)),
        ),
        generation={"num_beams": 4, "max_length": 18, "length_penalty": 0.6},
        files=TWO,
        seed=4,
    ),
    Fixture(  # by torch's newer exporter, whose nodes name no modules
        name="marian-dynamo",
        make=make_marian,
        config=opus_config(
            101,
            d_model=24,
            max_position_embeddings=40,
            activation_function="gelu",
            **stack_sizes((2, 1), (2, 2), (40, 37)),
        ),
        generation={"num_beams": 3, "max_length": 20},
        files=TWO,
        seed=5,
        dynamo=True,
    ),
    *FAMILY_FIXTURES,
)

# The models of one stack that are there by torch's newer exporter too, and the opsets.
DYNAMO = {"xlm-roberta-cls": None, "llama-tied": 23}


def make_padding_likely(model: PreTrainedModel, sources: list[list[int]]) -> None:
    """Gives padding about a fifth of the first token's probability, so that forbidding it shows."""
    padding = model.config.pad_token_id
    shifts = []
    for source in sources:
        start = torch.tensor([[model.config.decoder_start_token_id]])
        with torch.no_grad():
            logits = model(torch.tensor([source]), decoder_input_ids=start).logits[0, 0]
        shifts.append(logits.logsumexp(0) - logits[padding] - np.log(4))
    model.final_logits_bias[0, padding] += torch.stack(shifts).median()


def export(fixture: Fixture, model: PreTrainedModel, folder: Path) -> None:
    """Writes tests/fixtures/NAME: config.json, generation_config.json and the chosen ONNX files."""
    place = folder / fixture.subfolder
    place.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        exported = Path(name)
        if fixture.dynamo:
            dynamo_export.export_pair(model, exported)
            model.config.save_pretrained(exported)
            model.generation_config.save_pretrained(exported)
        else:
            task = "text2text-generation-with-past"
            onnx_export_from_model(model, exported, task=task, do_validation=False)
        for stem in fixture.files:
            proto = onnx.load(exported / f"{stem}.onnx")
            options: dict[str, Any] = {}
            if fixture.external_data:
                options = {"save_as_external_data": True, "location": f"{stem}.onnx_data"}
            onnx.save(proto, place / f"{stem}.onnx", **options)
        for stem in ("config", "generation_config"):
            shutil.copy(exported / f"{stem}.json", folder / f"{stem}.json")


def source_sentences(fixture: Fixture, lengths: tuple[int, ...]) -> list[list[int]]:
    """Random source ids with the end token last, one of each length (end token included)."""
    rng = np.random.default_rng(fixture.seed)
    eos, vocab_size = fixture.config["eos_token_id"], fixture.config["vocab_size"]
    low = fixture.first_id
    return [[*rng.integers(low, vocab_size - 1, n - 1).tolist(), eos] for n in lengths]


def record_logits(fixture: Fixture, model: PreTrainedModel, path: Path) -> None:
    """source_K [s], decoder_input_K [t] and logits_K [t, vocab_size] float32 for K = 0, 1."""
    rng = np.random.default_rng(fixture.seed + 100)
    arrays: dict[str, np.ndarray] = {}
    num_logits = model.lm_head.out_features
    for k, (source, num_targets) in enumerate(
        zip(source_sentences(fixture, (6, 13)), (5, 3), strict=True)
    ):
        start, low = model.config.decoder_start_token_id, fixture.first_id
        targets = [start, *rng.integers(low, num_logits - 1, num_targets - 1).tolist()]
        with torch.no_grad():
            output = model(torch.tensor([source]), decoder_input_ids=torch.tensor([targets]))
        arrays[f"source_{k}"] = np.array(source, np.int32)
        arrays[f"decoder_input_{k}"] = np.array(targets, np.int32)
        arrays[f"logits_{k}"] = output.logits[0].numpy()
    np.savez_compressed(path, **arrays)


def build(fixture: Fixture) -> None:
    """Writes the folder and the golden files of one fixture."""
    torch.manual_seed(fixture.seed)
    model = fixture.make(fixture.config)
    special = ("decoder_start_token_id", "eos_token_id", "pad_token_id")
    tokens = {name: fixture.config[name] for name in special}
    model.generation_config = GenerationConfig(**tokens, **fixture.generation)
    padding = fixture.config["pad_token_id"]
    sizes = (fixture.config["vocab_size"], model.lm_head.out_features, padding)
    end, first = fixture.config["eos_token_id"], fixture.first_id
    language = toy_language.ToyLanguage(*sizes, fixture.seed, end, first)
    toy_language.teach(
        lambda sources, inputs: model(sources, decoder_input_ids=inputs).logits,
        model.parameters(),
        language,
        fixture.lessons,
        fixture.generation["max_length"] * 2 // 3,
        fixture.config["decoder_start_token_id"],
    )
    sources = source_sentences(fixture, (1, 4, 9, 31))
    if "bad_words_ids" in fixture.generation:
        make_padding_likely(model, sources)
    folder = FIXTURES_DIR / fixture.name
    golden = FIXTURES_DIR / "golden" / fixture.name.replace("-", "_")
    golden.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        # A copy, since the exporter leaves T5's configuration changed.
        export(fixture, copy.deepcopy(model), Path(name, fixture.name))
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(Path(name, fixture.name), folder)
    record_logits(fixture, model, golden.with_suffix(".npz"))
    cases = golden_search.random_cases(model, sources, fixture.random_cases, fixture.seed)
    if fixture.fixed_cases:
        cases = golden_search.fixed_cases(model, sources) + cases
    records = golden_search.record(model, sources, cases)
    lines = ",\n".join(f"  {json.dumps(record, separators=(',', ':'))}" for record in records)
    golden.with_suffix(".json").write_text(
        f'{{\n "sources": {json.dumps(sources)},\n "cases": [\n{lines}\n ]\n}}\n'
    )


def build_dynamo(name: str) -> None:
    """Writes NAME-dynamo: the model of a fixture of one stack by the other exporter."""
    encoders = {f.name: f for f in encoder_fixtures.ENCODERS}
    decoders = {f.name: f for f in decoder_fixtures.DECODERS}
    if name in encoders:
        dynamo_export.build(name, encoder_fixtures.make_model(encoders[name]), DYNAMO[name])
    else:
        dynamo_export.build(name, decoder_fixtures.make_model(decoders[name]), DYNAMO[name])


def main() -> None:
    """Builds the fixtures named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="default: all")
    torch.set_num_threads(1)
    makers: dict[str, Callable[[], None]] = {
        **{fixture.name: partial(build, fixture) for fixture in FIXTURES},
        **{f.name: partial(encoder_fixtures.build, f) for f in encoder_fixtures.ENCODERS},
        **{f.name: partial(decoder_fixtures.build, f) for f in decoder_fixtures.DECODERS},
        **{f"{name}-dynamo": partial(build_dynamo, name) for name in DYNAMO},
    }
    names = parser.parse_args().names or [*makers]
    for name, make in makers.items():
        if name in names:
            print(f"{name} ...", flush=True)
            make()


if __name__ == "__main__":
    main()
