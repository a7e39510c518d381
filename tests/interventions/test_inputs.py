"""Features on a common scale."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from steadygrad.interventions import Applied, intervention_for
from steadygrad.interventions.inputs import LEARNED, Moments

from .healthy import Named
from .runs import bare, end, fitted, lost, rows, with_remedy

INPUTS = "standardise-inputs"
SCALES = torch.tensor([1.0, 300.0, 1e-3, 40.0])


def raw(step):
    x, y = rows()
    return x * SCALES + 5 * SCALES, y


def regression():
    model = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))
    return fitted(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5), raw, 150)


def test_features_in_their_own_units():
    assert end(bare(regression)) > 0.5, "it stalls"
    assert end(with_remedy(regression, INPUTS)) < 0.15


def test_features_in_their_own_units_explode_a_linear_model():
    def training():
        model = nn.Linear(4, 1)
        return fitted(model, torch.optim.SGD(model.parameters(), lr=0.1), raw, 60)

    assert lost(bare(training))
    assert end(with_remedy(training, INPUTS)) < 0.15


class Recurrent(nn.Module):
    """Of a packed sequence; its initial state is no data."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(4, 8, batch_first=True), nn.Linear(8, 1)
        self.seen = []

    def forward(self, x, state=None):
        self.seen.append((x.data if hasattr(x, "data") else x, state))
        return self.head(self.rnn(x, state)[1][-1])


def test_packed_sequences_and_states_of_zeros():
    model = Recurrent()
    x = torch.randn(8, 5, 4) * SCALES + SCALES
    with Applied([intervention_for(INPUTS)]):
        model(pack_padded_sequence(x, torch.full((8,), 5), batch_first=True), torch.zeros(1, 8, 8))
    data, state = model.seen[0]
    assert data.std(0, unbiased=False).tolist() == pytest.approx([1.0] * 4, rel=1e-4)
    assert data.mean(0).tolist() == pytest.approx([0.0] * 4, abs=1e-4)
    assert (state == 0).all()


class Echo(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, *args, **kwargs):
        return args, kwargs


def shown(*args, **kwargs):
    """What a module is given of this."""
    with Applied([intervention_for(INPUTS)]):
        return Echo()(*args, **kwargs)


def test_what_is_no_data_is_left_alone():
    ones, ids, trained = torch.ones(3, 4), torch.arange(12).view(3, 4), torch.randn(3, 4, requires_grad=True)
    broken, number = torch.tensor([[1.0, float("nan")]]), torch.tensor(7.0)
    args, kwargs = shown(ones, ids, trained, broken, number, flag=True, name="x")
    assert args[0].equal(ones)
    assert args[1] is ids
    assert args[2] is trained
    assert args[3] is broken
    assert args[4] is number
    assert kwargs == {"flag": True, "name": "x"}


def test_a_batch_keeps_its_kind():
    batch = Named(values_=torch.randn(6, 4) * 50, ids=torch.arange(6))
    before = batch.values_.clone()
    (given,), _ = shown(batch)
    assert given.values_.std() < 2
    assert given.ids.equal(batch.ids)
    assert batch.values_.equal(before), "the script's own is as it was"


def test_one_module_may_be_given_rows_and_sequences():
    model = nn.Linear(4, 1)
    with Applied([intervention_for(INPUTS)]):
        assert model(torch.randn(8, 5, 4)).shape == (8, 5, 1)
        assert model(torch.randn(8, 4)).shape == (8, 1)


def test_evaluation_teaches_nothing():
    """Statistics are those of training, as a script would have them."""
    model = Echo()
    with Applied([intervention_for(INPUTS)]):
        model(torch.randn(100, 4))
        with torch.no_grad():
            (far,), _ = model(torch.full((5, 4), 1000.0) + torch.randn(5, 4))
    assert far.min() > 500


values = st.floats(-1e4, 1e4, width=32)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    features=st.integers(1, 3),
    data=st.data(),
)
def test_moments_over_batches_are_those_of_the_whole(sizes, features, data):
    whole = np.array(
        data.draw(st.lists(st.lists(values, min_size=features, max_size=features), min_size=sum(sizes), max_size=sum(sizes)))
    )  # fmt: skip
    moments = Moments()
    for part in np.split(whole, np.cumsum(sizes)[:-1]):
        moments.applied(torch.tensor(part), 1, learns=True)
    found = moments.applied(torch.tensor(whole), 1, learns=False).numpy()
    mean, spread = whole.mean(0), whole.std(0)
    for column in range(features):
        if spread[column] > 1e-5 * max(abs(mean[column]), 1e-30):
            wanted = (whole[:, column] - mean[column]) / spread[column]
            assert found[:, column] == pytest.approx(wanted, rel=1e-5, abs=1e-5)
        elif spread[column] == 0:
            assert (found[:, column] == whole[:, column]).all()


def test_moments_are_learned_for_some_time_only():
    moments = Moments()
    for _ in range(LEARNED):
        moments.applied(torch.randn(4, 2), 1, learns=True)
    before = moments.applied(torch.ones(1, 2), 1, learns=False)
    moments.applied(torch.full((1000, 2), 1e6), 1, learns=True)
    assert moments.applied(torch.ones(1, 2), 1, learns=False).equal(before)
