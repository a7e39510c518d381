"""On a CUDA device: invisible when healthy, a true skip, fused optimizers under a gradient scaler."""

import pytest
import torch
from torch import nn

import steadygrad as sg

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

MAKERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9),
    "fused-adamw": lambda p: torch.optim.AdamW(p, lr=1e-3, fused=True),
    "capturable-adam": lambda p: torch.optim.Adam(p, lr=torch.tensor(1e-3, device="cuda"), capturable=True),
}


def train(maker, watched, bad=(), scaled=False, steps=40, record=False):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 64), nn.BatchNorm1d(64), nn.ReLU(inplace=True), nn.Linear(64, 1)).cuda()
    optimizer = MAKERS[maker](model.parameters())
    scaler = torch.amp.GradScaler("cuda", init_scale=1024.0, enabled=scaled)
    watch = sg.watch(model, optimizer, record=record) if watched else None
    for step in range(steps):
        x = torch.randn(64, 32, device="cuda") * (float("nan") if step in bad else 1.0)
        with torch.autocast("cuda", dtype=torch.float16, enabled=scaled):
            loss = (model(x).float() - 1).square().mean()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    if watch is not None:
        watch.close()
    return {name: value.cpu() for name, value in model.state_dict().items()}, torch.cuda.get_rng_state(), watch


@pytest.fixture(autouse=True)
def _deterministic():
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("maker", MAKERS)
def test_a_healthy_run_is_bit_identical(maker, scaled):
    bare, bare_rng, _ = train(maker, False, scaled=scaled)
    watched, rng, _ = train(maker, True, scaled=scaled)
    assert all(torch.equal(bare[name], watched[name]) for name in bare)
    assert torch.equal(bare_rng, rng)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("maker", MAKERS)
def test_nan_batches_are_survived(maker, scaled, tmp_path):
    state, _, watch = train(maker, True, bad=(0, 13, 14), scaled=scaled, record=tmp_path)
    assert all(value.isfinite().all() for value in state.values())
    run = sg.open_run(watch.run)
    lost = [action.step for action in run.main.actions() if action.action in {"skip", "scaler-skip"}]
    assert len(lost) == 3
    assert run.verdict == "recovered"


def test_norms_are_those_of_torch():
    torch.manual_seed(0)
    model = nn.Linear(64, 64).cuda().half()
    model(torch.randn(8, 64, device="cuda").half()).float().square().sum().backward()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    expected = float(torch.cat([p.grad.double().flatten() for p in model.parameters()]).norm())
    from steadygrad._readback import global_norm, read_vector
    from steadygrad.measure import tensor_norms

    parts = tensor_norms([p.grad for p in model.parameters()])
    assert global_norm(read_vector(parts, 2, -1.0)) == pytest.approx(expected, rel=1e-4)
    assert optimizer.param_groups
