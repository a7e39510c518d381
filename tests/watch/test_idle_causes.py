"""Runs that learn nothing of their samples, without a number that is not finite: what keeps them from it is found."""

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad._watch.judges import faded, shut
from steadygrad.measure.objective import Objective
from steadygrad.preflight.gather import gather

CLASSES = 5
STEPS = 160


def spectra(step):
    generator = torch.Generator().manual_seed(step)
    classes = torch.randint(CLASSES, (50,), generator=generator)
    grid = torch.linspace(0, 1, 24)
    x = torch.exp(-(((grid - 0.15 - 0.18 * classes[:, None]) / 0.07) ** 2))
    return 3.0 * x - 0.7 + 0.1 * torch.randn(50, 24, generator=generator), classes


def tower(depth, activation):
    torch.manual_seed(10)
    layers = [nn.Linear(24, 48), activation()]
    for _ in range(depth - 1):
        layers += [nn.Linear(48, 48), activation()]
    net = nn.Sequential(*layers, nn.Linear(48, CLASSES))
    for module in net:
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            nn.init.zeros_(module.bias)
    return net


class FrameNorm(nn.Module):
    """Divides by the root mean square, computed in the precision of what it is given."""

    def forward(self, x):
        return x / (x * x).mean(-1, keepdim=True).add(1e-5).sqrt()


class Halved(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale
        self.enter, self.norm, self.mid, self.head = (
            nn.Linear(24, 48),
            FrameNorm(),
            nn.Linear(48, 48),
            nn.Linear(48, CLASSES),
        )

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.float16):
            h = self.norm(self.enter(self.scale * x))
        return self.head(torch.tanh(self.mid(h.float())))


def run(tmp_path, model, optimizer):
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(STEPS):
            x, y = spectra(step)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    return sg.open_run(watch.run)


def test_sigmoids_that_pass_on_too_little_for_the_first_layers_are_vanishing_depth(tmp_path):
    """Of the gradient 3e-4 arrives: not so little that a check would object, but nothing was learned."""
    model = tower(9, nn.Sigmoid)
    found = run(tmp_path, model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9))
    assert found.verdict == "stalled"
    assert found.findings()[0].cause == "vanishing-depth"
    assert found.findings()[0].evidence["grad_gain"] > 1e-4


def test_the_same_depth_that_learns_is_healthy(tmp_path):
    model = tower(9, nn.ReLU)
    found = run(tmp_path, model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9))
    assert found.verdict == "healthy"
    assert found.main.steps().loss[-1] < 0.5


@pytest.mark.parametrize(("scale", "overflows"), [(300.0, True), (1.0, False)])
def test_a_square_that_overflows_in_float16_and_is_divided_by_is_half_overflow(scale, overflows, tmp_path):
    """What is divided by infinity is zero: the loss stays finite, and says the same of every sample."""
    torch.manual_seed(0)
    model = Halved(scale)
    found = run(tmp_path, model, torch.optim.AdamW(model.parameters(), lr=2e-3))
    if not overflows:
        assert found.verdict == "healthy"
        assert found.main.steps().loss[-1] < 0.5
        return
    assert found.main.steps().loss[-1] > 1.5
    assert found.verdict == "stalled"
    assert found.findings()[0].cause == "half-overflow"


class Deaf(nn.Module):
    """Says the same whatever it hears, and returns its loss by itself, as models of transformers do."""

    def __init__(self):
        super().__init__()
        self.words = nn.Parameter(torch.zeros(CLASSES))

    def forward(self, x, y):
        logits = self.words.expand(len(x), -1)
        return nn.functional.cross_entropy(logits, y), logits


def test_a_model_without_a_fault_that_learns_nothing_raises_no_alarm(tmp_path):
    model = Deaf()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(STEPS):
            optimizer.zero_grad()
            model(*spectra(step))[0].backward()
            optimizer.step()
    assert sg.open_run(watch.run).verdict == "healthy"


