"""Every key of config.json that transformers reads: used, refused, or without influence.

The keys are those of the installed classes of two versions (tools/make_config_keys.py).
"""

import json
from pathlib import Path
from typing import Any

import pytest

from pyengine.errors import Error, ModelFormatError, UnsupportedModelError
from pyengine.models import read_model
from pyengine.models.config_keys import supported_by_all
from pyengine.models.families import FAMILIES
from pyengine.models.generation_config import read_generation_config
from pyengine.models.reader import ModelFolder, read_folder

FIXTURES = Path(__file__).parents[1] / "fixtures"
VERSIONS = json.loads((FIXTURES / "config_keys.json").read_text())
FOLDERS = {
    **{"bart": "bart", "m2m_100": "m2m", "marian": "marian-split", "mbart": "mbart"},
    **{"pegasus": "pegasus", "t5": "t5", "mt5": "mt5", "bert": "bert-cls", "gpt2": "gpt2"},
    **{"distilbert": "distilbert-cls", "roberta": "roberta", "xlm-roberta": "xlm-roberta-cls"},
    **{"llama": "llama", "mistral": "mistral", "qwen2": "qwen2"},
}
KEYS = {
    family: {key for version in VERSIONS.values() for key in version["every"] + version[family]}
    for family in FOLDERS
}

# What another value is, where adding 1 to a number or turning a flag round does not show it.
SEVERAL_LABELS = {"id2label": {"0": "a", "1": "b", "2": "c", "3": "d"}}
ROPE = {"rope_type": "linear", "factor": 2.0}
OTHER: dict[str, dict[str, Any]] = {
    "activation": {"activation": "relu"},
    "activation_function": {"activation_function": "tanh"},
    "dense_act_fn": {"dense_act_fn": "silu"},
    "feed_forward_proj": {"feed_forward_proj": "silu", "dense_act_fn": None, "is_gated_act": None},
    "hidden_act": {"hidden_act": "gelu_new"},
    "id2label": SEVERAL_LABELS,
    "num_labels": {"num_labels": 4, "id2label": None},
    "decoder_vocab_size": {"decoder_vocab_size": 99, "share_encoder_decoder_embeddings": False},
    "share_encoder_decoder_embeddings": {
        **{"share_encoder_decoder_embeddings": False, "decoder_vocab_size": 99}
    },
    "head_dim": {"head_dim": 14},
    "layer_types": {"layer_types": ["chunked_attention"]},
    "max_position_embeddings": {"max_position_embeddings": 9},
    "model_type": {"model_type": "deberta"},
    "num_key_value_heads": {"num_key_value_heads": 1},
    "partial_rotary_factor": {"partial_rotary_factor": 0.5},
    "per_layer_config": {"per_layer_config": {"0": {"num_attention_heads": 1}}},
    "position_embedding_type": {"position_embedding_type": "relative_key"},
    "pruned_heads": {"pruned_heads": {"0": [1]}},
    "rope_parameters": {"rope_parameters": ROPE},
    "rope_scaling": {"rope_scaling": ROPE},
    "rope_theta": {"rope_theta": 20000.0},
    "scale_decoder_outputs": {"scale_decoder_outputs": False},
    "sliding_window": {"sliding_window": 10, "use_sliding_window": True},
    "use_sliding_window": {"sliding_window": 10, "use_sliding_window": True},
}

