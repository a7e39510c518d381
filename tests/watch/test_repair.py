"""Mode `repair`: what the evidence says is wrong is put right in place, verified, and taken back if it does not help."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad._watch.repair import Repair
from steadygrad._watch.repairer import Repairer
from steadygrad.findings import Finding
from steadygrad.guard import Guard, Raised, Ruling, Stall
from steadygrad.interventions.gradients import ZeroGradBeforeBackward

from .regression import actions, data, net, repairs, train

EXAMPLE = Path(__file__).parents[2] / "examples" / "temporal_order.py"


def test_gradients_that_pile_up_are_cleared(tmp_path):
    model = net()
    losses, watch = train(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), 200, tmp_path, clear=False)
    assert repairs(watch) == ["zero-grad-before-backward"]
    assert losses[-1] < 0.1
    said = sg.open_run(watch.run)
    assert said.verdict == "recovered"
    assert said.findings()[0].cause == "missing-zero-grad"


def test_a_summed_loss_is_averaged_in_its_gradient_alone(tmp_path):
    def summed(output, y):
        return nn.functional.mse_loss(output, y, reduction="sum")

    model = net()
    losses, watch = train(
        model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), 200, tmp_path, loss_fn=summed
    )
    assert repairs(watch) == ["mean-reduction"]
    assert losses[0] > 50, "the script's own loss is what it was"
    assert losses[-1] < 3.0


def test_raw_inputs_train_as_standardised_ones_and_the_model_takes_them_raw(tmp_path):
    scale = torch.tensor([1.0, 10.0, 1e3, 1e4, 1.0, 300.0]), torch.tensor([0.0, 50.0, 3e4, 1e5, 0.0, 0.0])
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    model[1] = nn.ReLU()
    losses, watch = train(model, optimizer, 300, tmp_path, scale=scale)
    assert repairs(watch)[0] == "standardise-first-layer"
    assert losses[-1] < 0.1
    x, y = data(1000)
    with torch.no_grad():  # nothing of ours lies on the model any more
        assert nn.functional.mse_loss(model(x * scale[0] + scale[1]), y).item() < 0.1


def test_raw_features_beside_raw_targets_ask_for_both_remedies_at_once(tmp_path):
    """Prices of houses by area, rooms and age: with one of them alone the run is as lost as with none."""

    def batch(number):
        generator = torch.Generator().manual_seed(number)
        share = torch.rand(40, 3, generator=generator)
        x = torch.stack([40 + 180 * share[:, 0], (1 + 6 * share[:, 1]).floor(), 80 * share[:, 2]], 1)
        return x, x @ torch.tensor([[2500.0], [12000.0], [-900.0]])

    model = net(3)
    model[1] = nn.ReLU()
    _, watch = train(model, torch.optim.SGD(model.parameters(), lr=0.01), 300, tmp_path, batch=batch)
    assert repairs(watch) == ["standardise-last-layer", "standardise-first-layer"]
    done = [(step, action) for step, action, _ in actions(watch)]
    assert [action for _, action in done].count("repair-held") == 2
    assert "undo-repair" not in [action for _, action in done]
    x, y = batch(1000)
    with torch.no_grad():  # nothing of ours lies on the model any more
        assert nn.functional.mse_loss(model(x), y).item() < 0.1 * y.var().item()


def test_what_is_repaired_is_where_a_rollback_goes(tmp_path):
    """The first state is the mended one: a NaN much later does not bring the explosive weights back."""
    model = explosive()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with sg.watch(model, optimizer, mode="repair", record=tmp_path, snapshot_every=16) as watch:
        for number in range(120):
            x, y = data(number)
            loss = nn.functional.mse_loss(model(x), y)
            if number == 8:
                with torch.no_grad():
                    model[0].weight.fill_(float("nan"))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    done = [action for _, action, _ in actions(watch)]
    assert "repair" in done
    assert "roll-back" in done[done.index("repair") :]
    assert loss.item() < 50
    assert model[0].weight.abs().max() < 30


@pytest.mark.parametrize("place", ["forward", "factor", "before_step", "after_step"])
def test_a_remedy_that_stumbles_never_reaches_the_run(tmp_path, monkeypatch, place):
    """Promise: never the cause of a crash. It is taken away, that is recorded, and the training goes on."""

    def stumble(self, *args):
        raise RuntimeError("ours")

    monkeypatch.setattr(ZeroGradBeforeBackward, place, stumble)
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses, watch = train(model, optimizer, 60, tmp_path, clear=False)
    assert len(losses) == 60
    undone = [detail for _, action, detail in actions(watch) if action == "undo-repair"]
    assert undone[0]["error"] == "RuntimeError: ours"
    assert not any(event.name == "detached" for event in sg.open_run(watch.run).events())


def test_a_sound_run_is_left_alone_to_the_last_bit(tmp_path):
    bare = net()
    optimizer = torch.optim.AdamW(bare.parameters(), lr=1e-2)
    for number in range(60):
        x, y = data(number)
        loss = nn.functional.mse_loss(bare(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model = net()
    _, watch = train(model, torch.optim.AdamW(model.parameters(), lr=1e-2), 60, tmp_path)
    assert actions(watch) == []
    assert all(torch.equal(a, b) for a, b in zip(bare.parameters(), model.parameters(), strict=True))


def test_protect_repairs_nothing(tmp_path):
    model = net()
    _, watch = train(
        model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), 100, tmp_path, clear=False, mode="protect"
    )
    assert repairs(watch) == []


def test_without_a_recording_there_is_no_evidence_and_no_repair(tmp_path):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    with sg.watch(model, optimizer, mode="repair", record=False):
        for number in range(60):
            x, y = data(number)
            nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()
    assert model[0].weight.grad.abs().sum() > 0, "nobody has cleared it"


def explosive():
    torch.manual_seed(0)
    model = nn.Sequential(*(layer for _ in range(8) for layer in (nn.Linear(6, 6), nn.ReLU())), nn.Linear(6, 1))
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight.mul_(30)
    return model


def dead_from_the_start(seed=0):
    """Counts into a layer whose weights are all negative: no unit ever fires."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 24, bias=False), nn.ReLU(), nn.Linear(24, 1))
    with torch.no_grad():
        model[0].weight.copy_(-model[0].weight.abs())
    return model


