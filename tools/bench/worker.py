"""The measuring process of the peers: ``pyengine.bench.worker`` with the engines of this folder.

    python tools/bench/worker.py < job.json

``job.engine`` names a module of ``tools.bench.peers``.
"""

from __future__ import annotations

import importlib

from pyengine.bench.worker import Job, Run, serve


def load(job: Job) -> Run:
    """What the peer's own ``load`` gives."""
    run: Run = importlib.import_module(f"tools.bench.peers.{job.engine}").load(job)
    return run


if __name__ == "__main__":
    serve(load)
