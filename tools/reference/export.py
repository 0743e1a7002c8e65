"""Write a trained model as the folder that `optimum-cli export onnx` would write.

    python -m tools.reference.export --run ../runs/multi30k --out tests/fixtures/multi30k-en-de

averages the last checkpoints of the run, exports, and fails unless onnxruntime agrees.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch

from tools.reference.average import average_weights, last_checkpoints
from tools.reference.config import TransformerConfig
from tools.reference.model import Transformer
from tools.reference.onnx_check import check_translation_model
from tools.reference.onnx_graphs import export_decoder, export_encoder
from tools.reference.recurrent_graphs import export_recurrent

NUM_BEAMS, LENGTH_PENALTY, MAX_LENGTH = 5, 1.0, 200
"""Decoding defaults of the committed model; a penalty of 1.5 would gain 0.2 BLEU on validation."""


def config_json(config: TransformerConfig) -> dict:
    """config.json in the field names of transformers."""
    return {
        "model_type": "transformer",
        "architectures": ["Transformer"],
        "is_encoder_decoder": True,
        "vocab_size": config.vocab_size,
        "d_model": config.d_model,
        "encoder_layers": config.encoder_layers,
        "decoder_layers": config.decoder_layers,
        "encoder_attention_heads": config.encoder_attention_heads,
        "decoder_attention_heads": config.decoder_attention_heads,
        "encoder_ffn_dim": config.encoder_ffn_dim,
        "decoder_ffn_dim": config.decoder_ffn_dim,
        "activation_function": "relu",
        "dropout": config.dropout,
        "max_position_embeddings": config.max_position_embeddings,
        "static_position_embeddings": True,
        "scale_embedding": True,
        "normalize_before": config.normalize_before,
        "decoder_kind": config.decoder_kind,
        "layer_norm_eps": config.layer_norm_eps,
        "tie_word_embeddings": True,
        "share_encoder_decoder_embeddings": True,
        "pad_token_id": config.pad_token_id,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
        "decoder_start_token_id": config.decoder_start_token_id,
        "torch_dtype": "float32",
    }


def generation_config_json(config: TransformerConfig) -> dict:
    """generation_config.json in the field names of transformers."""
    return {
        "decoder_start_token_id": config.decoder_start_token_id,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
        "pad_token_id": config.pad_token_id,
        "num_beams": NUM_BEAMS,
        "length_penalty": LENGTH_PENALTY,
        "early_stopping": False,
        "max_length": MAX_LENGTH,
    }


def tokenizer_config_json(config: TransformerConfig) -> dict:
    """tokenizer_config.json: SentencePiece's own ids, </s> appended, nothing put before.

    transformers' T5Tokenizer without extra ids does just that.
    """
    return {
        "tokenizer_class": "T5Tokenizer",
        "extra_ids": 0,
        "legacy": True,
        "add_bos_token": False,
        "add_eos_token": True,
        "pad_token": "<pad>",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "model_max_length": config.max_position_embeddings,
    }


def export(model: Transformer, folder: Path, tokenizer: Path | None = None) -> float:
    """Write the folder and check it; without a tokenizer it serves token ids only.

    Returns:
        The largest relative difference between PyTorch and onnxruntime.

    Raises:
        ValueError: that difference is above 1e-5, or a model with recurrent units is pre-norm.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = model.config
    files = {"config": config_json(config), "generation_config": generation_config_json(config)}
    if tokenizer:
        files["tokenizer_config"] = tokenizer_config_json(config)
        shutil.copyfile(tokenizer, folder / "spiece.model")
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    if config.decoder_kind == "ssru":
        export_recurrent(model, files["config"], folder)
    else:
        export_encoder(model.encoder, folder / "encoder_model.onnx")
        export_decoder(model, folder / "decoder_model_merged.onnx")
    return check_translation_model(model, folder)


def load_run(run: Path, count: int) -> Transformer:
    """The model of a training run, its last `count` checkpoints averaged."""
    model = Transformer(TransformerConfig.load(run / "config.json"))
    model.load_state_dict(average_weights(last_checkpoints(run, count)))
    return model.eval()


def main() -> None:
    """Export a training run."""
    parser = argparse.ArgumentParser(description="Export a training run to ONNX.")
    parser.add_argument("--run", type=Path, default=Path("../runs/multi30k"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--average", type=int, default=10, help="checkpoints to average")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_run(arguments.run, arguments.average)
    worst = export(model, arguments.out, arguments.run / "spiece.model")
    print(f"{arguments.out}: relative difference to onnxruntime {worst:.1e}")


if __name__ == "__main__":
    main()
