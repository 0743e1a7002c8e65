"""Writes Marian model files: random Firefox models small enough for tests."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np

WIDTH, FFN, HEADS, ENCODER_LAYERS, DECODER_LAYERS = 40, 52, 4, 2, 2
"""Off the lengths of vectors and panels."""

YAML = f"""dec-cell: ssru
dec-cell-base-depth: 2
dec-cell-high-depth: 1
dec-depth: {DECODER_LAYERS}
dim-emb: {WIDTH}
enc-depth: {ENCODER_LAYERS}
input-types: []
tied-embeddings-all: true
transformer-decoder-autoreg: rnn
transformer-dim-ffn: {FFN}
transformer-ffn-activation: relu
transformer-ffn-depth: 2
transformer-heads: {HEADS}
transformer-postprocess: dan
transformer-postprocess-emb: d
transformer-preprocess: ""
type: transformer
version: v1.9.56
"""


def random_tensors(
    seed: int, vocab_size: int, source_vocab_size: int | None = None
) -> dict[str, np.ndarray]:
    """float32 tensors under Marian's names, of the sizes above; with a size of its own the source
    has a table of its own.
    """
    rng = np.random.default_rng(seed)

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    tables = {"Wemb": vocab_size}
    if source_vocab_size is not None:
        tables = {"encoder_Wemb": source_vocab_size, "decoder_Wemb": vocab_size}
    tensors = {name: normal(rows, WIDTH, scale=0.3) for name, rows in tables.items()}
    tensors["decoder_ff_logit_out_b"] = normal(1, vocab_size)

    def norm(name: str) -> None:
        tensors[f"{name}_ln_scale"] = 1 + normal(1, WIDTH, scale=0.1)
        tensors[f"{name}_ln_bias"] = normal(1, WIDTH, scale=0.1)

    def attention(name: str) -> None:
        for part in "qkvo":
            tensors[f"{name}_W{part}"] = normal(WIDTH, WIDTH, scale=WIDTH**-0.5)
            tensors[f"{name}_b{part}"] = normal(1, WIDTH, scale=0.1)
        norm(f"{name}_Wo")

    for stack, layers in (("encoder", ENCODER_LAYERS), ("decoder", DECODER_LAYERS)):
        for layer in (f"{stack}_l{i + 1}" for i in range(layers)):
            if stack == "encoder":
                attention(f"{layer}_self")
            else:
                tensors[f"{layer}_rnn_W"] = normal(WIDTH, WIDTH, scale=WIDTH**-0.5)
                tensors[f"{layer}_rnn_Wf"] = normal(WIDTH, WIDTH, scale=WIDTH**-0.5)
                tensors[f"{layer}_rnn_bf"] = normal(1, WIDTH)
                norm(f"{layer}_rnn_ffn")
                attention(f"{layer}_context")
            tensors[f"{layer}_ffn_W1"] = normal(WIDTH, FFN, scale=WIDTH**-0.5)
            tensors[f"{layer}_ffn_b1"] = normal(1, FFN, scale=0.1)
            tensors[f"{layer}_ffn_W2"] = normal(FFN, WIDTH, scale=FFN**-0.5)
            tensors[f"{layer}_ffn_b2"] = normal(1, WIDTH, scale=0.1)
            norm(f"{layer}_ffn_ffn")
    return tensors


def quantize(tensors: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, float]]:
    """The matrices as int8 values and their multiplier."""
    quantized = {}
    for name, values in tensors.items():
        if name.endswith("Wemb") or "_W" in name.removesuffix("_ln_scale").removesuffix("_ln_bias"):
            if values.shape[0] > 1:
                multiplier = float(np.float32(127 / np.abs(values).max()))
                rounded = np.rint(values * np.float32(multiplier)).astype(np.int8)
                quantized[name] = (rounded, multiplier)
    return quantized


def binary(
    tensors: dict[str, np.ndarray],
    quantized: dict[str, tuple[np.ndarray, float]] | None = None,
    yaml: str = YAML,
) -> bytes:
    """A ``.bin`` file; with `quantized`, its matrices as int8 and a multiplier for each input."""
    items: list[tuple[str, int, tuple[int, ...], bytes]] = []
    for name, values in tensors.items():
        if quantized and name in quantized:
            integers, multiplier = quantized[name]
            stored = integers if name.endswith("Wemb") else integers.T
            data = np.ascontiguousarray(stored).tobytes() + struct.pack("<f", multiplier)
            items.append((name, 0x4101, values.shape, data + bytes(252)))
            items.append((f"{name}_QuantMultA", 0x404, (1, 1), struct.pack("<f", 9) + bytes(252)))
        else:
            items.append((name, 0x404, values.shape, values.astype("<f4").tobytes()))
    text = yaml.encode() + b"\0"
    items.append(("special:model.yml", 0x101, (len(text),), text))
    names = [name.encode() + b"\0" for name, *_ in items]
    head = struct.pack("<QQ", 1, len(items))
    for name, (_, kind, shape, data) in zip(names, items, strict=True):
        head += struct.pack("<QQQQ", len(name), kind, len(shape), len(data))
    head += b"".join(names)
    for _, _, shape, _ in items:
        head += struct.pack(f"<{len(shape)}i", *shape)
    padding = -(len(head) + 8) % 256
    head += struct.pack("<Q", padding) + bytes(padding)
    return head + b"".join(data for *_, data in items)


def npz(tensors: dict[str, np.ndarray], yaml: str = YAML) -> bytes:
    """A ``.npz`` file of float32."""
    stream = io.BytesIO()
    text = np.frombuffer(yaml.encode() + b"\0", np.int8)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in {**tensors, "special:model.yml": text}.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, values, version=(1, 0))
            archive.writestr(f"{name}.npy", entry.getvalue())
    return stream.getvalue()


def write_vocabulary(path: Path, size: int, scale: float = 1.0) -> None:
    """A SentencePiece file of `size` pieces with Marian's special tokens: </s> 0, <unk> 1.

    Files of another `scale`, of the pieces' scores, differ.
    """
    from sentencepiece import sentencepiece_model_pb2 as proto

    model = proto.ModelProto()
    model.trainer_spec.model_type = model.trainer_spec.UNIGRAM
    model.trainer_spec.eos_id, model.trainer_spec.unk_id = 0, 1
    model.trainer_spec.bos_id = model.trainer_spec.pad_id = -1
    model.normalizer_spec.name = "identity"
    kinds = proto.ModelProto.SentencePiece
    letters = "abcdefghijklmnopqrstuvwxyz.,"
    pieces = [("</s>", kinds.CONTROL), ("<unk>", kinds.UNKNOWN), ("\u2581", kinds.NORMAL)]
    pieces += [(letter, kinds.NORMAL) for letter in letters]
    pieces += [(f"\u2581{a}{b}", kinds.NORMAL) for a in letters for b in letters]
    for i, (text, kind) in enumerate(pieces[:size]):
        model.pieces.add(piece=text, score=-scale * i, type=kind)
    path.write_bytes(model.SerializeToString())


def shortlist(num_first: int, lists: list[list[int]]) -> bytes:
    """A binary shortlist: the target ids of each source id."""
    offsets = np.cumsum([0, *map(len, lists)])
    entries = [entry for one in lists for entry in one]
    most = max(map(len, lists))
    head = struct.pack("<6Q", 0xF11A48D5013417F5, 0, num_first, most, len(offsets), len(entries))
    return head + np.array(offsets, "<u8").tobytes() + np.array(entries, "<u4").tobytes()


def random_lists(
    seed: int, vocab_size: int, most: int, target_vocab_size: int | None = None
) -> list[list[int]]:
    """Up to `most` ascending target ids for each source id; none for the first ids."""
    rng = np.random.default_rng(seed)
    ids = target_vocab_size or vocab_size
    sizes = [0, 0, *rng.integers(0, most + 1, vocab_size - 2)]
    return [sorted(map(int, rng.choice(ids, size, replace=False))) for size in sizes]


def write_folder(
    folder: Path,
    seed: int,
    vocab_size: int,
    kind: str = "int8",
    source_vocab_size: int | None = None,
) -> None:
    """A Firefox folder: `kind` is int8, float32 (the same numbers rounded to int8) or npz.

    With `source_vocab_size` the languages have vocabularies of their own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = random_tensors(seed, vocab_size, source_vocab_size)
    quantized = quantize(tensors)
    if kind == "int8":
        (folder / "model.xxyy.intgemm.alphas.bin").write_bytes(binary(tensors, quantized))
    else:
        for name, (values, multiplier) in quantized.items():
            tensors[name] = values.astype(np.float32) * np.float32(1 / multiplier)
        content = binary(tensors) if kind == "float32" else npz(tensors)
        (folder / ("model.bin" if kind == "float32" else "model.npz")).write_bytes(content)
    if source_vocab_size is None:
        write_vocabulary(folder / "vocab.xxyy.spm", vocab_size)
    else:
        write_vocabulary(folder / "srcvocab.xxyy.spm", source_vocab_size)
        write_vocabulary(folder / "trgvocab.xxyy.spm", vocab_size)
