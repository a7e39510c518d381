"""A forecast's last layer has one row: how far its gradient throws it, the size of the weight matrices does not tell."""

import torch
from torch import nn

import steadygrad as sg


def test_a_burst_that_lies_in_the_last_layer_alone_is_clipped(tmp_path):
    """Inputs so large that all units are saturated, but for one sample: next to nothing gets to the layer below."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(80):
            x = torch.randn(32, 16)
            y = x.sum(1, keepdim=True)
            if step == 50:
                x[1:] *= 1e6
                y[1:] *= 1e6
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            if step == 50:
                head, below = model[2].weight.grad.norm(), model[0].weight.grad.norm()
                assert 0 < 0.05 * below < 0.1 * model[0].weight.norm()
                assert head > 1e5
            optimizer.step()
    run = sg.open_run(watch.run)
    assert [(each.step, each.action) for each in run.main.actions()] == [(50, "clip")]
    assert [each.detector for each in run.main.alarms()] == ["gradient-spike"]
    assert run.verdict == "recovered"
    assert loss.item() < 10
