"""What `sg.watch` does beside clipping and skipping: going back, resuming, telling, stopping, repairing."""

import copy
import json
import math
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import steadygrad as sg
from tests.guard.oracle import differences, fingerprint

STEPS = 240


class Training:
    """A small regression whose batch of a step depends on the step alone, so that it can be stopped and resumed."""

    def __init__(self, lr=0.01):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Linear(32, 1))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=lr)
        self.generator = torch.Generator()
        self.losses = []

    def step(self, number, factor=1.0):
        self.generator.manual_seed(number)
        x = torch.randn(32, 16, generator=self.generator)
        loss = (self.model(x) - x.sum(1, keepdim=True).sin()).square().mean() * factor
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def corrupt(self):
        """Momentum of a million times its size: the next step throws the weights away."""
        for state in self.optimizer.state.values():
            state["exp_avg"].mul_(1e6)


BAD = {60: 1e4, 90: math.nan, 131: 1e4, 132: math.nan, 170: math.nan}


def actions(watch):
    return [(a.step, a.action, dict(a.detail)) for a in sg.open_run(watch.run).main.actions()]


def test_a_resumed_watch_decides_as_if_the_run_had_never_stopped(tmp_path):
    """A checkpoint between two bad batches, in the middle of an incident."""
    whole = Training()
    with sg.watch(whole.model, whole.optimizer, record=tmp_path) as watch:
        for number in range(STEPS):
            whole.step(number, BAD.get(number, 1.0))
    done = actions(watch)
    first = Training()
    with sg.watch(first.model, first.optimizer, record=tmp_path) as before:
        for number in range(132):
            first.step(number, BAD.get(number, 1.0))
        torch.save([first.model.state_dict(), first.optimizer.state_dict(), before.state_dict()], tmp_path / "point")
    second = Training()
    with sg.watch(second.model, second.optimizer, record=tmp_path) as after:
        model, optimizer, watched = torch.load(tmp_path / "point", weights_only=True)
        second.model.load_state_dict(model)
        second.optimizer.load_state_dict(optimizer)
        after.load_state_dict(watched)
        for number in range(132, STEPS):
            second.step(number, BAD.get(number, 1.0))
    together = actions(before) + actions(after)
    # As text: NaN is not equal to itself.
    assert json.dumps(together) == json.dumps(done)
    assert differences(fingerprint(model=whole.model), fingerprint(model=second.model)) == []


def test_a_state_of_something_else_is_refused():
    training = Training()
    with (
        sg.watch(training.model, training.optimizer, record=False) as watch,
        pytest.raises(ValueError, match="steadygrad"),
    ):
        watch.load_state_dict({"schema": "something/2"})


def test_it_is_not_safe_to_save_while_an_incident_is_open_or_was_just_now():
    training = Training()
    said = {}
    with sg.watch(training.model, training.optimizer, record=False) as watch:
        for number in range(STEPS):
            training.step(number, math.nan if number == 100 else 1.0)
            said[number] = watch.safe_to_save()
    assert all(said[number] for number in range(100))
    assert not any(said[number] for number in range(100, 116))
    assert all(said[number] for number in range(125, STEPS))


def test_an_incident_is_told_when_it_begins_and_when_it_ends(tmp_path):
    training, told = Training(), []

    def tell(incident):
        told.append((incident.status, incident.step, incident.detector, list(incident.tried)))

    with sg.watch(training.model, training.optimizer, record=tmp_path, on_incident=tell) as watch:
        for number in range(STEPS):
            if number == 150:
                training.corrupt()
            training.step(number)
    assert [each[:3] for each in told] == [("open", 150, "update-spike"), ("recovered", 150, "update-spike")]
    assert told[-1][3] == ["roll-back"]
    incidents = sg.open_run(watch.run).main.facts()["incidents"]
    assert [(each["step"], each["status"]) for each in incidents] == [(150, "recovered")]
    assert sg.open_run(watch.run).verdict == "recovered"


def test_an_error_in_the_callback_ends_neither_the_training_nor_the_watching(capsys):
    training = Training()

    def fails(incident):
        raise RuntimeError("no mail server")

    with sg.watch(training.model, training.optimizer, record=False, on_incident=fails):
        for number in range(40):
            training.step(number, math.nan if number in {20, 30} else 1.0)
    assert all(torch.isfinite(param).all() for param in training.model.parameters())
    assert "on_incident has failed: RuntimeError: no mail server" in capsys.readouterr().err


