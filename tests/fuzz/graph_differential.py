"""Changed ONNX graphs in pyengine and in onnxruntime: an accepted graph must give equal results.

As a command: python -m tests.fuzz.graph_differential --count 3000 --seed 0
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

import pyengine
from pyengine.info import open_model

from .graph_mutations import mutate

FIXTURES = Path(__file__).parents[1] / "fixtures"
EXPORTS = (
    *("marian-split", "marian-merged", "marian-dynamo", "bart", "m2m", "mbart", "pegasus", "t5"),
    *("mt5", "bert-cls", "distilbert-cls", "roberta", "xlm-roberta-cls", "gpt2", "llama", "qwen2"),
    *("transformer-prenorm", "transformer-ssru", "llama-tied-dynamo"),
)
TOLERANCE = 1e-3
INVALID, REFUSED, EQUAL, DIFFERENT = "invalid", "refused", "equal", "different"


@dataclass(frozen=True)
class Outcome:
    """What became of one changed graph.

    Attributes:
        kind: INVALID for onnxruntime; REFUSED by pyengine; or accepted and EQUAL or DIFFERENT.
        change: which fixture and file was changed, and how.
        detail: the error, or the largest difference.
    """

    kind: str
    change: str
    detail: str = ""


def try_mutation(seed: int, exports: Sequence[str] = EXPORTS) -> Outcome:
    """Change one file of one export, chosen by the seed, and run it in both engines."""
    source = FIXTURES / exports[seed % len(exports)]
    files = [p for p in sorted(source.rglob("*.onnx")) if "with_past" not in p.name]
    path = files[seed // len(exports) % len(files)]
    changed, place = mutate(onnx.load(path), seed)
    change = f"{seed} {source.name}/{path.name}: {place}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / source.name
        shutil.copytree(source, folder)
        onnx.save(changed, folder / path.relative_to(source))
        try:
            oracle = _Oracle(folder)
            expected = [oracle.run(batch) for batch in oracle.batches()]
        except Exception as error:  # whatever onnxruntime or NumPy finds wrong with it
            return Outcome(INVALID, change, f"{type(error).__name__}: {error}"[:200])
        try:
            with open_model(folder, cache_dir=False) as model:
                pairs = zip(oracle.batches(), expected, strict=True)
                found = [difference(_run(model, batch), rows) for batch, rows in pairs]
        except pyengine.Error as error:
            return Outcome(REFUSED, change, f"{type(error).__name__}: {error}")
    largest = max(found)
    return Outcome(EQUAL if largest <= TOLERANCE else DIFFERENT, change, f"{largest:.3g}")


def difference(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """The largest of a position: max |a - b| / max |b| over its entries above -1e4."""
    largest = 0.0
    for a, b in zip(found, expected, strict=True):
        counted = np.abs(b) < 1e4
        scale = np.abs(b).max(axis=-1, where=counted, initial=1e-30)
        errors = np.abs(a - b).max(axis=-1, where=counted, initial=0) / scale
        largest = max(
            largest, float(np.where(np.isnan(errors) | ~counted.any(-1), 1, errors).max())
        )
    return largest


@dataclass(frozen=True)
class Batch:
    """Token ids of some texts, and of their sources for a model with an encoder and a decoder."""

    sources: list[np.ndarray]
    texts: list[np.ndarray]


class _Oracle:
    """The files of a folder in onnxruntime, padded as transformers pads a batch."""

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level, options.intra_op_num_threads = 4, 1
        files = {p.stem: p for p in folder.rglob("*.onnx") if "with_past" not in p.name}
        self._sessions = {
            stem.partition("_")[0]: onnxruntime.InferenceSession(path, options)
            for stem, path in files.items()
        }
        self._config = json.loads((folder / "config.json").read_text())
        self._rng = np.random.default_rng(7)
        last = self._sessions.get("decoder") or self._sessions["model"]
        self._inputs = {value.name: value for value in last.get_inputs()}
        self._output = last.get_outputs()[0].name
        self._last = last

    def batches(self) -> Iterator[Batch]:
        """A text, three of different lengths, and a long one."""
        rng = np.random.default_rng(7)
        limit = self._config.get("max_position_embeddings", self._config.get("n_positions", 60))
        long = min(60, limit - 4)
        for lengths in ([9], [7, 3, 5], [long], [1]):
            texts = [rng.integers(4, 60, n) for n in lengths]
            sources = [rng.integers(4, 60, n + 2) for n in lengths]
            yield Batch(sources if "encoder" in self._sessions else [], texts)

    def run(self, batch: Batch) -> list[np.ndarray]:
        """Of each text the last outputs, [tokens, width], or [1, classes]."""
        hidden, source_mask = None, None
        if "encoder" in self._sessions:
            ids, source_mask = self._padded(batch.sources, False)
            encoder = self._sessions["encoder"]
            hidden = encoder.run(None, {"input_ids": ids, "attention_mask": source_mask})[0]
        left = "position_ids" in self._inputs
        ids, mask = self._padded(batch.texts, left)
        feeds = {"encoder_hidden_states": hidden, "encoder_attention_mask": source_mask}
        past_names = [name for name in self._inputs if name.startswith("past")]
        if not past_names:
            rows = self._step(ids, mask, feeds, {})[0]
        else:  # all but the last token, then that
            names = [value.name for value in self._last.get_outputs()]
            past = {name: self._empty(name, len(ids)) for name in past_names}
            if ids.shape[1] == 1:
                rows = self._step(ids, mask, feeds, past)[0]
            else:
                cut = ids.shape[1] - 1
                first = self._step(ids[:, :cut], mask[:, :cut], feeds, past)
                present = dict(zip(names, first, strict=True))
                past = {n: present[n.replace("past_key_values", "present")] for n in past_names}
                last = self._step(ids, mask, feeds, past, cut)
                rows = np.concatenate([first[0], last[0]], axis=1)
        if rows.ndim == 2:
            return [row[None] for row in rows]
        return [row[counted == 1] for row, counted in zip(rows, mask, strict=True)]

    def _step(
        self,
        ids: np.ndarray,
        mask: np.ndarray,
        feeds: dict[str, Any],
        past: dict[str, np.ndarray],
        seen: int = 0,
    ) -> list[np.ndarray]:
        known = {
            **{"input_ids": ids[:, seen:], "attention_mask": mask, **feeds, **past},
            "position_ids": np.maximum(mask.cumsum(1) - 1, 0)[:, seen:],
            "token_type_ids": np.zeros_like(ids),
            "use_cache_branch": np.array([seen > 0]),
        }
        results = self._last.run(None, {name: known[name] for name in self._inputs})
        return [np.asarray(result) for result in results]

    def _padded(self, texts: list[np.ndarray], left: bool) -> tuple[np.ndarray, np.ndarray]:
        pad = self._config.get("pad_token_id") or 0
        shape = len(texts), max(map(len, texts))
        ids, mask = np.full(shape, pad, np.int64), np.zeros(shape, np.int64)
        for row, text in enumerate(texts):
            part = slice(shape[1] - len(text), None) if left else slice(0, len(text))
            ids[row, part], mask[row, part] = text, 1
        return ids, mask

    def _empty(self, name: str, batch: int) -> np.ndarray:
        heads, width = self._inputs[name].shape[1], self._inputs[name].shape[3]
        return np.zeros((batch, heads, 0, width), np.float32)


def _run(model: Any, batch: Batch) -> list[np.ndarray]:
    """What pyengine computes, as _Oracle.run gives it."""
    found = []
    for i, text in enumerate(batch.texts):
        ids = text.astype(np.int32)
        if not isinstance(model, pyengine.Encoder):
            source = batch.sources[i].astype(np.int32) if batch.sources else ids[:0]
            found.append(model.engine.logits(source, ids))
        else:
            offsets = np.array([0, len(ids)], np.int64)
            compute = model.engine.classify if model.config.num_labels else model.engine.encode
            found.append(compute(ids, offsets, 1))
    return found


def main() -> None:
    """Count the outcomes of many mutations and show those that are accepted but different."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="mutations")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--show", default=DIFFERENT, help="outcomes to print, by commas")
    parser.add_argument("--exports", default=",".join(EXPORTS), help="fixtures, by commas")
    args = parser.parse_args()
    outcomes: Counter[str] = Counter()
    kinds: Counter[tuple[str, str]] = Counter()
    for seed in range(args.seed, args.seed + args.count):
        outcome = try_mutation(seed, args.exports.split(","))
        outcomes[outcome.kind] += 1
        kinds[outcome.change.split(": ")[1], outcome.kind] += 1
        if outcome.kind in args.show.split(","):
            print(f"{outcome.kind}: {outcome.change} ({outcome.detail})", flush=True)
    for (change, kind), count in sorted(kinds.items()):
        print(f"{change:16} {kind:10} {count}")
    print(dict(outcomes))


if __name__ == "__main__":
    main()
