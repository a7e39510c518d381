"""A loss is computed the way the user's own loop would."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from steadygrad.measure.objective import Objective

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 1, 0])


class Named(nn.Module):
    """Takes keywords, returns a dict, and computes its loss if it gets labels."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 2)

    def forward(self, features, other=None, labels=None):
        logits = self.inner(features if other is None else features + other)
        output = {"logits": logits}
        if labels is not None:
            output["loss"] = F.cross_entropy(logits, labels)
        return output


@dataclass
class Output:
    logits: torch.Tensor
    extra: int = 0


class AsDataclass(Named):
    def forward(self, features, other=None):
        return Output(super().forward(features, other)["logits"])


class Spread(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 2)

    def forward(self, a, b):
        return self.inner(torch.cat([a, b], 1))


def own_loss(model, batch):
    x, y = batch
    return F.cross_entropy(model(x), y)


WAYS = {
    "pair": (nn.Linear(3, 2), (X, Y), nn.CrossEntropyLoss()),
    "list": (nn.Linear(3, 2), [X, Y], F.cross_entropy),
    "dict and a loss": (nn.Linear(3, 2), {"input": X, "labels": Y}, nn.CrossEntropyLoss()),
    "loss of model and batch": (nn.Linear(3, 2), (X, Y), own_loss),
    "loss of model, x and y": (nn.Linear(3, 2), (X, Y), lambda model, x, y: F.cross_entropy(model(x), y)),
    "loss of output and batch": (nn.Linear(3, 2), (X, Y), lambda out, batch: F.cross_entropy(out, batch[1])),
    "own loss": (Named(), {"features": X, "labels": Y}, None),
    "dict output": (Named(), {"features": X, "labels": Y}, nn.CrossEntropyLoss()),
    "keywords that forward does not take": (Named(), {"features": X, "weight": X, "labels": Y}, None),
    "dataclass output": (AsDataclass(), (X, Y), nn.CrossEntropyLoss()),
    "two inputs": (Spread(), (X, X, Y), nn.CrossEntropyLoss()),
    "two inputs in a tuple": (Spread(), ((X, X), Y), nn.CrossEntropyLoss()),
    "no target": (nn.Linear(3, 2), X, lambda output: output.square().mean()),
    "the batch is the target": (nn.Linear(3, 3), X, nn.MSELoss()),
}


@pytest.mark.parametrize("name", WAYS)
def test_the_usual_ways_give_one_number_with_a_gradient(name):
    model, batch, loss_fn = WAYS[name]
    objective = Objective(model, batch, loss_fn)
    loss = objective()
    assert loss.shape == ()
    loss.backward()
    assert all(param.grad is not None for param in model.parameters())


@pytest.mark.parametrize("name", WAYS)
def test_parts_put_together_again_are_the_batch(name):
    model, batch, loss_fn = WAYS[name]
    objective = Objective(model, batch, loss_fn)
    again = objective.with_parts(objective.inputs, objective.target)
    assert objective(again).item() == objective().item()


def test_the_target_is_the_last_item_and_the_entry_labels():
    assert Objective(*WAYS["pair"]).target is Y
    assert Objective(*WAYS["own loss"]).target is Y
    assert Objective(*WAYS["the batch is the target"]).target is None


def test_the_values_are_those_of_the_plain_computation():
    model, _, _ = WAYS["pair"]
    want = F.cross_entropy(model(X), Y).item()
    for batch, loss_fn in [
        ((X, Y), nn.CrossEntropyLoss()),
        ((X, Y), own_loss),
        ({"input": X, "y": Y}, F.cross_entropy),
    ]:
        assert Objective(model, batch, loss_fn)().item() == want


def test_nothing_is_moved_by_finding_the_way():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Dropout())
    before, random = model[1].running_mean.clone(), torch.get_rng_state()
    Objective(model, (X, Y), lambda output, batch: F.cross_entropy(output, batch[1]))
    assert torch.equal(model[1].running_mean, before)
    assert torch.equal(torch.get_rng_state(), random)


def test_what_does_not_fit_is_said_with_its_error():
    with pytest.raises(ValueError, match=r"cannot compute a loss: .*shapes cannot be multiplied"):
        Objective(nn.Linear(5, 2), (X, Y), nn.CrossEntropyLoss())
    with pytest.raises(ValueError, match="one number"):
        Objective(nn.Linear(3, 2), (X, Y), nn.CrossEntropyLoss(reduction="none"))
    with pytest.raises(ValueError, match="no gradient"):
        Objective(nn.Linear(3, 2), (X, Y), lambda output, target: output.detach().sum())
