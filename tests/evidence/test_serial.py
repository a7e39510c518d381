"""What was measured comes back from JSON as it was."""

import json

import pytest
import torch
from torch import nn

from steadygrad.evidence import from_plain, to_plain
from steadygrad.measure.objective import Objective
from steadygrad.preflight.gather import gather


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.rnn = nn.LSTM(8, 12, batch_first=True)
        self.head = nn.Linear(12, 3)

    def forward(self, tokens):
        return self.head(self.rnn(self.embedding(tokens))[0]).transpose(1, 2)


MODELS = {
    "lstm": (Tagger, torch.randint(0, 11, (4, 9)), torch.randint(0, 3, (4, 9)), nn.CrossEntropyLoss()),
    "overflowing": (
        lambda: nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 1)),
        torch.full((4, 5), torch.inf),
        torch.ones(4, 1),
        nn.MSELoss(),
    ),
    "raw inputs": (
        lambda: nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 1)),
        1e6 * torch.rand(8, 5),
        1e5 + torch.rand(8, 1),
        nn.MSELoss(),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_evidence_comes_back_as_it_was(name):
    torch.manual_seed(0)
    make, x, y, loss = MODELS[name]
    model = make()
    evidence = gather(Objective(model, (x, y), loss), torch.optim.Adam(model.parameters()), lambda line: None)
    text = json.dumps(to_plain(evidence), allow_nan=False)
    again = from_plain(json.loads(text))
    assert repr(again) == repr(evidence)  # NaN is not equal to itself; in words it is


def test_a_later_version_may_know_more_and_what_is_no_evidence_is_said():
    model = nn.Linear(2, 1)
    evidence = gather(Objective(model, (torch.ones(3, 2), torch.ones(3, 1)), nn.MSELoss()), None, lambda line: None)
    plain = to_plain(evidence)
    assert repr(from_plain({**plain, "of_tomorrow": 1})) == repr(evidence)
    with pytest.raises(ValueError, match="not the evidence of a recorded run"):
        from_plain({"inputs": 3})