def counts(number):
    generator = torch.Generator().manual_seed(number)
    x = torch.rand(64, 6, generator=generator)
    return x, 4 * x[:, :1] - 4 * x[:, 1:2]


@pytest.mark.parametrize(
    "make",
    [
        lambda params: torch.optim.Adagrad(params, lr=0.05),  # has a state of its own before the first step
        lambda params: torch.optim.Adam(params, lr=5e-3),
        lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9),
    ],
    ids=["adagrad", "adam", "sgd"],
)
def test_a_first_pass_that_nothing_can_be_learned_from_is_mended_early(make, tmp_path):
    """Long before a run would be called stalled: its loss has not begun to fall, and the first pass says why."""
    model = dead_from_the_start()
    losses, watch = train(model, make(model.parameters()), 200, tmp_path, batch=counts)
    (first, *_) = [(step, detail) for step, action, detail in actions(watch) if action == "repair"]
    assert first[0] < 32
    assert first[1]["cause"] == "dead-units"
    assert losses[-1] < 0.3 * losses[0]


CLIPS_SCALED = """
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu")
for step in range(200):
    x = torch.randn(32, 6)
    loss = (model(x) - 2 * x[:, :1] + x[:, 1:2]).square().mean()
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
print(loss.item())
"""


def test_a_clip_of_scaled_gradients_is_mended_early(runner):
    """It is a fact from the first step on; that the loss does not fall shows that it matters."""
    runner.write(CLIPS_SCALED)
    ran = runner.watched("--mode", "repair", "train.py")
    (first, *_) = [each for each in ran.summary["actions"] if each["action"] == "repair"]
    assert first["step"] < 32
    assert first["detail"]["remedy"] == "unscale-before-clip"
    assert float(ran.stdout.split()[-1]) < 0.2


def test_a_first_pass_that_was_mended_already_is_not_asked_again(runner):
    """A recurrence that explodes and saturates is made orthogonal; from there on the loss takes its time."""
    command = ["-m", "steadygrad", "run", "--mode", "repair", "--out", "out", str(EXAMPLE), "--steps", "64"]
    done = runner.bare(sys.executable, *command)
    assert done.returncode == 0, done.stderr
    (folder,) = (runner.folder / "out").iterdir()
    found = [(each.action, each.detail.get("remedy")) for each in sg.open_run(folder).main.actions()]
    assert ("repair", "orthogonal-recurrent-init") in found
    assert "undo-repair" not in [action for action, _ in found]


