#!/usr/bin/env bash
# pymarian 1.12.42 (Marian 1.12.42)
#
# Expected: where a translation runs away, max-length-factor (3 by default) ends it after that many tokens for each token
# of its source.
# Seen: the factor counts from the longest source of the batch, so that the same sentence is translated differently beside
# another. And an item of the list that holds a line break counts as two: more translations come back than items went in.
# Why it matters: a sentence's translation depends on who else asked, and results no longer belong to their sources.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pymarian==1.12.42 numpy==2.4.6
cd "$folder"
cat >model.yml <<'YAML'
dec-depth: 1
dim-emb: 8
dim-vocabs: [4, 4]
enc-depth: 1
input-types: []
lemma-dim-emb: 0
output-omit-bias: false
tied-embeddings-all: true
transformer-decoder-autoreg: self-attention
transformer-dim-ffn: 8
transformer-ffn-activation: relu
transformer-ffn-depth: 2
transformer-heads: 2
transformer-postprocess: dan
transformer-postprocess-emb: d
transformer-preprocess: ""
type: transformer
version: v1.12.42
YAML
printf '</s>: 0\n<unk>: 1\na: 2\nb: 3\n' >vocabulary.yml
venv/bin/python - 2>log <<'PYTHON' || { cat log; exit 1; }
import numpy as np
import pymarian

WIDTH, TOKENS = 8, 4
# All matrices are zero: the model says what its output bias prefers, "b", and never ends.
tensors = {"Wemb": np.zeros((TOKENS, WIDTH)), "decoder_ff_logit_out_b": np.array([[-9, -9, 0, 9]])}


def norm(name):
    tensors[f"{name}_ln_scale"], tensors[f"{name}_ln_bias"] = np.ones((1, WIDTH)), np.zeros((1, WIDTH))


for layer in ("encoder_l1", "decoder_l1"):
    for block in ("self", "context") if layer == "decoder_l1" else ("self",):
        for part in "qkvo":
            tensors[f"{layer}_{block}_W{part}"] = np.zeros((WIDTH, WIDTH))
            tensors[f"{layer}_{block}_b{part}"] = np.zeros((1, WIDTH))
        norm(f"{layer}_{block}_Wo")
    for part in "12":
        tensors[f"{layer}_ffn_W{part}"], tensors[f"{layer}_ffn_b{part}"] = np.zeros((WIDTH, WIDTH)), np.zeros((1, WIDTH))
    norm(f"{layer}_ffn_ffn")
configuration = np.frombuffer(open("model.yml", "rb").read() + b"\0", np.int8)
np.savez("model.npz", **{name: x.astype(np.float32) for name, x in tensors.items()}, **{"special:model.yml": configuration})

translator = pymarian.Translator(models=["model.npz"], vocabs=["vocabulary.yml"] * 2, beam_size=1, mini_batch=8, cpu_threads=1)
alone = translator.translate(["a a"])[0]
beside = translator.translate(["a a", "a a a a a a a a a"])[0]
lines = translator.translate(["a a\na a", "a"])
print(f"alone {len(alone.split())} tokens, beside a longer one {len(beside.split())}; 2 items give {len(lines)} translations")
assert (len(alone.split()), len(beside.split()), len(lines)) == (9, 30, 3), "the behaviour has changed"
PYTHON
