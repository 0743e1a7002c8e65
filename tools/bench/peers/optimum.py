"""onnxruntime as users of Optimum call it: transformers' ``generate`` over the ONNX files."""

from __future__ import annotations

import onnxruntime
from optimum.onnxruntime import ORTModelForSeq2SeqLM

from pyengine.bench.worker import Case, Ids, Job, Run
from tools.bench.peers.generate import generate


def load(job: Job) -> Run:
    """The folder, with the number of threads as the only setting."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    options.log_severity_level = 3  # errors
    model = ORTModelForSeq2SeqLM.from_pretrained(job.folder, session_options=options)

    def run(sources: Ids, case: Case) -> Ids:
        return generate(model, sources, case)

    return run
