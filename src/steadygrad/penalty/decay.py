"""Parameter groups for decoupled weight decay: what it is meant for, and what it is not."""

from typing import Any

from torch import nn

from .weights import NORMS, embedded, owners


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    r"""Two parameter groups for an optimizer: weights with decay, and the rest without.

    .. math:: w \leftarrow (1 - \eta \lambda)\, w - \eta\, u

    Without decay are parameters of fewer than two dimensions (biases, gains), those of normalisation layers, and those
    of embeddings, tied output layers included: a rare token's row would decay at every step and learn at few.

    Args:
        model: the model. Frozen parameters are left out.
        weight_decay: :math:`\lambda` of the first group.

    Returns:
        Two dictionaries, for the optimizer's first argument; each parameter is in one of them, once.

    Raises:
        ValueError: `weight_decay` is negative.

    Example:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Linear(4, 3), torch.nn.LayerNorm(3))
        >>> optimizer = torch.optim.AdamW(decay_groups(model, 0.1), lr=1e-3)
        >>> [(group["weight_decay"], len(group["params"])) for group in optimizer.param_groups]
        [(0.1, 1), (0.0, 4)]

    References:
        Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
    """
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay is {weight_decay}, expected at least 0")
    without = embedded(model) | {param for module, _, param in owners(model) if isinstance(module, NORMS)}
    groups: tuple[list[nn.Parameter], list[nn.Parameter]] = ([], [])
    for param in model.parameters():
        if param.requires_grad:
            groups[param.ndim < 2 or param in without].append(param)
    return [{"params": groups[0], "weight_decay": weight_decay}, {"params": groups[1], "weight_decay": 0.0}]
