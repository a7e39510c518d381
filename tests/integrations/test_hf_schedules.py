"""Schedules of others, and a learning rate that is lowered around the steps: what they compute stays what it was.

The schedules of `transformers` come from the package. The warm-up is written out as Ultralytics does it: at each batch
the rates are overwritten from the optimizer's `initial_lr`, and a scheduler makes one step an epoch.
"""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad._rate import LoweredRate


def scheduled(name, **options):
    def drive(optimizer, steps):
        # Only here: loading the package takes seconds.
        transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'steadygrad[test]'")
        counts = {
            key: steps if value == "all" else round(value * steps) if key.endswith("_steps") else value
            for key, value in options.items()
        }
        scheduler = getattr(transformers.optimization, name)(optimizer, **counts)
        for _ in range(steps):
            yield
            scheduler.step()

    return drive


def warmed_up_by_hand(optimizer, steps, epochs=12, warmup_bias_lr=0.1, final=0.01):
    def fraction(epoch):
        return max(1 - epoch / epochs, 0) * (1.0 - final) + final

    batches = steps // epochs
    warmup = 3 * batches
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lr_lambda=fraction)
    scheduler.last_epoch = -1
    for epoch in range(epochs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the first step of the scheduler comes before one of the optimizer
            scheduler.step()
        for batch in range(batches):
            ni = batch + batches * epoch
            if ni <= warmup:
                for place, x in enumerate(optimizer.param_groups):
                    start = warmup_bias_lr if place == 0 else 0.0
                    x["lr"] = np.interp(ni, [0, warmup], [start, x["initial_lr"] * fraction(epoch)])
            yield


WAYS = {
    "cosine": scheduled("get_cosine_schedule_with_warmup", num_warmup_steps=0.1, num_training_steps="all"),
    "linear": scheduled("get_linear_schedule_with_warmup", num_warmup_steps=0.1, num_training_steps="all"),
    "constant with warm-up": scheduled("get_constant_schedule_with_warmup", num_warmup_steps=0.3),
    "polynomial": scheduled(
        "get_polynomial_decay_schedule_with_warmup", num_warmup_steps=0.1, num_training_steps="all", power=2.0
    ),
    "inverse square root": scheduled("get_inverse_sqrt_schedule", num_warmup_steps=0.1),
    "cosine with restarts": scheduled(
        "get_cosine_with_hard_restarts_schedule_with_warmup",
        num_warmup_steps=0.1,
        num_training_steps="all",
        num_cycles=3,
    ),
    "warm-up, stable, decay": scheduled(
        "get_wsd_schedule", num_warmup_steps=0.1, num_decay_steps=0.3, num_training_steps="all"
    ),
    "written at each batch": warmed_up_by_hand,
}
STEPS = 60


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("tensor", [False, True])
def test_no_schedule_ever_sees_the_lowered_rate(way, tensor):
    """The rates between steps are those of the bare run, to the last bit; those within are lowered."""
    runs = []
    for lowered in (False, True):
        params = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2))]
        lr = torch.tensor(0.03) if tensor else 0.03
        groups = [{"params": params[:1]}, {"params": params[1:], "lr": lr * 0.7}]
        optimizer = torch.optim.AdamW(groups, lr=lr, weight_decay=0.0, fused=True)
        rate, seen = LoweredRate(), []
        for step, _ in enumerate(WAYS[way](optimizer, STEPS)):
            before = [float(group["lr"]) for group in optimizer.param_groups]
            factor = 0.3 if lowered and step % 3 else 1.0
            rate.apply(optimizer, factor)
            old = [param.detach().clone() for param in params]
            for param in params:
                param.grad = torch.ones_like(param)  # under it, Adam moves a weight by its rate
            optimizer.step()
            moved = [(was - now.detach()).mean().item() for was, now in zip(old, params, strict=True)]
            assert moved == pytest.approx([factor * value for value in before], rel=1e-3, abs=1e-6)
            rate.restore()
            assert [float(group["lr"]) for group in optimizer.param_groups] == before
            seen.append(before)
        assert len(seen) == STEPS
        runs.append(seen)
    assert runs[0] == runs[1]
    assert len({rates[1] for rates in runs[0]}) > 10, "the schedule really moves the rate"


@pytest.fixture
def _one_thread():
    # Several gain nothing in so small a net, and lose much where the machine is busy.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize("way", ["cosine", "written at each batch"])
def test_a_rate_that_really_goes_down_is_not_seen_by_the_schedule(way, tmp_path):
    """A net whose learning rate is far beyond its limit: the ladder lowers it while the schedule goes on."""
    runs = []
    for mode in ("observe", "protect"):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=4.0, momentum=0.9)
        generator = torch.Generator().manual_seed(1)
        rates = []
        with sg.watch(model, optimizer, mode=mode, record=tmp_path / mode) as watch:
            for _ in WAYS[way](optimizer, 300):
                rates.append(float(optimizer.param_groups[0]["lr"]))
                x = torch.randn(32, 8, generator=generator)
                loss = (model(x) - 3 * x.sum(1, keepdim=True).sin()).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        runs.append((rates, sg.open_run(watch.run).main))
    (bare_rates, _), (rates, recording) = runs
    lowered = [action.step for action in recording.actions() if action.action == "lower-lr"]
    assert lowered
    assert lowered[0] < 150, "most of the schedule is still to come"
    step = lowered[0] + 1
    assert recording.steps().lr[step] < 0.2 * rates[step], "the rate within the step is lowered"
    assert rates == bare_rates, "and the schedule's own rate is not"
