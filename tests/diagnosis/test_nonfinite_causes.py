"""What is not finite, and why: data, an operation, a range that was left; real runs, in which several look guilty."""

from pathlib import Path

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.diagnosis.diagnose import _explained
from steadygrad.findings import Finding


def causes(tmp_path, model, optimizer, loss_of, steps=24):
    with sg.watch(model, optimizer, mode="observe", record=tmp_path) as watch:
        for step in range(steps):
            torch.manual_seed(step)
            optimizer.zero_grad()
            loss_of(model, step).backward()
            optimizer.step()
    return [each.cause for each in sg.open_run(watch.run).findings()]


def test_silence_in_a_logarithm_is_data_and_no_mask(tmp_path):
    """Minus infinity may mask what a softmax gets; what a convolution is given is nobody's mask."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 28, 3))

    def calls(net, step):
        power = torch.rand(16, 4, 32) + 0.1
        if step == 10:
            power[3, :, 20:] = 0.0
        return nn.functional.cross_entropy(net(power.log()), torch.randint(3, (16,)))

    assert causes(tmp_path, net, torch.optim.Adam(net.parameters(), lr=1e-3), calls)[0] == "nonfinite-data"


@pytest.mark.parametrize(("broken", "cause"), [("weight", "unsafe-op"), ("target", "nonfinite-data")])
def test_what_a_script_makes_of_sound_data_behind_its_model_is_no_data(broken, cause, tmp_path):
    """Weights of samples by a ratio that is 0 / 0 for one of them, against a target that came as it is."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def weighted(net, step):
        x, ratio = torch.randn(16, 4), torch.rand(16, 1) + 0.1
        target = x[:, :1].clone()
        if step == 10:
            (ratio if broken == "weight" else target)[3] = 0.0 if broken == "weight" else torch.nan
        out = net(x)
        weight = ratio.clamp(max=0.5) / ratio
        return (weight * (out - target).square()).mean()

    found = causes(tmp_path, net, torch.optim.Adam(net.parameters(), lr=1e-3), weighted)
    assert found[0] == cause


class Masked(nn.Module):
    """Attention under a mask that is given to it; all of it may be masked."""

    def __init__(self):
        super().__init__()
        self.qkv, self.say = nn.Linear(6, 18), nn.Linear(6, 1)

    def forward(self, x, mask):
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.say(((q @ k.transpose(1, 2) + mask).softmax(-1) @ v).mean(1))


def test_a_mask_is_no_data(tmp_path):
    torch.manual_seed(0)
    net = Masked()

    def attended(net, step):
        mask = torch.zeros(8, 5, 5).masked_fill(torch.eye(5, dtype=torch.bool), -torch.inf)
        if step == 10:
            mask[2] = -torch.inf
        return net(torch.randn(8, 5, 6), mask).square().mean()

    assert causes(tmp_path, net, torch.optim.Adam(net.parameters(), lr=1e-3), attended)[0] == "unsafe-op"


def test_an_infinite_slope_is_no_scale_s_doing(tmp_path):
    """The distance of a point to itself: large numbers that hide it in a minimum look like targets."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32))

    def triplets(net, step):
        e, y = net(torch.randn(72, 64)), torch.arange(12).repeat_interleave(6)
        d = torch.sqrt((e[:, None] - e[None]).square().sum(-1))
        same = y[:, None] == y[None]
        return torch.relu((d * same).amax(1) - (d + 1e4 * same).amin(1) + 1).mean()

    assert causes(tmp_path, net, torch.optim.Adam(net.parameters(), lr=1e-3), triplets)[0] == "unsafe-op"


def test_a_loss_that_falls_until_float16_ends_is_no_rate_s_doing(tmp_path):
    """A generator that is fitted to large numbers has to go through larger ones than the type has."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 64))

    def grams(net, step):
        out = 8 * net(torch.ones(1, 4)).reshape(4, 16).half()
        return ((out @ out.t()).float() / 4e5 - 1).square().mean()

    found = causes(tmp_path, net, torch.optim.Adam(net.parameters(), lr=5e-2), grams, 60)
    assert found[0] == "half-overflow"
    assert "unsafe-op" not in found


