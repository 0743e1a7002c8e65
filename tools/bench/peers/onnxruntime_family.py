"""onnxruntime on any family's export, see ``pyengine_family.py``: the loop with a key-value cache,
or an encoder on padded batches.
"""

from __future__ import annotations

from pathlib import Path

from pyengine.bench.onnxruntime_loop import (
    GreedySearch,
    OnnxFiles,
    OnnxRuntimeEncoder,
    OnnxRuntimeGenerator,
    OnnxRuntimeModel,
)
from pyengine.bench.worker import Case, Ids, Job, Run
from tools.bench.store import ONNX_FILES, read_config

MODEL_FILE, GENERATION_FILE = "model.onnx", "generation_config.json"


def load(job: Job) -> Run:
    """The folder's files at onnxruntime's best settings."""
    folder = Path(job.folder)
    file = folder / MODEL_FILE
    if not (folder / GENERATION_FILE).is_file():
        return _encoder_runner(OnnxRuntimeEncoder(file, job.threads))
    if file.is_file():
        return _greedy_runner(OnnxRuntimeGenerator(file, job.threads), folder)
    files = OnnxFiles(*(folder / name for name in ONNX_FILES))
    return _greedy_runner(OnnxRuntimeModel(files, job.threads), folder)


def _encoder_runner(encoder: OnnxRuntimeEncoder) -> Run:
    def run(sources: Ids, case: Case) -> Ids:
        found: Ids = []
        for start in range(0, len(sources), case.batch_size):
            states = encoder.run(sources[start : start + case.batch_size])
            found += [hidden.argmax(axis=1).tolist() for hidden in states]
        return found

    return run


def _greedy_runner(model: OnnxRuntimeModel | OnnxRuntimeGenerator, folder: Path) -> Run:
    tokens = read_config(folder, GENERATION_FILE)
    end = tokens["eos_token_id"]

    def run(sources: Ids, case: Case) -> Ids:
        search = GreedySearch(
            decoder_start_token_id=tokens.get("decoder_start_token_id", end),
            eos_token_ids=(end,),
            pad_token_id=tokens["pad_token_id"],
            max_length=case.max_new_tokens + 1,
            min_length=case.min_new_tokens + 1,
        )
        ids: Ids = []
        for start in range(0, len(sources), case.batch_size):
            ids += model.greedy(sources[start : start + case.batch_size], search).ids
        return [row[:-1] if row[-1] == end else row for row in ids]

    return run
