"""Data inside objects that a model is given, and outputs inside what it returns, in passes that are computed again."""

from collections import OrderedDict, UserDict
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad._tap import PassTap


class Graph:
    """As libraries for graphs have them: what is stored lies in a store of its own."""

    def __init__(self, x):
        self._store = UserDict(x=x)
        self.name = "graph"

    @property
    def x(self):
        return self._store["x"]


@dataclass(frozen=True)
class Sample:
    x: torch.Tensor
    weight: float = 2.0


class Encoding(UserDict):
    """As tokenizers return it."""

    @property
    def x(self):
        return self["x"]


class Reads(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, batch):
        return self.layer(batch.x)


KINDS = [Graph, Sample, lambda x: Encoding(x=x), lambda x: SimpleNamespace(x=x)]


def raising(error):
    raise error


@pytest.mark.parametrize("kind", KINDS)
def test_other_data_takes_its_place_inside_an_object_that_is_left_as_it_was(kind):
    torch.manual_seed(0)
    model, x = Reads(), torch.randn(8, 5)
    batch = kind(x)
    tap = PassTap(raising)
    tap.follow([model])
    tap.conclude(model(batch).square().mean())
    (taped,) = tap.passes()
    tap.remove()
    (name,) = taped.inputs
    found = taped.replay({name: 3 * x})[0]
    assert torch.equal(found, model.layer(3 * x).square().mean())
    assert batch.x is x
    assert torch.equal(taped.replay()[0], model.layer(x).square().mean())


class Output(OrderedDict):
    """As models of libraries return it: its items are attributes too."""

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        self.__dict__[key] = value


class Tells(Reads):
    def forward(self, batch):
        return Output(logits=self.layer(batch))


def test_what_a_model_says_is_replaced_inside_what_it_returns():
    torch.manual_seed(0)
    model, x, y = Tells(), torch.randn(8, 5), torch.arange(8) % 3
    tap = PassTap(raising)
    tap.follow([model])
    tap.conclude(nn.functional.cross_entropy(model(x).logits, y))
    (taped,) = tap.passes()
    tap.remove()
    loss, _ = taped.replay(saying=torch.zeros_like)
    assert loss.item() == pytest.approx(torch.tensor(3.0).log().item())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("scale", "cause"), [(1.0, None), (1e5, "input-scale")])
def test_features_out_of_scale_are_told_of_wherever_they_lie(kind, scale, cause, tmp_path):
    torch.manual_seed(0)
    model = Reads()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for _ in range(40):
            x = torch.rand(32, 5)
            loss = nn.functional.cross_entropy(model(kind(scale * x)), (3 * x[:, 0]).long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found = sg.open_run(watch.run).findings()
    assert [each.cause for each in found[:1]] == ([] if cause is None else [cause])
