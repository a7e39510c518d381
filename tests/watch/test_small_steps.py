"""Gradients that stand out, and change nothing."""

import pytest
import torch
from torch import nn

import steadygrad as sg


@pytest.mark.parametrize(("scale", "clipped"), [(1.0, False), (1e4, True)])
def test_steps_of_biases_that_change_next_to_nothing_of_the_loss_are_left_alone(scale, clipped, tmp_path):
    """Tiny weights give the last bias all of the gradient, and a batch with as many of one class as of the other, as
    the first one happens to be, gives it none: what comes after stands out by a hundred thousand. Multiplied it matters.
    """
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    for each in model:
        if isinstance(each, nn.Linear):
            nn.init.normal_(each.weight, std=1e-3)
            nn.init.zeros_(each.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(30):
            generator = torch.Generator().manual_seed(step)
            ones = 25 if step == 0 else int(torch.randint(20, 25, (), generator=generator))
            labels = (torch.arange(50) < ones).float()
            samples = torch.randn(50, 2, generator=generator)
            loss = nn.functional.binary_cross_entropy_with_logits(model(samples).squeeze(1), labels)
            optimizer.zero_grad()
            (loss if step == 0 else scale * loss).backward()
            optimizer.step()
    run = sg.open_run(watch.run)
    assert bool({"clip", "hold", "skip"} & run.summary()["action_counts"].keys()) == clipped
    assert clipped or run.verdict == "healthy"
