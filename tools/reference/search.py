"""Section 6.1: beam search with a length penalty, by the rules of transformers 4.57."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tools.reference.cache import reorder
from tools.reference.model import Transformer

LOWEST = -1e9
"""Score of a beam that must not win."""


@dataclass(frozen=True)
class Hypothesis:
    """A translation without start and end token, and its score.

    The score is the sum of log-probabilities over (number of tokens with the end)^length_penalty.
    """

    ids: list[int]
    score: float


class Finished:
    """The best `num_beams` ended hypotheses of one sentence."""

    def __init__(self, num_beams: int, length_penalty: float, eos_token_id: int):
        self.num_beams, self.length_penalty = num_beams, length_penalty
        self.eos_token_id = eos_token_id
        self.hypotheses: list[Hypothesis] = []
        self.done = False

    def add(self, ids: list[int], total: float) -> None:
        """Keep a hypothesis if it is among the best."""
        if self.done:
            return
        score = total / len(ids) ** self.length_penalty
        kept = [*self.hypotheses, Hypothesis([i for i in ids if i != self.eos_token_id], score)]
        self.hypotheses = sorted(kept, key=lambda h: -h.score)[: self.num_beams]

    def close(self, best_running_total: float, length: int) -> None:
        """Stop once no running beam of this length beats the worst of enough hypotheses."""
        enough = len(self.hypotheses) == self.num_beams
        best_possible = best_running_total / length**self.length_penalty
        self.done |= enough and self.hypotheses[-1].score >= best_possible


@torch.no_grad()
def beam_search(
    model: Transformer,
    input_ids: Tensor,
    attention_mask: Tensor,
    num_beams: int = 5,
    length_penalty: float = 1.0,
    max_length: int = 200,
) -> list[list[Hypothesis]]:
    """The best `num_beams` translations of each sentence, best first.

    Args:
        model: in evaluation mode.
        input_ids, attention_mask: [batch, src_len].
        num_beams: 1 is greedy search.
        length_penalty: exponent of the length in the score.
        max_length: bound on the target length, start and end token included.
    """
    config, batch = model.config, len(input_ids)
    finished = [Finished(num_beams, length_penalty, config.eos_token_id) for _ in range(batch)]
    encoder_hidden_states = model.encoder(input_ids, attention_mask)
    rows = torch.arange(batch).repeat_interleave(num_beams)
    mask, source, cache = attention_mask[rows], encoder_hidden_states[rows], None
    tokens = torch.full((batch, num_beams, 1), config.decoder_start_token_id)
    totals = torch.full((batch, num_beams), LOWEST)
    totals[:, 0] = 0
    for length in range(1, max_length):
        hidden_states, cache = model.decoder(tokens[:, :, -1].reshape(-1, 1), mask, source, cache)
        log_probs = model.decoder.logits(hidden_states[:, -1]).log_softmax(-1)
        candidates = (totals[:, :, None] + log_probs.view(batch, num_beams, -1)).flatten(1)
        best, index = candidates.topk(2 * num_beams)
        parents = index // config.vocab_size
        next_tokens = index % config.vocab_size
        tokens = torch.cat((select(tokens, parents), next_tokens[:, :, None]), dim=2)
        ended = (next_tokens == config.eos_token_id) | (length == max_length - 1)
        collect(finished, tokens, best, ended, num_beams)
        totals, survivors = (best + ended * LOWEST).topk(num_beams)
        tokens = select(tokens, survivors)
        offsets = torch.arange(batch)[:, None] * num_beams
        cache = reorder(cache, (parents.gather(1, survivors) + offsets).flatten())
        for sentence, total in zip(finished, totals[:, 0].tolist(), strict=True):
            sentence.close(total, length)
        if all(sentence.done for sentence in finished):
            break
    return [sentence.hypotheses for sentence in finished]


def select(tokens: Tensor, beams: Tensor) -> Tensor:
    """Rows `beams` [batch, n] of tokens [batch, beams, length]: [batch, n, length]."""
    return tokens.gather(1, beams[:, :, None].expand(-1, -1, tokens.shape[2]))


def collect(finished: list[Finished], tokens: Tensor, totals, ended, num_beams: int) -> None:
    """Hand ended candidates to their sentences if they rank among the first num_beams."""
    for i, rank in ended[:, :num_beams].nonzero().tolist():
        finished[i].add(tokens[i, rank, 1:].tolist(), float(totals[i, rank]))