@pytest.mark.parametrize(
    ("losses", "explained"),
    [
        ([2.0, 1.8, 1.5, "inf", "nan"], True),
        ([2.0, 2.5, 9.0, "inf"], False),
        ([2.0, 1.8, 1.5], False),
        (["inf"], False),
    ],
)
def test_only_a_loss_that_falls_to_its_end_is_explained_by_an_overflow(losses, explained):
    rate = Finding("learning-rate", 0.75, "Adam", "", {"losses": losses, "seen_in": "first pass"})
    half = Finding("half-overflow", 0.95, "mm", "", {"operations": 1, "seen_in": "onset"})
    found = {each.cause: each.confidence for each in _explained([rate, half])}
    assert (found["learning-rate"] < 0.5) == explained
    assert (found["half-overflow"] > 0.9) == explained  # late: a scar of a rate that was too large from the start


class Norm(nn.Module):
    def forward(self, x):
        return x * torch.rsqrt(x.half().square().mean(-1, keepdim=True).float() + 1e-6)


def test_a_range_that_weights_grow_out_of(tmp_path):
    """The loss rises again, and is finite: what is divided by infinity is zero."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), Norm(), nn.Linear(32, 4))
    with torch.no_grad():
        net[0].weight *= 40

    def classes(net, step):
        x = torch.randn(64, 8)
        return nn.functional.cross_entropy(net((1 + 0.06 * max(0, step - 150)) * x), x[:, :4].argmax(1))

    assert causes(tmp_path, net, torch.optim.Adam(net.parameters(), lr=1e-2), classes, 400)[0] == "half-overflow"


def accumulated(lr, passes, tmp_path, divide=False):
    """A warm-up from a rate at which even the sum does no harm; the sequences are as long as there are passes."""
    torch.manual_seed(0)
    words, read = nn.Embedding(12, 32), nn.Linear(32, 12)
    places = nn.Embedding(passes, 32)
    net = nn.ModuleList([words, read, places])
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    with sg.watch(net, optimizer, mode="observe", record=tmp_path) as watch:
        for step in range(60):
            torch.manual_seed(step)
            optimizer.param_groups[0]["lr"] = lr * min(1.0, (step + 1) / 10)
            optimizer.zero_grad()
            for _ in range(passes):
                x = torch.randint(12, (4, passes))
                told = read(words(x) + places(torch.arange(passes)))
                loss = nn.functional.cross_entropy(told.flatten(0, 1), ((x + 1) % 12).flatten())
                (loss / passes if divide else loss).backward()
            optimizer.step()
    return [each.cause for each in sg.open_run(watch.run).findings()]


def test_an_accumulation_is_judged_at_the_rate_of_its_onset(tmp_path):
    """And a number that counts something else, as the places of a sequence, divides nothing."""
    assert accumulated(8.0, 24, tmp_path)[:1] == ["loss-scale"]
    assert accumulated(8.0, 24, tmp_path, divide=True) == []


@pytest.mark.parametrize(("phase", "explained"), [("backward", True), ("forward", False)])
def test_only_an_infinite_slope_explains_a_scale(phase, explained):
    """A value that is not finite may be what a scale has made of it."""
    scale = Finding("loss-scale", 0.97, "target", "", {"seen_in": "first pass"})
    operation = Finding("unsafe-op", 0.9, "sqrt", "", {"phase": phase, "seen_in": "onset"})
    found = {each.cause: each.confidence for each in _explained([scale, operation])}
    assert (found["loss-scale"] < found["unsafe-op"]) == explained


def test_what_weights_have_grown_out_of_is_seen_with_the_weights_of_now(runner):
    """Those that the run goes back to were sound: with them nothing overflows."""
    script = Path(__file__).parent / "eighth_holdout/failing/half-overflow/half_rmsnorm_lm.py"
    runner.write(script.read_text())
    first, *others = runner.watched("train.py").summary["findings"]
    assert first["cause"] == "half-overflow"
    assert [each["cause"] for each in others] == ["learning-rate"]


@pytest.mark.parametrize(("eps", "mode"), [(1e-8, "observe"), (1e-8, "protect"), (1e-8, "repair"), (1e-4, "protect")])
def test_an_epsilon_that_is_none_in_float16(eps, mode, tmp_path):
    """Squares of sound gradients underflow there, and nothing keeps Adam from dividing by them."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2)).half()
    optimizer = torch.optim.Adam(net.parameters(), lr=4e-3, eps=eps)
    try:
        with sg.watch(net, optimizer, mode=mode, record=tmp_path) as watch:
            for _ in range(100):
                x = torch.randn(64, 8)
                loss = nn.functional.cross_entropy(net(x.half()).float(), (x[:, 0] > 0).long())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    except sg.TrainingDiverged:
        assert mode == "protect"
    run = sg.open_run(watch.run)
    assert [each.cause for each in run.findings()[:1]] == ["half-overflow"] * (eps < 1e-6)
    if mode == "repair" or eps > 1e-6:
        assert loss.item() < 0.4
        assert run.verdict in ("recovered", "healthy")
        assert all(param.isfinite().all() for param in net.parameters())


