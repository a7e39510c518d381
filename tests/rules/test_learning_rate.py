"""The rule of the learning rate on what a few steps have shown."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from steadygrad.evidence import Rehearsal
from steadygrad.findings import Finding
from steadygrad.measure.objective import Objective
from steadygrad.preflight.gather import gather
from steadygrad.rules.learning_rate import learning_rate, of_drawn_weights

BETTER = Rehearsal(0.1, (5.0, 4.0, 3.0, 2.0))


@pytest.mark.parametrize(
    ("losses", "found"),
    [
        ((5.0, 4.0, float("inf"), 2.0), True),  # float16 comes back from infinity, and nobody should go there
        ((5.0, 4.0, 40.0, 50.0), True),
        ((5.0, 4.0, 6.0, 6.0), False),
        ((5.0, 4.0, 3.0, 2.0), False),
    ],
)
def test_steps_that_have_been_infinite_are_worse_wherever_they_end(losses, found):
    model = nn.Linear(4, 1)
    objective = Objective(model, (torch.randn(8, 4), torch.randn(8, 1)), nn.MSELoss())
    evidence = gather(objective, torch.optim.SGD(model.parameters(), lr=1e-3), lambda line: None)
    tried = replace(evidence, rehearsals=(Rehearsal(1.0, losses), BETTER))
    said = [each for each in learning_rate(tried) if isinstance(each, Finding)]
    assert [each.cause for each in said] == ["learning-rate"] * found
    assert all("inf" in each.summary or losses[-1] == 50.0 for each in said)


def test_a_first_step_from_zero_says_nothing_of_the_rate():
    """Nor does one that was not measured; one that goes too far does, and one that goes nowhere."""
    assert of_drawn_weights(np.array([-1.0, 0.0, 0.1, 40.0, 8.8e30, np.inf])).tolist() == [0.0, 0.1, 40.0]
