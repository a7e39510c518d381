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
