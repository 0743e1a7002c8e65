"""Section 5.3: the learning rate."""


def learning_rate(update: int, peak: float, warmup_updates: int) -> float:
    """Linear warm-up to the peak, then the inverse square root of the update, equation (3).

    The paper's formula d^-0.5 min(n^-0.5, n warmup^-1.5) is this one with
    peak = (d warmup)^-0.5.

    Args:
        update: counted from 1.
        peak: the rate at update `warmup_updates`.
        warmup_updates: length of the linear part.
    """
    return peak * min(update / warmup_updates, (warmup_updates / update) ** 0.5)
