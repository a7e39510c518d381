"""Weights that decay."""

import pytest
import torch
from torch import nn

from steadygrad.interventions import Applied, intervention_for

from .runs import bare, end, fitted, lost, perceptron, rows, with_remedy

DECAY = "decoupled-weight-decay"


def chased():
    """Values that are their own targets, as in Q-learning: weights chase themselves upwards."""
    q = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(q.parameters(), lr=0.05)
    losses = []
    for _ in range(150):
        x = torch.randn(32, 4)
        target = 1.0 - 0.1 * x.norm(dim=1, keepdim=True) + 0.9 * q(1.5 * x).detach()
        loss = (q(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def test_weights_that_chase_themselves():
    assert lost(bare(chased))
    assert end(with_remedy(chased, DECAY, weight_decay=1.0)) < 0.05


def test_it_is_the_decay_of_adamw():
    def training(decay):
        model = perceptron()
        groups = [
            {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": decay},
            {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0},
        ]
        return fitted(model, torch.optim.AdamW(groups, lr=1e-3), rows, 40)

    wanted = bare(lambda: training(0.1))
    assert with_remedy(lambda: training(0.0), DECAY) == pytest.approx(wanted, rel=1e-3)
    assert bare(lambda: training(0.0)) != pytest.approx(wanted, rel=1e-4)


def test_biases_and_what_has_no_gradient_do_not_decay():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    before = [p.detach().clone() for p in model.parameters()]
    with Applied([intervention_for(DECAY, weight_decay=1.0)]):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        model[0].weight.grad = torch.zeros(2, 2)
        model[0].bias.grad = torch.zeros(2)
        optimizer.step()
    left = [float((p.detach() / was).mean()) for p, was in zip(model.parameters(), before, strict=True)]
    assert left == pytest.approx([0.5, 1.0, 1.0, 1.0])
