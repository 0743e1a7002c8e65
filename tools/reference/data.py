"""Section 5.1: byte-pair encoding and batches of sentences of similar length."""

import gzip
import random
from dataclasses import dataclass
from pathlib import Path

import sentencepiece
import torch
from torch import Tensor


def read_lines(path: Path) -> list[str]:
    """The lines of a gzipped UTF-8 text without their line ends."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file]


def train_tokenizer(paths: list[Path], prefix: Path, vocab_size: int) -> None:
    """Write `prefix`.model, a joint BPE of all texts with <pad> 0, <s> 1, </s> 2, <unk> 3."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(line for path in paths for line in read_lines(path)),
        model_prefix=str(prefix),
        model_type="bpe",
        vocab_size=vocab_size,
        character_coverage=1.0,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        minloglevel=2,
    )


@dataclass(frozen=True)
class Batch:
    """Padded ids, every tensor int64; target_ids are the labels shifted right behind <s>."""

    source_ids: Tensor  # [batch, src_len]
    source_mask: Tensor  # [batch, src_len], 1 for a token
    target_ids: Tensor  # [batch, tgt_len]
    labels: Tensor  # [batch, tgt_len], 0 for padding


def pad(rows: list[list[int]]) -> Tensor:
    """[batch, longest row], zeros on the right."""
    longest = max(map(len, rows))
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])


class Corpus:
    """Sentence pairs, encoded afresh every epoch.

    Args:
        tokenizer: the joint SentencePiece model.
        source, target: as many sentences each.
        bpe_dropout: probability of skipping a merge (Provilkov et al., 2020); 0 encodes plainly.
        max_tokens: bound on sentences times longest sentence of a batch, on either side.

    Raises:
        ValueError: the sides differ in length.
    """

    def __init__(
        self,
        tokenizer: sentencepiece.SentencePieceProcessor,
        source: list[str],
        target: list[str],
        bpe_dropout: float = 0.0,
        max_tokens: int = 4096,
    ):
        if len(source) != len(target):
            raise ValueError(f"{len(source)} source and {len(target)} target sentences")
        self.tokenizer = tokenizer
        self.sides = (source, target)
        self.bpe_dropout = bpe_dropout
        self.max_tokens = max_tokens

    def encode(self, sentences: list[str], seed: int) -> list[list[int]]:
        """Ids with </s>; the same seed skips the same merges.

        SentencePiece seeds a generator for each worker thread and starts one thread a call, so
        the seed set here is the one the call uses.
        """
        sentencepiece.set_random_generator_seed(seed)
        return self.tokenizer.encode(
            sentences,
            add_eos=True,
            enable_sampling=self.bpe_dropout > 0,
            alpha=self.bpe_dropout,
            num_threads=1,
        )

    def batches(self, seed: int) -> list[Batch]:
        """One epoch: every pair once, neighbours in length together, batches in random order."""
        source, target = (self.encode(side, seed) for side in self.sides)
        shuffler = random.Random(seed)
        order = list(range(len(source)))
        shuffler.shuffle(order)
        order.sort(key=lambda i: (len(target[i]), len(source[i])))
        groups = self.group(order, source, target)
        shuffler.shuffle(groups)
        return [self.batch([source[i] for i in g], [target[i] for i in g]) for g in groups]

    def group(self, order: list[int], source, target) -> list[list[int]]:
        """Cut `order` where the next sentence would exceed max_tokens."""
        groups, longest = [[]], 0
        for i in order:
            longest = max(longest, len(source[i]), len(target[i]))
            if groups[-1] and longest * (len(groups[-1]) + 1) > self.max_tokens:
                groups.append([])
                longest = max(len(source[i]), len(target[i]))
            groups[-1].append(i)
        return groups

    def batch(self, source: list[list[int]], target: list[list[int]]) -> Batch:
        """Pad one group; both sides end with </s>."""
        source_ids, labels = pad(source), pad(target)
        target_ids = labels.roll(1, dims=1)
        target_ids[:, 0] = self.tokenizer.bos_id()
        return Batch(source_ids, (source_ids != 0).long(), target_ids, labels)
