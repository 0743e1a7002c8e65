"""onnxruntime in the hand-written loop with a key-value cache, greedy only."""

from __future__ import annotations

from pathlib import Path

from pyengine.bench.onnxruntime_loop import OnnxFiles, OnnxRuntimeModel, OpenSession
from pyengine.bench.worker import Job, Run, greedy_runner
from tools.bench.store import ONNX_FILES, read_config


def load(job: Job, open_session: OpenSession | None = None) -> Run:
    """The pair of decoders, which is a little faster than the merged one."""
    folder = Path(job.folder)
    files = OnnxFiles(*(folder / name for name in ONNX_FILES))
    config = read_config(folder)
    settings = {
        "generation_config": read_config(folder, "generation_config.json"),
        "vocab_size": config["vocab_size"],
        "max_positions": config["max_position_embeddings"],
        "pad_token_id": config["pad_token_id"],
    }
    return greedy_runner(OnnxRuntimeModel(files, job.threads, open_session), settings)
