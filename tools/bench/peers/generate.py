"""transformers' ``generate`` on lists of ids, for the peers that have it."""

from __future__ import annotations

from typing import Any

import torch

from pyengine.bench.worker import Case, Ids


def generate(model: Any, sources: Ids, case: Case) -> Ids:
    """Longest first, ``case.batch_size`` at a time, padded; results in the order of ``sources``."""
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]), reverse=True)
    found: Ids = [[] for _ in sources]
    for start in range(0, len(order), case.batch_size):
        batch = order[start : start + case.batch_size]
        for i, ids in zip(batch, _generate(model, [sources[i] for i in batch], case), strict=True):
            found[i] = ids
    return found


def _generate(model: Any, sources: Ids, case: Case) -> Ids:
    config = model.generation_config
    length = max(len(source) for source in sources)
    padded = [source + [config.pad_token_id] * (length - len(source)) for source in sources]
    mask = [[1] * len(source) + [0] * (length - len(source)) for source in sources]
    output = model.generate(
        input_ids=torch.tensor(padded), attention_mask=torch.tensor(mask), **case.options
    )
    return [_until_end(row[1:], config.eos_token_id) for row in output.tolist()]


def _until_end(row: list[int], end: int) -> list[int]:
    return row[: row.index(end)] if end in row else row
