"""Every policy in a form that a contract can be asked of: made small, and driven as its users drive it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from steadygrad.clip import (
    AGC,
    SPAM,
    AdaGC,
    AutoClip,
    ClipByBlockRMS,
    ClipByGlobalNorm,
    ClipByTensorNorm,
    ClipByUpdateRMS,
    ClipByValue,
    Policy,
    QKClip,
    RobustClip,
    ZClip,
    attach,
    chain,
    snapshot,
)


@dataclass(frozen=True)
class Kind:
    """A policy, and whether its threshold follows the run; `usual` is a size of gradients that it leaves alone."""

    name: str
    make: Callable[[], Policy]
    adapts: bool
    usual: float = 1e-3


KINDS = (
    Kind("ClipByValue", lambda: ClipByValue(0.5), False),
    Kind("ClipByGlobalNorm", lambda: ClipByGlobalNorm(1.0), False),
    Kind("ClipByTensorNorm", lambda: ClipByTensorNorm(0.5), False),
    Kind("ClipByBlockRMS", lambda: ClipByBlockRMS(0.1), False),
    Kind("AGC", lambda: AGC(0.1, exclude=()), False),
    Kind("AutoClip", lambda: AutoClip(50, window=32), True),
    Kind("ZClip", lambda: ZClip(max_grad_norm=None, warmup_steps=5), True),
    Kind("AdaGC", lambda: AdaGC(warmup_steps=5), True),
    Kind("SPAM", lambda: SPAM(5000.0, grace=3, reset_every=None), True),
    Kind("ClipByUpdateRMS", lambda: ClipByUpdateRMS(), True),
    Kind("QKClip", lambda: QKClip(nn.MultiheadAttention(4, 1)), False),
    Kind("RobustClip", lambda: RobustClip(), True),
    Kind("chain", lambda: chain(snapshot("first"), ClipByTensorNorm(0.5), snapshot("then"), RobustClip()), True),
)


def tree(dtype=torch.float32, seed=0):
    """Parameters of several shapes."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(6, 5), (4, 3, 2), (7,), (), (1, 9)]
    return [nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float32).to(dtype)) for shape in shapes]


class Drive:
    """Runs a policy over steps of an optimizer whose gradients are given.

    After each step `grads` are the gradients as the optimizer saw them and `moved` how far the parameters went.
    """

    def __init__(self, policy, params, *, optimizer=None):
        self.policy = policy
        self.params = params
        self.optimizer = torch.optim.AdamW(params, lr=1e-3, weight_decay=0.0) if optimizer is None else optimizer
        self.attached = attach(policy, self.optimizer)

    def step(self, grads):
        for param, grad in zip(self.params, grads, strict=True):
            param.grad = None if grad is None else grad.clone().to(param.dtype)
        before = [param.detach().clone() for param in self.params]
        self.optimizer.step()
        self.grads = [None if param.grad is None else param.grad.clone() for param in self.params]
        self.moved = [param.detach() - old for param, old in zip(self.params, before, strict=True)]
        return self.attached.last


def noise(params, size=1.0, seed=0):
    """Gradients of independent normal elements."""
    generator = torch.Generator().manual_seed(seed)
    return [size * torch.randn(param.shape, generator=generator) for param in params]


def norm(tensors):
    """The global norm."""
    return torch.stack([tensor.double().norm() for tensor in tensors if tensor is not None]).norm().item()
