"""The encoder-only folders of tests/fixtures, and what transformers says about them.

Each entry of ENCODERS becomes tests/fixtures/NAME as `optimum-cli export onnx` writes it, with a
small tokenizer, and tests/fixtures/golden/NAME.npz: `texts` [t], and for every K of the texts and
then of random ids `ids_K` [n], `hidden_K` [n, hidden_size] and, of a model that classifies,
`logits_K` [num_labels]; `pairs` [p, 2], and for every K of the pairs and then of random ids the
same as `pair_ids_K`, `pair_hidden_K` and `pair_logits_K`, with `pair_types_K` [n] for the token
types; `cut_ids` [c, 40]: those of the first pair, its
texts repeated, truncated. Called by
tools.make_fixtures.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from optimum.exporters.onnx import onnx_export_from_model
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

FIXTURES_DIR = Path(__file__).resolve().parents[1] / "tests" / "fixtures"
TEXTS = ("A dog runs.", "Two women talk, and they laugh!", "", "zzz unknown")
PAIRS = (("A dog runs.", "The cat laughs!"), ("", "Two men"), ("zzz", ""))
LONGER = ((30, 1), (1, 40), (11, 12))
"""How often the texts of the first pair are repeated, to be cut."""
POSITIONS = 40
WORDS = "a dog cat runs two women men talk laugh and they the is ##s ##ing . , !".split()
MAX_VOCAB = 97


@dataclass(frozen=True)
class EncoderFixture:
    """One folder.

    Attributes:
        name: of the folder.
        model: its class.
        config: of the model; a vocabulary of MAX_VOCAB, and positions for 40 tokens.
        task: of the export.
        special: the tokens of start, end, padding and the unknown, ids 0 to 3 in this order.
    """

    name: str
    model: type[PreTrainedModel]
    config: PretrainedConfig
    task: str
    special: tuple[str, str, str, str]
    seed: int


def sizes(width: int, layers: int, heads: int, inner: int) -> dict[str, int]:
    """BERT's size fields."""
    return {
        "vocab_size": MAX_VOCAB,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
    }


BERT_TOKENS = ("[CLS]", "[SEP]", "[PAD]", "[UNK]")
ROBERTA_TOKENS = ("<s>", "</s>", "<pad>", "<unk>")
MOODS = {0: "sad", 1: "calm", 2: "glad"}

ENCODERS = (
    EncoderFixture(
        name="bert-cls",
        model=BertForSequenceClassification,
        config=BertConfig(
            **sizes(64, 2, 4, 96), max_position_embeddings=40, pad_token_id=2, id2label=MOODS
        ),
        task="text-classification",
        special=BERT_TOKENS,
        seed=11,
    ),
    EncoderFixture(  # sizes that fit no vector, three token types, ReLU
        name="roberta",
        model=RobertaModel,
        config=RobertaConfig(
            **sizes(48, 2, 2, 77),
            max_position_embeddings=43,
            pad_token_id=2,
            type_vocab_size=3,
            hidden_act="relu",
            layer_norm_eps=1e-5,
        ),
        task="feature-extraction",
        special=ROBERTA_TOKENS,
        seed=12,
    ),
    EncoderFixture(  # one label
        name="xlm-roberta-cls",
        model=XLMRobertaForSequenceClassification,
        config=XLMRobertaConfig(
            **sizes(32, 1, 4, 64),
            max_position_embeddings=43,
            pad_token_id=2,
            type_vocab_size=1,
            num_labels=1,
        ),
        task="text-classification",
        special=ROBERTA_TOKENS,
        seed=13,
    ),
    EncoderFixture(
        name="distilbert-cls",
        model=DistilBertForSequenceClassification,
        config=DistilBertConfig(
            vocab_size=MAX_VOCAB,
            dim=48,
            n_layers=2,
            n_heads=4,
            hidden_dim=64,
            max_position_embeddings=40,
            sinusoidal_pos_embds=True,
            pad_token_id=2,
        ),
        task="text-classification",
        special=BERT_TOKENS,
        seed=14,
    ),
)


