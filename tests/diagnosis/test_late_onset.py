"""Runs that were sound until a second loop of the script began to do something otherwise: that is the cause."""

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.diagnosis import diagnose

SOUND, WRONG = 150, 150
WIDTH = 6


def batch(number, scale=1.0, size=32):
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(size, WIDTH, generator=generator)
    return scale * x, torch.tanh(2 * x[:, :1] - x[:, 1:2])


def differentiated(out, y, optimizer, reduction="mean"):
    loss = nn.functional.mse_loss(out, y, reduction=reduction)
    optimizer.zero_grad()
    loss.backward()
    return loss


class Net(nn.Module):
    """Three layers, of which the first may hand on large numbers: float16 ends at 65504, float32 does not notice."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(WIDTH, 32), nn.Linear(32, 32), nn.Linear(32, 1)

    def forward(self, x):
        large = 3e4 * torch.relu(self.first(x))
        return self.last(torch.relu(self.second(large) / 3e4))


def run(tmp_path, second, *, mode, lr=0.1, momentum=0.9, steps=SOUND + WRONG, make=None):
    """A first loop as it should be, and a `second` one; returns the losses by the mean, and the watch."""
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum) if make is None else make(net)
    losses = []
    with sg.watch(net, optimizer, mode=mode, record=tmp_path) as watch:
        for number in range(steps):
            if number < SOUND:
                x, y = batch(number)
                loss = differentiated(net(x), y, optimizer)
            else:
                loss = second(net, optimizer, number)
            optimizer.step()
            losses.append(loss.item())
    return losses, watch


def forgets(net, optimizer, number):
    x, y = batch(number)
    loss = nn.functional.mse_loss(net(x), y)
    loss.backward()
    return loss


def sums(net, optimizer, number):
    x, y = batch(number)
    return differentiated(net(x), y, optimizer, reduction="sum")


def raw(net, optimizer, number):
    x, y = batch(number, scale=300.0)
    return differentiated(net(x), y, optimizer)


def in_metres(net, optimizer, number):
    x, y = batch(number)
    return differentiated(net(x), 5000.0 * y, optimizer)


def in_half(net, optimizer, number):
    x, y = batch(number)
    with torch.autocast("cpu", dtype=torch.float16):
        out = net(x)
    return differentiated(out.float(), y, optimizer)


SECOND = {
    "missing-zero-grad": forgets,
    "loss-scale": sums,
    "input-scale": raw,
    "half-overflow": in_half,
}


def causes(watch):
    return [finding.cause for finding in diagnose(sg.open_run(watch.run))]


@pytest.mark.parametrize("mode", ["observe", "protect"])
@pytest.mark.parametrize("cause", SECOND)
def test_what_has_come_in_is_named_first(tmp_path, cause, mode):
    try:
        _, watch = run(tmp_path, SECOND[cause], mode=mode)
    except sg.TrainingDiverged as stopped:
        found = [finding.cause for finding in diagnose(sg.open_run(stopped.run))]
    else:
        found = causes(watch)
    assert found[0] == cause


def test_targets_in_another_unit_are_a_matter_of_the_loss(tmp_path):
    _, watch = run(tmp_path, in_metres, mode="observe")
    assert causes(watch)[0] == "loss-scale"


def test_a_decay_that_has_become_negative_is_named(tmp_path):
    def grows(net, optimizer, number):
        optimizer.param_groups[0]["weight_decay"] = -8.0
        x, y = batch(number)
        return differentiated(net(x), y, optimizer)

    _, watch = run(tmp_path, grows, mode="observe", make=lambda net: torch.optim.AdamW(net.parameters(), lr=3e-3))
    assert causes(watch)[0] == "weight-growth"


def test_a_few_batches_of_another_kind_are_outliers_still(tmp_path):
    """And not a change: what comes after them is as before."""

    def some(net, optimizer, number):
        x, y = batch(number, scale=300.0 if number in range(200, 203) else 1.0)
        return differentiated(net(x), y, optimizer)

    _, watch = run(tmp_path, some, mode="protect")
    assert causes(watch)[0] == "outlier-batch"


def test_a_record_that_many_batches_hold_is_an_outlier_still(tmp_path):
    """Windows that overlap: the batches are of another size, by one number."""

    def windows(net, optimizer, number):
        x, y = batch(number)
        if number in range(200, 220):
            x[number % 32, 2] = 1e5
        return differentiated(net(x), y, optimizer)

    _, watch = run(tmp_path, windows, mode="protect")
    assert causes(watch)[0] == "outlier-batch"


def lengthened(tmp_path, gain, rate=1.0, mode="protect"):
    """A running sum by a recurrence of this gain, whose sequences are sixteen times as long after 120 steps; so is the
    learning rate made larger."""
    torch.manual_seed(0)
    rnn, head = nn.RNN(1, 32, nonlinearity="relu", batch_first=True), nn.Linear(32, 1)
    with torch.no_grad():
        rnn.weight_hh_l0.copy_(gain * torch.eye(32))
        rnn.weight_ih_l0.mul_(0.3)
    net = nn.ModuleDict({"rnn": rnn, "head": head})
    optimizer = torch.optim.SGD(net.parameters(), lr=0.003, momentum=0.9)
    try:
        with sg.watch(net, optimizer, mode=mode, record=tmp_path) as watch:
            for number in range(200):
                length = 10 if number < 120 else 160
                optimizer.param_groups[0]["lr"] = 0.003 * (1.0 if number < 120 else rate)
                x = torch.randn(32, length, 1, generator=torch.Generator().manual_seed(number))
                differentiated(head(rnn(x)[0]), x.cumsum(1) / length**0.5, optimizer)
                optimizer.step()
    except sg.TrainingDiverged:
        pass
    return causes(watch)


@pytest.mark.parametrize("mode", ["observe", "protect"])
def test_a_recurrence_that_expands_is_named_where_only_short_sequences_had_hidden_it(tmp_path, mode):
    assert lengthened(tmp_path, 1.05, mode=mode)[0] == "recurrent-gain"


def test_longer_sequences_do_not_make_a_rate_that_is_too_large_one(tmp_path):
    assert lengthened(tmp_path, 0.9, rate=1000.0)[0] == "learning-rate"


def smaller_steps(net, optimizer, number):
    for group in optimizer.param_groups:
        group["lr"] = 0.1 / 32
    return sums(net, optimizer, number)


def larger_batches(net, optimizer, number):
    x, y = batch(number, size=256)
    return differentiated(net(x), y, optimizer)


def accumulates(net, optimizer, number):
    optimizer.zero_grad()
    for part in range(2):
        x, y = batch(2 * number + part)
        loss = nn.functional.mse_loss(net(x), y) / 2
        loss.backward()
    return loss


@pytest.mark.parametrize("second", [smaller_steps, larger_batches, accumulates])
def test_a_second_loop_that_is_sound_raises_no_alarm(tmp_path, second):
    _, watch = run(tmp_path, second, mode="protect")
    assert not list(sg.open_run(watch.run).main.alarms())
    assert not causes(watch)


REPAIRED = {
    "zero-grad-before-backward": forgets,
    "mean-reduction": sums,
    "float32-for-this-layer": in_half,
}


@pytest.mark.parametrize("remedy", REPAIRED)
def test_what_has_come_in_is_put_right_and_what_it_has_done_is_undone(tmp_path, remedy):
    losses, watch = run(tmp_path, REPAIRED[remedy], mode="repair", steps=SOUND + 2 * WRONG)
    done = [(each.action, each.detail.get("remedy")) for each in sg.open_run(watch.run).main.actions()]
    assert ("repair", remedy) in done
    assert ("repair-held", remedy) in done
    last = losses[-20:] if remedy != "mean-reduction" else [each / 32 for each in losses[-20:]]
    assert max(last) < 2 * max(losses[SOUND - 20 : SOUND])


@pytest.mark.parametrize("where", ["input", "target"])
def test_a_broken_record_that_comes_by_again_and_again_is_an_outlier_each_time(where, tmp_path):
    """Every pass that is looked at holds it, for that is why it is looked at; those between do not."""

    def misprinted(net, optimizer, number):
        x, y = batch(number, size=8)  # too few for one to lie far above the root of their mean square
        if number % 20 == 0:
            (x if where == "input" else y)[3, 0] *= 1e5
        return differentiated(net(x), y, optimizer)

    _, watch = run(tmp_path, misprinted, mode="protect")
    assert causes(watch)[0] == "outlier-batch"
