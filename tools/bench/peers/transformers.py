"""PyTorch with transformers' ``generate``."""

from __future__ import annotations

import torch
from transformers import MarianMTModel

from pyengine.bench.worker import Case, Ids, Job, Run
from tools.bench.peers.generate import generate


def load(job: Job) -> Run:
    """The checkpoint in the type of ``job.settings["dtype"]``."""
    torch.set_num_threads(job.threads)
    dtype = getattr(torch, job.settings["dtype"])
    model = MarianMTModel.from_pretrained(job.folder, dtype=dtype).eval()

    def run(sources: Ids, case: Case) -> Ids:
        with torch.inference_mode():
            return generate(model, sources, case)

    return run
