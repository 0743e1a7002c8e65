"""A random-weight model of the shape of OPUS-MT base, exported by Optimum as users export theirs.

The weights say nothing, so this serves speed alone; the architecture is that of the Helsinki-NLP
``opus-mt-*`` models (Tiedemann and Thottingal, 2020): hidden size 512, 6 + 6 layers, 8 heads,
feed-forward 2048, vocabulary 58,101, 74 million parameters.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import warnings
from pathlib import Path

VOCAB_SIZE = 58_101
PAD_TOKEN_ID = VOCAB_SIZE - 1
SEED = 20260923


def ensure_opus_base(cache: Path) -> Path:
    """Return the folder of the exported model under ``cache``, making it first if it is not there.

    Making it takes one to two minutes and about 2 GB of memory, and needs torch, transformers and
    optimum-onnx (the extra ``[bench]`` does not bring them: they are tools of this repository).

    Example::

        folder = ensure_opus_base(Path("/tmp/pyengine-bench"))
    """
    folder = cache / "opus-base"
    if (folder / "decoder_model.onnx").is_file():
        return folder
    partial = cache / "opus-base.partial"
    shutil.rmtree(partial, ignore_errors=True)
    weights = partial / "torch"
    _save_random_marian(weights)
    _export(weights, partial / "onnx")
    shutil.rmtree(folder, ignore_errors=True)
    (partial / "onnx").rename(folder)
    shutil.rmtree(partial)
    return folder


def _save_random_marian(folder: Path) -> None:
    import torch
    from transformers import GenerationConfig, MarianConfig, MarianMTModel

    torch.manual_seed(SEED)
    config = MarianConfig(
        vocab_size=VOCAB_SIZE,
        d_model=512,
        encoder_layers=6,
        decoder_layers=6,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        encoder_ffn_dim=2048,
        decoder_ffn_dim=2048,
        max_position_embeddings=512,
        activation_function="swish",
        scale_embedding=True,
        pad_token_id=PAD_TOKEN_ID,
        eos_token_id=0,
        forced_eos_token_id=0,
        decoder_start_token_id=PAD_TOKEN_ID,
    )
    model = MarianMTModel(config).eval()
    model.generation_config = GenerationConfig(
        max_length=512,
        bad_words_ids=[[PAD_TOKEN_ID]],
        pad_token_id=PAD_TOKEN_ID,
        eos_token_id=0,
        forced_eos_token_id=0,
        decoder_start_token_id=PAD_TOKEN_ID,
    )
    model.save_pretrained(folder)


def _export(weights: Path, folder: Path) -> None:
    from optimum.exporters.onnx import main_export

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        main_export(
            str(weights),
            output=folder,
            task="text2text-generation-with-past",
            library_name="transformers",
        )
