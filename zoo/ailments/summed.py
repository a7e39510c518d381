"""Torch's losses are sums over the batch where the script wants means.

Cause: loss-scale
"""

import functools

import torch.nn.functional as F


def _summed(original):
    @functools.wraps(original)
    def loss(*args, reduction="mean", **kwargs):
        return original(*args, reduction="sum" if reduction == "mean" else reduction, **kwargs)

    return loss


for _name in ("cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
    setattr(F, _name, _summed(getattr(F, _name)))
for _name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
    setattr(F, _name, _summed(getattr(F, _name)))
