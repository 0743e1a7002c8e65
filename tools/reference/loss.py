"""Section 5.4: label smoothing, and the same loss without ever holding all logits."""

import torch
from torch import Tensor

CHUNK_ROWS = 256
"""Positions projected at once: 256 x 6000 float32 logits are 6 MB instead of 98 MB for 4096."""


def smoothed_loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Sum over positions of the cross entropy against the smoothed label (Szegedy et al., 2015).

    The target distribution is (1 - smoothing) on the label plus smoothing / V on every entry, so
    the loss is logsumexp(z) - (1 - smoothing) z[label] - smoothing / V sum(z).

    Args:
        logits: [positions, vocab_size].
        labels: [positions].

    Returns:
        A scalar, in nats.
    """
    label_logits = logits.gather(1, labels[:, None]).sum()
    uniform = smoothing / logits.shape[1]
    return logits.logsumexp(1).sum() - (1 - smoothing) * label_logits - uniform * logits.sum()


class ProjectedLoss(torch.autograd.Function):
    """`smoothed_loss(hidden E^T, labels)` in chunks, with its gradient computed on the way.

    The gradient on the logits is softmax(z) - target. Each chunk's logits live only until their
    share of the two gradients is added up.
    """

    @staticmethod
    def forward(ctx, hidden_states: Tensor, embedding: Tensor, labels: Tensor, smoothing: float):
        """See `projected_loss`."""
        products = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
        weight = embedding.to(products)
        loss = torch.zeros((), dtype=hidden_states.dtype)
        hidden_grad = torch.empty_like(hidden_states)
        embedding_grad = torch.zeros_like(embedding)
        for start in range(0, len(labels), CHUNK_ROWS):
            chunk = slice(start, start + CHUNK_ROWS)
            hidden = hidden_states[chunk].to(products)
            logits = (hidden @ weight.T).to(embedding.dtype)
            loss += smoothed_loss(logits, labels[chunk], smoothing)
            grad = smoothed_gradient(logits, labels[chunk], smoothing).to(products)
            hidden_grad[chunk] = grad @ weight
            embedding_grad += grad.T @ hidden
        ctx.save_for_backward(hidden_grad, embedding_grad)
        return loss

    @staticmethod
    def backward(ctx, loss_grad: Tensor):
        """Scale the gradients that `forward` left."""
        hidden_grad, embedding_grad = ctx.saved_tensors
        return hidden_grad * loss_grad, embedding_grad * loss_grad, None, None


def smoothed_gradient(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """softmax(z) - ((1 - smoothing) onehot(label) + smoothing / V): [positions, vocab_size]."""
    grad = torch.softmax(logits, dim=1).sub_(smoothing / logits.shape[1])
    return grad.scatter_add_(1, labels[:, None], torch.full_like(grad[:, :1], smoothing - 1))


def projected_loss(
    hidden_states: Tensor, embedding: Tensor, labels: Tensor, smoothing: float
) -> Tensor:
    """The label-smoothed loss of a tied output projection, summed over positions, in nats.

    Args:
        hidden_states: [positions, hidden_size].
        embedding: [vocab_size, hidden_size].
        labels: [positions].
        smoothing: the paper's epsilon_ls.

    Inside `torch.autocast` the three products run in its dtype, everything else in float32.
    """
    return ProjectedLoss.apply(hidden_states, embedding, labels, smoothing)