def test_a_rollback_takes_model_moments_and_average_back_and_leaves_schedule_data_and_random_numbers(tmp_path):
    training = Training()
    average = AveragedModel(training.model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    scheduler = torch.optim.lr_scheduler.ExponentialLR(training.optimizer, 0.999)
    kept = {}
    with sg.watch(training.model, training.optimizer, record=tmp_path) as watch:
        watch.add_ema(average)
        watch.add_scheduler(scheduler)
        for number in range(170):
            if number == 150:
                training.corrupt()
            kept[number] = fingerprint(model=training.model, optimizer=training.optimizer, extra=average.state_dict())
            rng, epoch = torch.get_rng_state(), scheduler.last_epoch
            training.step(number)
            watch._watcher._journal._sink.flush()
            back = [detail["to"] for _, action, detail in actions(watch) if action == "roll-back"]
            if back:
                now = fingerprint(model=training.model, optimizer=training.optimizer, extra=average.state_dict())
                # The schedule goes on. The average is that of the moment the snapshot was taken: before its own update.
                differ = [path for path in differences(kept[back[0]], now) if "'lr'" not in path]
                assert [path for path in differ if not path.startswith("extra")] == []
                before = kept[back[0] - 1]
                assert not [
                    path for path in differences(before, now) if path.startswith("extra") and path not in differ
                ]
                assert torch.isfinite(average.module[0].weight).all()
                assert torch.equal(rng, torch.get_rng_state())
                assert scheduler.last_epoch == epoch
                break
            average.update_parameters(training.model)
            scheduler.step()
    assert back
    assert number == 151


def test_what_is_added_after_a_snapshot_was_taken_is_left_alone_when_the_run_is_rolled_back_to_it(tmp_path):
    training = Training()
    first = AveragedModel(training.model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    with sg.watch(training.model, training.optimizer, record=tmp_path, snapshot_every=16) as watch:
        watch.add_ema(first)
        for number in range(60):
            training.step(number)
            first.update_parameters(training.model)
        later = AveragedModel(training.model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        watch.add_ema(later)
        watch.add_scheduler(torch.optim.lr_scheduler.ExponentialLR(training.optimizer, 1.0))
        kept = [fingerprint(model=average) for average in (first, later)]
        with torch.no_grad():
            training.model[0].weight.fill_(math.nan)
        training.step(60)
    assert "roll-back" in [action for _, action, _ in actions(watch)]
    assert torch.isfinite(training.model[0].weight).all()
    assert differences(kept[0], fingerprint(model=first)), "it was rolled back too"
    assert differences(kept[1], fingerprint(model=later)) == []


def test_what_a_scheduler_changes_is_not_the_optimizers_own_after_a_lost_first_step(tmp_path):
    """One-cycle moves the momentum of SGD between a step that is lost and the next one that is made."""
    torch.manual_seed(0)
    model = nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=200)
    expected = []
    with sg.watch(model, optimizer, record=tmp_path, snapshot_every=16) as watch:
        for number in range(100):
            if number == 90:
                with torch.no_grad():
                    model.weight.fill_(math.nan)
            x = torch.randn(16, 8)
            loss = (model(x) - x.sum(1, keepdim=True)).square().mean() * (math.nan if number == 0 else 1.0)
            optimizer.zero_grad()
            loss.backward()
            momentum = optimizer.param_groups[0]["momentum"]
            optimizer.step()
            assert optimizer.param_groups[0]["momentum"] == momentum, number
            schedule.step()
            expected.append(momentum)
    assert "roll-back" in [action for _, action, _ in actions(watch)]
    assert len(set(expected)) > 50, "the schedule does move it"


def test_a_made_step_counts_as_made_whatever_is_ordered_beside_it(tmp_path):
    """The script's own rate is given back with the first step after a resume; the second finds the weights broken."""
    first = Training()
    with sg.watch(first.model, first.optimizer, record=False) as before:
        for number in range(20):
            first.step(number)
        state = before.state_dict()
    ladder = state["optimizers"][0]["recovery"]["escalation"]["ladder"]
    ladder.update(_level=0.5, _broke_at=0.01, _last_lr=0.01, _rungs=1, _since_rung=300, _quiet=255)
    training = Training()
    with sg.watch(training.model, training.optimizer, record=tmp_path) as watch:
        watch.load_state_dict(state)
        training.step(20)
        with torch.no_grad():
            training.model[0].weight.fill_(math.nan)
        training.step(21)
    done = [(step, action) for step, action, _ in actions(watch)]
    assert done[0] == (20, "return-lr")
    assert (21, "roll-back") in done
    assert torch.isfinite(training.model[0].weight).all()


def test_without_memory_for_snapshots_there_are_none_and_the_training_goes_on(tmp_path):
    training = Training()
    with sg.watch(training.model, training.optimizer, record=tmp_path, snapshot_memory=0) as watch:
        for number in range(60):
            training.step(number, math.nan if number == 30 else 1.0)
    assert [action for _, action, _ in actions(watch)] == ["skip", "restore-buffers"]


def test_too_little_memory_is_said_once(capsys):
    training = Training()
    with sg.watch(training.model, training.optimizer, record=False, snapshot_memory="1KB"):
        for number in range(60):
            training.step(number)
    assert capsys.readouterr().err.count("snapshots are off") == 1


@pytest.mark.parametrize("size", ["lots", -1, "1TB!", ""])
def test_a_size_that_is_none_is_refused(size):
    training = Training()
    with pytest.raises(ValueError, match="is no size"):
        sg.watch(training.model, training.optimizer, record=False, snapshot_memory=size)


@pytest.mark.parametrize(("name", "match"), [("add_scheduler", "state_dict"), ("add_loader", "state_dict")])
def test_what_has_no_state_is_refused(name, match):
    training = Training()
    with sg.watch(training.model, training.optimizer, record=False) as watch:
        with pytest.raises(TypeError, match=match):
            getattr(watch, name)(object())
        with pytest.raises(TypeError, match="expected a torch"):
            watch.add_ema(object())


def test_what_nothing_helps_is_stopped_with_the_last_sound_state(tmp_path):
    training = Training()
    watch = sg.watch(training.model, training.optimizer, record=tmp_path)
    for number in range(131):
        training.step(number, math.nan if number >= 100 else 1.0)
    with pytest.raises(sg.TrainingDiverged) as caught:
        training.step(131, math.nan)
    watch.close()
    error = caught.value
    assert (error.since, error.step) == (100, 131)
    assert "roll-back" in error.tried
    assert f"steadygrad report {error.run}" in str(error)
    assert "since step 100: nonfinite-gradient" in str(error)
    assert all(torch.isfinite(value).all() for value in training.model.state_dict().values())
    run = sg.open_run(watch.run)
    assert run.verdict == "stopped"
    # Who catches the error may go on: nobody raises again, and nobody protects.
    training.step(0)


def test_a_stopped_script_ends_with_its_own_error_and_the_verdict_says_who_stopped_it(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\n"
        "model = torch.nn.Linear(8, 1)\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.01)\n"
        "for step in range(200):\n"
        "    x = torch.randn(16, 8)\n"
        "    loss = (model(x) - x.sum(1, keepdim=True)).square().mean() * (1.0 if step < 50 else float('nan'))\n"
        "    optimizer.zero_grad(); loss.backward(); optimizer.step()\n"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "steadygrad", "run", "--out", str(tmp_path / "runs")),
            *("--snapshot-memory", "10MB", "--json", str(tmp_path / "out.json"), str(script)),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "TrainingDiverged: training was stopped at step 81" in done.stderr
    summary = json.loads((tmp_path / "out.json").read_text())
    assert summary["verdict"] == "stopped"
    assert summary["first_alarm_step"] == 50


def explosive(scale):
    torch.manual_seed(0)
    layers = [layer for _ in range(8) for layer in (nn.Linear(32, 32), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(32, 1))
    with torch.no_grad():
        for layer in layers[::2]:
            layer.weight.mul_(scale)
    return model


@pytest.mark.parametrize("scale", [30.0, 1e6])
def test_repair_rescales_an_explosive_initialisation_before_the_first_step(tmp_path, scale):
    model = explosive(scale)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with sg.watch(model, optimizer, mode="repair", record=tmp_path) as watch:
        for number in range(200):
            x = torch.randn(32, 32, generator=torch.Generator().manual_seed(number))
            loss = (model(x) - x[:, :1]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    done = [action for _, action, _ in actions(watch)]
    assert done.count("repair") == 1
    assert done.count("skip") + done.count("hold") == 1
    assert loss.item() < 2.0
    assert not any(module._forward_hooks for module in model.modules()), "the hooks are gone"


@pytest.mark.parametrize("resumed", [True, False], ids=["resumed", "rolled back"])
def test_repair_rescales_nothing_that_has_been_trained(tmp_path, resumed):
    model = explosive(1.0)
    with torch.no_grad():  # amplifies, and means it
        model[0].weight.mul_(6.0)
        model[2].weight.div_(6.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(number, broken=False):
        x = torch.randn(32, 32, generator=torch.Generator().manual_seed(number))
        loss = (model(x) - x[:, :1]).square().mean() * (float("nan") if broken else 1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    if resumed:
        for number in range(20):
            step(number)
    with sg.watch(model, optimizer, mode="repair", record=tmp_path, snapshot_every=16) as watch:
        for number in range(100, 220):
            if not resumed and number == 180:
                next(iter(optimizer.state.values()))["exp_avg"].fill_(float("nan"))
            step(number, broken=number == 100 if resumed else number == 181)
    done = [action for _, action, _ in actions(watch)]
    assert ("roll-back" in done) != resumed
    assert "skip" in done
    mended = {detail["remedy"] for _, action, detail in actions(watch) if action == "repair"}
    assert mended <= {"drop-or-impute-nonfinite-samples"}, "which knows nothing of weights"


def test_repair_leaves_a_sound_initialisation_alone():
    losses = []
    for mode in (None, "repair"):
        training = Training()
        if mode is None:
            for number in range(50):
                training.step(number)
        else:
            with sg.watch(training.model, training.optimizer, mode=mode, record=False):
                for number in range(50):
                    training.step(number)
        losses.append(copy.copy(training.losses))
    assert losses[0] == losses[1]


def deep(activation, gain):
    """Sixteen layers: what a sigmoid's slope, or too small a weight, leaves of the gradient at the first."""
    torch.manual_seed(0)
    layers = [layer for _ in range(16) for layer in (nn.Linear(16, 16), activation())]
    model = nn.Sequential(*layers, nn.Linear(16, 4))
    with torch.no_grad():
        for layer in layers[::2]:
            layer.weight.mul_(gain)
    return model


def dead():
    """Units that never fire, as one step that was far too long leaves them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
    with torch.no_grad():
        model[2].bias.fill_(-100.0)
    return model


@pytest.mark.parametrize(
    ("model", "verdict"),
    [
        (lambda: deep(nn.Sigmoid, 1.0), "stalled"),
        (dead, "stalled"),
        (lambda: deep(nn.Tanh, 3.0), "healthy"),
        (lambda: nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 4)), "healthy"),
    ],
    ids=["vanishing", "dead", "deep-and-sound", "shallow"],
)
def test_a_run_that_never_learns_is_stalled(tmp_path, model, verdict):
    model = model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for number in range(500):
            x = torch.randn(32, 16, generator=torch.Generator().manual_seed(number))
            loss = nn.functional.cross_entropy(model(x), (x[:, :1] > 0).long()[:, 0] + 2 * (x[:, 1] > 0).long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    run = sg.open_run(watch.run)
    assert run.verdict == verdict
    assert not list(run.main.actions())


@pytest.mark.parametrize("fused", [False, True])
def test_what_a_scaler_leaves_out_for_ever_is_stopped_too(fused):
    """The scaler takes a NaN for an overflow, and would look for its scale until the end."""
    torch.manual_seed(0)
    model = nn.Linear(8, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu")

    def step(number):
        x = torch.randn(16, 8)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean() * (math.nan if number >= 50 else 1.0)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    with sg.watch(model, optimizer, record=False):
        for number in range(81):
            step(number)
        with pytest.raises(sg.TrainingDiverged, match="32 steps in a row"):
            step(81)


def test_a_target_that_is_made_of_the_weights_excuses_no_loss_a_thousand_times_higher(tmp_path):
    """Weights of before do no better on targets of now, and the loss goes on to 1e10: no task does that."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    losses = []
    try:
        with sg.watch(net, optimizer, record=tmp_path):
            for _ in range(1000):
                now, after = torch.randn(64, 3), torch.randn(64, 3)
                with torch.no_grad():
                    target = 1.0 + 0.5 * now[:, :1] + 1.06 * net(after)
                loss = nn.functional.mse_loss(net(now), target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
    except sg.TrainingDiverged:
        pass
    assert max(losses) < 1e5 * losses[0]
