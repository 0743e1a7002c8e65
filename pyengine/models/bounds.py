"""What a model may take in memory beyond what its files hold."""

from __future__ import annotations

from pyengine.errors import ModelFormatError
from pyengine.models.config import ModelConfig

_MIB = 1 << 20
_ALLOWED = 64 * _MIB
"""Bytes that any model may take, however small its files: those of Llama 3.1's 131,072 positions in
heads of 128."""


def check_computed_tables(config: ModelConfig, file_bytes: int) -> None:
    """Refuse tables that are computed at load, and so far larger than the files that they are made
    of that a size in config.json must be wrong.

    Args:
        config: the architecture.
        file_bytes: of all files that hold weights.

    Raises:
        ModelFormatError: names the size, what it would take, and what the files hold.
    """
    tables = {
        "max_position_embeddings": (
            "rotary positions",
            _rotary_numbers(config),
            config.max_positions,
        ),
        "type_vocab_size": (
            "positions of all token types",
            _typed_numbers(config),
            config.token_types,
        ),
    }
    for field, (what, numbers, size) in tables.items():
        table_bytes = 4 * numbers
        if table_bytes > max(_ALLOWED, file_bytes):
            raise ModelFormatError(
                f"config.json: {field} is {size}: the table of {what} would take "
                f"{table_bytes / _MIB:,.0f} MiB, "
                f"the model's files hold {file_bytes / _MIB:,.1f} MiB"
            )


def _rotary_numbers(config: ModelConfig) -> int:
    return config.max_positions * config.decoder_head_dim * (config.position_kind == "rotary")


def _typed_numbers(config: ModelConfig) -> int:
    return config.token_types * config.position_rows * config.hidden_size
