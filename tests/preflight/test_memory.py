"""The check sees a memory that is too short for its task, and nothing where it is long enough or not needed."""

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.measure.objective import Objective
from steadygrad.preflight.memory import memory

STEPS, SAMPLES = 48, 200


class Leaky(nn.Module):
    """h' = decay * h + x, element by element; its last state is read."""

    def __init__(self, decay, *, tokens=False, time_first=False):
        super().__init__()
        self.inlet = nn.Embedding(5, 16) if tokens else nn.Linear(2, 16)
        self.decay = nn.Parameter(torch.full((16,), decay))
        self.head = nn.Linear(16, 2)
        self.time_first = time_first

    def forward(self, x):
        steps = self.inlet(x).unbind(0 if self.time_first else 1)
        state = torch.zeros_like(steps[0])
        for step in steps:
            state = self.decay * state + (1 - self.decay**2).sqrt() * step
        return self.head(state)


def batch(decided, *, tokens=False, time_first=False):
    """A sequence whose class is decided by one step, None: by none."""
    torch.manual_seed(0)
    x = torch.randint(5, (SAMPLES, STEPS)) if tokens else torch.randn(SAMPLES, STEPS, 2)
    if decided is None:
        y = torch.randint(2, (SAMPLES,))
    else:
        y = (x[:, decided] < 2).long() if tokens else (x[:, decided, 0] > 0).long()
    return (x.transpose(0, 1) if time_first else x), y


def found(decay, decided, **form):
    torch.manual_seed(1)
    findings = sg.check(Leaky(decay, **form), batch(decided, **form), nn.CrossEntropyLoss()).findings
    return [finding for finding in findings if finding.cause == "vanishing-recurrent"]


@pytest.mark.parametrize("form", [{}, {"tokens": True}, {"time_first": True}, {"tokens": True, "time_first": True}])
def test_what_is_decided_out_of_reach_is_found(form):
    (finding,) = found(0.55, 2, **form)
    assert finding.evidence["decided_at"] == 2
    assert finding.evidence["gradient_share"] < 1e-9
    assert finding.where == "decay"
    assert "step 3 of 48" in finding.summary


@pytest.mark.parametrize("decided", [None, STEPS - 3], ids=["by nothing", "at the end"])
@pytest.mark.parametrize("tokens", [False, True])
def test_a_short_memory_is_no_fault_where_none_is_needed(decided, tokens):
    assert found(0.55, decided, tokens=tokens) == []


def test_a_long_memory_is_none_either():
    assert found(0.97, 2) == []


def test_what_is_also_said_within_reach_will_be_learned():
    torch.manual_seed(1)
    x, y = batch(2)
    x[:, -2] = x[:, 2] + 0.5 * torch.randn(SAMPLES, 2)
    findings = sg.check(Leaky(0.55), (x, y), nn.CrossEntropyLoss()).findings
    assert "vanishing-recurrent" not in {finding.cause for finding in findings}


def test_beside_a_gradient_that_explodes_none_has_vanished():
    torch.manual_seed(0)
    rnn = nn.RNN(2, 16, nonlinearity="relu", batch_first=True)
    with torch.no_grad():
        rnn.weight_hh_l0.copy_(3.0 * torch.eye(16))

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = rnn, nn.Linear(16, 2)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    causes = {each.cause for each in sg.check(Last(), batch(STEPS - 1), nn.CrossEntropyLoss()).findings}
    assert "recurrent-gain" in causes
    assert "vanishing-recurrent" not in causes


def test_a_target_at_every_step_has_no_one_place():
    rnn = nn.RNN(2, 8, batch_first=True)
    x = torch.randn(20, 30, 2)
    objective = Objective(rnn, (x, torch.randn(20, 30, 8)), lambda output, y: (output[0] - y).square().mean())
    assert memory(objective, {30}) is None


def test_the_gradient_is_that_of_the_input():
    """Of a chain of known decay, step by step."""
    torch.manual_seed(0)
    result = memory(Objective(Leaky(0.5), batch(2), nn.CrossEntropyLoss()), {STEPS})
    assert result is not None
    assert result.share[-1] == 1.0
    assert result.share[-11] == pytest.approx(0.5**10, rel=1e-4)
    assert max(range(STEPS), key=result.squared.__getitem__) == 2
