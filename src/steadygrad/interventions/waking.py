"""Units that are off for all of a batch, turned on by their bias."""

from typing import Any

import torch
from torch import Tensor, nn

from ..measure.undisturbed import undisturbed
from .initial import name_within


@torch.no_grad()
def wake_(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], where: str) -> bool:
    r"""Give units that no sample turns on a bias with which each does: :math:`b \leftarrow b - \min(z)`.

    A layer drawn anew may begin with dead units too; where it has one unit, as before a rectified output, that is as
    likely as not. If half of the samples turned it on, it would be the wrong half as likely, and training turns it off.

    Args:
        module: a module that is called, and is no part of one that is.
        args: what it is called with.
        kwargs: the same, by name.
        where: the layer before a rectifier, as the finding names it.

    Returns:
        Whether such a layer with a bias was found, and looked at.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> _ = nn.init.constant_(layer.weight, -1.0), nn.init.zeros_(layer.bias)
        >>> net, x = nn.Sequential(layer, nn.ReLU()), torch.tensor([[1.0], [2.0], [3.0]])
        >>> wake_(net, (x,), {}, "0"), (net(x) > 0).flatten().tolist()
        (True, [True, True, False])

    Reference: after Salimans and Kingma, "Weight normalization", 2016, section 3 (data-dependent initialisation).
    """
    where = name_within(module, where)
    layer = dict(module.named_modules()).get(where) if where else None
    bias = getattr(layer, "bias", None)
    if layer is None or not isinstance(bias, Tensor) or bias.ndim != 1:
        return False
    outputs: list[Tensor] = []

    def keep(_module: nn.Module, _args: Any, output: Any) -> None:
        if isinstance(output, Tensor) and not outputs:
            outputs.append(output)

    hook = layer.register_forward_hook(keep)
    try:
        with undisturbed(module):
            module(*args, **kwargs)
    finally:
        hook.remove()
    if not outputs or bias.numel() not in outputs[0].shape[1:]:
        return False
    axis = outputs[0].ndim - 1 if isinstance(layer, nn.Linear) else outputs[0].shape.index(bias.numel(), 1)
    units = outputs[0].movedim(axis, 0).flatten(1).float()
    bias.sub_(torch.where(units.amax(1) <= 0.0, units.amin(1), 0.0).to(bias))
    return True
