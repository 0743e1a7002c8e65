"""Beam search against transformers' generate() on a random model."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tools.reference.config import TransformerConfig  # noqa: E402
from tools.reference.goldens import strip  # noqa: E402
from tools.reference.marian import to_marian  # noqa: E402
from tools.reference.model import Transformer  # noqa: E402
from tools.reference.search import beam_search  # noqa: E402


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(4)
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 16}
    config = TransformerConfig(vocab_size=23, decoder_ffn_dim=16, dropout=0.0, **sizes)
    model = Transformer(config).eval()
    with torch.no_grad():
        model.decoder.embed_tokens.weight.mul_(4)  # peaked, so that no two candidates tie
    return model


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("num_beams", [2, 5])
def test_beams_are_those_of_transformers(model, num_beams, length_penalty):
    torch.manual_seed(5)
    source = torch.randint(3, 23, (6, 7))
    mask = torch.ones_like(source)
    mask[3:, 4:] = 0
    options = {"num_beams": num_beams, "length_penalty": length_penalty, "max_length": 12}
    expected = to_marian(model).generate(
        source,
        attention_mask=mask,
        num_return_sequences=num_beams,
        return_dict_in_generate=True,
        output_scores=True,
        early_stopping=False,
        **options,
    )
    found = [h for hypotheses in beam_search(model, source, mask, **options) for h in hypotheses]
    assert [h.ids for h in found] == [strip(x, model.config) for x in expected.sequences.tolist()]
    scores = torch.tensor([h.score for h in found])
    torch.testing.assert_close(scores, expected.sequences_scores, atol=1e-5, rtol=1e-5)
