"""Makes the two small reference Transformers of tests/fixtures, which transformers does not know.

    python -m tools.make_reference_fixtures

Needs torch and optimum-onnx, which no test imports. tests/fixtures/transformer-prenorm is random;
golden/transformer_prenorm.npz holds its logits. tests/fixtures/transformer-ssru has a decoder of
simple recurrent units and has learnt a toy language; golden/transformer_ssru.npz holds the output
of each of its layers too, and golden/transformer_ssru.json what tools/reference/search.py finds.
"""

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tools import toy_language
from tools.reference.config import TransformerConfig
from tools.reference.export import export
from tools.reference.model import Transformer
from tools.reference.search import beam_search

FIXTURES_DIR = Path(__file__).resolve().parents[1] / "tests" / "fixtures"
NUM_NOISY_RUNS = 3
NOISE = 1e-4
"""Added to the last hidden states; a search that it changes is a near-tie and not recorded."""


def make_prenorm() -> Transformer:
    """A random pre-norm model."""
    torch.manual_seed(5)
    config = TransformerConfig(
        vocab_size=67,
        d_model=24,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=3,
        decoder_attention_heads=3,
        encoder_ffn_dim=40,
        decoder_ffn_dim=36,
        max_position_embeddings=32,
        normalize_before=True,
    )
    return with_random_vectors(Transformer(config).eval())


def make_ssru() -> Transformer:
    """A recurrent decoder, special ids as Firefox's models have them; sizes off every vector's."""
    torch.manual_seed(6)
    vocab_size = 203
    config = TransformerConfig(
        vocab_size=vocab_size,
        d_model=40,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=5,
        encoder_ffn_dim=52,
        decoder_ffn_dim=44,
        max_position_embeddings=40,
        layer_norm_eps=1e-6,
        pad_token_id=vocab_size - 1,
        bos_token_id=vocab_size - 1,
        eos_token_id=0,
        decoder_start_token_id=vocab_size - 1,
        decoder_kind="ssru",
    )
    model = with_random_vectors(Transformer(config).eval())
    language = toy_language.ToyLanguage(vocab_size, vocab_size, vocab_size - 1, seed=6)
    toy_language.teach(
        lambda sources, inputs: model.decoder.logits(
            model(sources, torch.ones_like(sources), inputs)
        ),
        model.parameters(),
        language,
        steps=800,
        max_length=16,
        start=vocab_size - 1,
    )
    return model


def with_random_vectors(model: Transformer) -> Transformer:
    """The same model, biases and layer norms random too, so that each matters."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model


@torch.no_grad()
def record_states(model: Transformer, path: Path, layers: bool) -> None:
    """source_0, decoder_input_0, logits_0 and, if asked for, {stack}_layer_{i}, [length, width]."""
    arrays: dict[str, Tensor] = {}
    hooks = []
    for stack in ("encoder", "decoder") if layers else ():
        for i, layer in enumerate(getattr(model, stack).layers):
            name = f"{stack}_layer_{i}"
            hooks.append(
                layer.register_forward_hook(
                    lambda layer, inputs, outputs, name=name: arrays.update({name: outputs[0][0]})
                )
            )
    size = model.config.vocab_size
    source, target = torch.randint(3, size, (1, 9)), torch.randint(3, size, (1, 6))
    logits = model.decoder.logits(model(source, torch.ones_like(source), target))[0]
    for hook in hooks:
        hook.remove()
    arrays |= {"source_0": source[0], "decoder_input_0": target[0], "logits_0": logits}
    np.savez_compressed(path, **{key: value.numpy() for key, value in arrays.items()})


def search_cases() -> list[dict]:
    """Names and options of the recorded searches."""
    plain = {"length_penalty": 1.0, "early_stopping": False, "max_length": 24}
    cases = [{"name": "greedy", "options": plain | {"num_beams": 1}}]
    for num_beams, penalty, max_length in ((2, 1.0, 24), (4, 0.0, 24), (4, 1.0, 24), (5, 2.0, 9)):
        options = {"num_beams": num_beams, "num_return_sequences": num_beams}
        options |= {"length_penalty": penalty, "max_length": max_length}
        name = f"beams-{num_beams}-penalty-{penalty}-max-{max_length}"
        cases.append({"name": name, "options": plain | options})
    return cases


def search(model: Transformer, source: list[int], options: dict) -> list[dict]:
    """The hypotheses of one source, best first."""
    ids = torch.tensor([source])
    settings = {key: options[key] for key in ("num_beams", "length_penalty", "max_length")}
    found = beam_search(model, ids, torch.ones_like(ids), **settings)[0]
    return [{"ids": h.ids, "score": h.score} for h in found]


def is_settled(model: Transformer, source: list[int], options: dict, found: list[dict]) -> bool:
    """Whether noise on the hidden states leaves the ids as they are."""
    noisy = copy.deepcopy(model)
    noisy.decoder.layer_norm.register_forward_hook(
        lambda layer, inputs, output: output + NOISE * (2 * torch.rand_like(output) - 1)
    )
    ids = [h["ids"] for h in found]
    runs = (search(noisy, source, options) for _ in range(NUM_NOISY_RUNS))
    return all([h["ids"] for h in run] == ids for run in runs)


def record_searches(model: Transformer, path: Path) -> None:
    """The searches in float64, without those that are near-ties."""
    model = copy.deepcopy(model).double()
    generator = torch.Generator().manual_seed(7)
    lengths, size = (1, 3, 6, 9, 14, 20, 27, 33), model.config.vocab_size
    sources = [
        [*torch.randint(1, size - 1, (n,), generator=generator).tolist(), 0] for n in lengths
    ]
    cases = []
    for case in search_cases():
        results = []
        for i, source in enumerate(sources):
            found = search(model, source, case["options"])
            if is_settled(model, source, case["options"], found):
                results.append({"source": i, "hypotheses": found})
        cases.append(case | {"results": results})
    lines = ",\n".join(f"  {json.dumps(case, separators=(',', ':'))}" for case in cases)
    path.write_text(f'{{\n "sources": {json.dumps(sources)},\n "cases": [\n{lines}\n ]\n}}\n')


def main() -> None:
    """Make both."""
    torch.set_num_threads(1)
    for name, make in (("transformer-prenorm", make_prenorm), ("transformer-ssru", make_ssru)):
        model, folder = make(), FIXTURES_DIR / name
        shutil.rmtree(folder, ignore_errors=True)
        export(model, folder)
        golden = FIXTURES_DIR / "golden" / name.replace("-", "_")
        recurs = model.config.decoder_kind == "ssru"
        record_states(model, golden.with_suffix(".npz"), layers=recurs)
        if recurs:
            record_searches(model, golden.with_suffix(".json"))


if __name__ == "__main__":
    main()