@pytest.mark.parametrize("tokens", [False, True])
def test_a_memory_that_is_too_short_for_its_task_is_seen_in_a_script_too(tokens, tmp_path):
    """The first pass as the script has made it, computed again from its tape: the third of 60 steps decides."""

    class Leaky(nn.Module):
        def __init__(self):
            super().__init__()
            self.inlet = nn.Embedding(5, 16) if tokens else nn.Linear(2, 16)
            self.decay, self.head = nn.Parameter(torch.full((16,), 0.55)), nn.Linear(16, 2)

        def forward(self, x):
            state = 0.0
            for step in self.inlet(x).unbind(1):
                state = self.decay * state + step
            return self.head(state)

    def decided_early(number):
        generator = torch.Generator().manual_seed(number)
        if tokens:
            x = torch.randint(5, (128, 60), generator=generator)
            return x, (x[:, 2] < 2).long()
        x = torch.randn(128, 60, 2, generator=generator)
        return x, (x[:, 2, 0] > 0).long()

    torch.manual_seed(0)
    model = Leaky()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    _, watch = train(model, optimizer, 24, tmp_path, loss_fn=nn.functional.cross_entropy, batch=decided_early)
    (alarm, *_) = sg.open_run(watch.run).main.alarms()
    assert (alarm.detector, alarm.detail["cause"]) == ("stalled", "vanishing-recurrent")
    assert "step 3 of 60 says most about the target" in alarm.detail["why"]


class Forgetful(nn.Module):
    """A recurrence that keeps hardly anything of a step, read at its end."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.RNN(8, 32, batch_first=True), nn.Linear(32, 2)
        with torch.no_grad():
            self.rnn.weight_hh_l0.mul_(0.3)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def decided_at_the_end(number):
    x = torch.randn(64, 20, 8, generator=torch.Generator().manual_seed(number))
    return x, (x[:, -1, 0] > 0).long()


def decided_by_two_together(number):
    """Each alone says nothing."""
    x = torch.randn(64, 20, 8, generator=torch.Generator().manual_seed(number))
    return x, (x[:, -1, 0] * x[:, -2, 0] > 0).long()


@pytest.mark.parametrize(
    ("batch", "rate"),
    [
        (decided_at_the_end, lambda step: 1e-3 if step < 80 else 1.0),  # by epochs: it does not rise when it is asked
        (decided_by_two_together, lambda step: (step + 1) / 400),
    ],
    ids=["by epochs", "by steps"],
)
def test_a_warm_up_is_no_reason_to_mend_a_short_memory(batch, rate, tmp_path):
    """The loss has not begun to fall because of the rate; what the first pass has is not why."""
    torch.manual_seed(0)
    model = Forgetful()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    _, watch = train(
        model, optimizer, 90, tmp_path, loss_fn=nn.functional.cross_entropy, batch=batch, schedule=schedule
    )
    assert actions(watch) == []


def test_an_alarm_of_another_kind_is_no_word_against_a_remedy_of_numbers_that_are_not_finite(tmp_path):
    """A logarithm of zero is mended; a burst of the gradient some steps later has nothing to do with it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with sg.watch(model, optimizer, mode="repair", record=tmp_path) as watch:
        for number in range(160):
            x, _ = data(number)
            scale = 1000.0 if number >= 70 else 1.0
            shares = torch.softmax(scale * model(x), 1)
            loss = -shares.gather(1, (x[:, :1] > 0).long()).log().mean() / scale
            optimizer.zero_grad()
            (loss * (1e5 if number == 90 else 1.0)).backward()
            optimizer.step()
    assert repairs(watch)[0] == "add-epsilon-inside-the-operation"
    assert not [detail for _, action, detail in actions(watch) if action == "undo-repair"]
    assert all(param.isfinite().all() for param in model.parameters())


