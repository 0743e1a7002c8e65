"""Attention and masks against loops and by hand."""

import math

import pytest

torch = pytest.importorskip("torch")

from tools.reference.attention import (  # noqa: E402
    EncoderAttention,
    SelfAttention,
    causal_mask,
    dot_product_attention,
    padding_mask,
)


def naive_attention(query, key, value, allowed):
    """One head with Python numbers: softmax over the allowed keys only."""
    rows = []
    for i in range(len(query)):
        scores = {
            j: math.exp(float(query[i] @ key[j]) / math.sqrt(len(key[j])))
            for j in range(len(key))
            if allowed(i, j)
        }
        rows.append(sum(score * value[j] for j, score in scores.items()) / sum(scores.values()))
    return torch.stack(rows)


@pytest.mark.parametrize(("query_len", "key_len"), [(1, 1), (3, 3), (2, 5)])
def test_dot_product_attention_is_the_loop(query_len, key_len):
    torch.manual_seed(0)
    query = torch.randn(2, 3, query_len, 5, dtype=torch.float64)
    key, value = torch.randn(2, 2, 3, key_len, 5, dtype=torch.float64)
    actual = dot_product_attention(query, key, value, causal_mask(query_len, key_len, query))
    for batch in range(2):
        for head in range(3):
            expected = naive_attention(
                query[batch, head],
                key[batch, head],
                value[batch, head],
                lambda i, j: j <= key_len - query_len + i,
            )
            torch.testing.assert_close(actual[batch, head], expected)


def test_causal_mask_hides_what_comes_later():
    hidden = causal_mask(3, 4, torch.zeros(())) < 0
    assert hidden.tolist() == [
        [False, False, True, True],
        [False, False, False, True],
        [False, False, False, False],
    ]


def test_padding_mask_hides_padding():
    mask = padding_mask(torch.tensor([[1, 1, 0]]), torch.float32)
    assert mask.shape == (1, 1, 1, 3)
    assert mask.flatten().tolist() == [0, 0, torch.finfo(torch.float32).min]


@torch.no_grad()
def test_heads_attend_apart():
    """Multi-head attention is one naive head per slice of the projections."""
    torch.manual_seed(1)
    attention = SelfAttention(hidden_size=8, num_heads=2).double().eval()
    hidden_states = torch.randn(1, 4, 8, dtype=torch.float64)
    actual, _ = attention(hidden_states, torch.zeros(4, 4, dtype=torch.float64))
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    query, key, value = (projection(hidden_states[0]) for projection in projections)
    heads = [
        naive_attention(query[:, part], key[:, part], value[:, part], lambda i, j: True)
        for part in (slice(0, 4), slice(4, 8))
    ]
    torch.testing.assert_close(actual[0], attention.out_proj(torch.cat(heads, dim=1)))


def test_encoder_attention_reads_its_cache():
    torch.manual_seed(2)
    attention = EncoderAttention(hidden_size=8, num_heads=2)
    hidden_states, source = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    mask = torch.zeros(2, 1, 1, 5)
    first, present = attention(hidden_states, source, mask)
    again, _ = attention(hidden_states, None, mask, present)
    assert torch.equal(first, again)
