"""Weights begin six times as large as the script draws them.

Cause: init-gain, recurrent-gain, attention-logits, saturation
"""

import torch

_init = torch.optim.Optimizer.__init__


def __init__(self, params, defaults):
    _init(self, params, defaults)
    with torch.no_grad():
        for group in self.param_groups:
            for param in group["params"]:
                if param.ndim > 1 and not getattr(param, "_is_large", False):
                    param.mul_(6.0)
                    param._is_large = True


torch.optim.Optimizer.__init__ = __init__
