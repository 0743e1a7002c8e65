"""The loss curve as a picture."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot


def plot_losses(losses: list[dict[str, float]], path: Path) -> None:
    """Draw training loss (smoothed labels) and validation loss (plain) in nats a token.

    Args:
        losses: points with "update", "train" and "validation".
        path: the PNG to write.
    """
    figure, axes = pyplot.subplots(figsize=(7, 4))
    updates = [point["update"] for point in losses]
    for name in ("train", "validation"):
        axes.plot(updates, [point[name] for point in losses], label=name)
    axes.set_xlabel("updates")
    axes.set_ylabel("nats a token")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=100, bbox_inches="tight")
    pyplot.close(figure)