@pytest.mark.parametrize(("eps", "mode"), [(0.0, "observe"), (0.0, "protect"), (0.0, "repair"), (1e-12, "protect")])
def test_an_epsilon_of_zero_where_no_gradient_comes_by(eps, mode, tmp_path):
    """The row of the padding: 0 / 0."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(10, 8, padding_idx=0), nn.Flatten(), nn.Linear(8 * 5, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2, eps=eps)
    try:
        with sg.watch(net, optimizer, mode=mode, record=tmp_path) as watch:
            for _ in range(120):
                x = torch.randint(0, 10, (64, 5))
                loss = nn.functional.cross_entropy(net(x), (x[:, 0] > 4).long())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    except sg.TrainingDiverged:
        assert mode == "protect"
    run = sg.open_run(watch.run)
    assert [each.cause for each in run.findings()[:1]] == ["stale-second-moment"] * (eps == 0.0)
    if mode == "repair" or eps:
        assert loss.item() < 0.4
        assert all(param.isfinite().all() for param in net.parameters())


@pytest.mark.slow
def test_what_a_run_that_has_burst_overflows_in_is_not_its_cause(runner):
    """The derivative of an attention, at a loss of 1e27."""
    script = Path(__file__).parent / "thirteenth_holdout/failing/init-gain/bracket_transformer.py"
    runner.write(script.read_text())
    assert runner.watched("train.py").summary["findings"][0]["cause"] == "init-gain"


@pytest.mark.slow
@pytest.mark.parametrize("script", ["init-gain/dict_mlp_tabular", "outlier-batch/boiler_outlet_stream"])
def test_what_the_thirteenth_set_has_shown(script, runner):
    runner.write((Path(__file__).parent / f"thirteenth_holdout/failing/{script}.py").read_text())
    assert runner.watched("train.py").summary["findings"][0]["cause"] == script.partition("/")[0]


@pytest.mark.parametrize("mode", ["observe", "protect", "repair"])
def test_moments_that_came_with_numbers_that_are_not_finite(mode, tmp_path):
    """Those of the padding were divided by zero on their way to a file. What their first step has made of the weights
    is in every pass after it, at first in places that no loss asks for."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(10, 8, padding_idx=0), nn.GRU(8, 16, batch_first=True))
    head = nn.Linear(16, 10)
    params = [*net.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(params, lr=1e-2)

    def step():
        x = torch.randint(1, 10, (32, 6))
        x[:, 4:] = 0
        logits = head(net(x)[0]).transpose(1, 2)
        loss = nn.functional.cross_entropy(logits, x, ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    for _ in range(20):
        step()
    for each in ("exp_avg", "exp_avg_sq"):
        optimizer.state[params[0]][each][0] = float("nan")
    try:
        with sg.watch([net, head], optimizer, mode=mode, record=tmp_path) as watch:
            last = [step() for _ in range(100)][-1]
    except sg.TrainingDiverged:
        assert mode == "protect"
    run = sg.open_run(watch.run)
    assert run.findings()[0].cause == "corrupt-state"
    if mode == "repair":
        assert [each.detail["remedy"] for each in run.main.actions() if each.action == "repair"] == ["reset-moments"]
        assert last < 0.1
        assert all(param.isfinite().all() for param in params)


@pytest.mark.parametrize(("in_order", "cause"), [(True, "recurrent-gain"), (False, "unsafe-op")])
def test_powers_of_one_number_are_a_recurrence_that_is_computed_at_once(in_order, cause, tmp_path):
    """The kernel of a diagonal state space whose rates have the wrong sign; exponents in no order are none."""
    torch.manual_seed(0)
    net = nn.ParameterDict({"rate": torch.linspace(0.2, 1.5, 8), "out": torch.randn(8)})
    order = torch.arange(120.0) if in_order else torch.arange(120.0)[torch.randperm(120)]

    def convolved(net, step):
        kernel = net["out"] @ torch.exp(net["rate"][:, None] * order)
        u = torch.randn(8, 120)
        return (torch.fft.irfft(torch.fft.rfft(u) * torch.fft.rfft(kernel), n=120) - u).square().mean()

    assert causes(tmp_path, net, torch.optim.SGD(net.parameters(), lr=1e-3), convolved)[0] == cause
