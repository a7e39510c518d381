"""`sg.watch` of an encoder and a decoder, that are trained by one optimizer or by one each."""

import pytest
import torch
from torch import nn

import steadygrad as sg


@pytest.mark.parametrize("each_its_own", [False, True])
@pytest.mark.parametrize("of", [list, tuple])
def test_names_are_paths_in_the_module_that_owns_them(each_its_own, of, tmp_path):
    torch.manual_seed(0)
    encoder, decoder = nn.GRU(3, 8, batch_first=True), nn.Sequential(nn.Linear(8, 3))
    first, second = list(encoder.parameters()), list(decoder.parameters())
    groups = [first, second] if each_its_own else [first + second]
    optimizers = [torch.optim.SGD(each, lr=0.1) for each in groups]
    with sg.watch(of([encoder, decoder]), optimizers, record=tmp_path) as watch:
        for _ in range(20):
            x = torch.randn(16, 5, 3)
            loss = (decoder(encoder(x)[0]) - x).square().mean()
            for each in optimizers:
                each.zero_grad()
            loss.backward()
            for each in optimizers:
                each.step()
    run = sg.open_run(watch.run)
    assert run.verdict == "healthy"
    assert run.main.step_counts() == dict.fromkeys(range(len(optimizers)), 20)
    tensors = [each for known in run.main.optimizers() for each in known.tensors]
    assert {each.name.rpartition(".")[2] for each in tensors} == {
        *("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"),
        *("weight", "bias"),
    }


@pytest.mark.parametrize("model", ["net", 3, [nn.Linear(1, 1), "net"], torch.ones(2)])
def test_what_is_no_module_is_refused_in_one_line(model):
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    with pytest.raises(TypeError, match=r"expected a torch\.nn\.Module, several, or None") as raised:
        sg.watch(model, optimizer)
    assert len(str(raised.value).splitlines()) == 1


def test_model_and_optimizer_in_the_wrong_order_are_told():
    net = nn.Linear(1, 1)
    with pytest.raises(TypeError, match=r"model is a SGD, expected a torch\.nn\.Module"):
        sg.watch(torch.optim.SGD(net.parameters(), lr=0.1), net)
