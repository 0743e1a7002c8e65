"""Teaches a small model a toy translation, so that its searches look like a real model's.

A random model repeats one token for ever. A few seconds of training on this task give what the
search tests need: several plausible tokens at each step, and sentences that end by themselves at
different lengths.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

# Shares of the four continuations of a word, and of the sentence's end.
SHARES = (0.42, 0.22, 0.14, 0.10, 0.12)
NUM_TOPICS = 4
NUM_CLASSES = 32


class ToyLanguage:
    """Sentences in which a word's class has four continuations, other ones for each topic.

    The topic of a sentence is its first source token modulo NUM_TOPICS.

    Args:
        num_sources: source ids are `first` ... num_sources - 2; the last may be the padding.
        num_targets: target ids are `first` ... num_targets - 1.
        padding: the id of the padding, never a target.
        seed: of the language and of the sentences.
        end: the id of the end token.
        first: the lowest id that is no special token.
    """

    def __init__(
        self,
        num_sources: int,
        num_targets: int,
        padding: int,
        seed: int,
        end: int = 0,
        first: int = 1,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        allowed = [token for token in range(first, num_targets) if token != padding]
        self._next = self._rng.choice(allowed, (NUM_TOPICS, NUM_CLASSES, 4))
        self._sources = (first, num_sources - 1)
        self._padding = padding
        self._end = end

    def batch(self, size: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Sources [size, length + 1] with end token, targets [size, length + 2] (-100: none)."""
        sources = self._rng.integers(*self._sources, (size, length))
        targets = np.full((size, length + 2), -100)
        for row, source in zip(targets, sources, strict=True):
            word = self._padding
            for i in range(length + 2):
                choice = self._rng.choice(5, p=SHARES) if i else 0
                word = self._next[source[0] % NUM_TOPICS, word % NUM_CLASSES, choice % 4]
                row[i] = word if choice < 4 and i <= length else self._end
                if row[i] == self._end:
                    break
        return np.pad(sources, ((0, 0), (0, 1)), constant_values=self._end), targets


def teach(
    logits_of: Callable[[Tensor, Tensor], Tensor],
    parameters: Iterable[nn.Parameter],
    language: ToyLanguage,
    steps: int,
    max_length: int,
    start: int,
) -> None:
    """Trains a model in place on sentences of up to `max_length` tokens.

    Args:
        logits_of: the model: source ids and decoder input ids -> logits.
        parameters: of the model; those that need no gradient stay as they are.
        language: what it learns.
        steps: updates of 32 sentences.
        max_length: of the sources.
        start: the id the decoder starts from.
    """
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    loss = torch.zeros(())
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 50, 2 * (steps - step) / steps)
        sources, targets = map(torch.from_numpy, language.batch(32, 1 + step * 7 % max_length))
        inputs = functional.pad(targets[:, :-1].clamp(min=0), (1, 0), value=start)
        logits = logits_of(sources, inputs)
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    print(f"  toy language learnt to a loss of {loss.item():.2f}")