SIZES = {"vocab_size", "hidden_size", "num_attention_heads", "num_hidden_layers", "model_type"}
BART = {
    *("d_model", "max_position_embeddings", "scale_embedding", "activation_function"),
    *("encoder_layers", "encoder_attention_heads", "encoder_ffn_dim"),
    *("decoder_layers", "decoder_attention_heads", "decoder_ffn_dim"),
    *(SIZES - {"num_hidden_layers"}),
}
T5 = {
    *("d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads", "head_dim"),
    *("relative_attention_num_buckets", "relative_attention_max_distance", "layer_norm_epsilon"),
    *("feed_forward_proj", "dense_act_fn", "is_gated_act", "tie_word_embeddings", *SIZES),
}
BERT = {
    *("intermediate_size", "hidden_act", "max_position_embeddings", "type_vocab_size"),
    *("layer_norm_eps", *SIZES),
}
LLAMA = {
    *("intermediate_size", "num_key_value_heads", "head_dim", "hidden_act", "rms_norm_eps"),
    *("max_position_embeddings", "rope_theta", "rope_scaling", "rope_parameters", *SIZES),
}
USED = {
    **dict.fromkeys(("bart", "m2m_100", "mbart", "pegasus"), BART),
    "marian": BART | {"decoder_vocab_size", "share_encoder_decoder_embeddings"},
    **{"t5": T5 | {"scale_decoder_outputs"}, "mt5": T5},
    "bert": BERT | {"id2label", "num_labels"},
    "roberta": BERT,
    "xlm-roberta": BERT | {"id2label", "num_labels"},
    "distilbert": {
        *("dim", "n_layers", "n_heads", "hidden_dim", "activation", "max_position_embeddings"),
        *("id2label", "num_labels", *SIZES),
    },
    "gpt2": {
        *("n_embd", "n_layer", "n_head", "n_inner", "n_positions", "max_position_embeddings"),
        *("activation_function", "layer_norm_epsilon", "scale_attn_weights", *SIZES),
    },
    "llama": LLAMA,
    "mistral": LLAMA | {"sliding_window"},
    "qwen2": LLAMA | {"sliding_window", "use_sliding_window"},
}
"""Keys of which another value contradicts the graph, or makes another configuration."""

CHECKED_BY_FAMILY = {
    "llama": {"partial_rotary_factor"},
    "mistral": {"partial_rotary_factor"},
    "qwen2": {"partial_rotary_factor", "layer_types"},
}

WITHOUT_INFLUENCE = {
    **dict.fromkeys(
        (
            *("activation_dropout", "attention_dropout", "attention_probs_dropout_prob"),
            *("attn_pdrop", "classifier_dropout", "dropout", "dropout_rate", "embd_pdrop"),
            *("encoder_layerdrop", "decoder_layerdrop", "hidden_dropout", "hidden_dropout_prob"),
            *("qa_dropout", "resid_pdrop", "seq_classif_dropout", "gradient_checkpointing"),
        ),
        "while training",
    ),
    **dict.fromkeys(
        ("init_std", "initializer_factor", "initializer_range", "sinusoidal_pos_embds"),
        "before training; the file holds what came of it",
    ),
    **dict.fromkeys(
        (
            *("architectures", "finetuning_task", "label2id", "name_or_path", "problem_type"),
            *("task_specific_params", "tokenizer_class", "prefix", "sep_token_id"),
            *("id2label", "num_labels", "transformers_version"),
        ),
        "on the tokens; classes and their names are of models that classify",
    ),
    **dict.fromkeys(
        (
            *("dtype", "torch_dtype", "torchscript", "return_dict", "tf_legacy_loss"),
            *("use_bfloat16", "attn_implementation", "experts_implementation"),
            *("chunk_size_feed_forward", "pretraining_tp", "reorder_and_upcast_attn"),
        ),
        "on the numbers in exact arithmetic: how a framework computes and returns them",
    ),
    **dict.fromkeys(
        ("tie_word_embeddings", "tie_encoder_decoder", "attention_bias", "mlp_bias"),
        "beside the file, which shows what tensors there are and which are equal",
    ),
    **dict.fromkeys(
        (
            *("summary_activation", "summary_first_dropout", "summary_last_dropout"),
            *("summary_proj_to_labels", "summary_type", "summary_use_proj"),
        ),
        "without GPT-2's head for multiple choice",
    ),
    **dict.fromkeys(
        (
            *("is_decoder", "add_cross_attention", "cross_attention_hidden_size"),
            *("attention_chunk_size", "layer_types", "sliding_window", "rope_scaling"),
            *("rope_theta", "partial_rotary_factor", "is_causal"),
        ),
        "on families whose code does not ask for them",
    ),
    "num_hidden_layers": "a copy of encoder_layers, which are compared with the graph",
    "max_window_layers": "texts are as long as the window at most, so that all layers see them",
    "force_bos_token_to_be_generated": "on the model; a generation option, tested there",
}


