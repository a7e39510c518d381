"""Nobody sets gradients to zero.

Cause: missing-zero-grad
"""

import torch

torch.optim.Optimizer.zero_grad = lambda self, set_to_none=True: None
torch.nn.Module.zero_grad = lambda self, set_to_none=True: None
