"""CTranslate2; ``job.settings``: "compute_type", "inter_threads", "intra_threads".

It sorts a call's sentences by length and cuts them into batches itself; with several
``inter_threads`` as many batches are translated at the same time.
"""

from __future__ import annotations

from pathlib import Path

import ctranslate2

from pyengine.bench.worker import Case, Ids, Job, Run
from tools.bench.peers.ctranslate2_tokens import END, MARIAN_CONFIG, token_names
from tools.bench.store import read_config


def load(job: Job) -> Run:
    """A translator on the converted folder."""
    folder = Path(job.folder)
    names = token_names(read_config(folder, MARIAN_CONFIG))
    ids = {name: token_id for token_id, name in enumerate(names)}
    translator = ctranslate2.Translator(job.folder, "cpu", **job.settings)

    def run(sources: Ids, case: Case) -> Ids:
        results = translator.translate_batch(
            [[names[token_id] for token_id in source] for source in sources],
            max_batch_size=case.batch_size,
            beam_size=case.num_beams,
            min_decoding_length=case.min_new_tokens,
            max_decoding_length=case.max_new_tokens,
        )
        found = [[ids[name] for name in result.hypotheses[0]] for result in results]
        return [row[:-1] if row[-1:] == [ids[END]] else row for row in found]

    return run
