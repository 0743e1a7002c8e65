"""A model of random weights for each family: hidden size 512, 6 layers a stack, 32,000 tokens.

The weights say nothing, so these serve speed alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VOCAB_SIZE = 32_000
END_TOKEN_ID = 2
MAX_POSITIONS = 512
SEED = 20261128

_D, _LAYERS, _HEADS, _FFN = 512, 6, 8, 2048
_IDS = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": END_TOKEN_ID}
_STACKS = {
    "d_model": _D,
    **{f"{stack}_layers": _LAYERS for stack in ("encoder", "decoder")},
    **{f"{stack}_attention_heads": _HEADS for stack in ("encoder", "decoder")},
    **{f"{stack}_ffn_dim": _FFN for stack in ("encoder", "decoder")},
    "max_position_embeddings": MAX_POSITIONS,
    "decoder_start_token_id": END_TOKEN_ID,
    "forced_eos_token_id": None,
}
_T5 = {
    **{"d_model": _D, "d_kv": _D // _HEADS, "num_layers": _LAYERS, "num_heads": _HEADS},
    "decoder_start_token_id": 1,
}
_BERT = {
    **{"hidden_size": _D, "num_hidden_layers": _LAYERS, "num_attention_heads": _HEADS},
    **{"intermediate_size": _FFN, "max_position_embeddings": MAX_POSITIONS},
}
_ROBERTA = {**_BERT, "max_position_embeddings": MAX_POSITIONS + 2, "type_vocab_size": 1}

TRANSLATION, TEXT = "text2text-generation-with-past", "text-generation-with-past"
ENCODING = "feature-extraction"


@dataclass(frozen=True)
class RandomModel:
    """How a family's model is made.

    Attributes:
        classes: of the configuration and of the model in transformers.
        task: as ``optimum-cli export onnx`` calls it.
        fields: of the configuration.
    """

    classes: tuple[str, str]
    task: str
    fields: dict[str, Any] = field(hash=False)


def _translation(name: str, **fields: Any) -> RandomModel:
    classes = (f"{name}Config", f"{name}ForConditionalGeneration")
    return RandomModel(classes, TRANSLATION, fields)


def _encoding(name: str, **fields: Any) -> RandomModel:
    return RandomModel((f"{name}Config", f"{name}Model"), ENCODING, fields)


FAMILY_MODELS = {
    "marian": RandomModel(
        ("MarianConfig", "MarianMTModel"),
        TRANSLATION,
        {**_STACKS, "activation_function": "swish", "scale_embedding": True},
    ),
    "bart": _translation("Bart", **_STACKS, forced_bos_token_id=None),
    "mbart": _translation("MBart", **_STACKS, scale_embedding=True),
    "pegasus": _translation("Pegasus", **_STACKS, activation_function="relu", scale_embedding=True),
    "m2m_100": _translation("M2M100", **_STACKS),
    "t5": _translation("T5", **_T5, d_ff=_FFN),
    "mt5": _translation("MT5", **_T5, d_ff=1024),
    "gpt2": RandomModel(
        ("GPT2Config", "GPT2LMHeadModel"),
        TEXT,
        {"n_embd": _D, "n_layer": _LAYERS, "n_head": _HEADS, "n_positions": MAX_POSITIONS},
    ),
    "llama": RandomModel(
        ("LlamaConfig", "LlamaForCausalLM"),
        TEXT,
        {**_BERT, "num_key_value_heads": _HEADS // 2, "intermediate_size": 1408},
    ),
    "bert": _encoding("Bert", **_BERT),
    "distilbert": _encoding(
        "DistilBert",
        **{"dim": _D, "n_layers": _LAYERS, "n_heads": _HEADS, "hidden_dim": _FFN},
        max_position_embeddings=MAX_POSITIONS,
    ),
    "roberta": _encoding("Roberta", **_ROBERTA),
    "xlm-roberta": _encoding("XLMRoberta", **_ROBERTA),
}
"""By the family's ``model_type``. mT5's feed-forward is gated, as that of T5 v1.1 and FLAN-T5."""


def export_random_model(random_model: RandomModel, folder: Path) -> None:
    """Write the folder that ``optimum-cli export onnx`` would; needs torch and optimum-onnx."""
    import torch
    import transformers
    from optimum.exporters.onnx import onnx_export_from_model

    config_class, model_class = (getattr(transformers, name) for name in random_model.classes)
    config = config_class(vocab_size=VOCAB_SIZE, **_IDS, **random_model.fields)
    torch.manual_seed(SEED)
    model = model_class(config).eval()
    if random_model.task != ENCODING:
        tokens = dict(_IDS)
        if random_model.task == TRANSLATION:
            tokens["decoder_start_token_id"] = config.decoder_start_token_id
        model.generation_config = transformers.GenerationConfig(**tokens)
    onnx_export_from_model(model, folder, task=random_model.task, do_validation=False)
