"""Which files decide, and what is said when they are missing, damaged or another model's."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from pyengine.errors import (
    Error,
    ModelFormatError,
    ModelNotFoundError,
    TokenizerMissingError,
    UnsupportedModelError,
)
from pyengine.text import load_tokenizer
from pyengine.text.fast import FastTokenizer
from pyengine.text.marian import MarianTokenizer
from pyengine.text.numbered_pieces import (
    FairseqPieceTokenizer,
    PegasusPieceTokenizer,
    T5PieceTokenizer,
)
from pyengine.text.spiece import SpieceTokenizer


@pytest.fixture
def copy(cases: Any, tmp_path: Path) -> Any:
    """A function that copies a fixture folder, by name, to a place where it may be spoilt."""

    def make(name: str) -> Path:
        return Path(shutil.copytree(cases[name].folder, tmp_path / name, dirs_exist_ok=True))

    return make


def test_files_that_are_called_like_marian_s(copy: Any) -> None:
    folder = copy("marian-multi")
    (folder / "model.bin").touch()  # CTranslate2's, in the folder that it was converted from
    (folder / "config.json").touch()
    assert isinstance(load_tokenizer(folder, {"model_type": "marian"}), MarianTokenizer)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("marian-multi", MarianTokenizer),
        ("marian-separate", MarianTokenizer),
        ("t5", FastTokenizer),
        ("fast-bpe", FastTokenizer),
        ("spiece", SpieceTokenizer),
        ("t5-numbered", T5PieceTokenizer),
        ("mt5-numbered", T5PieceTokenizer),
        ("pegasus-numbered", PegasusPieceTokenizer),
        ("xlm-roberta-numbered", FairseqPieceTokenizer),
        ("mbart-numbered", FairseqPieceTokenizer),
        ("nllb-numbered", FairseqPieceTokenizer),
    ],
)
def test_the_files_decide(cases: Any, name: str, kind: type) -> None:
    assert type(cases[name].tokenizer) is kind


def test_marian_files_come_before_tokenizer_json(copy: Any, cases: Any) -> None:
    folder = copy("marian-multi")
    shutil.copy(cases["t5"].folder / "tokenizer.json", folder)
    assert type(load_tokenizer(folder, {"model_type": "marian"})) is MarianTokenizer


def test_spiece_model_is_only_for_models_that_have_one(copy: Any) -> None:
    folder = copy("spiece")
    assert isinstance(load_tokenizer(folder, {"model_type": "t5"}), T5PieceTokenizer)
    with pytest.raises(TokenizerMissingError) as caught:
        load_tokenizer(folder, {"model_type": "bart"})
    assert "spiece.model" not in str(caught.value)
    assert "tokenizer.json" in str(caught.value)


def test_tokenizer_json_comes_before_spiece_model(copy: Any, cases: Any) -> None:
    folder = copy("t5-numbered")
    shutil.copy(cases["t5"].folder / "tokenizer.json", folder)
    assert isinstance(load_tokenizer(folder, {"model_type": "t5"}), FastTokenizer)


def test_languages_are_those_that_the_folder_lists(copy: Any) -> None:
    folder = copy("mbart-numbered")
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(ModelFormatError, match=r"bpe\.model: .*'en_XX'.* found 0 languages"):
        load_tokenizer(folder, {"model_type": "mbart"})


def test_sentinels_are_as_many_as_the_folder_says(copy: Any, cases: Any) -> None:
    tokenizer, num_pieces = cases["t5-numbered"].tokenizer, 300
    assert tokenizer.encode("<extra_id_0> <extra_id_99>") == [num_pieces + 99, num_pieces, 1]
    folder = copy("t5-numbered")
    for settings in ({"extra_ids": 0}, {"extra_ids": 0, "additional_special_tokens": None}):
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        ids = load_tokenizer(folder, {"model_type": "mt5"}).encode("<extra_id_0>")
        assert max(ids) < num_pieces
    tokens = ["<extra_id_1>", "<extra_id_0>", "<more>"]
    settings = {"extra_ids": 2, "additional_special_tokens": tokens}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    ids = load_tokenizer(folder, {"model_type": "t5"}).encode("<extra_id_0><more>")
    assert ids == [num_pieces + 1, num_pieces + 2, 1]


@pytest.mark.parametrize(("name", "setting"), [("t5", "extra_ids"), ("pegasus", "offset")])
@pytest.mark.parametrize("value", [-1, 10**9, "many", 2.5])
def test_a_number_of_tokens_that_cannot_be(
    copy: Any, name: str, setting: str, value: object
) -> None:
    folder = copy(f"{name}-numbered")
    (folder / "tokenizer_config.json").write_text(json.dumps({setting: value}))
    with pytest.raises(ModelFormatError, match=f"{setting} is .*, expected 0 to 10000"):
        load_tokenizer(folder, {"model_type": name})


def test_pairs_of_a_numbered_tokenizer(cases: Any) -> None:
    tokenizer = cases["xlm-roberta-numbered"].tokenizer
    (pair,) = tokenizer.encode_pairs([("the dog runs", "a cat")])
    assert pair.ids == [0, 180, 72, 199, 2, 2, 18, 49, 2]  # as XLMRobertaTokenizer says
    assert pair.types == [0] * len(pair.ids)
    (cut,) = tokenizer.encode_pairs([("the dog runs " * 9, "a cat")], limit=8)
    assert cut.ids == [0, 180, 72, 2, 2, 18, 49, 2]
    with pytest.raises(UnsupportedModelError, match="T5PieceTokenizer knows no pairs"):
        cases["t5-numbered"].tokenizer.encode_pairs([("a", "b")])


def test_no_files_at_all(tmp_path: Path) -> None:
    with pytest.raises(TokenizerMissingError) as caught:
        load_tokenizer(tmp_path, {"model_type": "transformer"})
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: no tokenizer files")
    assert (
        "source.spm + target.spm + vocab.json; or spiece.model; or source.spm + target.spm; "
        in message
    )
    assert isinstance(caught.value, FileNotFoundError)
    assert not isinstance(caught.value, ModelNotFoundError)


@pytest.mark.parametrize("name", ["source.spm", "target.spm", "vocab.json"])
def test_one_missing_file_is_named(copy: Any, name: str) -> None:
    folder = copy("marian-multi")
    (folder / name).unlink()
    with pytest.raises(TokenizerMissingError, match=rf"\(missing: {name}\)"):
        load_tokenizer(folder, {})


REQUIRED_FILES = [
    ("marian-multi", "source.spm"),
    ("marian-multi", "target.spm"),
    ("marian-multi", "vocab.json"),
    ("marian-multi", "special_tokens_map.json"),
    ("marian-multi", "tokenizer_config.json"),
    ("marian-separate", "target_vocab.json"),
    ("marian-added", "added_tokens.json"),
    ("t5", "tokenizer.json"),
    ("t5", "tokenizer_config.json"),
    ("spiece", "spiece.model"),
]


@pytest.mark.parametrize(("folder_name", "file_name"), REQUIRED_FILES)
@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "list"])
def test_a_damaged_file_is_named(
    copy: Any, capfd: Any, folder_name: str, file_name: str, damage: str
) -> None:
    folder = copy(folder_name)
    path = folder / file_name
    content = path.read_bytes()
    damaged = {
        "empty": b"",
        "cut": content[: len(content) // 2],
        "garbage": bytes(random.Random(0).randbytes(500)),
        "list": b"[1, 2, 3]",
    }[damage]
    path.write_bytes(damaged)
    with pytest.raises(ModelFormatError) as caught:
        load_tokenizer(folder, {"model_type": "transformer"} if folder_name == "spiece" else {})
    assert str(path) in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_missing_target_vocabulary_is_named(copy: Any) -> None:
    folder = copy("marian-separate")
    (folder / "target_vocab.json").unlink()
    with pytest.raises(ModelFormatError, match=r"target_vocab\.json"):
        load_tokenizer(folder, {})


@pytest.mark.parametrize("number", [-1, 2**31, 1.5, True, "3", None])
def test_a_vocabulary_holds_ids(copy: Any, number: Any) -> None:
    folder = copy("marian-multi")
    vocab = json.loads((folder / "vocab.json").read_text("utf-8"))
    vocab["odd"] = number
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    with pytest.raises(ModelFormatError, match=r"vocab\.json: expected ids .* for 'odd'"):
        load_tokenizer(folder, {})


@pytest.mark.parametrize("token", ["<unk>", "<pad>"])
def test_marian_needs_its_special_tokens(copy: Any, token: str) -> None:
    folder = copy("marian-multi")
    vocab = json.loads((folder / "vocab.json").read_text("utf-8"))
    del vocab[token]
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    with pytest.raises(ModelFormatError, match=rf"vocab\.json: expected the .*'{token}'"):
        load_tokenizer(folder, {})


@pytest.mark.parametrize(
    "settings",
    [
        {"added_tokens_decoder": [1]},
        {"added_tokens_decoder": {"x": "y"}},
        {"added_tokens_decoder": {"-1": "y"}},
        {"added_tokens_decoder": {"3": {"lstrip": True}}},
        {"eos_token": 5},
        {"additional_special_tokens": "x"},
        {"additional_special_tokens": 7},
        {"additional_special_tokens": [3]},
        {"extra_special_tokens": "x"},
        {"extra_special_tokens": [3]},
        {"extra_special_tokens": {"image_token": 3}},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["marian-separate", "fast-bpe"])
def test_odd_settings_are_refused(copy: Any, name: str, settings: dict[str, Any]) -> None:
    folder = copy(name)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **settings}))
    with pytest.raises(ModelFormatError, match=r"tokenizer_config\.json: expected "):
        load_tokenizer(folder, {})


def test_null_settings_count_as_unset(copy: Any, cases: Any) -> None:
    folder = copy("marian-separate")
    path = folder / "tokenizer_config.json"
    nothing = dict.fromkeys(["unk_token", "eos_token", "bos_token", "additional_special_tokens"])
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **nothing}))
    text = "The dog runs</s>."
    expected = cases["marian-separate"].tokenizer.encode(text)
    assert load_tokenizer(folder, {}).encode(text) == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"extra_special_tokens": ["<new>"]},
        {"extra_special_tokens": {"image_token": "<new>"}},
        {"image_token": "<new>"},
        {"extra_special_tokens": {}, "additional_special_tokens": ["<new>"]},
        {"extra_special_tokens": None, "additional_special_tokens": ["<new>"]},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["marian-multi", "xlm-roberta-numbered"])
@pytest.mark.parametrize("file", ["tokenizer_config.json", "special_tokens_map.json"])
def test_special_tokens_without_a_role(
    copy: Any, cases: Any, name: str, settings: dict[str, Any], file: str
) -> None:
    folder = copy(name)
    path = folder / file
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**known, **settings}))
    tokenizer = load_tokenizer(folder, cases[name].config)
    ids = tokenizer.encode("a<new>b")
    assert len(ids) < len(cases[name].tokenizer.encode("a<new>b"))
    assert "<new>" not in tokenizer.decode(ids)


def test_added_tokens_do_not_move_the_languages(copy: Any, cases: Any) -> None:
    folder = copy("m2m")
    path = folder / "tokenizer_config.json"
    settings = {**json.loads(path.read_text("utf-8")), "extra_special_tokens": ["<new>"]}
    path.write_text(json.dumps(settings))
    tokenizer = load_tokenizer(folder, cases["m2m"].config)
    text = "the dog runs"
    assert tokenizer.encode(text) == cases["m2m"].tokenizer.encode(text)
    assert tokenizer.decode(tokenizer.encode(f"{text}<new>")) == text


@pytest.mark.parametrize("kind", ["PreTrainedTokenizerFast", "TokenizersBackend", None])
def test_languages_do_not_need_a_class(copy: Any, cases: Any, kind: str | None) -> None:
    folder = copy("nllb")
    path = folder / "tokenizer_config.json"
    settings = {**json.loads(path.read_text("utf-8")), "tokenizer_class": kind}
    path.write_text(json.dumps(settings))
    tokenizer = load_tokenizer(folder, cases["nllb"].config)
    text = "the dog runs"
    assert tokenizer.encode(text) == cases["nllb"].tokenizer.encode(text)


def test_a_numbered_t5_without_prefix_space(copy: Any) -> None:
    folder = copy("mt5-numbered")
    path = folder / "tokenizer_config.json"
    settings = {**json.loads(path.read_text("utf-8")), "add_prefix_space": False}
    path.write_text(json.dumps(settings))
    ids = load_tokenizer(folder, {"model_type": "mt5"}).encode("the dog runs")
    assert ids == [7, 292, 298, 139, 59, 1]  # as T5Tokenizer of transformers 4.57.6 says


def test_sampling_is_refused(copy: Any) -> None:
    folder = copy("marian-multi")
    options = {"sp_model_kwargs": {"enable_sampling": True}}
    (folder / "tokenizer_config.json").write_text(json.dumps(options))
    with pytest.raises(UnsupportedModelError, match="expected no sp_model_kwargs"):
        load_tokenizer(folder, {})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"vocab_size": 100}, "expected at most the 100 pieces of config.json, found 4"),
        ({"eos_token_id": 7}, "expected the eos_token_id 7 of config.json"),
        ({"eos_token_id": [7, 8]}, "expected the eos_token_id"),
    ],
    ids=str,
)
def test_another_models_spiece_model_is_refused(
    cases: Any, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelFormatError, match=message):
        load_tokenizer(cases["spiece"].folder, {"model_type": "transformer", **config})


@pytest.mark.parametrize(("folder_name", "file_name"), REQUIRED_FILES)
def test_flipped_bytes_never_crash(copy: Any, folder_name: str, file_name: str) -> None:
    """A damaged file is refused with its name, or works as well as it can."""
    folder = copy(folder_name)
    path = folder / file_name
    content = path.read_bytes()
    rng = random.Random(file_name)
    for _ in range(40):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(min(len(damaged), 9000))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            tokenizer = load_tokenizer(
                folder, {"model_type": "transformer"} if folder_name == "spiece" else {}
            )
            tokenizer.encode("The dog </s> runs, \u65e5\u672c\u8a9e >>fra<<")
            tokenizer.decode(list(range(500)))
        except Error as error:
            assert isinstance(error, ModelFormatError | TokenizerMissingError)
            assert str(folder) in str(error)


def test_the_languages_of_a_multilingual_marian(cases: Any) -> None:
    tokenizer = load_tokenizer(cases["marian-multi"].folder, {"model_type": "marian"})
    assert tokenizer.languages and tokenizer.languages.codes == ("deu", "fra")
    told = tokenizer.encode_batch(["the dog runs"], target="fra")
    assert told == [tokenizer.encode(">>fra<< the dog runs")]
    assert tokenizer.languages.first_id("fra") is None


def test_the_languages_of_a_madlad(cases: Any, tmp_path: Path) -> None:
    content = json.loads((cases["t5"].folder / "tokenizer.json").read_text("utf-8"))
    flags = dict.fromkeys(("lstrip", "rstrip", "single_word", "normalized", "special"), False)
    first = max(token["id"] for token in content["added_tokens"]) + 1
    for i, token in enumerate(("<2en>", "<2de>", "<2zh_Hans>", "<2x>", "<20>")):
        content["added_tokens"].append({"id": first + i, "content": token, **flags})
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    tokenizer = load_tokenizer(tmp_path, {"model_type": "t5"})
    assert tokenizer.languages and tokenizer.languages.codes == ("de", "en", "zh_Hans")
    told = tokenizer.encode_batch(["the dog runs"], target="de")
    assert told == [tokenizer.encode("<2de> the dog runs")]
    assert told[0][0] == first + 1
    plain = load_tokenizer(cases["t5"].folder, {"model_type": "t5"})
    assert plain.languages is None


def test_a_multilingual_folder_needs_its_languages(cases: Any, tmp_path: Path) -> None:
    shutil.copy(cases["bart"].folder / "tokenizer.json", tmp_path)
    with pytest.raises(ModelFormatError, match="'en_XX' among the added ones, found 0 languages"):
        load_tokenizer(tmp_path, {"model_type": "mbart"})
    for name in ("vocab.json", "sentencepiece.bpe.model"):
        shutil.copy(cases["m2m"].folder / name, tmp_path)
    with pytest.raises(ModelFormatError, match="language token '__en__' among"):
        load_tokenizer(tmp_path, {"model_type": "m2m_100"})
