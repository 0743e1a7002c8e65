"""pyengine from text to text; ``job.settings`` are keywords of ``Translator``."""

from __future__ import annotations

from pyengine.bench.worker import Case, Ids, Job, Run
from pyengine.translator import Translator


def load(job: Job) -> Run:
    """A translator on the folder."""
    translator = Translator(job.folder, threads=job.threads, **job.settings)

    def run(sources: Ids, case: Case) -> Ids:
        translator.batch_size = case.batch_size
        texts = [bytes(source).decode() for source in sources]
        return [list(text.encode()) for text in translator.translate(texts)]

    return run
