"""The loss of passes computed again, with whatever weights lie there now."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .._readback import read_tensor_scalar
from .._tap import TapedPass
from ..measure.undisturbed import undisturbed
from .taped_objective import TapedObjective


def losses_again(
    passes: Sequence[TapedPass], params: Sequence[Tensor], names: Sequence[str], *, silent: bool = False
) -> list[float] | None:
    """The losses of these passes with the weights as they are now; buffers and random numbers are as before.

    Args:
        passes: on tape.
        params: the parameters that the optimizer trains.
        names: theirs.
        silent: as if models had returned zeros.

    Returns:
        One for each; None where one cannot be computed again.
    """
    losses = []
    try:
        for taped in passes:
            objective = TapedObjective(taped, params, names)
            with torch.no_grad(), undisturbed(objective.model):
                losses.append(read_tensor_scalar(taped.replay(silent=silent)[0].detach()))
    except Exception:  # whatever a user's model does when it is called again
        return None
    known = [loss for loss in losses if loss is not None]
    return known if known and len(known) == len(losses) else None
