"""Weight decay with the wrong sign: each step leaves matrices a fiftieth larger.

Cause: weight-growth
"""

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook


@torch.no_grad()
def _swell(optimizer, args, kwargs):
    for group in optimizer.param_groups:
        for param in group["params"]:
            if param.ndim > 1:
                param.mul_(1.02)


register_optimizer_step_post_hook(_swell)
