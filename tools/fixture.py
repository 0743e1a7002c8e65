"""One fixture of tools/make_fixtures.py, and what its models of random weights have in common."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel

SPLIT = ("encoder_model", "decoder_model", "decoder_with_past_model")
MERGED = ("encoder_model", "decoder_model_merged")
TWO = ("encoder_model", "decoder_model")


@dataclass(frozen=True)
class Fixture:
    """One folder of tests/fixtures.

    Attributes:
        name: of the folder.
        make: builds the model from `config`, seeded.
        config: arguments of the family's configuration class.
        generation: written as generation_config.json beside the special ids.
        files: which of the exported files stay.
        subfolder: where the ONNX files go.
        external_data: store the weights beside the ONNX files.
        random_cases: how many searches with random options to record, beside the fixed ones.
        fixed_cases: record the fixed list of searches too.
        first_id: the lowest id that is no special token.
        lessons: steps of training in the toy language.
        dynamo: export by torch's dynamo exporter.
    """

    name: str
    make: Callable[[dict[str, Any]], PreTrainedModel]
    config: dict[str, Any]
    generation: dict[str, Any]
    files: tuple[str, ...]
    subfolder: str = ""
    external_data: bool = False
    random_cases: int = 12
    fixed_cases: bool = False
    seed: int = field(default=0)
    first_id: int = 1
    lessons: int = 800
    dynamo: bool = False


def stack_sizes(layers: tuple[int, int], heads: tuple[int, int], ffn: tuple[int, int]) -> dict:
    """Marian's size fields from (encoder, decoder) pairs."""
    pairs = {"layers": layers, "attention_heads": heads, "ffn_dim": ffn}
    stacks = enumerate(("encoder", "decoder"))
    return {f"{stack}_{key}": pair[i] for i, stack in stacks for key, pair in pairs.items()}


def randomize(model: PreTrainedModel, width: int) -> None:
    """Gives every parameter of a model a random value that matters, biases and norms too."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embed_positions" in name:
                continue
            if "layer_norm" in name or "layernorm" in name:
                parameter.normal_(1.0 if name.endswith("weight") else 0.0, 0.3)
            elif parameter.dim() == 1:
                parameter.normal_(0.0, 0.3)
            elif "shared" in name or "embed_tokens" in name or "lm_head" in name:
                parameter.normal_(0.0, width**-0.5)
            else:
                parameter.normal_(0.0, parameter.shape[1] ** -0.5)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.normal_(0.0, 0.5)
            model.final_logits_bias[0, model.config.pad_token_id] = -20.0
