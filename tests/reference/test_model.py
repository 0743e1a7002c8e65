"""The assembled models: positions, tied embeddings, padding, causality and the cache."""

import math

import pytest

torch = pytest.importorskip("torch")

from tools.reference.cache import reorder  # noqa: E402
from tools.reference.config import DECODER_KINDS, TransformerConfig  # noqa: E402
from tools.reference.dropout import Dropout  # noqa: E402
from tools.reference.embedding import sinusoidal_table  # noqa: E402
from tools.reference.language_model import LanguageModel  # noqa: E402
from tools.reference.model import Transformer  # noqa: E402
from tools.reference.ssru import SimpleRecurrentUnit  # noqa: E402

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
BOTH_KINDS = pytest.mark.parametrize("decoder_kind", DECODER_KINDS)


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


@BOTH_KINDS
@BOTH_NORMS
def test_padding_changes_nothing(normalize_before, decoder_kind):
    model = build(normalize_before=normalize_before, decoder_kind=decoder_kind)
    source, target = random_ids(1, 5), random_ids(1, 4)
    padded = torch.cat((source, torch.zeros(1, 3, dtype=torch.long)), dim=1)
    alone = model(source, torch.ones_like(source), target)
    beside = model(padded, (padded != 0).long(), target)
    torch.testing.assert_close(alone, beside)


@BOTH_KINDS
def test_later_targets_are_not_seen(decoder_kind):
    model = build(decoder_kind=decoder_kind)
    source, target = random_ids(2, 5), random_ids(2, 6)
    mask = torch.ones_like(source)
    changed = target.clone()
    changed[:, 4:] = 3
    before, after = model(source, mask, target), model(source, mask, changed)
    assert torch.equal(before[:, :4], after[:, :4])


@BOTH_KINDS
@BOTH_NORMS
def test_cached_is_uncached(normalize_before, decoder_kind):
    model = build(normalize_before=normalize_before, decoder_kind=decoder_kind)
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


@BOTH_KINDS
def test_a_reordered_cache_is_that_of_the_other_row(decoder_kind):
    model = build(decoder_kind=decoder_kind)
    source, target = random_ids(2, 5), random_ids(2, 4)
    mask = torch.ones_like(source)
    _, cache = model.decoder(target[:, :3], mask, model.encoder(source, mask))
    expected, _ = model.decoder(target[:, 3:], mask, past_key_values=cache)
    rows = torch.tensor([1, 0, 1])
    swapped, _ = model.decoder(target[rows, 3:], mask[rows], past_key_values=reorder(cache, rows))
    torch.testing.assert_close(swapped, expected[rows])


def test_recurrence_is_the_formula():
    torch.manual_seed(0)
    unit = SimpleRecurrentUnit(4).double()
    x = torch.randn(1, 5, 4, dtype=torch.float64)
    found, (states,) = unit(x, torch.zeros(()))
    for j in range(4):
        state = 0.0
        for t in range(5):
            gate = 1 / (1 + math.exp(-(x[0, t] @ unit.gate.weight[j] + unit.gate.bias[j])))
            state = gate * state + (1 - gate) * float(x[0, t] @ unit.in_proj.weight[j])
            assert float(states[0, t, j]) == pytest.approx(state)
            assert float(found[0, t, j]) == pytest.approx(max(0.0, state))


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


def test_unknown_decoders_are_refused():
    with pytest.raises(ValueError, match="decoder_kind 'gru' is not one of"):
        TransformerConfig(**SIZES, decoder_kind="gru")


@pytest.mark.parametrize("sizes", [{"d_model": 18}, {"d_model": 15, "encoder_attention_heads": 5}])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="d_model"):
        TransformerConfig(**(SIZES | sizes))


def test_impossible_dropout_is_refused():
    with pytest.raises(ValueError, match="dropout"):
        Dropout(1.0)