def test_weights_that_run_away_are_held(tmp_path):
    """A ranking loss without a margin: all that can be done is to keep the weights where they are, for good."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 24, bias=False), nn.Linear(24, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    lengths = []
    with sg.watch(model, optimizer, mode="repair", record=tmp_path) as watch:
        for number in range(300):
            x, y = data(number)
            optimizer.zero_grad()
            (-(model(x) * y).mean()).backward()
            optimizer.step()
            lengths.append(float(sum(param.detach().norm() for param in model.parameters())))
    assert repairs(watch) == ["constrain-weight-norms"]
    assert [action for _, action, _ in actions(watch)].count("repair-held") == 1
    assert lengths[-1] == pytest.approx(lengths[200], rel=0.01)
    assert sg.open_run(watch.run).verdict == "recovered"


def test_first_weights_that_were_at_fault_do_not_come_back_for_a_rate_that_is_too_high_for_others_too(tmp_path):
    """Blocks that amplify by ten each, and a rate that even weights of a sound size do not bear."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.path = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))

        def forward(self, x):
            return x + self.path(x)

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), *[Block() for _ in range(8)], nn.Linear(16, 1))
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, 2.5)
            nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    losses, watch = train(model, optimizer, 150, tmp_path, loss_fn=nn.functional.l1_loss)
    done = [action for _, action, _ in actions(watch)]
    assert losses[0] > 1e5
    assert repairs(watch) == ["auto-initialisation"]
    assert "undo-repair" not in done
    assert "lower-lr" in done
    assert sum(losses[-10:]) / 10 < 1.0


def test_state_that_was_damaged_before_the_first_step_is_put_right_at_once(tmp_path):
    """Frozen statistics of a variance of 0: no step is left out, and nothing is gone back to, that would help."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 1))
    model[1].running_var.zero_()
    model.eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    losses, watch = train(model, optimizer, 120, tmp_path)
    done = [(step, detail.get("remedy")) for step, action, detail in actions(watch) if action == "repair"]
    assert [name for _, name in done] == ["reset-running-stats"]
    assert done[0][0] <= 8
    assert "roll-back" not in [action for _, action, _ in actions(watch)]
    assert losses[0] > 1e3
    assert sum(losses[-10:]) / 10 < 0.5


def test_lbfgs_that_overshoots_is_given_a_line_search(tmp_path):
    torch.manual_seed(15)
    model = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=3.0)
    x = torch.linspace(-3, 3, 200)[:, None]
    y = torch.sin(3 * x) + 0.3 * x

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        return loss

    losses = []
    with sg.watch(model, optimizer, mode="repair", record=tmp_path) as watch:
        for _ in range(40):
            losses.append(float(optimizer.step(closure).detach()))
    assert repairs(watch) == ["strong-wolfe"]
    assert losses[-1] < 0.1 * losses[0]


def test_weights_that_came_with_moments_are_somebodys_work(tmp_path):
    """A training that is resumed is not drawn anew, whatever its first pass looks like."""
    model = explosive()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = data(0)
    nn.functional.mse_loss(model(x), y).backward()
    optimizer.step()  # before anybody watches
    optimizer.zero_grad()
    before = [param.detach().clone() for param in model.parameters()]
    with sg.watch(model, optimizer, mode="repair", record=tmp_path) as watch:
        for number in range(20):
            x, y = data(number)
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert not {"rescale-initialisation", "auto-initialisation"} & set(repairs(watch))
    moved = [(a - b).norm() / b.norm() for a, b in zip(model.parameters(), before, strict=True) if b.ndim > 1]
    assert max(moved) < 0.5


def test_what_went_wrong_later_overwrites_no_weights(tmp_path):
    """Units that die in the middle of a run are no reason to draw the weights of its start anew."""
    model = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with sg.watch(model, optimizer, mode="repair", record=tmp_path) as watch:
        for number in range(200):
            x, y = data(number)
            if number == 40:
                with torch.no_grad():
                    model[0].bias.sub_(50.0)
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert not {"auto-initialisation", "zero-bias", "rescale-initialisation"} & set(repairs(watch))


def test_data_that_is_not_finite_is_filled_in_from_the_first_time_on(tmp_path):
    """A step left out keeps the weights; but a loss that is NaN once an epoch makes every mean of it NaN."""
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    with sg.watch(model, optimizer, mode="repair", record=tmp_path) as watch:
        for step in range(160):
            x, y = data(step % 20)
            if step % 20 == 11:
                x[5, 2] = float("nan")
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert [step for step, loss in enumerate(losses) if loss != loss] == [11]
    (repair,) = (each for each in actions(watch) if each[1] == "repair")
    assert (repair[0], repair[2]["cause"]) == (11, "nonfinite-data")
    assert "to" not in repair[2]  # the run goes on from where it is
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize(("every", "repaired"), [(30, ["winsorise-features"]), (1000, [])])
def test_outliers_that_come_again_are_limited(every, repaired, tmp_path):
    """The first is left to the guard. What is gone through again and again has it in every mean of the loss."""

    def glitchy(number):
        x, y = data(number)
        if number % every == every - 10 or number == 20:
            y[3] = 8e5
        return x, y

    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses, watch = train(model, optimizer, 200, tmp_path, batch=glitchy)
    assert losses[20] > 1e3
    assert repairs(watch) == repaired
    assert max(losses[60:]) < 5


@pytest.mark.slow
def test_logits_that_a_rate_has_driven_apart_before_anything_was_learned_ask_for_a_lower_rate(runner):
    path = Path(__file__).parents[1] / "diagnosis" / "second_holdout" / "failing" / "learning-rate"
    runner.write((path / "translate_postln.py").read_text())
    ran = runner.watched("--mode", "repair", "train.py")
    repairs = [each["detail"]["remedy"] for each in ran.summary["actions"] if each["action"] == "repair"]
    assert repairs == ["lower-learning-rate"]
    assert float(ran.stdout.split()[-1]) < 0.4


@pytest.mark.slow
@pytest.mark.parametrize("product", ["features @ weight", "(features * weight).sum(1)"])
def test_raw_columns_train_as_standardised_ones_or_get_the_rate_that_they_bear(product, runner):
    """Five orders of magnitude below the script's, where no product is found that could train as one of standardised."""
    path = Path(__file__).parents[2] / "zoo" / "failing" / "input-scale" / "houses_by_hand.py"
    text = path.read_text().replace("    losses = []", "    losses = []; opt = torch.optim.SGD([weight, bias], lr=0.1)")
    text = text.replace("        with torch.no_grad():\n", "        opt.step(); opt.zero_grad()\n")
    text = text.replace("features @ weight", product)
    lines = [
        line
        for line in text.splitlines()
        if "for p in (weight" not in line and "p -= " not in line and "p.grad" not in line
    ]
    runner.write("\n".join(lines))
    ran = runner.watched("--mode", "repair", "train.py")
    end = float(ran.stdout.split()[-1])
    repairs = [each["detail"] for each in ran.summary["actions"] if each["action"] == "repair"]
    if "@" in product:
        assert [each["remedy"] for each in repairs] == ["standardise-first-layer"]
        assert end < 0.02
    else:
        assert 1e-7 < repairs[-1]["factor"] < 1e-4
        assert end < 0.7