@pytest.mark.parametrize(("left", "is_shut"), [(0.33, False), (0.15, True)])
def test_gates_that_a_run_has_closed_itself_a_little_are_no_reason(left, is_shut):
    """A language model after a hundred steps: exp(-1.1) a step is less than torch's gates leave, and opens again."""
    torch.manual_seed(2)
    cell, head = nn.LSTM(8, 16), nn.Linear(16, 4)
    with torch.no_grad():
        for each in cell.parameters():
            each.mul_(0.1)
        cell.bias_hh_l0[16:32] = torch.logit(torch.tensor(left))

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = cell, head

        def forward(self, x):
            return self.head(self.cell(x)[0]).flatten(0, 1)

    batch = torch.randn(40, 5, 8), torch.randint(4, (200,))
    evidence = gather(Objective(Tagger(), batch, nn.CrossEntropyLoss()), None, lambda line: None)
    found = faded(evidence)
    assert found is not None
    assert found.cause == "vanishing-recurrent", "of a first pass it would be one"
    assert (shut(found) is not None) == is_shut


class Recall(nn.Module):
    """Names the first of fifty tokens; `bias` is that of the gates which keep what is remembered."""

    def __init__(self, bias):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.cell, self.head = nn.Embedding(40, 16), nn.LSTM(16, 32, batch_first=True), nn.Linear(32, 8)
        with torch.no_grad():
            self.cell.bias_ih_l0[32:64] = bias

    def forward(self, tokens):
        return self.head(self.cell(self.embedding(tokens))[0][:, -1])


@pytest.mark.parametrize(("bias", "cause"), [(-1.0, ["vanishing-recurrent"]), (4.0, [])])
def test_gates_through_which_nothing_of_what_decides_arrives_are_named(bias, cause, tmp_path):
    """They might open, but not for what float32 rounds away."""
    model = Recall(bias)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(140):
            generator = torch.Generator().manual_seed(step)
            tokens = torch.randint(8, 40, (64, 50), generator=generator)
            tokens[:, 0] = wanted = torch.randint(8, (64,), generator=generator)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(tokens), wanted).backward()
            optimizer.step()
    assert [each.cause for each in sg.open_run(watch.run).findings()][:1] == cause


@pytest.mark.parametrize("detached", [True, False])
def test_units_that_no_gradient_of_the_loss_comes_to_are_not_why_it_does_not_fall(detached, tmp_path):
    """A critic whose values are constants for its actor's loss; where they are none, they are the cause."""
    torch.manual_seed(0)
    actor = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
    critic = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    with torch.no_grad():
        critic[0].weight.mul_(1e3)
        actor[2].weight.mul_(1e-2)
    model = nn.ModuleList([actor, critic])
    optimizer = torch.optim.SGD(actor.parameters(), lr=1e-3)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(140):
            generator = torch.Generator().manual_seed(step)
            states, luck = torch.randn(64, 4, generator=generator), torch.randn(64, generator=generator)
            scores = actor(states)
            values = critic(scores.detach() if detached else scores).squeeze(1)
            loss = (values - luck).square().mean()
            if detached:
                loss = ((values.detach() + luck) * scores.log_softmax(1)[:, 0]).mean() + 1.0
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found = sg.open_run(watch.run).findings()
    assert [each.cause for each in found][:1] == ([] if detached else ["saturation"])


@pytest.mark.parametrize(
    ("dtype", "rate", "cause"),
    [
        (torch.bfloat16, 2e-6, ["half-overflow"]),
        (torch.bfloat16, 2e-3, []),
        (torch.float32, 2e-6, []),
    ],
)
def test_steps_that_are_rounded_away_are_why_nothing_is_learned(dtype, rate, cause, tmp_path):
    """A rate that is small is none in bfloat16; in float32 it takes its time, and that is no fault."""
    model = tower(2, nn.ReLU).to(dtype)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    with sg.watch(model, optimizer, mode="repair", record=tmp_path) as watch:
        for step in range(STEPS):
            x, classes = spectra(step)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x.to(dtype)).float(), classes).backward()
            optimizer.step()
    run = sg.open_run(watch.run)
    assert [each.cause for each in run.findings()] == cause
    applied = [each.detail["remedy"] for each in run.main.actions() if each.action == "repair"]
    assert applied == (["float32-weights"] if cause else []), "no layer's precision is to blame"
