#!/usr/bin/env bash
# ctranslate2 4.8.5
#
# Expected: a hypothesis has the same score whether alternatives at a position are asked for or not, and the list of them
# is in the order of the scores.
# Seen: with return_alternatives the log-probability of the first free token is added whole to the mean over the others,
# so that the same tokens score much lower, and the list is in the order of that token alone.
# Why it matters: people who take the list's first entries, or compare its scores with those of beam search or a limit
# for confidence, pick worse translations or drop good ones.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ctranslate2==4.8.5 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import ctranslate2
import numpy as np
from ctranslate2.specs.transformer_spec import TransformerSpec

WIDTH, WORDS = 16, 20
random = np.random.default_rng(1)


def linear(layer: object, inputs: int, outputs: int) -> None:
    layer.weight = random.normal(size=(outputs, inputs)).astype(np.float32) / 2
    layer.bias = np.zeros(outputs, np.float32)


def norm(layer: object) -> None:
    layer.gamma, layer.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)


spec = TransformerSpec.from_config(1, 2)
for half in (spec.encoder, spec.decoder):
    embeddings = half.embeddings[0] if isinstance(half.embeddings, list) else half.embeddings
    embeddings.weight = random.normal(size=(WORDS, WIDTH)).astype(np.float32)
    half.scale_embeddings = True
    norm(half.layer_norm)
    for layer in half.layer:
        attentions = [(layer.self_attention, (3 * WIDTH, WIDTH))]
        if half is spec.decoder:
            attentions.append((layer.attention, (WIDTH, 2 * WIDTH, WIDTH)))
        for attention, sizes in attentions:
            norm(attention.layer_norm)
            for part, size in zip(attention.linear, sizes, strict=True):
                linear(part, WIDTH, size)
        norm(layer.ffn.layer_norm)
        linear(layer.ffn.linear_0, WIDTH, 2 * WIDTH)
        linear(layer.ffn.linear_1, 2 * WIDTH, WIDTH)
linear(spec.decoder.projection, WIDTH, WORDS)
vocabulary = ["<unk>", "<s>", "</s>", *(f"w{number}" for number in range(WORDS - 3))]
spec.register_source_vocabulary(vocabulary)
spec.register_target_vocabulary(vocabulary)
spec.validate()
spec.save(".")

translator = ctranslate2.Translator(".", compute_type="float32")
call = dict(source=[["w1", "w2", "w3", "</s>"]], target_prefix=[["w4"]], return_scores=True, max_decoding_length=12)
[plain] = translator.translate_batch(**call, beam_size=1)
[several] = translator.translate_batch(**call, beam_size=1, num_hypotheses=6, return_alternatives=True)
print("without alternatives:", round(plain.scores[0], 3), *plain.hypotheses[0])
for tokens, score in zip(several.hypotheses, several.scores, strict=True):
    print("with alternatives:   ", round(score, 3), *tokens)
assert several.hypotheses[0] == plain.hypotheses[0]
assert several.scores[0] < plain.scores[0] - 0.5, "the behaviour has changed"
assert several.scores != sorted(several.scores, reverse=True), "the behaviour has changed"
PYTHON