@pytest.mark.slow
def test_a_stale_second_moment_is_known_by_the_step_that_raises_the_alarm(runner):
    """No sample was taken of it: how far it went, over the least that any tensor is long, says enough."""
    folder = Path(__file__).parents[1] / "diagnosis" / "fourth_holdout" / "failing" / "stale-second-moment"
    text = (folder / "late_labels.py").read_text()
    runner.write(text.replace("LABELS_FROM, STEPS = 2000, 3000", "LABELS_FROM, STEPS = 1000, 1600"))
    ran = runner.watched("--mode", "repair", "train.py")
    repairs = [each["detail"]["remedy"] for each in ran.summary["actions"] if each["action"] == "repair"]
    assert repairs == ["lower-beta2"]
    assert float(ran.stdout.split()[-1]) < 0.2


def test_an_outlier_is_over_and_explains_no_later_alarm(tmp_path):
    """One bad record, and much later a rate of the script's own mistake."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    class Schedule:
        made = 0

        def step(self):
            self.made += 1
            optimizer.param_groups[0]["lr"] = 50.0 if 300 <= self.made < 330 else 0.05

    def batch(number):
        x, y = data(number)
        return (x, torch.where(torch.arange(32)[:, None] == 3, 8e5, y)) if number == 100 else (x, y)

    losses, watch = train(model, optimizer, 400, tmp_path, batch=batch, schedule=Schedule())
    assert repairs(watch)[0] == "lower-learning-rate"
    assert losses[-1] < 0.1


class Attentive(nn.Module):
    """Sharp from the first pass on, and learning all the same."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.query, self.key, self.value = (nn.Linear(8, 16) for _ in range(3))
        self.out = nn.Linear(16, 1)
        with torch.no_grad():
            self.query.weight *= 12
            self.key.weight *= 12

    def forward(self, x):
        mixed = nn.functional.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))
        return self.out(mixed).mean(1)


