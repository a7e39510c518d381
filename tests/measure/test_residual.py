"""Residual branches found by structure, in models of all kinds; and none where there are none."""

import pytest
import torch
from torch import nn

from steadygrad.measure.forward_graph import forward_graph
from steadygrad.measure.residual import find_residual_branches
from tests.kinds_of_models import GPT, MODELS, Encoder, Recurrent, Residual, series, vectors, words


def ends(model, batch):
    return [(branch.first, branch.last) for branch in find_residual_branches(model, batch)]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_attention_and_mlp_are_two_branches_of_a_hand_written_block(dropout):
    found = ends(GPT(layers=3, dropout=dropout), words(count=50))
    assert found == [
        pair
        for n in range(3)
        for pair in (
            ((f"blocks.{n}.qkv.weight",), (f"blocks.{n}.out.weight",)),
            ((f"blocks.{n}.up.weight",), (f"blocks.{n}.down.weight",)),
        )
    ]


@pytest.mark.parametrize("pre", [False, True])
@pytest.mark.parametrize("mode", [True, False])
def test_norms_before_and_after_the_addition(pre, mode):
    found = ends(Encoder(layers=2, pre=pre).train(mode), series(width=10))
    assert [last[0].removeprefix("layers.layers.") for _, last in found] == [
        f"{n}.{name}.weight" for n in range(2) for name in ("self_attn.out_proj", "linear2")
    ]


@pytest.mark.parametrize(("conv", "norm"), [(False, False), (False, True), (True, False), (True, True)])
def test_blocks_that_a_top_level_loop_adds(conv, norm):
    model = Residual(4, 8, norm=norm, conv=conv)
    branches = find_residual_branches(model, torch.randn(4, 3, 6, 6) if conv else vectors())
    assert len(branches) == 4
    assert all(branch.depth == 2 and branch.rescaled == norm and branch.stack == 0 for branch in branches)


def test_sixty_blocks_are_sixty_branches_in_order():
    branches = find_residual_branches(Residual(60, 8), vectors())
    assert [branch.order for branch in branches] == list(range(60))
    assert [branch.first[0].split(".")[1] for branch in branches] == [str(n) for n in range(60)]


def test_an_encoder_and_a_decoder_are_two_stacks_and_cross_attention_is_told():
    model = nn.Transformer(16, 2, 2, 2, 32, batch_first=True)
    branches = find_residual_branches(model, (torch.randn(2, 3, 16), torch.randn(2, 4, 16)))
    assert [branch.stack for branch in branches] == [0] * 4 + [1] * 6
    assert [branch.crosses for branch in branches] == [False] * 4 + [False, True, False] * 2
    assert all(len(branch.weights) == 2 for branch in branches)  # the encoder is no part of a decoder's branch


@pytest.mark.parametrize(
    "name",
    [
        "relu-chain",
        "conv-chain",
        "rnn",
        "lstm-stacked-both-ways",
        "gru-packed",
        "hand-lstm",
        "hand-rnn",
        "seq2seq",
        "reused",
    ],
)
def test_nothing_else_is_a_residual_branch(name):
    make, batch = MODELS[name]
    assert ends(make(), batch()) == []


def test_gated_cells_are_none_even_on_one_embedding():
    class Net(nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.words, self.cell, self.kind = nn.Embedding(30, 4), getattr(nn, kind)(4, 4), kind

        def forward(self, tokens):
            x = self.words(tokens)
            state = (x[:, 0] * 0, x[:, 0] * 0) if self.kind == "LSTMCell" else x[:, 0] * 0
            for t in range(x.shape[1]):
                state = self.cell(x[:, t], state)
            return state[0]

    for kind in ("LSTMCell", "GRUCell", "RNNCell"):
        assert ends(Net(kind), words()) == [], kind


def test_parallel_branches_of_one_block_and_residual_lstms():
    class Parallel(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.a, self.b, self.c = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 16), nn.Linear(16, 8)

        def forward(self, x):
            y = self.norm(x)
            return x + self.a(y) + self.c(torch.tanh(self.b(y)))

    assert ends(Parallel(), torch.randn(3, 8)) == [
        (("a.weight",), ("a.weight",)),
        (("b.weight",), ("c.weight",)),
    ]

    class Stack(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.LSTM(8, 8, batch_first=True) for _ in range(2))

        def forward(self, x):
            for layer in self.layers:
                x = x + layer(x)[0]
            return x

    assert len(ends(Stack(), torch.randn(3, 5, 8))) == 2


def test_a_layer_that_is_added_again_and_again_is_one_branch():
    class Again(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x):
            for _ in range(6):
                x = x + self.layer(x)
            return x

    (branch,) = find_residual_branches(Again(), torch.randn(3, 8))
    assert branch.calls == 6


def test_looking_leaves_the_model_as_it_was():
    model = Recurrent("GRU", 2)
    model.rnn.weight_ih_l0.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    find_residual_branches(model, words(count=30))
    assert not model.rnn.weight_ih_l0.requires_grad
    assert model.rnn.weight_hh_l0.requires_grad
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(param.grad is None for param in model.parameters())


def test_weights_in_call_order_and_what_follows_them():
    class Swapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.second, self.first = nn.Linear(4, 2), nn.Linear(3, 4)

        def forward(self, x):
            return self.second(torch.tanh(self.first(x)))

    graph = forward_graph(Swapped(), torch.randn(5, 3))
    assert [product.weights for product in graph.products()] == [("first.weight",), ("second.weight",)]
    assert graph.activations_after(graph.products()[0]) == {"tanh"}
