"""What a script's outermost modules are called with in training, changed."""

import torch

_call = torch.nn.Module.__call__
_depth = 0
_count = 0


def change_inputs(change):
    """Let `change(number of the call, tensor)` have the first floating input of each call that is trained on."""

    def __call__(self, *args, **kwargs):
        global _depth, _count
        outermost = _depth == 0 and torch.is_grad_enabled() and self.training and any(True for _ in self.parameters())
        if outermost:
            floating = [each for each in args if isinstance(each, torch.Tensor) and each.is_floating_point()]
            if floating and floating[0].ndim > 1 and not floating[0].requires_grad:
                _count += 1
                args = tuple(change(_count, each) if each is floating[0] else each for each in args)
        _depth += 1
        try:
            return _call(self, *args, **kwargs)
        finally:
            _depth -= 1

    torch.nn.Module.__call__ = __call__
