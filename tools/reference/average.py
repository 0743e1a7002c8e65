"""Section 6.1: the mean of the last checkpoints."""

from pathlib import Path

import torch
from torch import Tensor


def average_weights(paths: list[Path]) -> dict[str, Tensor]:
    """Element-wise mean of the `model` entries of several checkpoints, summed in float64.

    Raises:
        ValueError: no paths.
    """
    if not paths:
        raise ValueError("no checkpoints to average")
    total: dict[str, Tensor] = {}
    for path in paths:
        weights = torch.load(path, weights_only=True)["model"]
        for name, tensor in weights.items():
            total[name] = total.get(name, 0) + tensor.double()
    return {name: (tensor / len(paths)).float() for name, tensor in total.items()}


def last_checkpoints(folder: Path, count: int) -> list[Path]:
    """The newest `count` files `update_*.pt`, oldest first."""
    return sorted(folder.glob("update_*.pt"))[-count:]
