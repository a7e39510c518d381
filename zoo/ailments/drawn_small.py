"""Weights begin at a twentieth of what the script draws.

Cause: vanishing-depth, vanishing-recurrent
"""

import torch

_init = torch.optim.Optimizer.__init__


def __init__(self, params, defaults):
    _init(self, params, defaults)
    with torch.no_grad():
        for group in self.param_groups:
            for param in group["params"]:
                if param.ndim > 1 and not getattr(param, "_is_small", False):
                    param.mul_(0.05)
                    param._is_small = True


torch.optim.Optimizer.__init__ = __init__
