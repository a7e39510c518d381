"""After the sixtieth step the optimizer's state is damaged, as by a checkpoint in too few digits.

Squares are lost, and sums a thousand times as large.

Cause: corrupt-state
"""

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

_steps = {}


@torch.no_grad()
def _damage(optimizer, args, kwargs):
    _steps[id(optimizer)] = _steps.get(id(optimizer), 0) + 1
    if _steps[id(optimizer)] != 60:
        return
    for state in optimizer.state.values():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.ndim > 0 and value.is_floating_point():
                value.mul_(1e-12 if "sq" in name else 1e3 if "momentum" in name or name == "buf" else 1.0)


register_optimizer_step_post_hook(_damage)
