"""pyengine in the class that runs the model; ``job.settings`` are its keywords.

What an encoder gives for a text is the largest entry of each token's last hidden state.
"""

from __future__ import annotations

from pyengine.bench.worker import Case, Ids, Job, Run
from pyengine.encoder import Encoder
from pyengine.info import open_model


def load(job: Job) -> Run:
    """The folder's model."""
    model = open_model(job.folder, threads=job.threads, **job.settings)

    def run(sources: Ids, case: Case) -> Ids:
        model.batch_size = case.batch_size
        if isinstance(model, Encoder):
            return [hidden.argmax(axis=1).tolist() for hidden in model.forward(sources)]
        return [best[0].ids for best in model.generate(sources, **case.options)]

    return run
