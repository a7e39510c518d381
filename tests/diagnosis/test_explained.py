"""What explains what, and what a run is named that nobody can look into: real runs, each a minute of somebody's day."""

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.diagnosis.case import case_of
from steadygrad.diagnosis.diagnose import _explained, of_case, ranked
from steadygrad.findings import Finding
from steadygrad.records import Alarm


def train(tmp_path, model, optimizer, loss_of, steps=140, mode="protect"):
    with sg.watch(model, optimizer, mode=mode, record=tmp_path) as watch:
        for step in range(steps):
            loss = loss_of(model, step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return sg.open_run(watch.run)


def generator(step):
    return torch.Generator().manual_seed(step)


def parity(model, step):
    bits = torch.randint(0, 2, (64, 8), generator=generator(step))
    return nn.functional.cross_entropy(model(2.0 * bits - 1.0), bits[:, :2].sum(1) % 2)


def perceptron(activation=nn.Tanh, width=32, outputs=2):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, width), activation(), nn.Linear(width, width), activation(), nn.Linear(width, outputs)
    )


def test_units_that_the_first_steps_have_pinned_are_the_doing_of_the_rate(tmp_path):
    """Sound in the first pass, and then thrown to where nothing comes through."""
    model = perceptron()
    run = train(tmp_path, model, torch.optim.Adam(model.parameters(), lr=3.0), parity)
    first, *others = run.findings()
    assert first.cause == "learning-rate"
    assert all(each.confidence < first.confidence / 1.5 for each in others if each.cause == "saturation")


@pytest.mark.parametrize(("rate", "flung"), [(0.3, True), (1e-3, False)])
def test_weights_that_the_first_steps_have_flung_away_say_so_themselves(rate, flung, tmp_path):
    """Where nothing can be tried beside the run: as its recording is when it is seen to be idle."""
    model = perceptron()
    run = train(tmp_path, model, torch.optim.Adam(model.parameters(), lr=rate), parity, 40, mode="observe")
    idle = Alarm(0, 39, "stalled", {})
    case = case_of(run.main, 0, [idle])
    found = [each for each in of_case(case) if "weight_norm_first" in each.evidence]
    assert [each.cause for each in found] == ["learning-rate"] * flung
    late = [Finding("attention-logits", 0.77, "v", "", {"seen_in": "onset"})]
    weighed = [each.confidence for each in _explained([*found, *late]) if each.cause == "attention-logits"]
    assert (weighed[0] < 0.5) == flung


class Steep(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = perceptron(outputs=16)

    def forward(self, x):
        return torch.tanh(800.0 * self.body(x))


def test_a_slope_of_hundreds_is_no_rate(tmp_path):
    """Where a unit is between its ends the gradient is hundreds of times too large, so that a lower rate does help."""
    torch.manual_seed(0)
    model = Steep()

    def loss_of(model, step):
        x = torch.randn(64, 8, generator=generator(step))
        codes = model(x)
        wanted = torch.sign(x @ torch.randn(8, 16, generator=generator(10_000)))
        return (codes - wanted).square().mean()

    run = train(tmp_path, model, torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9), loss_of)
    assert run.findings()[0].cause == "saturation"


class Hidden(torch.autograd.Function):
    """The square root of code that torch does not show: its slope at 0 is infinite."""

    @staticmethod
    def forward(ctx, x):
        root = x.sqrt()
        ctx.save_for_backward(root)
        return root

    @staticmethod
    def backward(ctx, grad):
        (root,) = ctx.saved_tensors
        return grad / (2 * root)


@pytest.mark.parametrize("broken", ["slope", "data"])
def test_a_finite_loss_with_a_gradient_that_is_not_is_no_fault_of_the_data(tmp_path, broken):
    torch.manual_seed(0)
    model = nn.Linear(4, 4)

    def loss_of(model, step):
        x = torch.randn(16, 4, generator=generator(step))
        distance = (model(x) - x).square().sum(1)
        if step == 60:
            distance = distance * 0.0 if broken == "slope" else distance * float("nan")
        return Hidden.apply(distance).mean()

    run = train(tmp_path, model, torch.optim.SGD(model.parameters(), lr=0.01), loss_of, 80)
    assert run.findings()[0].cause == ("unsafe-op" if broken == "slope" else "nonfinite-data")


