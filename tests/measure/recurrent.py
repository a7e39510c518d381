"""Recurrent modules of every kind, and what to give them."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

LAYERS = {
    "tanh": lambda **kwargs: nn.RNN(3, 4, **kwargs),
    "relu": lambda **kwargs: nn.RNN(3, 4, nonlinearity="relu", **kwargs),
    "gru": lambda **kwargs: nn.GRU(3, 4, **kwargs),
    "lstm": lambda **kwargs: nn.LSTM(3, 4, **kwargs),
    "projected": lambda **kwargs: nn.LSTM(3, 4, proj_size=2, **kwargs),
}
SHAPES = {
    "one": {},
    "stacked, both directions": {"num_layers": 3, "bidirectional": True},
    "without bias": {"num_layers": 2, "bias": False},
    "batch first": {"batch_first": True},
}
INPUTS = {
    "batched": lambda: torch.randn(6, 2, 3).double(),
    "packed": lambda: pack_sequence([torch.randn(n, 3).double() for n in (2, 5, 3)], enforce_sorted=False),
    "unbatched": lambda: torch.randn(6, 3).double(),
}
