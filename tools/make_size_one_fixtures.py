"""Writes tests/fixtures/size_one.tar.xz: models of all families, of size 1 where that can be.

    python -m tools.make_size_one_fixtures

One layer, one head, an inner width of 1, a label, a token type; T5's heads are of width 1, rotary
ones of one pair; vocabularies are one word larger than a power of two. As `optimum-cli export onnx`
writes them, in one archive because the files are much alike.
"""

import io
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import torch
from optimum.exporters.onnx import onnx_export_from_model
from transformers import CONFIG_MAPPING, PreTrainedModel
from transformers.models.auto import modeling_auto

OUT = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "size_one.tar.xz"
VOCAB = 65
_BOTH = {"layers": 1, "attention_heads": 1, "ffn_dim": 1}
_SEQ2SEQ = {f"{stack}_{key}": n for stack in ("encoder", "decoder") for key, n in _BOTH.items()}
_SEQ2SEQ |= {"d_model": 8, "vocab_size": VOCAB, "max_position_embeddings": 20}
_FAIRSEQ = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
_BART = _SEQ2SEQ | _FAIRSEQ
_PEGASUS = _SEQ2SEQ | {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
_MARIAN = _SEQ2SEQ | {"vocab_size": 513, "pad_token_id": 512, "decoder_start_token_id": 512}
_T5 = {
    **{"d_model": 8, "num_layers": 1, "num_heads": 1, "d_kv": 1, "d_ff": 1, "vocab_size": VOCAB},
    **{"relative_attention_num_buckets": 4, "relative_attention_max_distance": 8},
    **{"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0},
}
_BERT = {
    **{"vocab_size": VOCAB, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1},
    **{"intermediate_size": 1, "max_position_embeddings": 22, "num_labels": 1, "pad_token_id": 0},
}
_DISTILBERT = {
    **{"vocab_size": VOCAB, "dim": 8, "n_layers": 1, "n_heads": 1, "hidden_dim": 1},
    **{"max_position_embeddings": 20, "num_labels": 1},
}
_GPT2 = {
    **{"vocab_size": VOCAB, "n_embd": 8, "n_layer": 1, "n_head": 1, "n_inner": 1},
    **{"n_positions": 20, "bos_token_id": 1, "eos_token_id": 2},
}
_LLAMA = {
    **{"vocab_size": VOCAB, "hidden_size": 2, "num_hidden_layers": 1, "num_attention_heads": 1},
    **{"num_key_value_heads": 1, "intermediate_size": 1, "max_position_embeddings": 20},
}
CONFIGS: dict[str, dict[str, Any]] = {
    **{"bart": _BART, "m2m_100": _BART, "mbart": _BART, "pegasus": _PEGASUS, "marian": _MARIAN},
    **{"t5": _T5, "mt5": _T5, "bert": _BERT, "distilbert": _DISTILBERT},
    **dict.fromkeys(("roberta", "xlm-roberta"), _BERT | {"type_vocab_size": 1}),
    **{"gpt2": _GPT2, "mistral": _LLAMA, "qwen2": _LLAMA},
    "llama": _LLAMA | {"attention_bias": True, "mlp_bias": True},
}
_KINDS = {
    "text2text-generation-with-past": modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    "text-classification": modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    "text-generation-with-past": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING,
}
_FILES = ("config.json", "generation_config.json", "model.onnx", "encoder_model.onnx")
_DECODERS = {"mbart": "decoder_model_merged.onnx"}


def _task(family: str) -> str:
    if "num_labels" in CONFIGS[family]:
        return "text-classification"
    is_pair = "decoder_start_token_id" in CONFIGS[family]
    return "text2text-generation-with-past" if is_pair else "text-generation-with-past"


def make(family: str) -> PreTrainedModel:
    """A random model."""
    config = CONFIG_MAPPING[family](**CONFIGS[family])
    torch.manual_seed(len(family))
    model = _KINDS[_task(family)][type(config)](config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_norm = "norm" in name.lower() or "ln_" in name
            if "embed_positions" not in name:
                parameter.normal_(float(is_norm and name.endswith("weight")), 0.5)
    return model


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def main() -> None:
    """Write the archive."""
    with tarfile.open(OUT, "w:xz", preset=9) as archive:
        for family in CONFIGS:
            files = (*_FILES, _DECODERS.get(family, "decoder_model.onnx"))
            with tempfile.TemporaryDirectory() as folder:
                onnx_export_from_model(make(family), folder, task=_task(family), monolith=False)
                for path in sorted(Path(folder).iterdir()):
                    if path.name in files:
                        _add(archive, f"{family}/{path.name}", path.read_bytes())


if __name__ == "__main__":
    main()
