"""fxtranslate, a Rust engine for Firefox models, with its shortlist: one sentence at a time."""

from __future__ import annotations

from pathlib import Path

from fxtranslate import Translator

from pyengine.bench.worker import Case, Ids, Job, Run
from pyengine.models.firefox_files import find_firefox_files


def load(job: Job) -> Run:
    """A translator on the folder's files."""
    files = find_firefox_files(Path(job.folder))
    assert files is not None and files.shortlist is not None
    paths = (files.model, files.source_vocab, files.target_vocab, files.shortlist)
    translator = Translator(*(path.read_bytes() for path in paths))

    def run(sources: Ids, case: Case) -> Ids:
        return [list(translator.translate(bytes(s).decode()).encode()) for s in sources]

    return run
