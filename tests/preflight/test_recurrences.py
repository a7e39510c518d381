"""Recurrences that are written by hand are found by their weights."""

import pytest
import torch
from torch import nn

import steadygrad as sg


class Unrolled(nn.Module):
    """A plain recurrence, step by step; `tries` steps are made beside it, to see what comes out."""

    def __init__(self, gain: float, tries: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.given, self.recurrent, self.out = nn.Linear(3, 24), nn.Linear(24, 24, bias=False), nn.Linear(24, 2)
        nn.init.orthogonal_(self.recurrent.weight, gain)
        self.tries = tries

    def forward(self, x):
        state = x.new_zeros(len(x), 24)
        for _ in range(self.tries):
            torch.tanh(self.given(x[:, 0]) + self.recurrent(state))
        for step in range(x.shape[1]):
            state = torch.tanh(self.given(x[:, step]) + self.recurrent(state))
        return self.out(state)


@pytest.mark.parametrize(("tries", "found"), [(0, True), (1, True), (30, False)])
def test_a_step_that_is_made_once_more_to_see_what_comes_out_is_no_other_use(tries, found):
    x = torch.randn(32, 40, 3, generator=torch.Generator().manual_seed(1))
    y = (x[:, 0, 0] > 0).long()
    result = sg.check(Unrolled(0.2, tries), (x, y), nn.functional.cross_entropy)
    causes = {each.cause for each in result.findings}
    assert ("vanishing-recurrent" in causes) == found
