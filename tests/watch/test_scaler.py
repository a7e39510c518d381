"""A gradient scaler: its factor, the steps that it leaves out, and a scale that it does not find."""

import math

import pytest
import torch
from torch import nn

import steadygrad as sg

from .recorded import actions, recorded

NAN = math.nan


@pytest.mark.parametrize("fused", [False, True])
def test_grad_scaler_is_understood(fused, tmp_path):
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    norms = []
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(8):
            x = torch.randn(16, 4) * (NAN if step == 4 else 1.0)
            loss = model(x).square().mean()
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            norms.append(float(torch.cat([p.grad.flatten() for p in model.parameters()]).norm()) / 1024.0)
            scaler.step(optimizer)
            scaler.update()
    assert scaler.get_scale() == 512.0
    steps = recorded(watch).steps()
    finite = [value for value in steps.grad_norm if math.isfinite(value)]
    assert finite[:4] == pytest.approx(norms[:4], rel=1e-4)
    assert steps.loss[0] < 100, "the recorded loss is the unscaled one"
    assert actions(watch, "scaler-skip") == [4]
    assert actions(watch, "skip") == []
    assert [alarm.detector for alarm in recorded(watch).alarms()] == ["nonfinite-loss"], (
        "the scaler did not find a scale"
    )
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("fused", [False, True])
def test_a_scaler_that_looks_for_its_scale_is_healthy(fused, tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=10_000)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for _ in range(60):
            optimizer.zero_grad()
            scaler.scale((model(torch.randn(16, 4)) * 10).square().mean()).backward()
            scaler.step(optimizer)
            scaler.update()
    assert len(actions(watch, "scaler-skip")) in range(3, 20)
    assert recorded(watch).alarms() == []
    assert sg.open_run(watch.run).verdict == "healthy"


@pytest.mark.parametrize("fused", [False, True])
def test_a_nan_batch_under_a_scaler_does_not_stay_in_the_buffers(fused):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with sg.watch(model, optimizer, record=False):
        for step in range(6):
            optimizer.zero_grad()
            scaler.scale(model(torch.randn(16, 4) * (NAN if step == 3 else 1.0)).square().mean()).backward()
            scaler.step(optimizer)
            scaler.update()
    assert all(buffer.isfinite().all() for buffer in model.buffers())


@pytest.mark.parametrize("fused", [False, True])
def test_a_run_of_which_the_scaler_leaves_out_every_step_is_stopped_and_explained(fused, tmp_path):
    """No optimizer is ever called: the steps are seen all the same, and looked into."""

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.score, self.head = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.float16):
                score = self.score(x)
                mask = torch.tensor(-1e9).to(score.dtype) * torch.zeros(6, dtype=score.dtype)  # -inf * 0
                return self.head((score + mask).softmax(-1).half()).float()

    torch.manual_seed(0)
    model = Masked()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    made = []

    def train():
        for _ in range(100):
            loss = nn.functional.cross_entropy(model(torch.randn(16, 4)), torch.randint(2, (16,)))
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            made.append(loss)

    with (
        sg.watch(model, optimizer, record=tmp_path) as watch,
        pytest.raises(sg.TrainingDiverged, match="32 steps in a"),
    ):
        train()
    run = sg.open_run(watch.run)
    assert len(made) == 31
    assert run.verdict == "stopped"
    assert list(recorded(watch).steps().action) == ["scaler-skip"] * 32
    assert all(math.isnan(loss) for loss in recorded(watch).steps().loss)
    assert run.findings()[0].cause == "half-overflow"


def test_a_step_that_the_scaler_leaves_out_ends_its_passes(tmp_path):
    """The pass of the step after it is one, and no accumulation of two."""
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**100)
    counts = []
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for _ in range(6):
            optimizer.zero_grad()
            scaler.scale((model(torch.randn(16, 4)) * 1e12).square().mean()).backward()
            counts.append(len(watch._watcher._examiner.passes.passes()))
            scaler.step(optimizer)
            scaler.update()
    assert counts == [1] * 6
    assert len(actions(watch, "scaler-skip")) >= 3
