"""Loss, schedule, data, averaging and resuming."""

import pytest

torch = pytest.importorskip("torch")
sentencepiece = pytest.importorskip("sentencepiece")

from tools.reference.average import average_weights, last_checkpoints  # noqa: E402
from tools.reference.config import TransformerConfig  # noqa: E402
from tools.reference.data import Corpus  # noqa: E402
from tools.reference.loss import CHUNK_ROWS, projected_loss, smoothed_loss  # noqa: E402
from tools.reference.model import Transformer  # noqa: E402
from tools.reference.schedule import learning_rate  # noqa: E402
from tools.reference.train import Recipe, Trainer  # noqa: E402

WORDS = "red green blue dog cat runs sleeps here there now".split()


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A BPE of a few words with the ids of the real one."""
    prefix = tmp_path_factory.mktemp("bpe") / "spiece"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(WORDS)] * 20),
        model_prefix=str(prefix),
        model_type="bpe",
        vocab_size=50,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")


def sentences(count, seed):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 8, (count,), generator=generator)
    return [
        " ".join(WORDS[i] for i in torch.randint(0, len(WORDS), (n,), generator=generator))
        for n in lengths.tolist()
    ]


def make_corpus(tokenizer, **options):
    return Corpus(tokenizer, sentences(40, 1), sentences(40, 2), max_tokens=64, **options)


def test_schedule_is_equation_3():
    d_model, warmup = 512, 4000
    for update in (1, 100, 4000, 9999):
        expected = d_model**-0.5 * min(update**-0.5, update * warmup**-1.5)
        assert learning_rate(update, (d_model * warmup) ** -0.5, warmup) == pytest.approx(expected)


def test_smoothed_loss_is_cross_entropy_with_the_smoothed_label():
    torch.manual_seed(0)
    logits = torch.randn(5, 7, dtype=torch.float64)
    labels = torch.tensor([0, 6, 3, 3, 1])
    target = torch.full((5, 7), 0.1 / 7, dtype=torch.float64)
    target[torch.arange(5), labels] += 0.9
    expected = -(target * logits.log_softmax(-1)).sum()
    torch.testing.assert_close(smoothed_loss(logits, labels, 0.1), expected)


def test_chunked_loss_and_gradients_are_the_plain_ones():
    torch.manual_seed(0)
    positions = 2 * CHUNK_ROWS + 3
    hidden_states = torch.randn(positions, 6, dtype=torch.float64, requires_grad=True)
    embedding = torch.randn(11, 6, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 11, (positions,))
    plain = smoothed_loss(hidden_states @ embedding.T, labels, 0.1)
    chunked = projected_loss(hidden_states, embedding, labels, 0.1)
    torch.testing.assert_close(chunked, plain)
    expected = torch.autograd.grad(2 * plain, (hidden_states, embedding))
    actual = torch.autograd.grad(2 * chunked, (hidden_states, embedding))
    torch.testing.assert_close(actual, expected)


def test_batches_hold_every_pair_once_within_the_bound(tokenizer):
    corpus = make_corpus(tokenizer)
    batches = corpus.batches(seed=5)
    seen = sorted(
        tuple(tokenizer.decode([i for i in row if i > 3]) for row in pair)
        for batch in batches
        for pair in zip(batch.source_ids.tolist(), batch.labels.tolist(), strict=True)
    )
    assert seen == sorted(zip(*corpus.sides, strict=True))
    for batch in batches:
        assert max(batch.source_ids.numel(), batch.labels.numel()) <= 64
        assert (batch.target_ids[:, 0] == 1).all()
        assert torch.equal(batch.target_ids[:, 1:], batch.labels[:, :-1])


@pytest.mark.parametrize("bpe_dropout", [0.0, 0.3])
def test_an_epoch_is_a_function_of_its_seed(tokenizer, bpe_dropout):
    corpus = make_corpus(tokenizer, bpe_dropout=bpe_dropout)

    def epoch(seed):
        return [batch.labels.tolist() for batch in corpus.batches(seed)]

    assert epoch(1) == epoch(1)
    assert epoch(1) != epoch(2)


def test_sides_of_different_length_are_refused(tokenizer):
    with pytest.raises(ValueError, match="2 source and 1 target"):
        Corpus(tokenizer, ["a", "b"], ["a"])


def make_trainer(tokenizer, run, updates, **changes):
    run.mkdir(exist_ok=True)
    torch.manual_seed(3)
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16}
    config = TransformerConfig(vocab_size=50, decoder_ffn_dim=16, **(sizes | changes))
    model = Transformer(config)
    corpus = make_corpus(tokenizer)
    recipe = Recipe(updates=updates, warmup_updates=4, save_every=5)
    return Trainer(model, corpus, corpus.batches(0)[:1], recipe, run)


def test_resumed_training_gives_the_same_weights(tokenizer, tmp_path):
    pytest.importorskip("matplotlib")
    whole = make_trainer(tokenizer, tmp_path / "whole", updates=20)
    whole.train()
    make_trainer(tokenizer, tmp_path / "parts", updates=10).train()
    resumed = make_trainer(tokenizer, tmp_path / "parts", updates=20)
    assert resumed.update == 10
    resumed.train()
    weights = resumed.model.state_dict()
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    assert [point["update"] for point in resumed.losses] == [5, 10, 15, 20]
    assert (tmp_path / "parts" / "losses.png").stat().st_size > 0


def test_recurrent_units_learn(tokenizer, tmp_path):
    pytest.importorskip("matplotlib")
    trainer = make_trainer(tokenizer, tmp_path / "ssru", updates=30, decoder_kind="ssru")
    before = [p.clone() for p in trainer.model.decoder.layers[0].ssru.parameters()]
    trainer.train()
    assert trainer.losses[-1]["validation"] < 0.9 * trainer.losses[0]["validation"]
    after = trainer.model.decoder.layers[0].ssru.parameters()
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_average_is_the_mean_of_the_last_checkpoints(tmp_path):
    for update in (100, 200, 300):
        weights = {"w": torch.full((2,), float(update))}
        torch.save({"model": weights}, tmp_path / f"update_{update:06d}.pt")
    averaged = average_weights(last_checkpoints(tmp_path, 2))
    assert averaged["w"].tolist() == [250, 250]


def test_averaging_nothing_is_refused():
    with pytest.raises(ValueError, match="no checkpoints"):
        average_weights([])
