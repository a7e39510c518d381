"""A sound run whose loss does not fall yet is looked at, and not for long."""

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad._watch import kept, looks


class Tagger(nn.Module):
    """Tags that have nothing to do with the words: there is nothing to learn, and nothing wrong."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 16, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


def train(steps):
    """Watch so many steps."""
    torch.manual_seed(0)
    model = Tagger()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with sg.watch(model, optimizer, record=False):
        for _ in range(steps):
            x, y = torch.randn(8, 12, 8), torch.randint(4, (96,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x).flatten(0, 1), y).backward()
            optimizer.step()


@pytest.fixture
def examined(monkeypatch):
    """The subjects of all examinations that a look has begun."""
    subjects, examine = [], looks.examine
    monkeypatch.setattr(looks, "examine", lambda subject: subjects.append(subject) or examine(subject))
    return subjects


def test_curvature_and_steps_are_left_out_until_a_rule_has_found_something(examined):
    train(200)
    assert len(examined) == 3  # after 96, 128 and 192 steps
    assert all(subject.optimizer is None for subject in examined)


def test_looks_that_take_long_wait_until_the_training_has_taken_far_longer(examined, monkeypatch):
    monkeypatch.setattr(kept, "LOOKED_AT_LEAST", 0.0)
    monkeypatch.setattr(kept, "LOOKED_SHARE", 1e-9)
    train(200)
    assert len(examined) == 1


class Counting:
    """Hooks of somebody else: each forward pass is written down, and one entry is taken away by each backward pass."""

    def __init__(self, model):
        for each in (model.rnn, model.head):
            each.seen = []
            each.bias_count = {"passes": 0}
            each.register_forward_hook(self.forward)
        model.head.register_full_backward_hook(self.backward)

    def forward(self, module, args, output):
        if torch.is_grad_enabled():
            module.seen.append(args[0].detach())
            module.bias_count["passes"] += 1
            for param in module.parameters():
                param.passes = getattr(param, "passes", 0) + 1

    def backward(self, module, grad_input, grad_output):
        module.seen.pop()
        for param in module.parameters():
            param.passes -= 1


def test_what_hooks_of_others_write_down_is_what_the_script_has_done(examined):
    torch.manual_seed(0)
    model = Tagger()
    Counting(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with sg.watch(model, optimizer, record=False):
        for step in range(200):
            x, y = torch.randn(8, 12, 8), torch.randint(4, (96,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x).flatten(0, 1), y).backward()
            optimizer.step()
            assert model.head.seen == []
            assert len(model.rnn.seen) == model.rnn.bias_count["passes"] == step + 1
            assert {param.passes for param in model.head.parameters()} == {0}
            assert {param.passes for param in model.rnn.parameters()} == {step + 1}
    assert examined, "it was looked at"
