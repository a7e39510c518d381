"""What the rule of depth makes of numbers at the ends of their range."""

import torch
from torch import nn

import steadygrad as sg


def test_a_gain_whose_power_no_float_holds_is_a_finding_and_no_error():
    torch.manual_seed(0)
    layers = []
    for _ in range(200):
        linear = nn.Linear(16, 16)
        nn.init.normal_(linear.weight, std=300.0)
        layers += [linear, nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(16, 5))
    batch = torch.randn(8, 16), torch.randint(5, (8,))
    result = sg.check(model, batch, nn.CrossEntropyLoss())
    assert [finding.cause for finding in result.findings] == ["init-gain"]
    (gain,) = (each for each in result.measurements if each.quantity == "signal gain per layer")
    assert gain.beyond
    assert gain.value > 100
