"""The assembled models: positions, tied embeddings, padding, causality and the cache."""

import pytest

torch = pytest.importorskip("torch")

from tools.reference.config import TransformerConfig  # noqa: E402
from tools.reference.dropout import Dropout  # noqa: E402
from tools.reference.embedding import sinusoidal_table  # noqa: E402
from tools.reference.language_model import LanguageModel  # noqa: E402
from tools.reference.model import Transformer  # noqa: E402

SIZES = {
    "vocab_size": 31,
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "max_position_embeddings": 32,
}
BOTH_NORMS = pytest.mark.parametrize("normalize_before", [False, True])


def build(kind=Transformer, **changes):
    """A small random model in evaluation mode."""
    torch.manual_seed(0)
    return kind(TransformerConfig(**(SIZES | changes))).eval()


def random_ids(batch, length):
    return torch.randint(3, SIZES["vocab_size"], (batch, length))


def test_sinusoids_are_the_formula():
    table = sinusoidal_table(8, 6).double()
    for position in range(8):
        for i in range(3):
            angle = torch.tensor(position / 10000 ** (2 * i / 6), dtype=torch.float64)
            torch.testing.assert_close(table[position, 2 * i], angle.sin(), atol=1e-7, rtol=0)
            torch.testing.assert_close(table[position, 2 * i + 1], angle.cos(), atol=1e-7, rtol=0)


def test_one_matrix_embeds_and_projects():
    model = build()
    assert model.encoder.embed_tokens.weight is model.decoder.embed_tokens.weight
    hidden_states = torch.randn(2, 3, 16)
    expected = hidden_states @ model.encoder.embed_tokens.weight.T
    torch.testing.assert_close(model.decoder.logits(hidden_states), expected)


@BOTH_NORMS
def test_padding_changes_nothing(normalize_before):
    model = build(normalize_before=normalize_before)
    source, target = random_ids(1, 5), random_ids(1, 4)
    padded = torch.cat((source, torch.zeros(1, 3, dtype=torch.long)), dim=1)
    alone = model(source, torch.ones_like(source), target)
    beside = model(padded, (padded != 0).long(), target)
    torch.testing.assert_close(alone, beside)


def test_later_targets_are_not_seen():
    model = build()
    source, target = random_ids(2, 5), random_ids(2, 6)
    mask = torch.ones_like(source)
    changed = target.clone()
    changed[:, 4:] = 3
    before, after = model(source, mask, target), model(source, mask, changed)
    assert torch.equal(before[:, :4], after[:, :4])


@BOTH_NORMS
def test_cached_is_uncached(normalize_before):
    model = build(normalize_before=normalize_before)
    source, target = random_ids(2, 5), random_ids(2, 6)
    mask = torch.ones_like(source)
    hidden_states = model.encoder(source, mask)
    expected, _ = model.decoder(target, mask, hidden_states)
    first, cache = model.decoder(target[:, :2], mask, hidden_states)
    steps = [first]
    for i in range(2, 6):
        step, cache = model.decoder(target[:, i : i + 1], mask, past_key_values=cache)
        steps.append(step)
    torch.testing.assert_close(torch.cat(steps, dim=1), expected)


@BOTH_NORMS
def test_language_model_cached_is_uncached(normalize_before):
    model = build(LanguageModel, normalize_before=normalize_before)
    ids = random_ids(2, 6)
    expected, _ = model(ids, torch.ones_like(ids))
    first, cache = model(ids[:, :4], torch.ones(2, 4))
    second, _ = model(ids[:, 4:], torch.ones(2, 6), cache)
    torch.testing.assert_close(torch.cat((first, second), dim=1), expected)


def test_layer_norm_stands_where_the_switch_says():
    """Post-norm output is normalised by the last layer, pre-norm by one more layer norm."""
    source = random_ids(2, 5)
    for normalize_before in (False, True):
        model = build(normalize_before=normalize_before)
        hidden_states = model.encoder(source, torch.ones_like(source))
        torch.testing.assert_close(hidden_states.mean(-1), torch.zeros(2, 5), atol=1e-5, rtol=0)
        names = dict(model.encoder.named_parameters())
        assert ("layer_norm.weight" in names) == normalize_before


def test_dropout_keeps_the_mean_and_the_share():
    torch.manual_seed(0)
    ones = torch.ones(1001, 99)
    dropped = Dropout(0.3).train()(ones)
    assert abs((dropped == 0).float().mean() - 77 / 256) < 0.005
    assert abs(dropped.mean() - 1) < 0.01
    assert Dropout(0.3).eval()(ones) is ones


@pytest.mark.parametrize("sizes", [{"d_model": 18}, {"d_model": 15, "encoder_attention_heads": 5}])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="d_model"):
        TransformerConfig(**(SIZES | sizes))


def test_impossible_dropout_is_refused():
    with pytest.raises(ValueError, match="dropout"):
        Dropout(1.0)
