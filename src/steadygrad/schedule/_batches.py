"""The loss of a batch, in the few ways in which training loops get one."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn


def batch_loss(model: nn.Module, batch: Any, loss_fn: Callable[..., Any] | None) -> Tensor:
    """The loss of a batch.

    Where the first parameter of `loss_fn` is called `model`, it is `loss_fn(model, batch)`, whatever a batch is. Else a
    batch is a sequence (inputs..., target), and the loss `loss_fn(model(*inputs), target)`; or a mapping, and the loss
    `loss_fn(model(**batch), batch)`. Without a `loss_fn` a mapping's output has the loss, as `loss`.

    Example:
        >>> import torch
        >>> x = torch.ones(2, 3)
        >>> batch_loss(nn.Identity(), (x, 2 * x), nn.MSELoss()).item()
        1.0
        >>> batch_loss(nn.Identity(), x, lambda model, batch: model(batch).sum()).item()
        6.0
    """
    if loss_fn is not None and _wants_model(loss_fn):
        return loss_fn(model, batch)
    if isinstance(batch, Mapping):
        output = model(**batch)
        if loss_fn is not None:
            return loss_fn(output, batch)
        return output["loss"] if isinstance(output, Mapping) else output.loss
    if loss_fn is None:
        raise ValueError("loss_fn is None, expected one unless batches are mappings and the model returns the loss")
    if not isinstance(batch, Sequence) or len(batch) < 2:
        raise ValueError(
            f"a batch is a {type(batch).__name__}, expected (inputs..., target) or a mapping; for anything else give a "
            "loss_fn whose first parameter is called model"
        )
    return loss_fn(model(*batch[:-1]), batch[-1])


def _wants_model(loss_fn: Callable[..., Any]) -> bool:
    try:
        names = list(inspect.signature(loss_fn).parameters)
    except (TypeError, ValueError):
        return False
    return bool(names) and names[0] == "model"
