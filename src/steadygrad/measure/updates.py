"""How far a step goes: against the weights, and against what Adam's second moment expects of the gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from .. import _dist
from .._foreach import chunks, dense_values
from .norms import each_norm


def update_ratio(before: Sequence[Tensor], after: Sequence[Tensor]) -> list[Tensor]:
    r"""How far each tensor was moved, relative to its size: :math:`\|w_{t+1} - w_t\|_2 / \|w_t\|_2`.

    Args:
        before: copies of the weights from before the step.
        after: the weights after it, in the same order, of the same shapes.

    Returns:
        A 0-d tensor for each on its device. `inf` for a weight that was zero and has moved, 0 where nothing moved.

    Raises:
        ValueError: the lists differ in length.

    Example:
        >>> [ratio.item() for ratio in update_ratio([torch.tensor([3.0, 4.0])], [torch.tensor([3.0, 6.5])])]
        [0.5]
    """
    if len(before) != len(after):
        raise ValueError(f"before has {len(before)} tensors and after has {len(after)}, expected as many")
    with torch.no_grad():
        old = each_norm([tensor.detach() for tensor in before])
        moved = each_norm([new.detach() - tensor.detach() for tensor, new in zip(before, after, strict=True)])
        return [torch.where(move > 0, move / size, move) for move, size in zip(moved, old, strict=True)]


def second_moment_ratio(optimizer: Optimizer) -> tuple[list[Tensor], list[Tensor]]:
    r"""How far each gradient is from what Adam's second moment expects: the update's RMS without momentum.

    .. math:: \text{RMS}_t = \sqrt{\text{mean}\left(g_t^2 / \max(\hat v_t, \epsilon^2)\right)}, \qquad
        \hat v_t = \frac{\beta_2 v_{t-1} + (1 - \beta_2) g_t^2}{1 - \beta_2^t}

    About 1 in sound training. It rises well above 1 when the second moment lags behind the gradient, one to eight steps
    before the loss shows it. Asked between `backward` and `step`.

    Args:
        optimizer: an optimizer of the Adam family: groups with `betas` and `eps`, a state with `exp_avg_sq` and `step`.

    Returns:
        The parameters that have a dense gradient, and a 0-d tensor (float32 or wider) for each, on its device.

    Raises:
        ValueError: the optimizer keeps no second moments.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(3))
        >>> adam = torch.optim.Adam([weight])
        >>> weight.grad = torch.tensor([1.0, -2.0, 5.0])
        >>> second_moment_ratio(adam)[1][0].item()  # the first step: nothing to lag behind
        1.0

    References:
        Wortsman et al., "Stable and low-precision training for large-scale vision-language models", 2023.
    """
    params: list[Tensor] = []
    ratios: list[Tensor] = []
    with torch.no_grad():
        for group in optimizer.param_groups:
            if "betas" not in group or "eps" not in group:
                raise ValueError(
                    f"{type(optimizer).__name__} keeps no second moments, expected an optimizer of the Adam family"
                )
            for param in group["params"]:
                if param.grad is not None and param.grad.layout == torch.strided:
                    params.append(param)
                    ratios.append(_ratio(param, optimizer.state.get(param, {}), group))
        return params, _over_shards(ratios, params)


def _ratio(param: Tensor, state: dict, group: dict) -> Tensor:
    """The mean of g^2 / v of this rank's part, as a sum and to be divided by the element count."""
    beta, eps = group["betas"][1], group["eps"]
    grad = dense_values(_dist.local(param.grad))  # type: ignore[arg-type]
    first = "exp_avg_sq" not in state  # the second moment will be this gradient's
    moments = grad if first else _dist.local(state["exp_avg_sq"])
    correction = 1.0 if first else 1.0 / (1 - beta ** (state["step"] + 1))
    sums = []
    for values, moment in chunks(grad, moments):
        size = values.abs()
        square = size.to(torch.promote_types(torch.float32, size.dtype)).square_()
        least = max(eps * eps, torch.finfo(square.dtype).tiny)
        if not first:
            moment = moment.abs().to(square.dtype).mul_(beta).add_(square, alpha=1 - beta).mul_(correction)
        else:
            moment = square.clone()
        sums.append(square.div_(moment.clamp_(min=least)).sum())
    return torch.stack(sums).sum()


def _over_shards(sums: list[Tensor], params: list[Tensor]) -> list[Tensor]:
    totals = _dist.sum_over_shards(sums, params)
    return [torch.sqrt(total / max(1, param.numel())) for total, param in zip(totals, params, strict=True)]