def test_what_a_run_has_learned_is_not_forgotten_with_a_repair(tmp_path):
    """Bursts that come one after the other, each after a remedy of the last: nothing goes back to the first weights."""
    model = Attentive()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    losses = []
    with sg.watch(model, optimizer, mode="repair", record=tmp_path) as watch:
        for number in range(600):
            generator = torch.Generator().manual_seed(number)
            x = torch.randn(64, 6, 8, generator=generator)
            y = 3 * x[:, :, :1].mean(1)
            if number in (500, 512):
                y[3] = 8e5
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            (loss * (1e6 if number in (515, 518, 521) else 1)).backward()
            optimizer.step()
            losses.append(loss.item())
    assert all(detail.get("to") != 0 for _, _, detail in actions(watch))
    assert losses[-1] < losses[100] < losses[0]


BLIND = Path(__file__).parents[1] / "diagnosis"


@pytest.mark.slow
def test_logits_that_are_sharp_from_the_start_are_found_at_the_first_look(runner):
    runner.write((BLIND / "eighth_holdout/failing/attention-logits/landmark_lookup.py").read_text())
    ran = runner.watched("--mode", "repair", "train.py")
    (repair,) = (each for each in ran.summary["actions"] if each["action"] == "repair")
    assert (repair["step"], repair["detail"]["remedy"]) == (15, "rescale-initialisation")
    assert float(ran.stdout.split()[-1]) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "remedies", "ends_below"),
    [
        # A slope of 500 in three layers: spikes, where a unit is between its ends, are no outlier batches.
        ("third_holdout/failing/saturation/gated_controller.py", ["rescale-initialisation"], 0.02),
        # Bare embeddings before a softmax.
        ("second_holdout/failing/attention-logits/assoc_recall.py", ["rescale-initialisation"], 0.1),
        # Queries, keys and values of one matrix: values stay.
        ("holdout/failing/attention-logits/gpt_temperature.py", ["rescale-initialisation"], 0.1),
        # A matrix of a model that is never called itself.
        ("eighth_holdout/failing/recurrent-gain/koopman_pendulum.py", ["orthogonal-recurrent-init"], 0.05),
        # The first step takes a loss of 600 to that of a guess, and the weights with it.
        ("eighth_holdout/failing/init-gain/texture_resnet.py", ["auto-initialisation"], 0.1),
        # A rollout in which each step adds to the state: an orthogonal matrix is tried first, and changes nothing.
        (
            "tenth_holdout/failing/recurrent-gain/patrol_rollout.py",
            ["orthogonal-recurrent-init", "rescale-initialisation"],
            0.5,
        ),
        # Its loss has fallen by two thirds, to that of a guess: nothing is lost with its weights.
        ("tenth_holdout/failing/vanishing-recurrent/energy_peak_memory.py", ["chrono-init"], 0.4),
        # Steps of a first rate have pinned everything: a lower one is of use only from the beginning.
        ("eighth_holdout/failing/learning-rate/lion_distill.py", ["lower-learning-rate"], 0.15),
        # A bias of -18 before a sigmoid: it goes, and the weights stay.
        ("holdout/failing/saturation/pixel_decoder_bias.py", ["rescale-initialisation"], 0.003),
        # Weights that the script's own Lion makes longer at each step.
        ("eleventh_holdout/failing/weight-growth/moe_lion.py", ["constrain-weight-norms"], 0.45),
        # An LSTM of which nothing arrives where the label is set.
        ("eleventh_holdout/failing/vanishing-recurrent/flag_lstm.py", ["chrono-init"], 0.1),
        # A second phase begins with parameters, and without running statistics.
        ("tenth_holdout/failing/corrupt-state/plant_finetune.py", ["reset-running-stats"], 0.05),
        # An entropy over shares that are masked.
        ("eighth_holdout/failing/unsafe-op/masked_actor_critic.py", ["add-epsilon-inside-the-operation"], 1.8),
        # A table of raw columns, weights in a dictionary.
        ("third_holdout/failing/input-scale/house_prices.py", ["standardise-first-layer"], 0.1),
        # The forget gates of a cell that is written by hand.
        ("holdout/failing/vanishing-recurrent/forget_gate_bias.py", ["chrono-init"], 0.1),
    ],
    ids=lambda value: Path(value).stem if isinstance(value, str) else "",
)
def test_what_the_script_has_as_a_constant_is_taken_back_before_the_first_step(script, remedies, ends_below, runner):
    runner.write((BLIND / script).read_text())
    ran = runner.watched("--mode", "repair", "train.py")
    assert [each["detail"]["remedy"] for each in ran.summary["actions"] if each["action"] == "repair"] == remedies
    assert float(ran.stdout.split()[-1]) < ends_below


