"""Section 5: train an English-German model on Multi30k, resumably and reproducibly.

    python -m tools.reference.train --data ../shared/data/multi30k --run ../runs/multi30k

writes into the run folder: spiece.model, config.json, last.pt (to resume from), update_*.pt
(weights, for averaging), losses.json and losses.png. Started again, it goes on where it stopped.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import sentencepiece
import torch
from torch import Tensor
from tqdm import tqdm

from tools.reference.config import TransformerConfig
from tools.reference.data import Batch, Corpus, read_lines, train_tokenizer
from tools.reference.loss import projected_loss
from tools.reference.model import Transformer
from tools.reference.plot import plot_losses
from tools.reference.schedule import learning_rate


@dataclass(frozen=True)
class Recipe:
    """How to train; the defaults are those of the committed model."""

    updates: int = 14000
    peak_rate: float = 0.0015
    warmup_updates: int = 800
    label_smoothing: float = 0.1
    clip_norm: float = 1.0
    save_every: int = 400  # updates
    seed: int = 1


class Trainer:
    """A model, its optimizer and the place in the data, all of which a checkpoint holds.

    Args:
        model: trained in place.
        corpus: the training pairs.
        validation: batches for the validation loss.
        recipe: see `Recipe`.
        run: folder of the checkpoints.
    """

    def __init__(
        self,
        model: Transformer,
        corpus: Corpus,
        validation: list[Batch],
        recipe: Recipe,
        run: Path,
    ):
        self.model, self.corpus, self.validation = model, corpus, validation
        self.recipe, self.run = recipe, run
        self.optimizer = torch.optim.Adam(
            model.parameters(), betas=(0.9, 0.98), eps=1e-9, fused=True
        )
        self.update, self.epoch, self.position = 0, 0, 0
        self.losses: list[dict[str, float]] = []
        if (run / "last.pt").exists():
            self.resume(torch.load(run / "last.pt", weights_only=True))

    def train(self) -> None:
        """Run to the last update of the recipe, saving on the way."""
        progress = tqdm(total=self.recipe.updates, initial=self.update, mininterval=10)
        recent = []
        while self.update < self.recipe.updates:
            batches = self.corpus.batches(self.recipe.seed + self.epoch)
            for batch in batches[self.position :]:
                recent.append(self.step(batch))
                progress.update()
                if self.update % self.recipe.save_every == 0:
                    self.record(sum(recent) / len(recent), progress)
                    self.save()
                    recent = []
                if self.update == self.recipe.updates:
                    return
            self.epoch, self.position = self.epoch + 1, 0

    def step(self, batch: Batch) -> float:
        """One update of Adam on one batch; returns the loss in nats a token."""
        self.update, self.position = self.update + 1, self.position + 1
        rate = learning_rate(self.update, self.recipe.peak_rate, self.recipe.warmup_updates)
        self.optimizer.param_groups[0]["lr"] = rate
        self.model.train()
        loss = batch_loss(self.model, batch, self.recipe.label_smoothing)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def validate(self) -> float:
        """Cross entropy without smoothing, nats a token of the validation set."""
        self.model.eval()
        tokens = [int((batch.labels != 0).sum()) for batch in self.validation]
        losses = [batch_loss(self.model, batch, 0.0).item() for batch in self.validation]
        return sum(loss * n for loss, n in zip(losses, tokens, strict=True)) / sum(tokens)

    def record(self, loss: float, progress: tqdm) -> None:
        """Add a point to the loss curve, the mean training loss since the last one, and redraw."""
        point = {"update": self.update, "train": loss, "validation": self.validate()}
        self.losses.append(point | {"time": time.time()})
        progress.set_postfix(train=f"{loss:.3f}", validation=f"{point['validation']:.3f}")
        (self.run / "losses.json").write_text(json.dumps(self.losses, indent=1))
        plot_losses(self.losses, self.run / "losses.png")

    def save(self) -> None:
        """Write the weights, and aside then renamed, all that resuming needs."""
        weights = self.model.state_dict()
        torch.save({"model": weights}, self.run / f"update_{self.update:06d}.pt")
        state = {
            "model": weights,
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "place": [self.update, self.epoch, self.position],
            "losses": self.losses,
        }
        torch.save(state, self.run / "last.new")
        (self.run / "last.new").replace(self.run / "last.pt")

    def resume(self, state: dict) -> None:
        """Continue from what `save` wrote, to the same weights as without the interruption."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        self.update, self.epoch, self.position = state["place"]
        self.losses = state["losses"]


def batch_loss(model: Transformer, batch: Batch, smoothing: float) -> Tensor:
    """Mean loss in nats a target token; products in bfloat16, sums and norms in float32."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden_states = model(batch.source_ids, batch.source_mask, batch.target_ids)
        real = batch.labels != 0
        embedding = model.decoder.embed_tokens.weight
        labels = batch.labels[real]
        loss = projected_loss(hidden_states[real].float(), embedding, labels, smoothing)
    return loss / len(labels)


def load_corpus(data: Path, split: str, tokenizer, **options) -> Corpus:
    """A split of Multi30k, English to German."""
    return Corpus(
        tokenizer,
        read_lines(data / f"{split}.en.gz"),
        read_lines(data / f"{split}.de.gz"),
        **options,
    )


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train an English-German model on Multi30k.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/multi30k"))
    parser.add_argument("--run", type=Path, default=Path("../runs/multi30k"))
    parser.add_argument("--vocab-size", type=int, default=6000)
    parser.add_argument("--max-tokens", type=int, default=2048)
    parser.add_argument("--bpe-dropout", type=float, default=0.0)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--peak-rate", type=float, default=Recipe.peak_rate)
    parser.add_argument("--warmup-updates", type=int, default=Recipe.warmup_updates)
    parser.add_argument("--updates", type=int, default=Recipe.updates)
    return parser.parse_args()


def main() -> None:
    """Train a tokenizer unless the run has one, then the model."""
    arguments = parse_arguments()
    data, run = arguments.data, arguments.run
    run.mkdir(parents=True, exist_ok=True)
    if not (run / "spiece.model").exists():
        texts = [data / "train.en.gz", data / "train.de.gz"]
        train_tokenizer(texts, run / "spiece", arguments.vocab_size)
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(run / "spiece.model"))
    config = TransformerConfig(vocab_size=tokenizer.vocab_size(), dropout=arguments.dropout)
    config.save(run / "config.json")
    recipe = Recipe(
        updates=arguments.updates,
        peak_rate=arguments.peak_rate,
        warmup_updates=arguments.warmup_updates,
    )
    torch.manual_seed(recipe.seed)
    corpus = load_corpus(
        data,
        "train",
        tokenizer,
        bpe_dropout=arguments.bpe_dropout,
        max_tokens=arguments.max_tokens,
    )
    validation = load_corpus(data, "val", tokenizer).batches(recipe.seed)
    Trainer(Transformer(config), corpus, validation, recipe, run).train()


if __name__ == "__main__":
    main()