def make_model(fixture: EncoderFixture) -> PreTrainedModel:
    """A model whose every parameter matters: random biases and norms, large logits."""
    torch.manual_seed(fixture.seed)
    model = fixture.model(fixture.config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name.lower():
                parameter.normal_(1.0 if name.endswith("weight") else 0.0, 0.3)
            elif parameter.dim() == 1:
                parameter.normal_(0.0, 0.3)
            else:
                parameter.normal_(0.0, 1.0 if "embeddings" in name else parameter.shape[1] ** -0.5)
    return model


def make_tokenizer(fixture: EncoderFixture) -> PreTrainedTokenizerFast:
    """Words and word pieces, lower-cased, between a start and an end token."""
    start, end, padding, unknown = fixture.special
    vocab = {token: i for i, token in enumerate((*fixture.special, *WORDS))}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    of_roberta = fixture.special == ROBERTA_TOKENS
    processing = processors.RobertaProcessing if of_roberta else processors.BertProcessing
    tokenizer.post_processor = processing((end, 1), (start, 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        cls_token=start,
        sep_token=end,
        pad_token=padding,
        unk_token=unknown,
    )


def record(fixture: EncoderFixture, model: PreTrainedModel, tokenizer: Any, path: Path) -> None:
    """Writes golden/NAME.npz."""
    rng = np.random.default_rng(fixture.seed)
    random = [rng.integers(3, MAX_VOCAB, n).tolist() for n in (1, 17, POSITIONS)]
    arrays: dict[str, np.ndarray] = {"texts": np.array(TEXTS), "pairs": np.array(PAIRS)}
    for k, ids in enumerate([*(tokenizer(text).input_ids for text in TEXTS), *random]):
        arrays.update(outputs(model, ids, {}, "", k))
    # As a batch: alone, a pair whose second text is empty would be taken for one text.
    encoded = tokenizer(*(list(texts) for texts in zip(*PAIRS, strict=True)))
    pairs = list(zip(encoded.input_ids, encoded.token_type_ids, strict=True))
    num_types = getattr(fixture.config, "type_vocab_size", 1)
    pairs.append((random[1], rng.integers(0, num_types, len(random[1])).tolist()))
    for k, (ids, types) in enumerate(pairs):
        told = {"token_type_ids": torch.tensor([types])} if num_types > 1 else {}
        arrays[f"pair_types_{k}"] = np.array(types, np.int32)
        arrays.update(outputs(model, ids, told, "pair_", k))
    arrays["cut_ids"] = np.array(
        [
            tokenizer(*longer(PAIRS[0], counts), truncation=True, max_length=POSITIONS).input_ids
            for counts in LONGER
        ],
        np.int32,
    )
    np.savez_compressed(path, **arrays)


def longer(pair: tuple[str, str], counts: tuple[int, int]) -> list[str]:
    """The texts of a pair, each so many times over."""
    return [" ".join([text] * count) for text, count in zip(pair, counts, strict=True)]


def outputs(
    model: PreTrainedModel, ids: list[int], told: dict[str, torch.Tensor], prefix: str, k: int
) -> dict[str, np.ndarray]:
    """What the model makes of one text, by the names in the golden file."""
    with torch.no_grad():
        output = model(torch.tensor([ids]), output_hidden_states=True, **told)
    arrays = {"ids": np.array(ids, np.int32), "hidden": output.hidden_states[-1][0].numpy()}
    if "logits" in output:
        arrays["logits"] = output.logits[0].numpy()
    return {f"{prefix}{name}_{k}": array for name, array in arrays.items()}


def build(fixture: EncoderFixture) -> None:
    """Writes the folder and the golden file of one fixture."""
    model, tokenizer = make_model(fixture), make_tokenizer(fixture)
    folder = FIXTURES_DIR / fixture.name
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        onnx_export_from_model(model, Path(name), task=fixture.task, do_validation=False)
        tokenizer.save_pretrained(name)
        shutil.copytree(name, folder)
    golden = f"{fixture.name.replace('-', '_')}.npz"
    record(fixture, model, tokenizer, FIXTURES_DIR / "golden" / golden)