def supported(family: str) -> dict[str, Any]:
    return {**supported_by_all(FAMILIES[family].stacks), **FAMILIES[family].supported}


def refused(family: str) -> set[str]:
    known = set(supported(family)) | CHECKED_BY_FAMILY.get(family, set())
    return known & KEYS[family]


def changed(family: str, out: Path, fields: dict[str, Any]) -> Path:
    """The fixture of a family, or of that name, with other fields in its config.json.

    Those that are null are left out.
    """
    source = FIXTURES / FOLDERS.get(family, family)
    out.mkdir()
    for path in source.iterdir():
        if path.name != "config.json":
            (out / path.name).symlink_to(path)
    config = json.loads((source / "config.json").read_text()) | fields
    config = {key: value for key, value in config.items() if value is not None}
    (out / "config.json").write_text(json.dumps(config))
    return out


def other(family: str, key: str) -> dict[str, Any]:
    """Fields that give a key another value."""
    if key in OTHER:
        return OTHER[key]
    config = json.loads((FIXTURES / FOLDERS[family] / "config.json").read_text())
    name = FAMILIES[family].aliases.get(key, key)
    defaults = {name: values[0] for name, values in supported(family).items()}
    defaults["tie_word_embeddings"] = True
    value = config.get(name, defaults.get(key))
    if isinstance(value, bool):
        return {key: not value}
    if isinstance(value, int | float):
        return {key: value + 1}
    return {key: "other" if value is not None else True}


def shown(model: ModelFolder) -> tuple[Any, ...]:
    return model.config, model.model_type, model.generation_config


@pytest.mark.parametrize("family", FOLDERS)
def test_every_key_has_its_place(family: str) -> None:
    used, checked = USED[family], refused(family)
    assert not used & checked
    assert KEYS[family] - used - checked - set(WITHOUT_INFLUENCE) == set()
    assert used - KEYS[family] - {"id2label"} == set()


@pytest.mark.parametrize("family", FOLDERS)
def test_another_value_of_a_key_that_is_used(family: str, tmp_path: Path) -> None:
    plain = shown(read_folder(FIXTURES / FOLDERS[family]))
    for key in sorted(USED[family]):
        folder = changed(family, tmp_path / key, other(family, key))
        try:
            found = shown(read_folder(folder))
            if found == plain:  # so that the graph has to tell
                found = shown(read_model(folder))
        except Error:
            continue
        assert found != plain, key


@pytest.mark.parametrize("family", FOLDERS)
def test_another_value_of_a_key_that_is_checked(family: str, tmp_path: Path) -> None:
    for key in sorted(refused(family)):
        folder = changed(family, tmp_path / key, other(family, key))
        with pytest.raises(UnsupportedModelError, match=rf"^config.json: {key} (is|has) "):
            read_folder(folder)


@pytest.mark.parametrize("family", FOLDERS)
def test_another_value_of_a_key_without_influence(family: str, tmp_path: Path) -> None:
    plain = shown(read_folder(FIXTURES / FOLDERS[family]))
    for key in sorted(KEYS[family] - USED[family] - refused(family)):
        fields = other(family, key) if key not in ("id2label", "num_labels") else SEVERAL_LABELS
        folder = changed(family, tmp_path / key, fields)
        assert shown(read_folder(folder)) == plain, key


@pytest.mark.parametrize("family", FOLDERS)
def test_supported_values_of_checked_keys_load(family: str, tmp_path: Path) -> None:
    fields = {key: values[0] for key, values in supported(family).items()}
    plain = shown(read_folder(FIXTURES / FOLDERS[family]))
    assert shown(read_folder(changed(family, tmp_path / "model", fields))) == plain


