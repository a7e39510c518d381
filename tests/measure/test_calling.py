"""One calling convention: what people's loaders give, and what people's forwards take."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from steadygrad.measure.calling import call_model, find_call, tensors_in
from steadygrad.measure.undisturbed import undisturbed

X, Y = torch.randn(4, 3), torch.randint(2, (4,))


class Takes(nn.Module):
    """A model whose forward is what is given; it keeps the arguments of its last call."""

    def __init__(self, forward):
        super().__init__()
        self.forward = forward


def one(x):
    return x * 2.0


def two(x, y):
    return x + y


def optional_state(x, state=None):
    return x if state is None else x + state.sum()


def optional_targets(x, targets=None):
    return x if targets is None else {"logits": x, "loss": targets.sum() * 1.0}


def keywords(input_ids, labels=None):
    return input_ids if labels is None else (labels.sum() * 1.0, input_ids)


def whole(batch):
    return batch["x"] * 1.0


def unpacks(batch):
    x, y = batch
    return x * y.sum()


@pytest.mark.parametrize(
    ("forward", "batch", "words"),
    [
        (one, X, "the batch as one argument"),
        (one, (X, Y), "the batch without its last item"),
        (one, [X, Y], "the batch without its last item"),
        (one, (X,), "all items as arguments"),
        (one, (X, Y, Y), "its first item"),
        (two, (X, X), "all items as arguments"),
        (two, (X, X, Y), "the batch without its last item"),
        (two, ((X, X), Y), "the items of its first item"),
        (optional_state, (X, Y), "the batch without its last item"),
        (optional_targets, (X, Y), "all items as arguments"),
        (keywords, {"input_ids": X, "labels": Y}, "all keys as keywords"),
        (one, {"x": X, "labels": Y}, "the keys that are no targets as keywords"),
        (one, {"x": X, "labels": Y, "idx": Y}, "the keys that its forward names"),
        (one, {"image": X, "label": Y}, "the values that are no targets as arguments"),
        (whole, {"x": X, "y": Y}, "the batch as one argument"),
        (keywords, ({"input_ids": X}, Y), "all keys as keywords"),
        (unpacks, (X, Y), "the batch as one argument"),
    ],
)
def test_a_batch_is_passed_the_way_the_model_takes_it(forward, batch, words):
    call, output = find_call(Takes(forward), batch)
    assert call.words == words
    assert tensors_in(output)


def test_a_packed_sequence_is_one_argument():
    packed = pack_sequence([torch.randn(5, 3), torch.randn(2, 3)])
    lstm = nn.LSTM(3, 4)
    assert find_call(lstm, packed)[0].words == "the batch as one argument"
    assert find_call(lstm, (packed, Y))[0].words == "the batch without its last item"


def test_what_fits_nowhere_says_what_was_tried():
    with pytest.raises(
        ValueError, match=r"Linear does not take this batch \(a tensor of shape \(4, 3\)\); tried: the batch"
    ):
        call_model(nn.Linear(7, 2), X)


class Nasty(nn.Module):
    """Draws random numbers, counts, keeps a state, and fails if it gets a second argument."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(()))
        self.norm = nn.BatchNorm1d(3)
        self.state = None

    def forward(self, *inputs):
        self.count += 1
        self.state = torch.rand(3)
        random.random()
        np.random.rand()
        if len(inputs) > 1:
            raise RuntimeError("one input, please")
        return self.norm(inputs[0])


def test_a_failed_try_leaves_no_trace():
    states = [torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()]
    model = Nasty()
    with undisturbed(model):
        call, _ = find_call(model, (X, Y))
        assert model.count == 1  # the first try's count has been put back
        assert call.words == "the batch without its last item"
    assert model.state is None
    assert model.count == 0
    assert model.norm.num_batches_tracked == 0
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert (states[2] == np.random.get_state()[1]).all()


def test_modes_are_put_back():
    model = nn.Sequential(nn.Dropout(), nn.Linear(3, 3)).train()
    with undisturbed(model):
        model.eval()
    assert model.training
    assert model[0].training