@pytest.mark.parametrize(("forget", "done"), [(-3.0, ["chrono-init"]), (1.0, [])])
def test_gates_that_nothing_comes_through_are_opened_long_before_the_run_would_be_called_stalled(
    forget, done, tmp_path
):
    """The first word of fifty says it all, and less than float32 can tell from nothing arrives there."""
    torch.manual_seed(0)
    embed, lstm, head = nn.Embedding(40, 16), nn.LSTM(16, 32, batch_first=True), nn.Linear(32, 4)
    with torch.no_grad():
        for name, each in lstm.named_parameters():
            if "bias" in name:
                each.zero_()
                each[32:64] = forget / 2
    model = nn.ModuleList([embed, lstm, head])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with sg.watch(model, optimizer, mode="repair", record=tmp_path) as watch:
        for _ in range(40):
            words = torch.randint(4, 40, (32, 50))
            words[:, 0] = torch.randint(4, (32,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(lstm(embed(words))[0][:, -1]), words[:, 0]).backward()
            optimizer.step()
    assert repairs(watch) == done


def test_how_far_a_step_goes_is_measured_of_what_is_stepped_on(tmp_path):
    """A layer that trains as one of standardised inputs has other weights during a step: between the two lies no step."""
    scale = torch.tensor([1.0, 10.0, 1e3, 1e4, 1.0, 300.0]), torch.tensor([0.0, 50.0, 3e4, 1e5, 0.0, 0.0])
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    model[1] = nn.ReLU()
    _, watch = train(model, optimizer, 300, tmp_path, scale=scale)
    began = max(step for step, action, _ in actions(watch) if action == "repair")
    steps, ratios = sg.open_run(watch.run).main.vectors("update_ratio", first=began + 2)
    assert len(steps) > 3
    assert ratios[:, 0].max() < 0.3, "of the weights that the script has it would be 0.8"


@pytest.mark.parametrize(
    ("about", "but"),
    [
        (["input-scale"], {"stale-second-moment"}),
        (["stale-second-moment"], set()),
        (["input-scale", "stale-second-moment"], set()),
        ([None], set()),
    ],
)
def test_no_more_of_the_same_where_a_run_stalls_for_another_cause(about, but):
    """What was answered is left out; nothing is where nobody knows why it stalls, or where another alarm is raised."""
    session = SimpleNamespace(index=0, stall=Stall(), guard=Guard())
    repairer = Repairer(None, None, None)
    finding = Finding("stale-second-moment", 0.9, "", "")
    repairer._repairs = [
        Repair(0, "lower-beta2", finding, None, 10, {}),
        Repair(0, "auto-initialisation", Finding("dead-units", 0.9, "", ""), None, 5, {}, undone=True),
        Repair(1, "zero-grad-before-backward", Finding("missing-zero-grad", 0.9, "", ""), None, 5, {}),
    ]
    stalled = tuple(Raised("stalled", {} if cause is None else {"cause": cause}) for cause in about)
    assert repairer._elsewhere(session, Ruling("", 1.0, stalled)) == but
    assert repairer._elsewhere(session, Ruling("", 1.0, (*stalled, Raised("gradient-spike", {})))) == set()
    for step in range(96):  # it had learned, and has lost that again
        loss = 1.0 - 0.9 * min(1.0, step / 32) + 0.8 * (step >= 64)
        session.stall.begin(loss)
        session.guard.level.push(loss)
    assert repairer._elsewhere(session, Ruling("", 1.0, stalled)) == set()
