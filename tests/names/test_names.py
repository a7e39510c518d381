"""Names of parameters: module paths, several roots, wrappers, and flat scripts."""

import sys
import textwrap

import torch
from torch import nn

import steadygrad as sg
from steadygrad._names import find_roots


def names_of(ran_or_watch):
    return [tensor.name for tensor in sg.open_run(ran_or_watch).main.optimizers()[0].tensors]


def one_step(params, loss, optimizer_class=torch.optim.SGD, **options):
    optimizer = optimizer_class(params, lr=0.01)
    with sg.watch(None, optimizer, **options) as watch:
        loss().backward()
        optimizer.step()
    return watch.run


def test_one_root_has_its_own_paths(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 1)))
    run = one_step(model.parameters(), lambda: model(torch.ones(1, 2)).sum(), record=tmp_path)
    assert names_of(run) == ["0.weight", "0.bias", "1.0.weight", "1.0.bias"]


def test_several_roots_are_named_by_their_variables(tmp_path):
    encoder, decoder = nn.Linear(2, 2), nn.Linear(2, 1)
    params = [*encoder.parameters(), *decoder.parameters()]
    run = one_step(params, lambda: decoder(encoder(torch.ones(1, 2))).sum(), record=tmp_path)
    assert names_of(run) == ["encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"]


def test_wrappers_of_torch_do_not_show(tmp_path):
    model = torch.compile(nn.Linear(2, 1), backend="eager")
    run = one_step(model.parameters(), lambda: model(torch.ones(1, 2)).sum(), record=tmp_path)
    assert names_of(run) == ["weight", "bias"]


def test_tied_weights_are_named_once(tmp_path):
    model = nn.ModuleDict({"embedding": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    model["head"].weight = model["embedding"].weight
    run = one_step(
        model.parameters(), lambda: model["head"](model["embedding"](torch.tensor([1]))).sum(), record=tmp_path
    )
    assert names_of(run) == ["embedding.weight"]


def test_a_flat_script_is_named_by_its_variables(runner):
    runner.write(
        textwrap.dedent(
            """
            import torch
            def main():
                W1 = torch.randn(3, 2, requires_grad=True)
                layers = [torch.randn(2, 2, requires_grad=True)]
                named = {"out": torch.randn(2, 1, requires_grad=True)}
                optimizer = torch.optim.Adam([W1, *layers, *named.values(), torch.zeros(1, requires_grad=True)])
                for _ in range(2):
                    (torch.ones(1, 3) @ W1 @ layers[0] @ named["out"]).sum().backward()
                    optimizer.step()
            main()
            """
        )
    )
    ran = runner.watched("train.py")
    assert names_of(ran.folder) == ["W1", "layers[0]", "named['out']", "param3"]


def test_a_seq2seq_script_without_one_root(runner):
    runner.write(
        textwrap.dedent(
            """
            import torch
            from torch import nn
            class Encoder(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.rnn = nn.GRU(2, 3)
                def forward(self, x):
                    return self.rnn(x)[1]
            class Trainer:
                def __init__(self):
                    self.enc, self.dec = Encoder(), nn.Linear(3, 1)
                    self.opt = torch.optim.Adam([*self.enc.parameters(), *self.dec.parameters()])
                def step(self):
                    self.dec(self.enc(torch.ones(4, 1, 2))).sum().backward()
                    self.opt.step()
            Trainer().step()
            """
        )
    )
    ran = runner.watched("train.py")
    assert names_of(ran.folder)[0] == "enc.rnn.weight_ih_l0"
    assert names_of(ran.folder)[-1] == "dec.bias"


def test_the_largest_owner_is_the_root_and_criteria_that_hold_it_are_not():
    model, other = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)), nn.Linear(3, 3)
    holder = nn.ModuleList([model, other])
    assert find_roots(list(model.parameters()), [model, other, model[0]]) == [model]
    assert find_roots(list(model.parameters()), [model, holder]) == [holder]
    assert find_roots([torch.ones(1)], [model]) == []


def test_a_proxy_object_is_not_asked_for_its_class():
    class Trap:
        @property
        def __class__(self):
            raise AssertionError("touched")

    trap = Trap()
    model = nn.Linear(2, 1)
    assert model in find_roots(list(model.parameters()))
    assert sys.getrefcount(trap) > 0
