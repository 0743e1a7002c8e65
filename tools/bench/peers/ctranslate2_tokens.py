"""Names for the ids of a model without a tokenizer: CTranslate2 takes and gives strings."""

from __future__ import annotations

from typing import Any

END, UNKNOWN, PADDING = "</s>", "<unk>", "<pad>"
MARIAN_CONFIG = "marian_config.json"
"""The checkpoint's config.json beside the converted model, to name its tokens by."""


def token_names(config: dict[str, Any]) -> list[str]:
    """The name of each id of a MarianMT model, whose config.json is ``config``."""
    names = [str(token_id) for token_id in range(config["vocab_size"])]
    special = {
        config[f"{name}_token_id"]
        for name in ("eos", "pad", "bos", "decoder_start")
        if config.get(f"{name}_token_id") is not None
    }
    names[config["eos_token_id"]] = END
    names[config["pad_token_id"]] = PADDING
    names[min(set(range(len(names))) - special)] = UNKNOWN  # CTranslate2 wants one
    return names
