"""A broken record in the very first batch: it is the record, not the scale of the data."""

import pytest
import torch
from torch import nn

import steadygrad as sg


def train(tmp_path, *, target=None, inputs=None, every=None, optimizer=torch.optim.Adam, lr=3e-3, steps=60):
    """A regression; of the samples of its batches one in `every` is out of scale, or all are."""
    torch.manual_seed(0)
    x = torch.randn(256, 10)
    y = x[:, :1] - x[:, 1:2]
    rows = slice(None) if every is None else slice(None, None, every)
    if target:
        y[rows] = y[rows] * target
    if inputs:
        x[rows] = x[rows] * inputs
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = optimizer(model.parameters(), lr=lr)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(steps):
            start = 32 * step % 256
            loss = nn.functional.mse_loss(model(x[start : start + 32]), y[start : start + 32])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return sg.open_run(watch.run)


@pytest.mark.parametrize("what", ["target", "inputs"])
@pytest.mark.parametrize(("every", "cause"), [(64, "outlier-batch"), (None, "scale")])
def test_records_are_told_from_scale(what, every, cause, tmp_path):
    run = train(tmp_path, **{what: 1e5}, every=every, optimizer=torch.optim.SGD, lr=0.05)
    found = run.findings()[0]
    assert found.cause == {"scale": {"target": "loss-scale", "inputs": "input-scale"}[what]}.get(cause, cause)
    assert found.where.startswith("target" if what == "target" else "input")
    if every is not None:
        assert found.evidence["apart"] > 1000
        assert "drop-outlier-samples" in found.remedies
