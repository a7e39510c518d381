"""A weight of the loss that the script raises: under an optimizer whose steps grow with the gradient, that is the cause."""

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.diagnosis import diagnose

STEPS, SOUND = 420, 120


def batch(number):
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(32, 8, generator=generator)
    return x, torch.tanh(2 * x[:, :1] - x[:, 1:2])


def grown(step, by=1.05):
    return by ** max(0, step - SOUND)


def whole(out, y, net, step):
    return nn.functional.mse_loss(out, y) * grown(step)


def by_a_number_in_a_tensor(out, y, net, step):
    return torch.tensor(grown(step)) * nn.functional.mse_loss(out, y)


def a_term(out, y, net, step):
    """A penalty of the outputs that is nothing at first."""
    return nn.functional.mse_loss(out, y) + 1e-4 * grown(step, 1.08) * out.square().sum(1).mean()


def divided(out, y, net, step):
    return (out - y).square().mean() / (1.0 / grown(step))


def a_small_term(out, y, net, step):
    """What grows a thousandfold is a millionth of the loss."""
    weights = sum(each.square().sum() for each in net.parameters())
    return nn.functional.mse_loss(out, y) + 1e-9 * min(1e3, grown(step)) * weights


def run(tmp_path, loss_of, *, mode="observe", make=None, raised=1.0, steps=STEPS):
    """A training with this loss; the rate is raised at a step, if it is. Returns its findings, best first."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9) if make is None else make(net)
    with sg.watch(net, optimizer, mode=mode, record=tmp_path) as watch:
        for step in range(steps):
            if step == SOUND:
                optimizer.param_groups[0]["lr"] *= raised
            x, y = batch(step)
            loss = loss_of(net(x), y, net, step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    x, y = batch(steps)
    return diagnose(sg.open_run(watch.run)), float(nn.functional.mse_loss(net(x), y).detach())


@pytest.mark.parametrize("loss_of", [whole, by_a_number_in_a_tensor, a_term, divided])
def test_it_is_named_first(tmp_path, loss_of):
    findings, _ = run(tmp_path, loss_of)
    assert findings[0].cause == "loss-scale", [(each.cause, each.confidence) for each in findings]
    assert findings[0].evidence["factor"] > 4 * findings[0].evidence["first_factor"]
    assert "multiplies" in findings[0].summary


def test_it_is_held(tmp_path):
    """The script's steps end in numbers that are not finite; held, the model ends as good as it had been."""
    findings, error = run(tmp_path, whole, mode="protect")
    assert findings[0].cause == "loss-scale"
    assert error < 0.02


def test_what_is_a_millionth_of_the_loss_is_no_cause_of_a_rate_that_is_too_large(tmp_path):
    findings, _ = run(tmp_path, a_small_term, raised=60.0)
    assert findings[0].cause == "learning-rate"
    assert "loss-scale" not in {each.cause for each in findings}


def test_an_optimizer_that_divides_by_the_size_of_gradients_does_not_care(tmp_path):
    findings, error = run(tmp_path, whole, make=lambda net: torch.optim.Adam(net.parameters(), lr=3e-3))
    assert "loss-scale" not in {each.cause for each in findings}
    assert error < 0.05


def test_a_loss_scale_that_is_divided_out_again_is_none(tmp_path):
    """By powers of two, and the rate at fault: the scale is the script's affair, as long as its step is sound."""

    class Unscaling(torch.optim.SGD):
        scale = 256.0

        def step(self, closure=None):
            for each in self.param_groups[0]["params"]:
                each.grad /= self.scale
            return super().step(closure)

    torch.manual_seed(0)
    made = []

    def make(net):
        made.append(Unscaling(net.parameters(), lr=0.05))
        return made[0]

    def scaled(out, y, net, step):
        made[0].scale = 256.0 * 2 ** (step // 30)
        return made[0].scale * nn.functional.mse_loss(out, y)

    findings, _ = run(tmp_path, scaled, make=make, raised=200.0)
    assert not any("multiplies" in each.summary for each in findings)
