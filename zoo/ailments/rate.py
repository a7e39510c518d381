"""Every learning rate is a hundred times what the script says.

Cause: learning-rate
"""

import torch

FACTOR = 100.0
_init = torch.optim.Optimizer.__init__


def __init__(self, params, defaults):
    groups = list(params)
    for group in groups:
        if isinstance(group, dict) and isinstance(group.get("lr"), float):
            group["lr"] *= FACTOR
    if isinstance(defaults.get("lr"), float):
        defaults = {**defaults, "lr": FACTOR * defaults["lr"]}
    _init(self, groups, defaults)


torch.optim.Optimizer.__init__ = __init__
