"""What lies there without computing anything, at an alarm."""

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad._watch.symptoms import uncollected, unmatched, variances


def normed(evaluates=True):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    if evaluates:
        model[1].eval()
    return model


def test_variances_that_are_none():
    model = normed()
    assert variances([model]) == {}
    model[1].running_var.zero_()
    assert variances([model]) == {"1.running_var": 0.0}
    model[1].running_var.fill_(1.0)[3] = -0.5
    assert variances([model]) == {"1.running_var": -0.5}
    model[1].running_var[3] = -1e-9  # rounding: epsilon holds it
    assert variances([model]) == {}


def test_those_that_are_estimated_anew_at_each_batch_do_not_matter():
    model = normed(evaluates=False)
    model[1].running_var.fill_(-1.0)
    assert variances([model]) == {}


def test_a_run_with_a_negative_variance_is_told_so(tmp_path):
    torch.manual_seed(0)
    model = normed()
    model[1].running_var[2] = -0.3
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with sg.watch(model, optimizer, mode="observe", record=tmp_path) as watch:
        for _ in range(10):
            x = torch.randn(16, 4)
            optimizer.zero_grad()
            (model(x) - x[:, :1]).square().mean().backward()
            optimizer.step()
    found = sg.open_run(watch.run).findings()[0]
    assert (found.cause, found.where) == ("corrupt-state", "1.running_var")


def test_statistics_that_nobody_has_collected():
    """As of a checkpoint of parameters alone."""
    model = normed()
    assert uncollected([model]) == ["1"]
    assert uncollected([normed(evaluates=False)]) == []
    collected = normed(evaluates=False)
    collected(torch.randn(16, 4))
    collected.eval()
    assert uncollected([collected]) == []
    frozen = normed()
    frozen[1].running_mean.fill_(0.2)  # of another library's checkpoint, which counts nothing
    assert uncollected([frozen]) == []
    assert uncollected([nn.BatchNorm1d(4, track_running_stats=False).eval()]) == []
    assert uncollected([nn.BatchNorm1d(4).eval()]) == ["BatchNorm1d"]


@pytest.mark.parametrize("look", [variances, uncollected])
def test_a_lazy_norm_that_was_never_called_has_no_statistics(look):
    assert not look([nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d()).eval()])


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.9, 0.95), (0.0, 0.99), (0.95, 0.95)])
@pytest.mark.parametrize("make", [torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam])
def test_no_gradients_make_moments_that_do_not_match(make, betas):
    """However they alternate, vanish and burst; and half of the squares that a checkpoint has lost are seen."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.zeros(400))
    optimizer = make([weight], lr=1e-3, betas=betas)
    assert unmatched(optimizer) is None
    for step in range(61):
        weight.grad = torch.randn(400) * (1e4 if step == 30 else 1e-6 if step > 40 else 1.0) * (step % 7 != 3)
        optimizer.step()
        assert unmatched(optimizer) == 0.0
    state = optimizer.state[weight]
    state["exp_avg_sq"][:200] = 0.0
    assert unmatched(optimizer) == (pytest.approx(0.5, abs=0.05) if betas[0] else 0.5)
    state["exp_avg"], state["exp_avg_sq"] = state["exp_avg"].half(), state["exp_avg_sq"].half()
    assert unmatched(optimizer) is None, "squares of sound gradients are 0 in float16"
    optimizer.state[weight] = {"exp_avg_sq": state["exp_avg_sq"]}
    assert unmatched(optimizer) is None