def test_a_loss_without_a_minimum_is_known_by_its_falling_ever_faster(tmp_path):
    """A penalty with the wrong sign: gradients grow as the root of the loss only."""
    torch.manual_seed(0)
    users, items = nn.Embedding(200, 8), nn.Embedding(100, 8)
    for each in (users, items):
        nn.init.normal_(each.weight, std=0.3)
    model = nn.ModuleList([users, items])

    def loss_of(model, step):
        user = torch.randint(0, 200, (64,), generator=generator(step))
        item = torch.randint(0, 100, (64,), generator=generator(step + 10_000))
        fit = ((users(user) * items(item)).sum(1) - 1.0).square().mean()
        return fit.clamp(max=4.0) - 5e-3 * (users.weight.square().sum() + items.weight.square().sum())

    run = train(tmp_path, model, torch.optim.Adam(model.parameters(), lr=0.02), loss_of, 300)
    assert run.findings()[0].cause == "weight-growth"


def test_a_run_that_bursts_at_its_start_and_says_nothing_from_there_on_is_stalled(tmp_path):
    """Its loss has fallen, from a million to that of a guess: the units are dead."""
    model = perceptron(nn.ReLU, outputs=3)
    scale = torch.tensor([1.0, 1e3, 1.0, 10.0, 1.0, 300.0, 1.0, 1.0])

    def loss_of(model, step):
        x = torch.randn(32, 8, generator=generator(step)).abs()
        return nn.functional.cross_entropy(model(x * scale), (x[:, 0] * 1.5).long().clamp(max=2))

    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    with sg.watch(model, optimizer, mode="observe", record=tmp_path) as watch:
        for step in range(140):
            loss = loss_of(model, step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    run = sg.open_run(watch.run)
    assert "stalled" in {alarm.detector for alarm in run.main.alarms()}
    assert run.findings()[0].cause == "input-scale"


def test_a_noisy_loss_with_some_pinned_units_is_not_stalled(tmp_path):
    """As that of a value function whose inputs grow: it only seems to stand still."""
    model = perceptron(outputs=1)

    def loss_of(model, step):
        x = torch.randn(32, 8, generator=generator(step)) * (1.0 if step < 20 else 12.0)
        return (model(x) - torch.randn(32, 1, generator=generator(step + 10_000))).square().mean()

    run = train(tmp_path, model, torch.optim.SGD(model.parameters(), lr=1e-3), loss_of, 140)
    assert not run.main.alarms()


@pytest.mark.parametrize(("rate", "replaced"), [(0.05, True), (1e-3, False)])
def test_first_steps_that_replace_the_weights_are_the_rates_doing(rate, replaced, tmp_path):
    """Weights that begin as large as they end: how far the steps went says it, and no norm."""
    model = perceptron()
    with torch.no_grad():
        model[0].weight.mul_(3.0)  # as an embedding, most of the norm
    run = train(tmp_path, model, torch.optim.Adam(model.parameters(), lr=rate), parity, 40, mode="observe")
    case = case_of(run.main, 0, [Alarm(0, 39, "stalled", {})])
    found = [each for each in of_case(case) if "moved" in each.evidence]
    assert [each.cause for each in found] == ["learning-rate"] * replaced


class Backwards(torch.optim.Adam):
    """Adam with a decay whose sign is wrong."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for param in group["params"]:
                param.mul_(1.0 + 2.0 * group["lr"])
        return super().step(closure)


def test_updates_that_are_made_of_the_weights_are_no_moments_doing(tmp_path):
    """They are long because the weights are: by as much as these grow, step after step."""
    model = perceptron(outputs=4)

    def classes(model, step):
        x, luck = torch.randn(2, 64, 8, generator=generator(step))
        noisy = x + 0.5 * luck
        return nn.functional.cross_entropy(model(x), 2 * (noisy[:, 0] > 0).long() + (noisy[:, 1] > 0).long())

    run = train(tmp_path, model, Backwards(model.parameters(), lr=5e-3), classes, 500, mode="observe")
    first, *others = run.findings()
    assert first.cause == "weight-growth"
    assert "stale-second-moment" not in {each.cause for each in others}


@pytest.mark.parametrize(("long", "weight"), [(True, 0.5), (False, 1.0)])
def test_steps_that_a_moment_makes_long_are_not_the_rates_doing(long, weight):
    flung = Finding("learning-rate", 0.85, "optimizer 0", "", {"moved": 3.0})
    lag = Finding("stale-second-moment", 0.8, "v", "", {"update_rms_over_lr": 5.0} if long else {})
    found = {each.cause: each.confidence for each in _explained([flung, lag])}
    assert found["learning-rate"] == pytest.approx(weight * 0.85)


@pytest.mark.parametrize(
    ("where", "seen_in", "explained"),
    [("head", "first pass", True), ("cell", "first pass", False), ("head", "onset", False)],
)
def test_a_state_that_runs_away_pins_what_lies_behind_it(where, seen_in, explained):
    grows = Finding("recurrent-gain", 0.78, "cell", "", {"seen_in": seen_in})
    pinned = Finding("saturation", 0.85, where, "", {"saturated_fraction": 0.8, "seen_in": "first pass"})
    weighed = {each.cause: each.confidence for each in _explained([grows, pinned])}
    assert (weighed["saturation"] < weighed["recurrent-gain"]) == explained


def test_of_two_that_are_as_sure_that_which_was_there_first_goes_first():
    moved = Finding("learning-rate", 0.85, "optimizer 0", "", {"moved": 3.0})
    there = Finding("vanishing-recurrent", 0.85, "cell", "", {"seen_in": "first pass"})
    assert [each.cause for each in ranked([moved, there])] == ["vanishing-recurrent", "learning-rate"]


def test_layers_of_zeros_are_named_and_zeros_at_the_end_alone_are_not(tmp_path):
    model = perceptron(nn.ReLU)
    for param in model.parameters():
        nn.init.zeros_(param)
    run = train(tmp_path / "all", model, torch.optim.SGD(model.parameters(), lr=0.1), parity)
    assert run.verdict == "stalled"
    first, *_ = run.findings()
    assert (first.cause, "random-initialisation" in first.remedies) == ("vanishing-depth", True)
    model = perceptron(nn.ReLU)
    nn.init.zeros_(model[-1].weight)
    run = train(tmp_path / "last", model, torch.optim.SGD(model.parameters(), lr=0.1), parity)
    assert run.verdict == "healthy"


@pytest.mark.parametrize(("climbs", "shape"), [(True, lambda step: 1.04**step), (False, lambda step: step + 1.0)])
def test_a_rate_that_climbs_is_told_from_a_warm_up(climbs, shape, tmp_path):
    """Weights grow with such a rate, too: it is the rate that nobody has meant."""
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def risen(model, step):
        optimizer.param_groups[0]["lr"] = 1e-3 * shape(step)
        return parity(model, step)

    run = train(tmp_path, model, optimizer, risen, mode="observe")
    case = case_of(run.main, 0, [Alarm(0, 139, "loss-divergence", {})])
    told = [each for each in of_case(case) if "times_half_way" in each.evidence]
    assert [each.cause for each in told] == ["learning-rate"] * climbs


class PostNorm(nn.Module):
    """A deep transformer whose norms follow its residuals: what a warm-up was invented for."""

    def __init__(self, width=32, depth=10):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(8, width)
        layer = nn.TransformerEncoderLayer(width, 2, 4 * width, dropout=0.0, batch_first=True)
        self.body = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        for weight in self.body.parameters():
            if weight.dim() > 1:
                nn.init.xavier_uniform_(weight)
        self.head = nn.Linear(width, 8)

    def forward(self, tokens):
        return self.head(self.body(self.embedding(tokens)))


@pytest.mark.parametrize(("rate", "withers"), [(5e-3, True), (3e-4, False)])
def test_early_layers_that_the_first_steps_have_cut_off_are_the_rates_doing(rate, withers, tmp_path):
    """With the first weights most of the gradient arrived at them: no weights of the start are to blame."""
    model = PostNorm()

    def shifted(model, step):
        tokens = torch.randint(0, 8, (8, 12), generator=generator(step))
        return nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.roll(1, 1).flatten())

    run = train(tmp_path, model, torch.optim.Adam(model.parameters(), lr=rate), shifted, 110)
    found = run.findings()
    assert bool(found) == bool(run.main.alarms()) == withers
    if withers:
        assert found[0].cause == "learning-rate"
        assert "cut them off" in found[0].summary