@pytest.mark.parametrize(
    ("family", "fields"),
    [
        ("t5", {"scale_decoder_outputs": True}),
        ("mt5", {}),
        ("mt5", {"model_type": "t5", "scale_decoder_outputs": False}),  # FLAN-T5, MADLAD
    ],
)
def test_t5_as_transformers_5_saves_it(family: str, fields: dict[str, Any], tmp_path: Path) -> None:
    saved = {"tie_word_embeddings": True, "is_decoder": False, "transformers_version": "5.24.0"}
    model = read_model(changed(family, tmp_path / "model", saved | fields))
    assert model.config == read_folder(FIXTURES / family).config


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scale_decoder_outputs": False}, "last hidden states: found 0.144.* expected 1.0"),
        ({"tie_word_embeddings": False}, "last hidden states: found 0.144.* expected 1.0"),
    ],
)
def test_a_t5_that_is_scaled_otherwise(fields: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=words):
        read_model(changed("t5", tmp_path / "model", fields))


DEFAULT = {"rope_type": "default", "rope_theta": 10000.0}
LLAMA3 = {
    **{"rope_type": "llama3", "factor": 4.0, "rope_theta": 500.0, "low_freq_factor": 1.0},
    **{"high_freq_factor": 4.0, "original_max_position_embeddings": 16},
}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("llama", DEFAULT),
        ("llama", {"type": "linear", "factor": 1.0}),
        ("llama", {"full_attention": DEFAULT, "sliding_attention": DEFAULT}),
        ("llama", {**DEFAULT, "partial_rotary_factor": 1.0}),
        ("llama-tied", LLAMA3),
        ("llama-tied", {"full_attention": LLAMA3}),
    ],
)
def test_rope_parameters_of_transformers_5(
    name: str, parameters: dict[str, Any], tmp_path: Path
) -> None:
    fields = {"rope_theta": None, "rope_scaling": None, "rope_parameters": parameters}
    read_model(changed(name, tmp_path / "model", fields))


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 12}


@pytest.mark.parametrize("key", ["rope_parameters", "rope_scaling"])
@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (YARN, "has rope_type 'yarn', supported are default, linear, llama3"),
        ({"type": "yarn", "factor": 4.0}, "has rope_type 'yarn'"),
        ({"rope_type": "dynamic", "factor": 2.0}, "has rope_type 'dynamic'"),
        ({"rope_type": "longrope", "factor": 2.0}, "has rope_type 'longrope'"),
        ({"rope_type": "proportional", "factor": 2.0}, "has rope_type 'proportional'"),
        ({"full_attention": YARN}, "has rope_type 'yarn'"),
        ({"full_attention": {"type": "yarn", "factor": 4.0}}, "has rope_type 'yarn'"),
        ({**DEFAULT, "type": "dynamic"}, "rope_type 'default' and type 'dynamic', expected one"),
        ({"type": "su", "long_factor": [1.0]}, "has rope_type 'su'"),
        ({"rope_type": ["yarn"]}, "has rope_type "),
        ({"full_attention": DEFAULT, "sliding_attention": YARN}, "differs between full_attention,"),
        ({**DEFAULT, "partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5, supported is 1"),
        ({"rope_type": "linear", "factor": 2.0}, "frequency of the rotary positions: found 1.0, "),
        ({**DEFAULT, "rope_theta": 500000.0}, "frequency of the rotary positions: found 0.46"),
        ({"rope_type": "linear"}, "field 'factor' is missing"),
        ([DEFAULT], "expected an object"),
    ],
)
def test_rope_parameters_that_the_graph_does_not_have(
    key: str, parameters: Any, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelFormatError, match=words):
        read_model(changed("llama", tmp_path / "model", {key: parameters}))


@pytest.mark.parametrize("family", FOLDERS)
def test_options_that_a_familys_class_sets(family: str, tmp_path: Path) -> None:
    """Of families that generate; "pad_token_id" of the others decides nothing."""
    if "decoder" in FAMILIES[family].stacks:
        expected = VERSIONS["4.57.6"]["generation_defaults"][family]
        assert read_generation_config(tmp_path, {}, family) == expected
